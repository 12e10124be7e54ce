//! Makes the users of the user data exist: at every boot those that are missing, and for a new instance also password,
//! groups and keys of those that are there.

use super::database::{Account, Accounts, NO_PASSWORD, NewUser};
use super::{home, password, sudo};
use crate::report::{Messages, Place};
use crate::store;
use crate::userdata::login::{Group, Password};
use crate::userdata::users::User;
use anyhow::Context;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Shells of users who ask for none, or for one that is not there: the first that exists.
const DEFAULT_SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];
/// The sudo rules of all users.
const SUDO_FILE: &str = "etc/sudoers.d/90-cloud-config";
/// What `ssh_pwauth` sets.
const SSH_FILE: &str = "etc/ssh/sshd_config.d/50-cloud-config.conf";
const SSH_PASSWORDS: &str = "# ssh_pwauth of the user data\nPasswordAuthentication yes\nAuthenticationMethods any\n";
/// The three files and their mode where they are missing, in the order in which they are written: a user exists once it
/// is in passwd, and must have all it needs by then, as power may fail between any two.
const FILES: [(&str, u32); 3] = [("etc/group", 0o644), ("etc/shadow", 0o640), ("etc/passwd", 0o644)];

/// Reads passwd, group and shadow below `root`; missing ones are empty.
pub fn load(root: &Path) -> anyhow::Result<Accounts> {
    let read = |name: &str| match std::fs::read_to_string(root.join(name)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        result => result.with_context(|| format!("read /{name}")),
    };
    Ok(Accounts::parse(&read("etc/passwd")?, &read("etc/group")?, &read("etc/shadow")?))
}

/// Carries it out below `root`.
pub fn users(root: &Path, users: &[User], new_instance: bool, messages: &mut Messages) -> anyhow::Result<()> {
    let mut accounts = load(root)?;
    let before = accounts.clone();
    let mut touched: Vec<(&User, Account)> = Vec::new();
    for user in users {
        match user_account(root, &mut accounts, user, new_instance, messages) {
            Ok(Some(account)) => touched.push((user, account)),
            Ok(None) => {}
            Err(error) => messages.error(Place::default(), "users", format!("user {}: {error:#}", user.name)),
        }
    }
    // A user that exists is left alone at later boots, so what belongs to it is there before.
    for (user, account) in touched {
        if let Err(error) = home_and_keys(root, user, &account) {
            messages.error(Place::default(), "users", format!("user {}: {error:#}", user.name));
        }
    }
    if accounts != before {
        write(root, &accounts)?;
    }
    let rules = sudo::file(users.iter().map(|user| (user.name.as_str(), user.sudo.as_slice())));
    let path = root.join(SUDO_FILE);
    match rules {
        Some(text) => store::write(&path, text.as_bytes(), 0o440)?,
        None if path.exists() => std::fs::remove_file(&path).context("remove the sudo rules")?,
        None => {}
    }
    Ok(())
}

/// The account whose home and keys are to be looked at; `None` for one that stays as it is.
fn user_account(
    root: &Path,
    accounts: &mut Accounts,
    user: &User,
    new_instance: bool,
    messages: &mut Messages,
) -> anyhow::Result<Option<Account>> {
    let existing = accounts.user(&user.name);
    if existing.is_some() {
        accounts.ensure_password(&user.name);
    }
    if existing.is_some() && !new_instance {
        return Ok(existing.filter(|account| !root.join(account.home.trim_start_matches('/')).exists()));
    }
    let account = match existing {
        Some(account) => account,
        None => {
            let exists = |shell: &&str| root.join(shell.trim_start_matches('/')).exists();
            let default_shell = DEFAULT_SHELLS.into_iter().find(exists).unwrap_or(DEFAULT_SHELLS[1]);
            let shell = user.shell.as_deref().unwrap_or(default_shell);
            let shell = if exists(&shell) {
                shell
            } else {
                let text = format!("user {}: there is no {shell}; {default_shell} is used", user.name);
                messages.warning(Place::default(), "users", text);
                default_shell
            };
            let default_home = format!("/home/{}", user.name);
            accounts.add_user(&NewUser {
                name: &user.name,
                uid: user.uid,
                primary_group: user.primary_group.as_deref(),
                gecos: user.gecos.as_deref().unwrap_or_default(),
                home: user.home.as_deref().unwrap_or(&default_home),
                shell,
                system: user.system,
            })?
        }
    };
    match &user.password {
        Some(secret) if !user.lock_password => accounts.set_password(&user.name, &password::hash(secret)?),
        Some(_) => accounts.set_password(&user.name, NO_PASSWORD),
        None => {}
    }
    for group in &user.groups {
        accounts.ensure_group(group, None, false)?;
        accounts.add_member(group, &user.name);
    }
    Ok(Some(account))
}

fn home_and_keys(root: &Path, user: &User, account: &Account) -> anyhow::Result<()> {
    if user.keys.is_empty() && (user.no_home || user.system) {
        return Ok(());
    }
    let home = home::ensure(&root.join(account.home.trim_start_matches('/')), account)?;
    home::add_keys(&home, account, &user.keys)
}

/// `groups` and passwords, once the users exist; for a new instance.
pub fn groups_and_passwords(
    root: &Path,
    groups: &[Group],
    passwords: &[Password],
    messages: &mut Messages,
) -> anyhow::Result<()> {
    let mut accounts = load(root)?;
    let before = accounts.clone();
    for group in groups {
        if let Err(error) = accounts.ensure_group(&group.name, None, false) {
            messages.error(Place::default(), "groups", format!("{}: {error}", group.name));
        }
        for member in &group.members {
            if accounts.user(member).is_some() {
                accounts.add_member(&group.name, member);
            } else {
                messages.warning(Place::default(), "groups", format!("{}: there is no user {member}", group.name));
            }
        }
    }
    password::set(&mut accounts, passwords, messages);
    if accounts == before { Ok(()) } else { write(root, &accounts) }
}

/// Whether SSH takes passwords, in a file of its own that sshd_config(5) includes first.
pub fn ssh_passwords(root: &Path, allowed: bool) -> anyhow::Result<()> {
    let path = root.join(SSH_FILE);
    if allowed {
        return store::write(&path, SSH_PASSWORDS.as_bytes(), 0o644);
    }
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context(format!("remove /{SSH_FILE}")),
        _ => Ok(()),
    }
}

/// Writes the three files, each in one step, with owner and mode as they were.
fn write(root: &Path, accounts: &Accounts) -> anyhow::Result<()> {
    let [passwd, group, shadow] = accounts.texts();
    for ((name, default_mode), text) in FILES.into_iter().zip([group, shadow, passwd]) {
        let path = root.join(name);
        let old = std::fs::metadata(&path).ok();
        let mode = old.as_ref().map_or(default_mode, |old| old.permissions().mode() & 0o7777);
        let owner = old.map(|old| (old.uid(), old.gid()));
        store::write_owned(&path, text.as_bytes(), mode, owner)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::userdata::login::Secret;

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| store::write(&root.path().join(name), text.as_bytes(), 0o640).unwrap();
        write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        write("etc/group", "root:x:0:\nsudo:x:27:\ndocker:x:996:\n");
        write("etc/shadow", "root:*:::::::\n");
        write("bin/sh", "");
        root
    }

    fn read(root: &tempfile::TempDir, name: &str) -> String {
        std::fs::read_to_string(root.path().join(name)).unwrap()
    }

    /// Files get owners.
    #[test]
    fn root_groups_and_passwords_come_after_the_users() {
        assert!(rustix::process::getuid().is_root(), "run as root");
        let root = root();
        let mut messages = Messages::new("user-data");
        users(root.path(), &[User::default_user()], true, &mut messages).unwrap();
        let groups = [Group { name: "ops".into(), members: vec!["hull".into(), "ghost".into()] }];
        let passwords = [Password { user: "hull".into(), secret: Secret::Plain("word".into()) }];
        groups_and_passwords(root.path(), &groups, &passwords, &mut messages).unwrap();
        assert!(read(&root, "etc/group").contains("ops:x:1001:hull\n"), "{}", read(&root, "etc/group"));
        assert!(read(&root, "etc/shadow").contains("hull:$6$"));
        let text: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
        assert_eq!(text, ["user-data groups: ops: there is no user ghost"]);
        ssh_passwords(root.path(), true).unwrap();
        assert_eq!(read(&root, SSH_FILE), SSH_PASSWORDS);
        ssh_passwords(root.path(), false).unwrap();
        ssh_passwords(root.path(), false).unwrap();
        assert!(!root.path().join(SSH_FILE).exists());
    }

    /// Files and homes get owners.
    #[test]
    fn root_users_are_made_once_and_kept() {
        assert!(rustix::process::getuid().is_root(), "run as root");
        let root = root();
        let key = "ssh-ed25519 AAAA x".to_owned();
        let list = [
            User { keys: vec![key.clone()], ..User::default_user() },
            User {
                name: "a".into(),
                password: Some(Secret::Hash("$6$h".into())),
                shell: Some("/bin/zsh".into()),
                ..User::default()
            },
            User { name: "s".into(), system: true, lock_password: true, ..User::default() },
        ];
        let mut messages = Messages::new("user-data");
        users(root.path(), &list, true, &mut messages).unwrap();
        assert!(messages.list()[0].text.contains("there is no /bin/zsh"), "{messages:?}");
        assert_eq!(messages.list().len(), 1, "{messages:?}");
        let passwd = read(&root, "etc/passwd");
        assert!(
            passwd.contains(
                "hull:x:1000:1000:Administrator:/home/hull:/bin/sh\na:x:1001:1001::/home/a:/bin/sh\ns:x:999:"
            ),
            "{passwd}"
        );
        assert!(read(&root, "etc/group").contains("docker:x:996:hull\n"));
        assert!(read(&root, "etc/shadow").contains("hull:*:") && read(&root, "etc/shadow").contains("a:$6$h:"));
        assert_eq!(read(&root, "home/hull/.ssh/authorized_keys"), format!("{key}\n"));
        assert_eq!(std::fs::metadata(root.path().join("home/hull/.ssh/authorized_keys")).unwrap().uid(), 1000);
        assert!(!root.path().join("home/s").exists());
        assert!(read(&root, SUDO_FILE).contains("hull ALL=(ALL) NOPASSWD:ALL\n"));

        // What the user changes later stays until there is a new instance.
        store::write(&root.path().join("etc/shadow"), b"a:$6$other:::::::\n", 0o640).unwrap();
        std::fs::remove_file(root.path().join("home/hull/.ssh/authorized_keys")).unwrap();
        users(root.path(), &list, false, &mut messages).unwrap();
        assert!(read(&root, "etc/shadow").contains("$6$other"));
        assert!(!root.path().join("home/hull/.ssh/authorized_keys").exists());
        users(root.path(), &list, true, &mut messages).unwrap();
        assert!(read(&root, "etc/shadow").contains("a:$6$h:"));
        assert!(root.path().join("home/hull/.ssh/authorized_keys").exists());
        users(root.path(), &[], false, &mut messages).unwrap();
        assert!(!root.path().join(SUDO_FILE).exists());
    }

    /// Files get owners; that of shadow is root:shadow, whatever happens.
    #[test]
    fn root_power_that_fails_between_two_files_leaves_no_half_user() {
        assert!(rustix::process::getuid().is_root(), "run as root");
        let list = [User::default_user(), User { name: "s".into(), system: true, ..User::default() }];
        let mut messages = Messages::new("user-data");
        let make = |root: &tempfile::TempDir, messages: &mut Messages| {
            std::os::unix::fs::chown(root.path().join("etc/shadow"), None, Some(42)).unwrap();
            users(root.path(), &list, true, messages).unwrap();
            FILES.map(|(name, _)| read(root, name))
        };
        let whole = make(&root(), &mut messages);
        assert!(whole[1].contains("hull:*:") && whole[2].contains("hull:x:1000:1000:"), "{whole:?}");
        for written in 0..FILES.len() {
            let root = root();
            for ((name, mode), text) in FILES.into_iter().zip(&whole).take(written) {
                store::write(&root.path().join(name), text.as_bytes(), mode).unwrap();
            }
            assert!(load(root.path()).unwrap().user("hull").is_none(), "{written} files");
            assert_eq!(make(&root, &mut messages), whole, "{written} files");
            assert_eq!(std::fs::metadata(root.path().join("etc/shadow")).unwrap().gid(), 42);
        }
        // A user of a document that was changed, with keys and all.
        let changed = root();
        let later = [User { keys: vec!["ssh-ed25519 AAAA x".to_owned()], ..User::default_user() }];
        let in_the_way = changed.path().join(format!("etc/.passwd.{}", std::process::id()));
        std::fs::create_dir(&in_the_way).unwrap();
        assert!(users(changed.path(), &later, false, &mut messages).is_err());
        std::fs::remove_dir(&in_the_way).unwrap();
        users(changed.path(), &later, false, &mut messages).unwrap();
        assert!(read(&changed, "home/hull/.ssh/authorized_keys").contains("AAAA"));
        // A state that an earlier version left.
        let root = root();
        let mut texts = whole.clone();
        texts[1] = "root:*:::::::\n".to_owned();
        for ((name, mode), text) in FILES.into_iter().zip(&texts) {
            store::write(&root.path().join(name), text.as_bytes(), mode).unwrap();
        }
        users(root.path(), &list, false, &mut messages).unwrap();
        assert_eq!(read(&root, "etc/shadow"), whole[1]);
    }
}
