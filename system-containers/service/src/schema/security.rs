//! `[namespaces]` and `[security]`: privileges, all of them.

use serde::{Deserialize, Serialize};

/// Mount, PID, IPC, UTS and cgroup namespaces are always the container's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Namespaces {
    /// Network namespace.
    #[serde(default)]
    pub network: Network,
}

/// Network namespace of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Its own, with a loopback interface only.
    #[default]
    Private,
    /// The machine's.
    Host,
}

/// A capability name without the `CAP_` prefix, upper case.
pub type Capability = String;

/// Privileges of the service's processes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Security {
    /// Exact permitted, effective and bounding set (inheritable and ambient stay empty for root).
    pub capabilities: Vec<Capability>,
    /// Allow-list of system calls: names, groups `@name`, and `!name` to take one out again. See `seccomp-groups.toml`.
    pub seccomp: Vec<String>,
    /// `PR_SET_NO_NEW_PRIVS`; false only where a setuid program is the service's point.
    pub no_new_privs: bool,
    /// Device access beyond the standard nodes.
    pub devices: Devices,
    /// Paths hidden in addition to the default ones.
    pub masked_paths: Vec<String>,
    /// Paths of the default masked and read-only lists that this service needs, each with its reason in the README.
    pub unmasked_paths: Vec<String>,
    /// `/sys` writable (udev, and the engine for its containers).
    pub writable_sys: bool,
    /// `/proc/sys` writable.
    pub writable_proc_sys: bool,
    /// `oom_score_adj`, -1000 to 1000.
    pub oom_score_adj: i32,
    /// The service manages its own cgroup subtree, mounted writable.
    pub delegate: bool,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            capabilities: Vec::new(),
            seccomp: Vec::new(),
            no_new_privs: true,
            devices: Devices::default(),
            masked_paths: Vec::new(),
            unmasked_paths: Vec::new(),
            writable_sys: false,
            writable_proc_sys: false,
            oom_score_adj: -500,
            delegate: false,
        }
    }
}

/// Device access, enforced by a cgroup BPF program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Devices {
    /// The host's `/dev` instead of a private one with the standard nodes.
    #[serde(default)]
    pub host_dev: bool,
    /// Everything that is not denied is allowed.
    #[serde(default)]
    pub allow_all: bool,
    /// Rules in addition to the standard nodes.
    #[serde(default)]
    pub allow: Vec<DeviceRule>,
    /// The slots of the system disk: the running one to read, the other one to write, nothing else of the disk.
    #[serde(default)]
    pub slots: bool,
    /// The EFI system partition, to read.
    #[serde(default)]
    pub esp: bool,
    /// Device sets taken away last: `system-disk`, `memory`, `watchdog`, `kmsg`.
    #[serde(default)]
    pub deny: Vec<String>,
}

/// One rule: `type` is `char` or `block`; a missing number means any; `access` is out of `rwm`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeviceRule {
    /// `char` or `block`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Major number.
    #[serde(default)]
    pub major: Option<u32>,
    /// Minor number.
    #[serde(default)]
    pub minor: Option<u32>,
    /// Read, write, mknod.
    pub access: String,
}
