//! Name and time zone in the console's `/etc`.

use crate::paths::Paths;
use crate::report::{Messages, Place};
use crate::store;
use anyhow::Context;

/// The address Debian gives a machine's own name, so that it resolves without a network.
pub(super) const OWN_ADDRESS: &str = "127.0.1.1";

/// Writes `/etc/hostname`, `/etc/hosts`, `/etc/localtime` and `/etc/timezone` from the rendered files.
pub fn write(paths: &Paths, messages: &mut Messages) {
    if let Err(error) = names(paths) {
        messages.error(Place::default(), "hostname", format!("{error:#}"));
    }
    let result = match rendered(paths, "console/timezone") {
        Some(zone) => timezone(paths, &zone),
        None => no_timezone(paths),
    };
    if let Err(error) = result {
        messages.error(Place::default(), "timezone", format!("{error:#}"));
    }
}

fn rendered(paths: &Paths, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(paths.config.join(name)).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn names(paths: &Paths) -> anyhow::Result<()> {
    let Some(short) = rendered(paths, "hostname") else { return Ok(()) };
    let full = rendered(paths, "console/fqdn");
    store::write(&paths.below_root("/etc/hostname"), format!("{short}\n").as_bytes(), 0o644)?;
    let hosts = paths.below_root("/etc/hosts");
    let old = std::fs::read_to_string(&hosts).unwrap_or_default();
    let new = hosts_text(&old, &short, full.as_deref());
    if new == old { Ok(()) } else { store::write(&hosts, new.as_bytes(), 0o644) }
}

/// The own name's line is ours; all others stay.
fn hosts_text(old: &str, short: &str, full: Option<&str>) -> String {
    let mut lines: Vec<String> =
        old.lines().filter(|line| line.split_whitespace().next() != Some(OWN_ADDRESS)).map(str::to_owned).collect();
    if lines.is_empty() {
        lines.push("127.0.0.1 localhost".into());
        lines.push("::1 localhost ip6-localhost ip6-loopback".into());
    }
    let names = full.filter(|full| *full != short).map_or_else(|| short.to_owned(), |full| format!("{full} {short}"));
    lines.push(format!("{OWN_ADDRESS} {names}"));
    lines.join("\n") + "\n"
}

fn timezone(paths: &Paths, zone: &str) -> anyhow::Result<()> {
    let file = format!("/usr/share/zoneinfo/{zone}");
    anyhow::ensure!(paths.below_root(&file).is_file(), "there is no time zone {zone}");
    let link = paths.below_root("/etc/localtime");
    let temporary = paths.below_root("/etc/.localtime.new");
    if let Err(error) = std::fs::remove_file(&temporary) {
        anyhow::ensure!(error.kind() == std::io::ErrorKind::NotFound, error);
    }
    std::os::unix::fs::symlink(&file, &temporary).context("link /etc/localtime")?;
    std::fs::rename(&temporary, &link).context("link /etc/localtime")?;
    store::write(&paths.below_root("/etc/timezone"), format!("{zone}\n").as_bytes(), 0o644)
}

/// Takes back what [`timezone`] made, by its second file: a link somebody made by hand stays.
fn no_timezone(paths: &Paths) -> anyhow::Result<()> {
    if paths.below_root("/etc/timezone").exists() {
        for name in ["/etc/localtime", "/etc/timezone"] {
            match std::fs::remove_file(paths.below_root(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context(name)?,
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_comes_and_goes() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let link = paths.below_root("/etc/localtime");
        let rendered = paths.config.join("console/timezone");
        store::write(&paths.below_root("/usr/share/zoneinfo/Europe/Vienna"), b"", 0o644).unwrap();
        std::fs::create_dir(paths.below_root("/etc")).unwrap();
        let run = || {
            let mut messages = Messages::new("t");
            write(&paths, &mut messages);
            assert_eq!(messages.list(), []);
        };
        store::write(&rendered, b"Europe/Vienna\n", 0o644).unwrap();
        run();
        assert_eq!(std::fs::read_link(&link).unwrap(), std::path::Path::new("/usr/share/zoneinfo/Europe/Vienna"));
        std::fs::remove_file(&rendered).unwrap();
        run();
        assert!(link.symlink_metadata().is_err());
        std::os::unix::fs::symlink("/by-hand", &link).unwrap();
        run();
        assert!(link.symlink_metadata().is_ok());
    }

    #[test]
    fn own_line_is_replaced_and_others_stay() {
        let first = hosts_text("", "web", Some("web.example.org"));
        assert_eq!(
            first,
            "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 web.example.org web\n"
        );
        let own = "127.0.0.1 localhost\n192.0.2.1 db\n127.0.1.1 old\n";
        assert_eq!(hosts_text(own, "web", None), "127.0.0.1 localhost\n192.0.2.1 db\n127.0.1.1 web\n");
    }
}
