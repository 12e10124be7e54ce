//! Checks between keys that serde cannot express.

use crate::calendar::Calendar;
use crate::schema::{Kind, Limits, MountType, Probe, Service, Timer};

/// One contradiction: the key and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {text}")]
pub struct Problem {
    /// Dotted key.
    pub key: String,
    /// What is wrong and what is expected.
    pub text: String,
}

/// Word for the disk the machine was started from, where a disk is named.
pub const SYSTEM_DISK: &str = "system-disk";

/// Most descriptors one service may leave with the system: PID 1 keeps 512 for all of them.
pub const FD_STORE_MAX: u32 = 64;

const DEVICE_SETS: [&str; 4] = [SYSTEM_DISK, "memory", "watchdog", "kmsg"];

/// All problems of one service; empty means valid.
pub fn validate(service: &Service) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |key: String, text: String| problems.push(Problem { key, text });

    if service.processes.is_empty() {
        report("process".into(), "at least one [[process]] is needed".into());
    }
    let names: Vec<&str> = service.processes.iter().map(|process| process.name.as_str()).collect();
    for (index, process) in service.processes.iter().enumerate() {
        let key = format!("process.{}", process.name);
        if !process.command.first().is_some_and(|program| program.starts_with('/')) {
            report(format!("{key}.command"), "the program must be an absolute path".into());
        }
        if names[..index].contains(&process.name.as_str()) {
            report(key.clone(), "the name is used twice".into());
        }
        for other in &process.after {
            if !names[..index].contains(&other.as_str()) {
                report(format!("{key}.after"), format!("\"{other}\" is not a process listed above this one"));
            }
        }
        if let Some(probe) = &process.ready {
            check_probe(&format!("{key}.ready"), probe, &mut report);
        }
    }
    for capability in &service.security.capabilities {
        if capability.starts_with("CAP_")
            || capability.chars().any(|c| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        {
            report(
                "security.capabilities".into(),
                format!("\"{capability}\": write it in upper case and without CAP_"),
            );
        }
    }
    for set in &service.security.devices.deny {
        if !DEVICE_SETS.contains(&set.as_str()) {
            report("security.devices.deny".into(), format!("\"{set}\" is none of {}", DEVICE_SETS.join(", ")));
        }
    }
    for rule in &service.security.devices.allow {
        if !matches!(rule.kind.as_str(), "char" | "block")
            || rule.access.is_empty()
            || rule.access.chars().any(|c| !"rwm".contains(c))
        {
            report("security.devices.allow".into(), "type is \"char\" or \"block\", access is out of \"rwm\"".into());
        }
    }
    for mount in &service.mounts {
        let key = format!("mount.{}", mount.target);
        if !mount.target.starts_with('/') {
            report(key.clone(), "target must be an absolute path".into());
        }
        let needs_source = mount.kind != MountType::Tmpfs;
        if needs_source != mount.source.as_deref().is_some_and(|source| source.starts_with('/')) {
            report(key, "bind and overlay mounts need an absolute source, tmpfs takes none".into());
        }
    }
    if !(-1000..=1000).contains(&service.security.oom_score_adj) {
        report("security.oom-score-adj".into(), "must be between -1000 and 1000".into());
    }
    let ids: Vec<_> = service.run.user.split(':').map(str::parse::<u32>).collect();
    if ids.len() != 2 || ids.iter().any(Result::is_err) {
        report("run.user".into(), "must be \"uid:gid\" in numbers".into());
    }
    check_limits(&service.limits, &mut report);
    if let Some(ready) = &service.ready {
        if ready.notify == ready.probe.is_some() {
            report("ready".into(), "set either notify = true or a probe".into());
        }
        if let Some(probe) = &ready.probe {
            check_probe("ready.probe", probe, &mut report);
        }
    }
    if service.on_demand && (service.required || service.timer.is_some() || !service.wanted_by.is_empty()) {
        report("on-demand".into(), "not with required, timer or wanted-by".into());
    }
    if let Some(timer) = &service.timer {
        check_timer(timer, service.kind, &mut report);
    }
    if let Some(health) = &service.health {
        if health.probe.is_none() && health.watchdog.is_none() {
            report("health".into(), "set a probe, a watchdog, or both".into());
        }
        if let Some(probe) = &health.probe {
            check_probe("health.probe", probe, &mut report);
        }
        if health.retries == 0 || health.successes == 0 {
            report("health".into(), "retries and successes must be at least 1".into());
        }
        if health.watchdog == Some(0) {
            report("health.watchdog".into(), "must be at least 1 second".into());
        }
    }
    let watchdog = service.health.as_ref().is_some_and(|health| health.watchdog.is_some());
    for (key, used) in [("health.watchdog", watchdog), ("run.fd-store-max", service.run.fd_store_max > 0)] {
        if used && service.processes.len() > 1 {
            report(key.into(), "only for a service of one [[process]]: the others do not get $NOTIFY_SOCKET".into());
        }
    }
    if service.run.fd_store_max > FD_STORE_MAX {
        report("run.fd-store-max".into(), format!("must be at most {FD_STORE_MAX}"));
    }
    problems
}

fn check_limits(limits: &Limits, report: &mut impl FnMut(String, String)) {
    let mut sizes = vec![
        ("memory-max", &limits.memory_max),
        ("memory-high", &limits.memory_high),
        ("memory-low", &limits.memory_low),
        ("memory-spare", &limits.memory_spare),
        ("memory-swap-max", &limits.memory_swap_max),
    ];
    for io in &limits.io_max {
        sizes.extend([("io-max.read-bytes", &io.read_bytes), ("io-max.write-bytes", &io.write_bytes)]);
        if io.device != SYSTEM_DISK && !io.device.starts_with("/dev/") {
            report(
                "limits.io-max.device".into(),
                format!("\"{}\": name a disk below /dev, or \"{SYSTEM_DISK}\"", io.device),
            );
        }
    }
    for (key, size) in sizes {
        if let Some(text) = size.as_ref().filter(|text| parse_size(text).is_none()) {
            report(format!("limits.{key}"), format!("\"{text}\" is no size such as \"64M\""));
        }
    }
    for (key, weight) in [
        ("cpu-weight", limits.cpu_weight),
        ("startup-cpu-weight", limits.startup_cpu_weight),
        ("io-weight", limits.io_weight),
    ] {
        if weight.is_some_and(|weight| !(1..=10_000).contains(&weight)) {
            report(format!("limits.{key}"), "must be between 1 and 10000".into());
        }
    }
    if limits.memory_max.is_some() && limits.memory_spare.is_some() {
        report("limits.memory-spare".into(), "set either memory-max or memory-spare".into());
    }
    if limits.pids_max.is_some() && limits.pids_spare.is_some() {
        report("limits.pids-spare".into(), "set either pids-max or pids-spare".into());
    }
    if limits.cpu_max == Some(0) {
        report("limits.cpu-max".into(), "must be at least 1 percent of a processor".into());
    }
}

fn check_timer(timer: &Timer, kind: Kind, report: &mut impl FnMut(String, String)) {
    if kind != Kind::Oneshot {
        report("timer".into(), "only for kind = \"oneshot\"".into());
    }
    if timer.calendar.is_none() && timer.after_boot.is_none() && timer.interval.is_none() {
        report("timer".into(), "set calendar, after-boot or interval".into());
    }
    if let Some(Err(error)) = timer.calendar.as_deref().map(str::parse::<Calendar>) {
        report("timer.calendar".into(), error.to_string());
    }
    if timer.interval == Some(0) {
        report("timer.interval".into(), "must be at least 1 second".into());
    }
    if timer.persistent && timer.calendar.is_none() {
        report("timer.persistent".into(), "only with calendar".into());
    }
}

fn check_probe(key: &str, probe: &Probe, report: &mut impl FnMut(String, String)) {
    let fault = match probe {
        Probe::Exec(command) => (!command.first().is_some_and(|program| program.starts_with('/')))
            .then_some("the program must be an absolute path"),
        Probe::Tcp(address) => {
            address.parse::<std::net::SocketAddr>().is_err().then_some("must be ADDRESS:PORT in numbers")
        }
        Probe::Http(text) => {
            split_http(text).is_none().then_some("must be ADDRESS:PORT/REQUEST-PATH, the address in numbers")
        }
        Probe::Unix(path) | Probe::Path(path) => (!path.starts_with('/')).then_some("must be an absolute path"),
        Probe::HttpUnix(text) => {
            let parts = text.split_once(':');
            (!parts.is_some_and(|(socket, path)| socket.starts_with('/') && path.starts_with('/')))
                .then_some("must be SOCKET:/REQUEST-PATH")
        }
    };
    if let Some(text) = fault {
        report(key.into(), text.into());
    }
}

/// Address and request path, which begins with `/`, of an `http` probe.
pub fn split_http(text: &str) -> Option<(std::net::SocketAddr, &str)> {
    let (address, path) = text.split_at(text.find('/')?);
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    Some((address.parse().ok().filter(|_| plain)?, path))
}

/// Bytes of a size such as `64M`; suffixes are powers of 1024.
pub fn parse_size(text: &str) -> Option<u64> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::{parse_size, split_http};

    #[test]
    fn http_probes() {
        for (text, path) in [
            ("127.0.0.1:80/", Some("/")),
            ("[::1]:8080/health/live?x=1", Some("/health/live?x=1")),
            ("127.0.0.1/", None),
            ("localhost:80/", None),
            ("127.0.0.1:80", None),
            ("127.0.0.1:80/a b", None),
        ] {
            assert_eq!(split_http(text).map(|(_, path)| path), path, "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("64M", Some(64 << 20)),
            ("1G", Some(1 << 30)),
            ("4096", Some(4096)),
            ("M", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }
}
