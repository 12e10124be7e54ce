//! From a definition and facts about the machine to what the runtime starts. Pure; nothing here touches the system
//! except [`facts`].
//!
//! | module | what |
//! |---|---|
//! | [`facts`] | numbers of the system disk and watchdog, read from sysfs and procfs |
//! | [`mounts`] | `[[mount]]` and our own mounts; sources to make before |
//! | [`process`] | command, environment, credentials |
//! | [`hidden`] | masked and read-only paths |
//! | [`devices`] | device rules |

pub mod devices;
pub mod facts;
pub mod hidden;
pub mod mounts;
pub mod process;

use crate::paths::Paths;
use facts::Facts;
use hull_runtime::{Exec, Launch, cgroup, launch};
use hull_service::{IoMax, Network, Service, validate::parse_size};
use mounts::Source;
use oci_spec::runtime::{Linux, LinuxNamespace, LinuxNamespaceType, Spec};
use rustix::process::Pid;
use std::path::PathBuf;

/// Everything one start needs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// For the runtime.
    pub launch: Launch,
    /// For the cgroup.
    pub limits: cgroup::Limits,
    /// Mount sources to make where missing.
    pub sources: Vec<Source>,
}

/// Seconds `READY=1` may take when only processes of a service declare readiness.
pub const PROCESS_READY_TIMEOUT: u32 = 60;

/// The service reports its readiness on the notify socket: it says so, or its `service-init` has processes to wait for.
pub fn notifies(service: &Service) -> bool {
    match &service.ready {
        Some(ready) => ready.notify,
        None => uses_service_init(service) && service.processes.iter().any(|process| process.ready.is_some()),
    }
}

/// The service has the notify socket, for whatever of sd_notify(3) it uses.
pub fn has_notify_socket(service: &Service) -> bool {
    let watchdog = service.health.as_ref().is_some_and(|health| health.watchdog.is_some());
    uses_service_init(service) || notifies(service) || watchdog || service.run.fd_store_max > 0
}

/// `service-init` is PID 1 of the container.
pub fn uses_service_init(service: &Service) -> bool {
    service.processes.len() > 1
}

/// Plans a start of `name`.
pub fn plan(name: &str, service: &Service, paths: &Paths, facts: &Facts) -> Plan {
    let (mounts, sources) = mounts::plan(name, service, paths);
    let (masked, read_only) = hidden::paths(&service.security);
    let namespaces = [
        Some(LinuxNamespaceType::Mount),
        Some(LinuxNamespaceType::Pid),
        Some(LinuxNamespaceType::Ipc),
        Some(LinuxNamespaceType::Uts),
        Some(LinuxNamespaceType::Cgroup),
        (service.namespaces.network == Network::Private).then_some(LinuxNamespaceType::Network),
    ];
    let namespace = |kind: LinuxNamespaceType| {
        let mut namespace = LinuxNamespace::default();
        namespace.set_typ(kind);
        namespace
    };

    let mut linux = Linux::default();
    linux
        .set_namespaces(Some(namespaces.into_iter().flatten().map(namespace).collect()))
        .set_masked_paths(Some(masked))
        .set_readonly_paths(Some(read_only))
        .set_resources(None)
        .set_devices(None);
    let mut spec = Spec::default();
    spec.set_process(Some(process::plan(service)))
        .set_hostname(Some(facts.hostname.clone()))
        .set_mounts(Some(mounts))
        .set_linux(Some(linux));

    Plan {
        launch: Launch {
            spec,
            rootfs: paths.definition(name).join("rootfs"),
            cgroup: paths.cgroup.join(name),
            seccomp: seccomp(name, service, paths),
            devices: devices::rules(&service.security.devices, facts),
            delegate: service.security.delegate,
        },
        limits: limits(service, facts),
        sources,
    }
}

/// What a further process in the container is to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments.
    pub arguments: Vec<String>,
    /// Added to the service's environment.
    pub environment: Vec<String>,
    /// In place of the service's working directory.
    pub working_directory: Option<String>,
    /// In place of the service's user.
    pub user: Option<(u32, u32)>,
    /// With a terminal.
    pub tty: bool,
    /// Its first size.
    pub size: Option<launch::TerminalSize>,
}

/// Plans a further process: the same privileges as the service itself has, never more.
pub fn exec(name: &str, service: &Service, paths: &Paths, init: Pid, command: Command) -> Exec {
    let (uid, gid) = command.user.unwrap_or_else(|| process::user(service));
    let mut env = process::environment(service);
    if command.tty {
        env.push("TERM=xterm".into());
    }
    for variable in command.environment {
        let key = variable.split('=').next().unwrap_or_default().to_owned();
        env.retain(|other| other.split('=').next() != Some(&key));
        env.push(variable);
    }
    // cgroup v2 wants processes in leaves only, and a delegated cgroup has children.
    let cgroup = paths.cgroup.join(name);
    Exec {
        init,
        cgroup: if service.security.delegate { cgroup.join("exec") } else { cgroup },
        command: command.arguments,
        env,
        cwd: command.working_directory.unwrap_or_else(|| service.run.working_directory.clone()).into(),
        user: launch::User { uid, gid, groups: Vec::new() },
        capabilities: Some(process::capabilities(service, uid)),
        no_new_privs: service.security.no_new_privs,
        seccomp: seccomp(name, service, paths),
        tty: command.tty,
        size: command.size,
    }
}

fn seccomp(name: &str, service: &Service, paths: &Paths) -> Option<PathBuf> {
    (!service.security.seccomp.is_empty()).then(|| paths.definition(name).join("seccomp.bpf"))
}

fn limits(service: &Service, facts: &Facts) -> cgroup::Limits {
    let size = |text: &Option<String>| text.as_deref().and_then(parse_size);
    // On a machine too small for what is to be spared, the service still gets half of it.
    let without = |all: u64, spare: u64| all.saturating_sub(spare).max(all / 2);
    // Memory the kernel keeps free is spared for nobody.
    let spare = |spare: u64| without(facts.memory, spare.saturating_add(facts.kept_free));
    cgroup::Limits {
        memory_max: size(&service.limits.memory_max).or_else(|| size(&service.limits.memory_spare).map(spare)),
        memory_high: size(&service.limits.memory_high),
        memory_low: memory_low(service),
        memory_swap_max: size(&service.limits.memory_swap_max),
        oom_group: service.limits.oom_group,
        pids_max: service.limits.pids_max.or_else(|| Some(without(facts.threads_max, service.limits.pids_spare?))),
        cpu_weight: service.limits.startup_cpu_weight.or(service.limits.cpu_weight),
        cpu_max: service.limits.cpu_max,
        io_weight: service.limits.io_weight,
        // Disks are found when the service starts.
        io_max: Vec::new(),
    }
}

/// Bytes protected from reclaim.
pub fn memory_low(service: &Service) -> Option<u64> {
    service.limits.memory_low.as_deref().and_then(parse_size)
}

/// The limit on one disk of this number.
pub fn io_max(limit: &IoMax, device: (u32, u32)) -> cgroup::IoMax {
    let size = |text: &Option<String>| text.as_deref().and_then(parse_size);
    cgroup::IoMax {
        device,
        read_bytes: size(&limit.read_bytes),
        write_bytes: size(&limit.write_bytes),
        read_operations: limit.read_operations,
        write_operations: limit.write_operations,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
