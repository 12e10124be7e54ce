//! Pure: from an OCI specification to plain data that says, in order, what the helper and the new process do.
//!
//! | file | plans |
//! |---|---|
//! | `mod.rs` | the whole container: namespaces, names, kernel parameters, hidden paths |
//! | `affinity.rs` | processors of a further process |
//! | `bundle.rs` | what only an OCI bundle asks for |
//! | `mounts.rs` | the mount list: standard mounts, then those of the specification |
//! | `options.rs` | mount options |
//! | `nodes.rs` | `/dev`: nodes and links |
//! | `process.rs` | user, capabilities, limits of a process |

mod affinity;
mod bundle;
mod mounts;
mod nodes;
mod options;
mod process;

pub(crate) use affinity::Affinity;
pub(crate) use bundle::{Extras, Mappings, of_bundle};
pub(crate) use mounts::{Mapped, Mount, Propagation, What};
pub(crate) use nodes::{Node, STANDARD_LINKS};
pub(crate) use process::{CapabilityMasks, Process, Scheduling};

use crate::bundle::Running;
use crate::devices;
use crate::error::{StartError, Step};
use crate::launch::{self, Launch, TerminalSize};
use crate::seccomp::Seccomp;
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Everything needed to start a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Container {
    pub(crate) rootfs: PathBuf,
    pub(crate) cgroup: PathBuf,
    pub(crate) seccomp: Option<Seccomp>,
    /// Instructions of the device program, as the kernel's `struct bpf_insn`.
    pub(crate) device_program: Vec<u64>,
    /// A network namespace of its own, with loopback.
    pub(crate) own_network: bool,
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) nodes: Vec<Node>,
    /// Files below `/proc/sys` and their values.
    pub(crate) sysctl: BTreeMap<PathBuf, String>,
    pub(crate) masked: Vec<PathBuf>,
    pub(crate) readonly: Vec<PathBuf>,
    pub(crate) process: Process,
    /// `None` for a system service.
    pub(crate) extras: Option<Extras>,
}

/// Everything needed to start a process in a running container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exec {
    pub(crate) init: i32,
    pub(crate) cgroup: PathBuf,
    pub(crate) seccomp: Option<Seccomp>,
    /// The container's, for who is notified.
    pub(crate) state: Value,
    pub(crate) tty: bool,
    pub(crate) size: Option<TerminalSize>,
    pub(crate) affinity: Affinity,
    /// The container's root is not its mount namespace's.
    pub(crate) own_root: bool,
    pub(crate) process: Process,
}

/// Plans a container.
pub(crate) fn of_launch(launch: &Launch) -> Result<Container, StartError> {
    let spec = &launch.spec;
    let process = spec.process().as_ref().ok_or_else(|| unsupported("process (missing)"))?;
    let linux = spec.linux().clone().unwrap_or_default();
    refuse_unsupported(spec)?;
    let own_network =
        linux.namespaces().iter().flatten().any(|namespace| namespace.typ() == LinuxNamespaceType::Network);
    let sysctl = linux.sysctl().iter().flatten();
    Ok(Container {
        rootfs: launch.rootfs.clone(),
        cgroup: launch.cgroup.clone(),
        seccomp: launch.seccomp.as_deref().map(plain),
        device_program: devices::compile(&launch.devices),
        own_network,
        hostname: spec.hostname().clone(),
        domainname: spec.domainname().clone(),
        mounts: mounts::plan(spec.mounts().as_deref().unwrap_or_default(), launch)?,
        nodes: nodes::plan(linux.devices().as_deref().unwrap_or_default())?,
        sysctl: sysctl.map(|(key, value)| Ok((sysctl_file(key)?, value.clone()))).collect::<Result<_, _>>()?,
        masked: linux.masked_paths().iter().flatten().map(PathBuf::from).collect(),
        readonly: linux.readonly_paths().iter().flatten().map(PathBuf::from).collect(),
        process: process::of_spec(process)?,
        extras: None,
    })
}

/// Plans a further process.
pub(crate) fn of_exec(exec: &launch::Exec) -> Result<Exec, StartError> {
    Ok(Exec {
        init: exec.init.as_raw_nonzero().get(),
        cgroup: exec.cgroup.clone(),
        seccomp: exec.seccomp.as_deref().map(plain),
        state: Value::Null,
        tty: exec.tty,
        size: exec.size,
        affinity: Affinity::default(),
        own_root: false,
        process: process::of_exec(exec)?,
    })
}

/// Plans a further process from the specification's own form; streams only.
pub(crate) fn of_process(container: &Running<'_>, process: &oci_spec::runtime::Process) -> Result<Exec, StartError> {
    bundle::refuse_of_process(process)?;
    let size = process.console_size().and_then(|size| {
        Some(TerminalSize { rows: size.height().try_into().ok()?, columns: size.width().try_into().ok()? })
    });
    Ok(Exec {
        init: container.init.as_raw_nonzero().get(),
        cgroup: container.cgroup.to_owned(),
        seccomp: container.seccomp.cloned(),
        state: container.state.clone(),
        tty: process.terminal() == Some(true),
        size,
        affinity: Affinity::of(process)?,
        own_root: container.shares_mounts,
        process: process::of_bundle(process)?,
    })
}

/// A filter of a system service.
fn plain(program: &Path) -> Seccomp {
    Seccomp { program: program.to_owned(), flags: 0, listener: None }
}

/// The error for a field this runtime does not honour.
fn unsupported(field: &str) -> StartError {
    StartError::at(Step::Specification, field, Errno::OPNOTSUPP)
}

/// Refuses what would otherwise be dropped silently and make the container less confined than its author meant.
fn refuse_unsupported(spec: &Spec) -> Result<(), StartError> {
    let process = spec.process().as_ref();
    let linux = spec.linux().as_ref();
    let namespaces = || linux.and_then(|linux| linux.namespaces().as_ref()).into_iter().flatten();
    let has_namespace = |kind| namespaces().any(|namespace| namespace.typ() == kind);
    let refused = [
        ("hooks", spec.hooks().is_some()),
        ("process.terminal", process.is_some_and(|process| process.terminal() == Some(true))),
        ("process.selinuxLabel", process.is_some_and(|process| process.selinux_label().is_some())),
        ("process.apparmorProfile", process.is_some_and(|process| process.apparmor_profile().is_some())),
        ("process.scheduler", process.is_some_and(|process| process.scheduler().is_some())),
        ("process.ioPriority", process.is_some_and(|process| process.io_priority().is_some())),
        ("linux.namespaces.path", namespaces().any(|namespace| namespace.path().is_some())),
        ("linux.namespaces: user", has_namespace(LinuxNamespaceType::User)),
        ("linux.namespaces: time", has_namespace(LinuxNamespaceType::Time)),
        ("linux.seccomp", linux.is_some_and(|linux| linux.seccomp().is_some())),
        ("linux.personality", linux.is_some_and(|linux| linux.personality().is_some())),
        ("linux.rootfsPropagation", linux.is_some_and(|linux| linux.rootfs_propagation().is_some())),
    ];
    refused.into_iter().find(|(_, present)| *present).map_or(Ok(()), |(field, _)| Err(unsupported(field)))
}

/// `net.ipv4.ip_forward` → `/proc/sys/net/ipv4/ip_forward`.
fn sysctl_file(key: &str) -> Result<PathBuf, StartError> {
    let bad = key.is_empty() || key.starts_with('/') || key.split(['.', '/']).any(str::is_empty);
    if bad {
        return Err(StartError::at(Step::Specification, format!("linux.sysctl: {key}"), Errno::INVAL));
    }
    Ok(PathBuf::from("/proc/sys").join(key.replace('.', "/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::{HooksBuilder, LinuxBuilder, LinuxNamespaceBuilder};

    fn launch(spec: Spec) -> Launch {
        Launch {
            spec,
            rootfs: "/services/x/rootfs".into(),
            cgroup: "/sys/fs/cgroup/services/x".into(),
            seccomp: None,
            devices: devices::DeviceRules::default(),
            delegate: false,
        }
    }

    #[test]
    fn network_namespace_follows_the_specification() {
        for (kinds, own) in [(vec![], false), (vec![LinuxNamespaceType::Network], true)] {
            let namespaces: Vec<_> = kinds
                .into_iter()
                .map(|kind| LinuxNamespaceBuilder::default().typ(kind).build().expect("namespace"))
                .collect();
            let mut spec = Spec::default();
            spec.set_linux(Some(LinuxBuilder::default().namespaces(namespaces).build().expect("linux")));
            assert_eq!(of_launch(&launch(spec)).expect("plan").own_network, own);
        }
    }

    #[test]
    fn what_is_not_honoured_is_refused() {
        let mut spec = Spec::default();
        spec.set_hooks(Some(HooksBuilder::default().build().expect("hooks")));
        let error = of_launch(&launch(spec)).expect_err("hooks");
        assert_eq!((error.step, error.path), (Step::Specification, Some("hooks".into())));
    }

    #[test]
    fn sysctl_keys_become_files_below_proc_sys() {
        for (key, file) in [
            ("net.ipv4.ip_forward", Some("/proc/sys/net/ipv4/ip_forward")),
            ("kernel.domainname", Some("/proc/sys/kernel/domainname")),
            ("net..ipv4", None),
            ("../../etc/passwd", None),
            ("/etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(sysctl_file(key).ok(), file.map(PathBuf::from), "{key}");
        }
    }
}
