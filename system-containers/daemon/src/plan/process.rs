//! The first process: command, environment, credentials, limits.

use hull_service::Service;
use oci_spec::runtime::{
    Capabilities, Capability, LinuxCapabilities, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, Spec, User,
};

/// Where programs are looked for.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Socket for sd_notify(3) messages, as the container sees it.
pub const NOTIFY_SOCKET: &str = "/run/service/notify/notify";
/// PID 1 of a container with several processes.
const SERVICE_INIT: &str = "/usr/bin/service-init";
/// Open files unless the service asks otherwise: soft for programs that still use select(2), hard for those that raise it.
const OPEN_FILES: (u64, u64) = (1024, 524_288);

/// The OCI process of a service.
pub fn plan(service: &Service) -> Process {
    let (uid, gid) = user(service);
    let mut credentials = User::default();
    credentials.set_uid(uid).set_gid(gid);
    let mut process = Process::default();
    process
        .set_terminal(Some(false))
        .set_user(credentials)
        .set_args(Some(command(service)))
        .set_env(Some(environment(service).into_iter().chain(watchdog(service)).collect()))
        .set_cwd(service.run.working_directory.clone().into())
        .set_capabilities(Some(capabilities(service, uid)))
        .set_rlimits(Some(open_files(service).into_iter().collect()))
        .set_no_new_privileges(Some(service.security.no_new_privs))
        .set_oom_score_adj(Some(service.security.oom_score_adj));
    process
}

fn command(service: &Service) -> Vec<String> {
    match service.processes.as_slice() {
        [process] => process.command.clone(),
        _ => vec![SERVICE_INIT.into()],
    }
}

/// What sd_watchdog_enabled(3) reads; for the first process, which is the one that is watched.
fn watchdog(service: &Service) -> Option<String> {
    let seconds = service.health.as_ref()?.watchdog?;
    Some(format!("WATCHDOG_USEC={}", u64::from(seconds) * 1_000_000))
}

/// Tells the first process of descriptors it finds open from number 3 on, as sd_listen_fds(3) reads it.
pub fn listen(spec: &mut Spec, names: &[String]) {
    let Some(process) = spec.process_mut().as_mut().filter(|_| !names.is_empty()) else { return };
    let mut environment = process.env().clone().unwrap_or_default();
    environment.push(format!("LISTEN_FDS={}", names.len()));
    environment.push(format!("LISTEN_FDNAMES={}", names.join(":")));
    // Its own id in its namespace.
    environment.push("LISTEN_PID=1".into());
    process.set_env(Some(environment));
}

/// Environment of the first process and of every exec.
pub fn environment(service: &Service) -> Vec<String> {
    let mut environment = vec![PATH.to_owned()];
    if user(service).0 == 0 {
        environment.push("HOME=/root".into());
    }
    if super::has_notify_socket(service) {
        environment.push(format!("NOTIFY_SOCKET={NOTIFY_SOCKET}"));
    }
    let mut own = service.run.environment.clone();
    if let [process] = service.processes.as_slice() {
        own.extend(process.environment.clone());
    }
    for (key, value) in own {
        environment.retain(|variable| variable.split('=').next() != Some(&key));
        environment.push(format!("{key}={value}"));
    }
    environment
}

/// `uid, gid` of `[run] user`; the schema has checked the form.
pub fn user(service: &Service) -> (u32, u32) {
    let mut ids = service.run.user.split(':').map(|id| id.parse().unwrap_or(u32::MAX));
    (ids.next().unwrap_or(u32::MAX), ids.next().unwrap_or(u32::MAX))
}

/// A capability by its name without `CAP_`.
pub fn capability(name: &str) -> Option<Capability> {
    name.parse().ok()
}

/// Exactly the listed ones. A user other than root keeps them through execve(2) by the ambient set only.
pub fn capabilities(service: &Service, uid: u32) -> LinuxCapabilities {
    let set: Capabilities = service.security.capabilities.iter().filter_map(|name| capability(name)).collect();
    let kept = if uid == 0 { Capabilities::new() } else { set.clone() };
    let mut capabilities = LinuxCapabilities::default();
    capabilities
        .set_bounding(Some(set.clone()))
        .set_permitted(Some(set.clone()))
        .set_effective(Some(set))
        .set_inheritable(Some(kept.clone()))
        .set_ambient(Some(kept));
    capabilities
}

fn open_files(service: &Service) -> Option<PosixRlimit> {
    let (soft, hard) = service.limits.open_files.map_or(OPEN_FILES, |files| (files, files));
    PosixRlimitBuilder::default().typ(PosixRlimitType::RlimitNofile).soft(soft).hard(hard).build().ok()
}
