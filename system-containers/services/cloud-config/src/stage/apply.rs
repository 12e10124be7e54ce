//! `apply`: what has to be there before anybody logs in. Runs in the console container at every boot.
//!
//! Order: name and time zone, boothooks, bootcmd, random seed, disks, swap, mounts (so that homes and files can lie on them), users,
//! files.

use super::stamp::Stamp;
use super::user_data::{self, UserData};
use crate::account::ensure;
use crate::apply::commands::{self, Setting};
use crate::apply::disks::{Entries, Pending};
use crate::apply::output::Redirection;
use crate::apply::{HULL, disks, entropy, files, host_keys, identity, mounts, scripts, swap};
use crate::paths::{PANICKED, Paths};
use crate::report::{Messages, Place, Report};
use crate::seed::instance::{Instance, Progress};
use crate::userdata::cloud_config::CloudConfig;
use crate::userdata::disks::Aliases;
use crate::userdata::mounts::Mount;
use crate::userdata::scripts::boothooks;
use anyhow::{Context, bail};
use std::path::Path;
use std::time::{Duration, Instant};

/// All boothooks and all of bootcmd: the login waits for them, and a login has to come.
const BOOTCMD_DEADLINE: Duration = Duration::from_secs(60);

/// For udev to name the devices of all mounts: what disk_setup and fs_setup made, and what was there before. The login
/// waits this long at every boot for a disk that is gone.
const NEW_DISKS: Duration = Duration::from_secs(10);
const KNOWN_DISKS: Duration = Duration::from_secs(3);

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

/// Name and time zone of the console alone, after they were changed live.
pub fn identity(paths: &Paths) -> anyhow::Result<()> {
    let mut messages = Messages::new("console");
    identity::write(paths, &mut messages);
    match messages.list().first() {
        Some(message) => bail!("{message}"),
        None => Ok(()),
    }
}

fn carry_out(paths: &Paths, instance: &Instance, has_data: bool, messages: &mut Messages) {
    identity::write(paths, messages);
    if !has_data {
        return;
    }
    let data = user_data::again(instance, messages);
    let id = instance.id.as_str();
    if instance.progress != Progress::Whole {
        // Whoever is known already can log in; what is done once waits for the whole.
        if !instance.medium.device.is_empty() {
            let is_new = !Stamp::new(&paths.cloud_state, "users").is_set(id);
            if let Err(error) = logins(paths, &data.config, instance, is_new, messages) {
                messages.error(Place::default(), "users", format!("{error:#}"));
            }
        }
        return;
    }
    // On /run: a restart of the console within one boot does not run them again.
    let booted = Stamp::new(&paths.report, "bootcmd");
    if !booted.is_set(id) {
        boot_commands(paths, &data, id, messages);
        set(&booted, id, messages);
    }
    let stamp = Stamp::new(&paths.cloud_state, "users");
    let is_new = !stamp.is_set(id);
    if let Some(seed) = data.config.seed.as_ref().filter(|_| is_new) {
        entropy::write(&paths.root, seed, messages);
    }
    storage(paths, &data.config, id, messages);

    match logins(paths, &data.config, instance, is_new, messages) {
        Ok(()) => set(&stamp, id, messages),
        Err(error) => messages.error(Place::default(), "users", format!("{error:#}")),
    }
    let stamp = Stamp::new(&paths.cloud_state, "files");
    if !stamp.is_set(id) {
        write_files(paths, &data.config, false, messages);
        set(&stamp, id, messages);
    }
}

/// Disks and file systems for a new instance, and those that failed before; swap and mounts.
fn storage(paths: &Paths, config: &CloudConfig, id: &str, messages: &mut Messages) {
    let aliases = config.aliases.clone().unwrap_or_default();
    let has_new_disks = set_up_disks(paths, config, &aliases, id, messages);
    // On /run: a restart of the console within one boot finds it in use.
    let stamp = Stamp::new(&paths.report, "swap");
    if let Some(swap) = config.swap.as_ref().filter(|_| !stamp.is_set(id)) {
        match swap::on(&paths.root, Path::new(HULL), swap) {
            Ok(()) => set(&stamp, id, messages),
            Err(error) => messages.error(swap.place, "swap", format!("{error:#}")),
        }
    }
    let until = Instant::now() + if has_new_disks { NEW_DISKS } else { KNOWN_DISKS };
    let setting = mounts::Setting { root: &paths.root, program: Path::new(HULL), until };
    let source = |mount: &Mount| disks::device(&mount.source, &aliases).to_string_lossy().into_owned();
    let named = |mount: &Mount| Mount { source: source(mount), ..mount.clone() };
    let list: Vec<Mount> = config.mounts.iter().flatten().map(named).collect();
    mounts::mount_all(setting, &list, messages);
}

/// Whether udev may have something to name.
fn set_up_disks(paths: &Paths, config: &CloudConfig, aliases: &Aliases, id: &str, messages: &mut Messages) -> bool {
    let (disks, file_systems) =
        (config.disks.as_deref().unwrap_or_default(), config.file_systems.as_deref().unwrap_or_default());
    let entries = Entries { disks, file_systems, aliases };
    let mut pending = Pending::load(&paths.cloud_state, id, entries.names());
    if pending.is_empty() {
        return false;
    }
    let is_new = pending.is_new();
    // One that was not there at the first boot may never come.
    let appear = if is_new { NEW_DISKS } else { KNOWN_DISKS };
    let any = disks::set_up(disks::Setting { program: Path::new(HULL), appear }, &entries, &mut pending, messages);
    if let Err(error) = pending.finish() {
        messages.warning(Place::default(), "disk_setup", format!("will be done again at the next boot: {error:#}"));
    }
    is_new || any
}

/// Users, and for a new instance host keys, groups and passwords.
fn logins(
    paths: &Paths,
    config: &CloudConfig,
    instance: &Instance,
    is_new: bool,
    messages: &mut Messages,
) -> anyhow::Result<()> {
    let users = config.all_users(&instance.public_keys);
    ensure::users(&paths.root, &users, is_new, messages)?;
    if !is_new {
        return Ok(());
    }
    let (types, renew) = (config.host_key_types.as_deref(), config.renew_host_keys == Some(true));
    if types.is_some() || renew {
        if let Err(error) = host_keys::make(&paths.root, types.unwrap_or_default(), renew) {
            messages.error(Place::default(), "ssh_genkeytypes", format!("{error:#}"));
        }
    }
    for key in config.host_keys.iter().flatten() {
        if let Err(error) = host_keys::write(&paths.root, key) {
            messages.error(Place::default(), "ssh_keys", format!("the {} key is not used: {error:#}", key.kind));
        }
    }
    let (groups, passwords) = (config.groups.as_deref().unwrap_or_default(), config.all_passwords(&users));
    ensure::groups_and_passwords(&paths.root, groups, &passwords, messages)?;
    config.ssh_passwords.map_or(Ok(()), |allowed| ensure::ssh_passwords(&paths.root, allowed))
}

fn boot_commands(paths: &Paths, data: &UserData, id: &str, messages: &mut Messages) {
    let begun = Instant::now();
    let streams = data.config.output.as_ref().and_then(|output| output.init.as_ref());
    let output = Redirection::of(&paths.root, streams, messages);
    let setting = || {
        let deadline = Some(BOOTCMD_DEADLINE.saturating_sub(begun.elapsed()));
        Setting { directory: &paths.cloud_state, instance_id: id, deadline, output: output.as_ref() }
    };
    for hook in boothooks(&data.scripts) {
        scripts::run_script(hook, setting(), messages);
    }
    commands::run_list("bootcmd", data.config.bootcmd.as_deref().unwrap_or_default(), setting(), messages);
    if let Some(output) = output {
        output.close();
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

    #[test]
    fn boothooks_run_before_bootcmd_and_faults_name_their_part() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let file = directory.path().join("out");
        let text = format!(
            "#cloud-config-archive\n- 'bootcmd: [\"echo bootcmd >> {0}\", exit 3]'\n- |\n  #cloud-boothook\n  #!/bin/sh\n  echo $INSTANCE_ID >> {0}\n- filename: b\n  content: |\n    #cloud-boothook\n    #!/bin/false\n",
            file.display()
        );
        let medium = Medium { device: "/dev/vdb".into(), user_data: Some(text.into_bytes()), ..Medium::default() };
        let instance = Instance { id: "i-1".into(), medium, ..Instance::default() };
        let mut messages = Messages::new("user-data");
        let data = user_data::again(&instance, &mut messages);
        boot_commands(&paths, &data, "i-1", &mut messages);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "i-1\nbootcmd\n");
        let texts: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
        assert_eq!(texts[0], "user-data part 3 (b): the script exited with status 1");
        assert!(
            texts[1].starts_with("user-data part 1 line 1 column ") && texts[1].contains("bootcmd[1]: exited"),
            "{texts:?}"
        );
    }

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
