//! `apply`: what has to be there before anybody logs in. Runs in the console container at every boot.
//!
//! Order: name and time zone, bootcmd, mounts (so that homes and files can lie on them), users, files.

use super::stamp::Stamp;
use crate::account::ensure;
use crate::apply::commands::{self, Setting};
use crate::apply::{HULL, files, identity, mounts};
use crate::paths::{PANICKED, Paths};
use crate::report::{Messages, Place, Report};
use crate::seed::instance::Instance;
use crate::userdata::cloud_config::CloudConfig;
use crate::userdata::format::{self, Format};
use anyhow::Context;
use std::path::Path;
use std::time::Duration;

/// All of bootcmd: the login waits for it, and a login has to come.
const BOOTCMD_DEADLINE: Duration = Duration::from_secs(60);

/// User data as this boot uses it.
#[derive(Debug, Clone, Default)]
pub struct UserData {
    /// The document.
    pub config: CloudConfig,
    /// The `#!` script.
    pub script: Option<Vec<u8>>,
}

/// Reads it again from the instance; its messages are in the report already.
pub fn user_data(instance: &Instance) -> UserData {
    let mut known = Messages::default();
    let format = format::recognise(instance.medium.user_data.as_deref().unwrap_or_default(), &mut known);
    let (config, script) = match format {
        Format::CloudConfig(text) => (CloudConfig::parse(&text, &mut known).unwrap_or_default(), None),
        Format::Script(script) => (CloudConfig::default(), Some(script)),
        Format::None => (CloudConfig::default(), None),
    };
    let lower = instance.command_line.as_deref().and_then(|text| CloudConfig::parse(text, &mut known));
    UserData { config: config.or(lower.unwrap_or_default()), script }
}

/// The instance that `compile` left for this boot.
pub fn instance(paths: &Paths) -> anyhow::Result<Instance> {
    Instance::load(&paths.report)?.context("the compile stage left no instance; see the log of cloud-config")
}

/// Runs the stage.
pub fn run(paths: &Paths) -> anyhow::Result<()> {
    let mut report = Report::load(&paths.report);
    let mut messages = Messages::new("user-data");
    match instance(paths) {
        Ok(_) if paths.recovering => messages.error(Place::default(), "apply", PANICKED),
        Ok(instance) => carry_out(paths, &instance, report.datasource != "none", &mut messages),
        Err(error) => messages.error(Place::default(), "apply", format!("{error:#}")),
    }
    report.take(&messages);
    report.save(&paths.report)
}

fn carry_out(paths: &Paths, instance: &Instance, has_data: bool, messages: &mut Messages) {
    identity::write(paths, messages);
    if !has_data {
        return;
    }
    let data = user_data(instance);
    let id = instance.id.as_str();
    // On /run: a restart of the console within one boot does not run them again.
    let booted = Stamp::new(&paths.report, "bootcmd");
    if !booted.is_set(id) {
        let setting = Setting { directory: &paths.cloud_state, instance_id: id, deadline: Some(BOOTCMD_DEADLINE) };
        commands::run_list("bootcmd", data.config.bootcmd.as_deref().unwrap_or_default(), setting, messages);
        set(&booted, id, messages);
    }
    mounts::mount_all(&paths.root, Path::new(HULL), data.config.mounts.as_deref().unwrap_or_default(), messages);

    let stamp = Stamp::new(&paths.cloud_state, "users");
    let users = data.config.all_users(&instance.public_keys);
    match ensure::users(&paths.root, &users, !stamp.is_set(id), messages) {
        Ok(()) => set(&stamp, id, messages),
        Err(error) => messages.error(Place::default(), "users", format!("{error:#}")),
    }
    let stamp = Stamp::new(&paths.cloud_state, "files");
    if !stamp.is_set(id) {
        write_files(paths, &data.config, false, messages);
        set(&stamp, id, messages);
    }
}

/// Writes the files of one of the two stages.
pub fn write_files(paths: &Paths, config: &CloudConfig, deferred: bool, messages: &mut Messages) {
    let list = config.files.iter().flatten().filter(|file| file.defer == deferred);
    match ensure::load(&paths.root) {
        Ok(accounts) => files::write_all(&paths.root, list, &accounts, messages),
        Err(error) => messages.error(Place::default(), "write_files", format!("{error:#}")),
    }
}

/// Sets a stamp; without it the work is done again at the next boot, which is said.
pub fn set(stamp: &Stamp, id: &str, messages: &mut Messages) {
    if !stamp.is_set(id) {
        if let Err(error) = stamp.set(id) {
            messages.warning(Place::default(), "", format!("will be done again at the next boot: {error:#}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::medium::Medium;
    use crate::store;

    /// The whole stage on a tree of its own.
    #[test]
    fn root_apply_is_done_once_for_an_instance_and_repeats_what_belongs_to_a_boot() {
        assert!(rustix::process::getuid().is_root(), "run as root");
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let paths = Paths::below(directory.path());
        store::write(&at("root/bin/sh"), b"", 0o755).unwrap();
        store::write(&at("root/etc/group"), b"docker:x:996:\n", 0o644).unwrap();
        store::write(&paths.config.join("hostname"), b"web\n", 0o644).unwrap();
        let counter = at("count");
        let text = format!(
            "#cloud-config\nssh_authorized_keys: [ssh-ed25519 AAAAC3 me]\nwrite_files:\n- {{path: /etc/a, content: one, owner: 'hull:docker'}}\n- {{path: /etc/late, content: two, defer: true}}\nbootcmd:\n- echo x >> {}\n- 'false'\n",
            counter.display()
        );
        let medium = Medium { device: "/dev/vdb".into(), user_data: Some(text.into_bytes()), ..Medium::default() };
        let instance = Instance { id: "i-1".into(), medium, ..Instance::default() };
        instance.save(&paths.report).unwrap();
        Report { datasource: "nocloud:/dev/vdb".into(), ..Report::default() }.save(&paths.report).unwrap();

        run(&paths).unwrap();
        let report = Report::load(&paths.report);
        let texts: Vec<String> = report.messages.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["user-data line 8 column 3 bootcmd[1]: exited with status 1"]);
        assert_eq!(std::fs::read_to_string(at("root/etc/hostname")).unwrap(), "web\n");
        assert_eq!(std::fs::read_to_string(at("root/etc/a")).unwrap(), "one");
        assert!(!at("root/etc/late").exists());
        assert!(std::fs::read_to_string(at("root/home/hull/.ssh/authorized_keys")).unwrap().contains("AAAAC3"));

        // The console restarts: nothing is done twice. The machine reboots: bootcmd runs again, a changed file stays.
        std::fs::write(at("root/etc/a"), "mine").unwrap();
        run(&paths).unwrap();
        assert_eq!(std::fs::read_to_string(&counter).unwrap(), "x\n");
        std::fs::remove_file(paths.report.join("bootcmd.stamp")).unwrap();
        run(&paths).unwrap();
        assert_eq!(std::fs::read_to_string(&counter).unwrap(), "x\nx\n");
        assert_eq!(std::fs::read_to_string(at("root/etc/a")).unwrap(), "mine");
        assert_eq!(Report::load(&paths.report).messages.len(), 1);
    }
}
