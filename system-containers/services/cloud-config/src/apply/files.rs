//! Writes the files of `write_files`.

use crate::account::database::Accounts;
use crate::report::Messages;
use crate::store;
use crate::userdata::files::WriteFile;
use anyhow::Context;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Writes the given files below `root`; each failure is reported and the others are still written.
pub fn write_all<'f>(
    root: &Path,
    files: impl Iterator<Item = &'f WriteFile>,
    accounts: &Accounts,
    messages: &mut Messages,
) {
    for file in files {
        if let Err(error) = write(root, file, accounts) {
            let hint = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) {
                Some(code) if code == rustix::io::Errno::ROFS.raw_os_error() => {
                    "; the system is read-only: use /etc, /home, /opt, /srv, /mnt, /media, /root or /usr/local"
                }
                _ => "",
            };
            let key = format!("write_files[{}]", file.index);
            messages.error(file.place, &key, format!("{}: {error:#}{hint}", file.path));
        }
    }
}

fn write(root: &Path, file: &WriteFile, accounts: &Accounts) -> anyhow::Result<()> {
    let path = root.join(file.path.trim_start_matches('/'));
    let (uid, gid) = owner(file, accounts)?;
    if file.append {
        let parent = path.parent().context("no parent directory")?;
        std::fs::create_dir_all(parent)?;
        let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).context("open flags")?;
        let mut opened = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(&path)?;
        opened.write_all(&file.content)?;
        opened.sync_all()?;
        opened.set_permissions(std::fs::Permissions::from_mode(file.mode))?;
        std::os::unix::fs::fchown(&opened, Some(uid), Some(gid))?;
    } else {
        store::write_owned(&path, &file.content, file.mode, Some((uid, gid)))?;
    }
    Ok(())
}

/// Numbers of user and group; like cloud-init a user without a group leaves the group to root.
fn owner(file: &WriteFile, accounts: &Accounts) -> anyhow::Result<(u32, u32)> {
    let (user, group) = &file.owner;
    let uid = accounts.user(user).map(|account| account.uid).or_else(|| user.parse().ok());
    let uid = uid.with_context(|| format!("there is no user {user}"))?;
    let gid = match group {
        None => 0,
        Some(group) => accounts
            .group(group)
            .or_else(|| group.parse().ok())
            .with_context(|| format!("there is no group {group}"))?,
    };
    Ok((uid, gid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;
    use std::os::unix::fs::MetadataExt;

    fn run(root: &Path, text: &str) -> String {
        let mut messages = Messages::new("user-data");
        let node = yaml::parse(text, &mut messages).unwrap();
        let files = crate::userdata::files::read(&node, &mut messages);
        let accounts =
            Accounts::parse("root:x:0:0::/root:/bin/sh\nweb:x:1000:1000::/:/\n", "root:x:0:\nadm:x:4:\n", "");
        write_all(root, files.iter(), &accounts, &mut messages);
        messages.list().iter().map(|message| format!("{message}\n")).collect()
    }

    #[test]
    fn root_files_get_content_owner_and_mode() {
        assert!(rustix::process::getuid().is_root(), "run as root");
        let root = tempfile::tempdir().unwrap();
        let text = "- {path: /a/b, content: x, owner: 'web:adm', permissions: '4750'}\n- {path: /a/b2, content: x}\n- {path: /a/b2, content: y, append: true}\n- {path: /c, owner: nobody2}\n- {path: /d, content: z, owner: '7:8'}\n";
        let messages = run(root.path(), text);
        assert_eq!(messages, "user-data line 4 column 3 write_files[3]: /c: there is no user nobody2\n");
        let stat = std::fs::metadata(root.path().join("a/b")).unwrap();
        assert_eq!((stat.uid(), stat.gid(), stat.mode() & 0o7777), (1000, 4, 0o4750));
        assert_eq!(std::fs::read_to_string(root.path().join("a/b2")).unwrap(), "xy");
        assert_eq!(std::fs::metadata(root.path().join("d")).unwrap().gid(), 8);
    }
}
