//! Host and services put together: the one root file system as a plan.

use super::plan::{Entry, FILE_MODE, FOLDER_MODE, RootPlan};
use super::recipe::{Fault, Sources, has_program, plan};
use crate::services::Definition;
use hull_service::confinement::CALLS_FILE;
use hull_service::{Image, MountType, Probe, Service};

/// Folders the runtime puts fresh file systems on: what is below them is made at start, not in the image.
const MADE_AT_START: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];
/// PID 1 of containers with more than one process.
const SERVICE_INIT: &str = "service-init";

/// The host's own part: everything outside `/services`.
#[derive(Debug)]
pub(crate) struct Host {
    /// Recipe.
    pub(crate) image: Image,
    /// Content of its overlay folder.
    pub(crate) overlay: Vec<(String, Entry)>,
    /// Text of `/usr/share/hull/os-release`.
    pub(crate) os_release: String,
}

/// The whole root; every fault of every recipe where there are any.
pub(crate) fn assemble(host: &Host, services: &[Definition], sources: &Sources<'_>) -> Result<RootPlan, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut whole = plan("host", &host.image, &host.overlay, sources).unwrap_or_else(|found| {
        faults.extend(found);
        RootPlan::default()
    });
    whole.put(
        "usr/share/hull/os-release",
        Entry::Bytes { content: host.os_release.clone().into_bytes(), mode: FILE_MODE },
    );
    for service in services {
        match service_root(service, sources) {
            Ok(root) => {
                let folder = format!("services/{}", service.name);
                whole.graft(&format!("{folder}/rootfs"), root);
                whole.put(&format!("{folder}/service.toml"), text(service.text.as_bytes()));
                whole.put(&format!("{folder}/seccomp.bpf"), text(&service.filter.program));
                whole.put(&format!("{folder}/{CALLS_FILE}"), text((service.filter.calls.join("\n") + "\n").as_bytes()));
            }
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() { Ok(whole) } else { Err(faults) }
}

fn text(content: &[u8]) -> Entry {
    Entry::Bytes { content: content.to_vec(), mode: FILE_MODE }
}

fn service_root(definition: &Definition, sources: &Sources<'_>) -> Result<RootPlan, Vec<Fault>> {
    let service = &definition.service;
    let mut image = service.image.clone();
    let has_several = service.processes.len() > 1;
    if has_several && !image.binaries.iter().any(|name| name == SERVICE_INIT) {
        image.binaries.push(SERVICE_INIT.into());
    }
    let mut root = plan(&definition.name, &image, &definition.overlay, sources)?;
    add_mount_points(&mut root, service);
    let faults = missing_programs(&definition.name, service, &root);
    if faults.is_empty() { Ok(root) } else { Err(faults) }
}

/// A read-only root needs everything a mount can land on.
fn add_mount_points(root: &mut RootPlan, service: &Service) {
    for mount in &service.mounts {
        let is_made_at_start = MADE_AT_START.iter().any(|folder| {
            mount.target.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if is_made_at_start || root.get(&mount.target).is_some() {
            continue;
        }
        if mount.file && mount.kind == MountType::Bind {
            root.put(&mount.target, text(b""));
        } else {
            root.directory(&mount.target, FOLDER_MODE);
        }
    }
}

fn missing_programs(name: &str, service: &Service, root: &RootPlan) -> Vec<Fault> {
    let mut commands: Vec<(String, &[String])> = Vec::new();
    for process in &service.processes {
        commands.push((format!("process.{}.command", process.name), &process.command));
        if let Some(Probe::Exec(command)) = &process.ready {
            commands.push((format!("process.{}.ready", process.name), command));
        }
    }
    commands.extend(service.run.post_start.iter().map(|command| ("run.post-start".to_owned(), command.as_slice())));
    let ready = service.ready.as_ref().and_then(|ready| ready.probe.as_ref());
    let health = service.health.as_ref().and_then(|health| health.probe.as_ref());
    for (key, probe) in [("ready.probe", ready), ("health.probe", health)] {
        if let Some(Probe::Exec(command)) = probe {
            commands.push((key.to_owned(), command));
        }
    }
    let missing = commands.into_iter().filter_map(|(key, command)| Some((key, command.first()?)));
    missing
        .filter(|(_, program)| !has_program(root, program))
        .map(|(key, program)| Fault {
            service: name.into(),
            key,
            text: format!("{program} is not in the root: add it to image.files, image.binaries or image.symlinks"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::Tree;
    use hull_seccomp::Filter;
    use std::collections::BTreeMap;

    const SERVICE: &str = r#"
description = "x"
[image]
binaries = ["own"]
[[process]]
name = "a"
command = ["/usr/bin/own"]
[[process]]
name = "b"
command = ["/usr/bin/own", "b"]
[[mount]]
source = "/state/x"
target = "/var/lib/x"
[[mount]]
source = "/run/x"
target = "/run/x"
[[mount]]
source = "/state/hosts"
target = "/etc/hosts"
file = true
"#;

    fn definition(text: &str) -> Definition {
        Definition {
            name: "a".into(),
            service: hull_service::parse("a", text).unwrap(),
            text: text.into(),
            overlay: vec![],
            filter: Filter { program: vec![0; 8], calls: vec!["read".into()], listed: vec!["read".into()] },
            readme: String::new(),
        }
    }

    fn build(text: &str) -> Result<RootPlan, Vec<Fault>> {
        let binaries = ["own", "service-init"].map(|name| (name.to_owned(), format!("/target/{name}").into()));
        let sources = Sources { tree: &Tree::default(), needs: &|_| Ok(None), binaries: &BTreeMap::from(binaries) };
        let host = Host { image: Image::default(), overlay: vec![], os_release: "ID=hull\n".into() };
        assemble(&host, &[definition(text)], &sources)
    }

    #[test]
    fn a_service_gets_definition_filter_init_and_mount_points() {
        let root = build(SERVICE).unwrap();
        for path in ["service.toml", "seccomp.bpf", "seccomp.calls", "rootfs/usr/bin/service-init", "rootfs/proc"] {
            assert!(root.get(&format!("services/a/{path}")).is_some(), "{path}");
        }
        let rootfs = |path: &str| root.get(&format!("services/a/rootfs/{path}")).cloned();
        assert_eq!(rootfs("var/lib/x"), Some(Entry::Directory { mode: 0o755 }));
        assert_eq!(rootfs("etc/hosts"), Some(text(b"")));
        assert_eq!(rootfs("run/x"), None);
        assert!(root.get("usr/share/hull/os-release").is_some());
    }

    #[test]
    fn a_program_that_is_not_there_is_a_fault() {
        let faults = build(&SERVICE.replace("\"/usr/bin/own\", \"b\"", "\"/usr/bin/gone\"")).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].key, "process.b.command");
    }
}
