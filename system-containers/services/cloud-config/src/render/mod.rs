//! Machine configuration to the files of the services, below `/run/hull/config`.
//!
//! ```text
//! hostname                    read by the system daemon: name of machine and containers
//! network/*.network|netdev|link  read by systemd-networkd
//! docker/daemon.json          read by dockerd
//! resolved/50-hull.conf       read by systemd-resolved; empty without settings
//! {docker,console}/ca-certificates.crt, no-default-authorities
//!                             read by dockerd and by the console's first process
//! time/hull.sources           read by chrony, sourcedir
//! syslog/50-forward.conf      read by rsyslog, include; empty without a remote server
//! update/update.json          read by the system daemon: `hull_update::settings`
//! console/{timezone,fqdn}     read by the apply stage
//! ```
//! [`plan`] is pure; [`write()`] carries it out and removes what an earlier run left, [`read()`] gives back what is there.

pub mod authorities;
pub mod chrony;
pub mod docker;
pub mod networkd;
pub mod resolved;
pub mod rsyslog;

use crate::machine::MachineConfig;
use crate::report::Messages;
use crate::store;
use std::collections::BTreeMap;
use std::path::Path;

/// Name of a machine that was given none.
pub const DEFAULT_HOSTNAME: &str = "hull";

/// Directories that belong to this program alone.
const DIRECTORIES: [&str; 7] = ["network", "resolved", "docker", "time", "syslog", "console", "update"];

/// Files relative to the configuration directory.
pub type Plan = BTreeMap<String, String>;

/// All files. `daemon_json` is the owner's own, laid over ours.
pub fn plan(config: &MachineConfig, daemon_json: Option<&str>, messages: &mut Messages) -> Plan {
    let mut files = Plan::new();
    let fqdn = config.fqdn.as_deref();
    let name = config.hostname.as_deref().or(fqdn).unwrap_or(DEFAULT_HOSTNAME);
    let short = name.split('.').next().unwrap_or(name);
    let full = fqdn.unwrap_or(name);
    files.insert("hostname".into(), format!("{short}\n"));
    if full != short {
        files.insert("console/fqdn".into(), format!("{full}\n"));
    }
    if let Some(zone) = &config.timezone {
        files.insert("console/timezone".into(), format!("{zone}\n"));
    }
    for (file, content) in networkd::files(config.network.as_ref()) {
        files.insert(format!("network/{file}"), content);
    }
    files.insert("resolved/50-hull.conf".into(), resolved::fragment(&config.dns));
    for service in ["docker", "console"] {
        for (file, content) in authorities::files(&config.trust) {
            files.insert(format!("{service}/{file}"), content);
        }
    }
    files.insert("docker/daemon.json".into(), docker::daemon_json(&config.engine, daemon_json, messages));
    files.insert("time/hull.sources".into(), chrony::sources(&config.time));
    files.insert("syslog/50-forward.conf".into(), rsyslog::forward(&config.syslog));
    // Settings always have a text.
    let update = serde_json::to_string_pretty(&config.update.settings()).unwrap_or_default();
    files.insert("update/update.json".into(), update + "\n");
    files
}

/// The files that are below `directory` now, as a plan; what cannot be read is not there.
pub fn read(directory: &Path) -> Plan {
    let mut plan = Plan::new();
    let mut add = |name: String| {
        if let Ok(content) = std::fs::read_to_string(directory.join(&name)) {
            plan.insert(name, content);
        }
    };
    add("hostname".into());
    for folder in DIRECTORIES {
        let entries = std::fs::read_dir(directory.join(folder)).into_iter().flatten().flatten();
        entries.for_each(|entry| add(format!("{folder}/{}", entry.file_name().to_string_lossy())));
    }
    plan
}

/// Writes the plan below `directory`. World-readable: the services do not all run as root, and none of it is secret.
pub fn write(directory: &Path, plan: &Plan) -> anyhow::Result<()> {
    for name in DIRECTORIES {
        let path = directory.join(name);
        std::fs::create_dir_all(&path)?;
        for entry in std::fs::read_dir(&path)?.flatten() {
            if !plan.contains_key(&format!("{name}/{}", entry.file_name().to_string_lossy())) {
                std::fs::remove_file(entry.path())?;
            }
        }
    }
    for (name, content) in plan {
        store::write(&directory.join(name), content.as_bytes(), 0o644)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_into_short_and_full() {
        for (hostname, fqdn, short, full) in [
            (None, None, "hull\n", None),
            (Some("web"), None, "web\n", None),
            (Some("web.example.org"), None, "web\n", Some("web.example.org\n")),
            (None, Some("web.example.org"), "web\n", Some("web.example.org\n")),
            (Some("a"), Some("b.example.org"), "a\n", Some("b.example.org\n")),
        ] {
            let own = |text: Option<&str>| text.map(str::to_owned);
            let config = MachineConfig { hostname: own(hostname), fqdn: own(fqdn), ..MachineConfig::default() };
            let files = plan(&config, None, &mut Messages::new("t"));
            assert_eq!((files["hostname"].as_str(), files.get("console/fqdn").map(String::as_str)), (short, full));
        }
    }

    #[test]
    fn left_over_files_go() {
        let directory = tempfile::tempdir().unwrap();
        let config = MachineConfig::default();
        let files = plan(&config, None, &mut Messages::new("t"));
        std::fs::create_dir_all(directory.path().join("network")).unwrap();
        std::fs::write(directory.path().join("network/10-old.network"), "x").unwrap();
        write(directory.path(), &files).unwrap();
        assert!(!directory.path().join("network/10-old.network").exists());
        assert_eq!(read(directory.path()), files);
    }
}
