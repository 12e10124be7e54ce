//! The tables of `service.toml`. Keys are kebab-case; unknown keys are errors.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One system service: the whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Service {
    /// One line for people, shown by `hull ps`.
    pub description: String,
    /// The boot is complete only when this service is healthy.
    #[serde(default)]
    pub required: bool,
    /// Long-running, or runs once to its end.
    #[serde(default)]
    pub kind: Kind,
    /// Services to be ready (or failed, or ended) before this one starts.
    #[serde(default)]
    pub after: Vec<String>,
    /// Services without which this one is not started; implies `after`.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Services with which this one is started; without them, it is not.
    #[serde(default)]
    pub wanted_by: Vec<String>,
    /// Started when somebody asks for it, instead of at boot.
    #[serde(default)]
    pub on_demand: bool,
    /// When a run-once service is run, instead of at boot.
    #[serde(default)]
    pub timer: Option<Timer>,
    /// Access to the system daemon's API.
    #[serde(default)]
    pub api: Api,
    /// Recipe of the root file system, carried out by the image builder.
    #[serde(default)]
    pub image: Image,
    /// Processes; with more than one, `service-init` is the container's PID 1.
    #[serde(rename = "process")]
    pub processes: Vec<Process>,
    /// How the container as a whole is run and stopped.
    #[serde(default)]
    pub run: Run,
    /// Namespaces that may differ between services.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// Privileges, all of them.
    #[serde(default)]
    pub security: Security,
    /// File systems beyond the standard ones (`/proc`, `/dev`, `/dev/pts`, `/dev/shm`, `/dev/mqueue`, `/sys` ro,
    /// `/sys/fs/cgroup` ro, `/run` and `/tmp` tmpfs).
    #[serde(default, rename = "mount")]
    pub mounts: Vec<Mount>,
    /// cgroup v2 limits.
    #[serde(default)]
    pub limits: Limits,
    /// When the service counts as ready; without this table: once its first process runs.
    #[serde(default)]
    pub ready: Option<Ready>,
    /// Repeated check while it runs.
    #[serde(default)]
    pub health: Option<Health>,
}

/// Life cycle of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Runs until stopped.
    #[default]
    Daemon,
    /// Runs to its end once a boot; ready when it ended with status 0.
    Oneshot,
}

/// Scope of the API socket mounted at `/run/hull/hull.sock`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// No socket.
    #[default]
    None,
    /// Power off, reboot and halt only.
    Power,
    /// The whole system API: equal to root on the machine.
    Admin,
}

/// Times at which a run-once service is run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Timer {
    /// cron's five fields, in UTC; see [`crate::calendar`].
    #[serde(default)]
    pub calendar: Option<String>,
    /// Seconds since the machine was started.
    #[serde(default)]
    pub after_boot: Option<u32>,
    /// Seconds since the last time, or since the machine was started.
    #[serde(default)]
    pub interval: Option<u32>,
    /// Up to so many seconds later, a different number each time.
    #[serde(default)]
    pub jitter: u32,
    /// A time of the calendar that passed while the machine was off is made up for, once.
    #[serde(default)]
    pub persistent: bool,
}

/// Recipe of the service's root file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Image {
    /// Debian packages the files come from.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Paths or globs in the package tree, without leading `/`; `dir/**` takes a whole directory.
    #[serde(default)]
    pub files: Vec<String>,
    /// Globs taken out again.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Our own binaries, put into `/usr/bin`.
    #[serde(default)]
    pub binaries: Vec<String>,
    /// Further directories searched for shared libraries.
    #[serde(default)]
    pub library_dirs: Vec<String>,
    /// Symbolic links: path to target.
    #[serde(default)]
    pub symlinks: BTreeMap<String, String>,
    /// Octal modes that differ from the package's, such as `"4755"`.
    #[serde(default)]
    pub modes: BTreeMap<String, String>,
    /// Empty directories.
    #[serde(default)]
    pub directories: Vec<String>,
    /// Added services only, in place of all keys above: the image, `host/repository@sha256:digest`.
    #[serde(default)]
    pub reference: Option<String>,
    /// Added services only: what becomes of programs that give privileges.
    #[serde(default)]
    pub setuid: Setuid,
}

/// What becomes of set-user-ID bits, set-group-ID bits and file capabilities of an added service's image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setuid {
    /// The image is refused.
    #[default]
    Refuse,
    /// The files are taken without them.
    Strip,
}

/// One process of the container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Process {
    /// Unique within the service.
    pub name: String,
    /// Program (absolute path) and arguments.
    pub command: Vec<String>,
    /// Added to `[run] environment`.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Processes of the same service to be ready, or for run-once ones ended, before this one.
    #[serde(default)]
    pub after: Vec<String>,
    /// Runs to its end once; what waits for it goes on whatever its exit status, which is logged.
    #[serde(default)]
    pub oneshot: bool,
    /// Controlling terminal, such as `/dev/ttyS0`; the process is not started while the device is missing.
    #[serde(default)]
    pub tty: Option<String>,
    /// What to do when it ends. Ignored for a single-process service, whose `[run] restart` counts.
    #[serde(default)]
    pub restart: Restart,
    /// When this process counts as ready (several processes only).
    #[serde(default)]
    pub ready: Option<Probe>,
}

/// Restart policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Whenever it ends without having been asked to.
    #[default]
    Always,
    /// Only on a signal or a status other than 0.
    OnFailure,
    /// Never.
    Never,
}

/// How the container is run and stopped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Run {
    /// `uid:gid`, numeric.
    pub user: String,
    /// Environment of every process.
    pub environment: BTreeMap<String, String>,
    /// Working directory.
    pub working_directory: String,
    /// Signal that asks for an orderly end.
    pub stop_signal: String,
    /// Seconds between the stop signal and the kill of the whole cgroup.
    pub stop_timeout: u32,
    /// What the daemon does when the container ends.
    pub restart: Restart,
    /// Starts without having been asked for within `start-limit-interval` that are enough; 0: any number.
    pub start_limit_burst: u32,
    /// Seconds.
    pub start_limit_interval: u32,
    /// Commands run inside the container once it is ready; a failure is reported, not fatal.
    pub post_start: Vec<Vec<String>>,
    /// Descriptors the service may leave with the system by `FDSTORE=1` (sd_notify(3)) and get back when it is started
    /// again.
    pub fd_store_max: u32,
    /// Files of the image fetched from the disk while the service waits for others at boot, as in `[image] files`.
    pub read_ahead: Vec<String>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            user: "0:0".into(),
            environment: BTreeMap::new(),
            working_directory: "/".into(),
            stop_signal: "SIGTERM".into(),
            stop_timeout: 10,
            restart: Restart::Always,
            start_limit_burst: 10,
            start_limit_interval: 300,
            post_start: Vec::new(),
            fd_store_max: 0,
            read_ahead: Vec::new(),
        }
    }
}

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

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mount {
    /// What is mounted.
    #[serde(default, rename = "type")]
    pub kind: MountType,
    /// Host path of a bind mount; for an overlay the directory that gets `upper` and `work`.
    #[serde(default)]
    pub source: Option<String>,
    /// Absolute path in the container.
    pub target: String,
    /// `ro`, `rw`, `nosuid`, `nodev`, `noexec`, `shared`, `slave`, `private`, `recursive`, and data options of tmpfs.
    #[serde(default)]
    pub options: Vec<String>,
    /// The source is a file, made empty where missing; else a directory.
    #[serde(default)]
    pub file: bool,
    /// Octal mode given to a source that has to be made.
    #[serde(default)]
    pub mode: Option<String>,
}

/// Kind of a mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountType {
    /// A directory or file of the host.
    #[default]
    Bind,
    /// An empty file system in memory.
    Tmpfs,
    /// overlayfs: lower is the image's own directory at `target`.
    Overlay,
}

/// cgroup v2 limits; sizes are bytes with optional `K`, `M`, `G` (powers of 1024).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// `memory.max`.
    #[serde(default)]
    pub memory_max: Option<String>,
    /// `memory.high`.
    #[serde(default)]
    pub memory_high: Option<String>,
    /// `memory.low`: protected from reclaim.
    #[serde(default)]
    pub memory_low: Option<String>,
    /// In place of `memory-max`: so much of the machine's memory stays for everybody else; at most half of it.
    #[serde(default)]
    pub memory_spare: Option<String>,
    /// `memory.swap.max`: swap space beyond `memory-max`.
    #[serde(default)]
    pub memory_swap_max: Option<String>,
    /// `memory.oom.group`: for want of memory all processes are killed, or none.
    #[serde(default)]
    pub oom_group: bool,
    /// `pids.max`.
    #[serde(default)]
    pub pids_max: Option<u64>,
    /// In place of `pids-max`: so many of the kernel's `threads-max` stay for everybody else; at most half of them.
    #[serde(default)]
    pub pids_spare: Option<u64>,
    /// `cpu.weight`, 1 to 10000, default 100.
    #[serde(default)]
    pub cpu_weight: Option<u64>,
    /// `cpu.weight` from the start of the service until it is ready, the same range.
    #[serde(default)]
    pub startup_cpu_weight: Option<u64>,
    /// `cpu.max`: percent of one processor, so that 150 is one and a half.
    #[serde(default)]
    pub cpu_max: Option<u64>,
    /// `io.weight`, 1 to 10000, default 100.
    #[serde(default)]
    pub io_weight: Option<u64>,
    /// `io.max`, one entry a disk.
    #[serde(default)]
    pub io_max: Vec<IoMax>,
    /// `RLIMIT_NOFILE`, soft and hard.
    #[serde(default)]
    pub open_files: Option<u64>,
}

/// The most a service may read and write on one disk, each a second; what is missing is not limited.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IoMax {
    /// Node of a whole disk below `/dev`, or `system-disk`.
    pub device: String,
    /// `rbps`: a size.
    #[serde(default)]
    pub read_bytes: Option<String>,
    /// `wbps`: a size.
    #[serde(default)]
    pub write_bytes: Option<String>,
    /// `riops`.
    #[serde(default)]
    pub read_operations: Option<u64>,
    /// `wiops`.
    #[serde(default)]
    pub write_operations: Option<u64>,
}

/// Readiness.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ready {
    /// Wait for `READY=1` on `$NOTIFY_SOCKET` (sd_notify(3)).
    #[serde(default)]
    pub notify: bool,
    /// Or try this probe until it passes.
    #[serde(default)]
    pub probe: Option<Probe>,
    /// Seconds until the start counts as failed.
    #[serde(default = "default_ready_timeout")]
    pub timeout: u32,
}

fn default_ready_timeout() -> u32 {
    60
}

/// One way to ask whether something answers; exactly one key is set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Probe {
    /// Command in the container; passes with status 0.
    Exec(Vec<String>),
    /// `address:port` that accepts, tried in the container's network namespace.
    Tcp(String),
    /// `address:port/request-path` answered with HTTP status 200, tried as `tcp` is.
    Http(String),
    /// Unix socket path in the container that accepts.
    Unix(String),
    /// Path in the container that exists.
    Path(String),
    /// `unix-socket-path:request-path` answered with HTTP status 200.
    HttpUnix(String),
}

/// Watching a running service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Health {
    /// What is asked.
    #[serde(default)]
    pub probe: Option<Probe>,
    /// Seconds between two `WATCHDOG=1` of the service (sd_notify(3)); without one it is stopped and started again by
    /// its restart policy.
    #[serde(default)]
    pub watchdog: Option<u32>,
    /// Seconds between two checks.
    #[serde(default = "default_interval")]
    pub interval: u32,
    /// Seconds until one check counts as failed.
    #[serde(default = "default_timeout")]
    pub timeout: u32,
    /// Failures in a row that make it unhealthy.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Successes in a row that make it healthy again.
    #[serde(default = "default_successes")]
    pub successes: u32,
    /// An unhealthy service is stopped and started again by its restart policy.
    #[serde(default)]
    pub restart: bool,
}

fn default_interval() -> u32 {
    30
}

fn default_timeout() -> u32 {
    10
}

fn default_retries() -> u32 {
    3
}

fn default_successes() -> u32 {
    1
}
