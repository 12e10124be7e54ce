//! What only an OCI bundle asks for: writable roots, id mappings, hooks, a terminal, scheduling, joined namespaces.

use super::{Container, mounts, nodes, process, sysctl_file, unsupported};
use crate::bundle::Bundle;
use crate::devices;
use crate::error::StartError;
use crate::launch::TerminalSize;
use nix::sched::CloneFlags;
use oci_spec::runtime::{self, Hook, LinuxIdMapping, LinuxNamespaceType, LinuxPersonalityDomain, Process, Spec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The part of a plan that system services do without.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Extras {
    pub(crate) readonly_root: bool,
    /// Of the root mount, once everything is mounted.
    pub(crate) propagation: Option<mounts::Propagation>,
    /// The first process gets a terminal of this size.
    pub(crate) terminal: Option<Option<TerminalSize>>,
    pub(crate) mappings: Option<Mappings>,
    /// New namespaces made by clone3(2), as `CLONE_NEW*`.
    pub(crate) new_namespaces: i32,
    pub(crate) own_cgroup_namespace: bool,
    pub(crate) own_keyring: bool,
    /// Namespaces joined by path, with their `CLONE_NEW*`.
    pub(crate) joined: Vec<(i32, PathBuf)>,
    /// The caller has hooks to run before the root is changed.
    pub(crate) runtime_hooks: bool,
    pub(crate) create_container: Vec<Hook>,
    pub(crate) start_container: Vec<Hook>,
    /// State for hooks, without `pid` and `status`.
    pub(crate) state: Value,
    pub(crate) personality: Option<i32>,
    /// A time namespace of its own, with these lines of `timens_offsets` (time_namespaces(7)).
    pub(crate) time: Option<String>,
    /// `/dev` is a bind mount of the host's and is left as it is.
    pub(crate) foreign_dev: bool,
}

/// Contents of `uid_map` and `gid_map`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mappings {
    pub(crate) uid: String,
    pub(crate) gid: String,
}

/// Plans the container of a bundle.
pub(crate) fn of_bundle(bundle: &Bundle) -> Result<Container, StartError> {
    let spec = &bundle.spec;
    let process = spec.process().as_ref().ok_or_else(|| unsupported("process (missing)"))?;
    let linux = spec.linux().clone().unwrap_or_default();
    refuse(spec, process, &linux)?;
    let extras = extras(bundle, process, &linux)?;
    let own_network = extras.new_namespaces & CloneFlags::CLONE_NEWNET.bits() != 0;
    let sysctl = linux.sysctl().iter().flatten();
    Ok(Container {
        rootfs: bundle.rootfs.clone(),
        cgroup: bundle.cgroup.clone(),
        seccomp: bundle.seccomp.clone(),
        device_program: devices::compile_ordered(&bundle.devices),
        own_network,
        hostname: spec.hostname().clone(),
        domainname: spec.domainname().clone(),
        mounts: mounts::plan_listed(spec.mounts().as_deref().unwrap_or_default(), &linux)?,
        nodes: nodes::plan(linux.devices().as_deref().unwrap_or_default())?,
        sysctl: sysctl.map(|(key, value)| Ok((sysctl_file(key)?, value.clone()))).collect::<Result<_, StartError>>()?,
        masked: linux.masked_paths().iter().flatten().map(PathBuf::from).collect(),
        readonly: linux.readonly_paths().iter().flatten().map(PathBuf::from).collect(),
        process: process::of_bundle(process)?,
        extras: Some(extras),
    })
}

fn extras(bundle: &Bundle, process: &Process, linux: &runtime::Linux) -> Result<Extras, StartError> {
    let spec = &bundle.spec;
    let hooks = spec.hooks().clone().unwrap_or_default();
    let mut extras = Extras {
        readonly_root: spec.root().as_ref().and_then(runtime::Root::readonly).unwrap_or(false),
        propagation: linux.rootfs_propagation().as_deref().map(propagation).transpose()?,
        terminal: (process.terminal() == Some(true)).then(|| size(process)),
        mappings: None,
        new_namespaces: 0,
        own_cgroup_namespace: false,
        own_keyring: bundle.own_keyring,
        joined: Vec::new(),
        runtime_hooks: has_runtime_hooks(&hooks),
        create_container: hooks.create_container().clone().unwrap_or_default(),
        start_container: hooks.start_container().clone().unwrap_or_default(),
        state: bundle.state(),
        personality: linux.personality().as_ref().map(personality).transpose()?,
        time: None,
        foreign_dev: is_foreign_dev(spec.mounts().as_deref().unwrap_or_default()),
    };
    for namespace in linux.namespaces().iter().flatten() {
        // The values of this enumeration are those of CLONE_NEW*.
        let flag = namespace.typ() as i32;
        match (namespace.typ(), namespace.path()) {
            (_, Some(path)) => extras.joined.push((flag, path.clone())),
            (LinuxNamespaceType::Time, None) => extras.time = Some(offsets(linux)?),
            (LinuxNamespaceType::Cgroup, None) => extras.own_cgroup_namespace = true,
            (LinuxNamespaceType::User, None) => {
                extras.mappings = Some(mappings(linux)?);
                extras.new_namespaces |= flag;
            }
            (_, None) => extras.new_namespaces |= flag,
        }
    }
    let moved = linux.time_offsets().as_ref().is_some_and(|offsets| !offsets.is_empty());
    if moved && extras.time.is_none() {
        return Err(unsupported("linux.timeOffsets without a time namespace of its own"));
    }
    if extras.new_namespaces & CloneFlags::CLONE_NEWNS.bits() == 0 && !extras.shares_mounts() {
        return Err(unsupported("linux.namespaces: mount (missing)"));
    }
    Ok(extras)
}

/// Refuses what is asked of a process, the first or a further one, and not done.
pub(super) fn refuse_of_process(process: &Process) -> Result<(), StartError> {
    first_of([
        ("process.selinuxLabel", process.selinux_label().as_ref().is_some_and(|label| !label.is_empty())),
        ("process.commandLine", process.command_line().is_some()),
    ])
}

fn refuse(spec: &Spec, process: &Process, linux: &runtime::Linux) -> Result<(), StartError> {
    refuse_of_process(process)?;
    first_of([
        ("linux.mountLabel", linux.mount_label().as_ref().is_some_and(|label| !label.is_empty())),
        ("linux.intelRdt", linux.intel_rdt().is_some()),
        ("linux.memoryPolicy", linux.memory_policy().is_some()),
        ("linux.netDevices", linux.net_devices().as_ref().is_some_and(|devices| !devices.is_empty())),
        ("vm", spec.vm().is_some()),
    ])
}

fn first_of<const N: usize>(refused: [(&str, bool); N]) -> Result<(), StartError> {
    refused.into_iter().find(|(_, present)| *present).map_or(Ok(()), |(field, _)| Err(unsupported(field)))
}

#[allow(deprecated, reason = "prestart hooks are deprecated in the specification, and used by dockerd")]
fn has_runtime_hooks(hooks: &runtime::Hooks) -> bool {
    [hooks.prestart(), hooks.create_runtime()].into_iter().flatten().any(|list| !list.is_empty())
}

fn size(process: &Process) -> Option<TerminalSize> {
    let size = process.console_size()?;
    Some(TerminalSize { rows: size.height().try_into().ok()?, columns: size.width().try_into().ok()? })
}

fn propagation(word: &str) -> Result<mounts::Propagation, StartError> {
    match word {
        "" | "private" | "rprivate" => Ok(mounts::Propagation::Private),
        "slave" | "rslave" => Ok(mounts::Propagation::Slave),
        "shared" | "rshared" => Ok(mounts::Propagation::Shared),
        "unbindable" | "runbindable" => Ok(mounts::Propagation::Unbindable),
        other => Err(unsupported(&format!("linux.rootfsPropagation: {other}"))),
    }
}

/// `PER_LINUX` and `PER_LINUX32` (linux/personality.h).
fn personality(asked: &runtime::LinuxPersonality) -> Result<i32, StartError> {
    if asked.flags().as_ref().is_some_and(|flags| !flags.is_empty()) {
        return Err(unsupported("linux.personality.flags"));
    }
    Ok(match asked.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}

fn is_foreign_dev(specified: &[runtime::Mount]) -> bool {
    let is_bind = |mount: &runtime::Mount| {
        mount.typ().as_deref() == Some("bind")
            || mount.options().iter().flatten().any(|word| word == "bind" || word == "rbind")
    };
    specified.iter().any(|mount| mount.destination() == Path::new("/dev") && is_bind(mount))
}

/// Lines of `timens_offsets`: clock, seconds, nanoseconds.
fn offsets(linux: &runtime::Linux) -> Result<String, StartError> {
    let mut lines = Vec::new();
    for (clock, offset) in linux.time_offsets().iter().flatten() {
        if !["monotonic", "boottime"].contains(&clock.as_str()) {
            return Err(unsupported(&format!("linux.timeOffsets: {clock}")));
        }
        lines.push(format!("{clock} {} {}\n", offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0)));
    }
    Ok(lines.concat())
}

fn mappings(linux: &runtime::Linux) -> Result<Mappings, StartError> {
    let (uid, gid) = (linux.uid_mappings().as_deref(), linux.gid_mappings().as_deref());
    let missing = || unsupported("linux.uidMappings or linux.gidMappings (missing, with a user namespace)");
    Mappings::of(uid, gid).ok_or_else(missing)
}

impl Mappings {
    /// `None` when either is missing or empty.
    pub(super) fn of(uid: Option<&[LinuxIdMapping]>, gid: Option<&[LinuxIdMapping]>) -> Option<Self> {
        let text = |list: Option<&[LinuxIdMapping]>| {
            let line = |map: &LinuxIdMapping| format!("{} {} {}\n", map.container_id(), map.host_id(), map.size());
            Some(list.filter(|list| !list.is_empty())?.iter().map(line).collect::<String>())
        };
        Some(Self { uid: text(uid)?, gid: text(gid)? })
    }
}

impl Extras {
    /// A new one, or one that is joined.
    pub(crate) fn in_user_namespace(&self) -> bool {
        self.mappings.is_some() || self.joins(CloneFlags::CLONE_NEWUSER)
    }

    /// The mount namespace is one that is joined.
    pub(crate) fn shares_mounts(&self) -> bool {
        self.joins(CloneFlags::CLONE_NEWNS)
    }

    fn joins(&self, kind: CloneFlags) -> bool {
        self.joined.iter().any(|(flag, _)| *flag == kind.bits())
    }

    /// The state handed to a hook, as text.
    pub(crate) fn state_of(&self, status: &str, pid: i32) -> String {
        self.state_with(status, pid).to_string()
    }

    /// The specification's state.
    pub(crate) fn state_with(&self, status: &str, pid: i32) -> Value {
        let mut state = self.state.clone();
        state["status"] = json!(status);
        state["pid"] = json!(pid);
        state
    }
}
