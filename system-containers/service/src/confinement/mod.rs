//! What a service can reach, as data: one answer for `hull inspect --confinement`, the daemon's API and
//! `docs/confinement.md`. Pure: made from the definition and the names its system call filter lets through.
//!
//! | module | what |
//! |---|---|
//! | [`capabilities`] | names, numbers and meanings |
//! | [`known`] | every system call of the kernel |
//! | [`dangerous`] | those worth naming in a report |
//! | [`writable`] | where a service can write |
//! | [`rows`] | the report, line by line, beside an unconfined daemon's |

pub mod capabilities;
pub mod dangerous;
pub mod known;
pub mod rows;
pub mod writable;

pub use capabilities::CAPABILITIES;
pub use dangerous::DANGEROUS;
pub use known::SYSTEM_CALLS;
pub use rows::Row;
pub use writable::Writable;

use crate::schema::{Api, DeviceRule, Network, Service};
use crate::validate::parse_size;
use serde::{Deserialize, Serialize};

/// File beside `seccomp.bpf` in the image: the names the filter lets through, one a line, sorted.
pub const CALLS_FILE: &str = "seccomp.calls";

/// Namespaces of Linux that are always a container's own, `network` left out: that is the service's choice.
const OWN: [&str; 5] = ["mount", "pid", "ipc", "uts", "cgroup"];
/// Namespaces that are always the machine's.
const SHARED: [&str; 2] = ["user", "time"];
const NETWORK: &str = "network";
/// The name of the group of all system calls, which covers 32-bit programs as well.
const KNOWN_GROUP: &str = "@known";

/// The answer of `GET /hull/confinement/{service}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Report {
    /// Name of the service.
    pub service: String,
    /// What it has.
    pub confinement: Confinement,
    /// What the same program has as root's daemon on a Linux machine, started with no restrictions.
    pub plain_root_daemon: Confinement,
}

/// What the processes of one service can reach.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Confinement {
    /// Namespaces of its own.
    pub own_namespaces: Vec<String>,
    /// Namespaces it shares with the machine.
    pub shared_namespaces: Vec<String>,
    /// User and group, numeric, `uid:gid`.
    pub user: String,
    /// Capabilities without `CAP_`, in the kernel's order.
    pub capabilities: Vec<String>,
    /// System calls.
    pub system_calls: SystemCalls,
    /// execve(2) can give no privileges: set-user-ID bits and file capabilities have no effect.
    pub no_new_privs: bool,
    /// Devices.
    pub devices: Devices,
    /// The root file system can be changed.
    pub root_writable: bool,
    /// Mounts that are writable; without those of the kernel's own file systems.
    pub writable: Vec<Writable>,
    /// `/sys` is writable.
    pub sys_writable: bool,
    /// `/proc/sys` is writable.
    pub proc_sys_writable: bool,
    /// The service's part of `/sys/fs/cgroup` is writable.
    pub cgroup_writable: bool,
    /// `host`: whatever the machine reaches; `private`: a loopback interface of its own.
    pub network: Network,
    /// Bytes of memory it can use.
    pub memory_max: Option<u64>,
    /// Bytes of the machine's memory it cannot use.
    pub memory_spare: Option<u64>,
    /// Processes and threads it can have.
    pub pids_max: Option<u64>,
    /// Processes and threads of the kernel's limit it cannot have.
    pub pids_spare: Option<u64>,
    /// What the system daemon does for it.
    pub api: Api,
}

/// What the filter lets through.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct SystemCalls {
    /// How many of the kernel's calls.
    pub allowed: usize,
    /// How many the kernel has.
    pub known: usize,
    /// Those of [`DANGEROUS`] among the allowed. What they need besides, such as a capability, is not looked at.
    pub dangerous: Vec<String>,
    /// 32-bit programs can run: the filter covers the tables of i386 and x32 too.
    pub other_abis: bool,
}

/// Device access.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Devices {
    /// `/dev` is the machine's.
    pub host_dev: bool,
    /// Everything is allowed that is not denied.
    pub all: bool,
    /// Allowed beyond the standard nodes.
    pub allow: Vec<DeviceRule>,
    /// The running slot of the system disk to read, the other one to write.
    #[serde(default)]
    pub slots: bool,
    /// The EFI system partition, to read.
    #[serde(default)]
    pub esp: bool,
    /// Sets that are denied whatever is allowed.
    pub deny: Vec<String>,
}

impl Report {
    /// The report on one service; `calls` are the names its filter lets through.
    pub fn new(name: &str, service: &Service, calls: &[String]) -> Self {
        Self {
            service: name.into(),
            confinement: Confinement::of(name, service, calls),
            plain_root_daemon: Confinement::plain_root_daemon(),
        }
    }
}

impl Confinement {
    /// The confinement of `service`.
    pub fn of(name: &str, service: &Service, calls: &[String]) -> Self {
        let security = &service.security;
        let network = service.namespaces.network;
        let private = (network == Network::Private).then_some(NETWORK);
        let shared = (network == Network::Host).then_some(NETWORK);
        let held = |(name, _): &&(&str, &str)| security.capabilities.iter().any(|capability| capability == name);
        let size = |text: &Option<String>| text.as_deref().and_then(parse_size);
        Self {
            own_namespaces: OWN.into_iter().chain(private).map(str::to_owned).collect(),
            shared_namespaces: shared.into_iter().chain(SHARED).map(str::to_owned).collect(),
            user: service.run.user.clone(),
            capabilities: CAPABILITIES.iter().filter(held).map(|(name, _)| (*name).to_owned()).collect(),
            // Without a list there is no filter.
            system_calls: if security.seccomp.is_empty() {
                SystemCalls::all()
            } else {
                SystemCalls::of(calls, security.seccomp.iter().any(|item| item == KNOWN_GROUP))
            },
            no_new_privs: security.no_new_privs,
            devices: Devices {
                host_dev: security.devices.host_dev,
                all: security.devices.allow_all,
                allow: security.devices.allow.clone(),
                slots: security.devices.slots,
                esp: security.devices.esp,
                deny: security.devices.deny.clone(),
            },
            root_writable: false,
            writable: writable::paths(name, service),
            sys_writable: security.writable_sys,
            proc_sys_writable: security.writable_proc_sys || security.unmasked_paths.iter().any(|p| p == "/proc/sys"),
            cgroup_writable: security.delegate,
            network,
            memory_max: size(&service.limits.memory_max),
            memory_spare: size(&service.limits.memory_spare),
            pids_max: service.limits.pids_max,
            pids_spare: service.limits.pids_spare,
            api: service.api,
        }
    }

    /// What a program has that a usual Linux machine starts as root without restrictions.
    pub fn plain_root_daemon() -> Self {
        Self {
            own_namespaces: Vec::new(),
            shared_namespaces: OWN.into_iter().chain([NETWORK]).chain(SHARED).map(str::to_owned).collect(),
            user: "0:0".into(),
            capabilities: CAPABILITIES.iter().map(|(name, _)| (*name).to_owned()).collect(),
            system_calls: SystemCalls::all(),
            no_new_privs: false,
            devices: Devices { host_dev: true, all: true, allow: Vec::new(), slots: true, esp: true, deny: Vec::new() },
            root_writable: true,
            writable: vec![Writable { path: "/".into(), source: Some("/".into()) }],
            sys_writable: true,
            proc_sys_writable: true,
            cgroup_writable: true,
            network: Network::Host,
            memory_max: None,
            memory_spare: None,
            pids_max: None,
            pids_spare: None,
            api: Api::Admin,
        }
    }
}

impl SystemCalls {
    fn of(calls: &[String], other_abis: bool) -> Self {
        let in_kernel = |call: &&String| SYSTEM_CALLS.binary_search(&call.as_str()).is_ok();
        Self {
            allowed: calls.iter().filter(in_kernel).count(),
            known: SYSTEM_CALLS.len(),
            dangerous: dangerous::among(calls),
            other_abis,
        }
    }

    fn all() -> Self {
        Self::of(&SYSTEM_CALLS.map(str::to_owned), true)
    }
}

#[cfg(test)]
mod tests;
