//! A service in the words of Docker's clients.

use super::model::container as model;
use crate::clock::{NEVER, WallTime};
use crate::lifecycle::machine::exit_code;
use crate::lifecycle::{HealthState, Phase, System, Unit, timer};
use crate::log_store::{FILE_SIZE, OLD_FILES};
use crate::plan;
use hull_image_store::Origin;
use hull_service::{MountType, Network, Restart, Service, validate::parse_size};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

fn state(unit: &Unit) -> &'static str {
    match unit.record.machine.phase {
        Phase::Started | Phase::Ready | Phase::Stopping if unit.record.paused => "paused",
        Phase::Started | Phase::Ready | Phase::Stopping => "running",
        Phase::BackOff => "restarting",
        Phase::Starting if unit.record.created.is_some() => "restarting",
        Phase::Waiting | Phase::Idle | Phase::Starting => "created",
        Phase::Stopped | Phase::Ended | Phase::Failed => "exited",
    }
}

/// The `STATUS` column of `docker ps`.
fn status(unit: &Unit, now: WallTime) -> String {
    let ago = |time: Option<WallTime>| time.map_or_else(|| "never".into(), |time| duration(now.seconds - time.seconds));
    let code = exit_code(unit.record.exit_status);
    match state(unit) {
        "running" => {
            let note = match (unit.record.machine.phase, unit.health) {
                (Phase::Started, _) => " (starting)",
                (Phase::Stopping, _) => " (stopping)",
                (_, HealthState::None) => "",
                (_, HealthState::Starting) => " (health: starting)",
                (_, HealthState::Healthy) => " (healthy)",
                (_, HealthState::Unhealthy) => " (unhealthy)",
            };
            format!("Up {}{note}", ago(unit.record.started))
        }
        "paused" => format!("Up {} (Paused)", ago(unit.record.started)),
        "restarting" => format!("Restarting ({code}) {} ago", ago(unit.record.finished)),
        "exited" if unit.record.finished.is_some() => format!("Exited ({code}) {} ago", ago(unit.record.finished)),
        "exited" => unit.record.machine.last_error.as_ref().map_or("Stopped", |_| "Failed to start").into(),
        _ => "Created".into(),
    }
}

/// A length of time in Docker's words.
fn duration(seconds: i64) -> String {
    match seconds {
        ..1 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".into(),
        120..3600 => format!("{} minutes", seconds / 60),
        3600..7200 => "About an hour".into(),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The image of an added service.
fn added(system: &System, name: &str) -> Option<Origin> {
    system.units.borrow().get(name)?.added.clone()?
}

/// Name and tag of the image of a service; of an added one where it is from.
pub fn image(system: &System, name: &str) -> String {
    if let Some(origin) = added(system, name) {
        return origin.source;
    }
    match system.boot_report.version.as_str() {
        "" => format!("hull/{name}"),
        version => format!("hull/{name}:{version}"),
    }
}

/// Id of the image of a service: as the images of one version are verified together, by one root hash, that hash with the
/// service in its first 16 digits.
pub fn image_id(system: &System, name: &str) -> String {
    if let Some(origin) = added(system, name) {
        return origin.id.to_string();
    }
    let mut hash = std::hash::DefaultHasher::new();
    name.hash(&mut hash);
    let rest = system.boot_report.root_hash.get(16..).unwrap_or("000000000000000000000000000000000000000000000000");
    format!("sha256:{:016x}{rest}", hash.finish())
}

fn command(service: Option<&Service>) -> Vec<String> {
    service.and_then(|service| plan::process::plan(service).args().clone()).unwrap_or_default()
}

/// Labels of a container: those of its service, and what changes while it is there.
fn container_labels(unit: &Unit, name: &str) -> BTreeMap<String, String> {
    let next = timer::next_run(unit).map(|next| ("hull.next-run".to_owned(), next));
    let status = unit.status.clone().map(|status| ("hull.status".to_owned(), status));
    labels(unit.definition.as_ref(), name).into_iter().chain(next).chain(status).collect()
}

/// Description and the like.
pub fn labels(service: Option<&Service>, name: &str) -> BTreeMap<String, String> {
    let description = service.map(|service| ("hull.description".to_owned(), service.description.clone()));
    description.into_iter().chain([("hull.service".to_owned(), name.to_owned())]).collect()
}

fn network(service: Option<&Service>) -> String {
    let host = service.is_some_and(|service| service.namespaces.network == Network::Host);
    if host { "host" } else { "none" }.into()
}

/// One line of `docker ps`.
pub fn summary(system: &System, name: &str, unit: &Unit) -> model::Summary {
    let service = unit.definition.as_ref();
    model::Summary {
        id: unit.record.id.clone(),
        names: vec![format!("/{name}")],
        image: image(system, name),
        image_id: image_id(system, name),
        command: command(service).join(" "),
        created: unit.record.created.map_or(0, |created| created.seconds),
        ports: [],
        labels: container_labels(unit, name),
        state: state(unit).into(),
        status: status(unit, WallTime::now()),
        host_config: model::SummaryHostConfig { network_mode: network(service) },
        network_settings: model::NetworkSettings::default(),
        mounts: mounts(service),
    }
}

fn mounts(service: Option<&Service>) -> Vec<model::Mount> {
    let one = |mount: &hull_service::Mount| {
        let has = |names: &[&str]| mount.options.iter().any(|option| names.contains(&option.as_str()));
        model::Mount {
            kind: match mount.kind {
                MountType::Bind => "bind",
                MountType::Tmpfs => "tmpfs",
                MountType::Overlay => "overlay",
            }
            .into(),
            source: mount.source.clone().unwrap_or_default(),
            destination: mount.target.clone(),
            mode: mount.options.join(","),
            rw: !has(&["ro"]),
            propagation: if has(&["shared", "rshared"]) {
                "shared"
            } else if has(&["slave", "rslave"]) {
                "slave"
            } else {
                "private"
            }
            .into(),
        }
    };
    service.map(|service| service.mounts.iter().map(one).collect()).unwrap_or_default()
}

/// `docker inspect`.
pub fn inspect(system: &System, name: &str, unit: &Unit) -> model::Inspect {
    let service = unit.definition.as_ref();
    let mut path = command(service);
    let args = if path.is_empty() { Vec::new() } else { path.split_off(1) };
    let time = |time: Option<WallTime>| time.map_or_else(|| NEVER.into(), WallTime::rfc3339);
    model::Inspect {
        id: unit.record.id.clone(),
        created: time(unit.record.created),
        path: path.concat(),
        args,
        state: inspect_state(unit),
        image: image_id(system, name),
        name: format!("/{name}"),
        restart_count: unit.record.machine.restarts,
        driver: "erofs",
        platform: "linux",
        log_path: system.logs.folder(name).join("current").display().to_string(),
        host_config: host_config(service),
        mounts: mounts(service),
        config: model::Config { labels: container_labels(unit, name), ..config(system, name, service) },
        network_settings: model::NetworkSettings::default(),
    }
}

fn inspect_state(unit: &Unit) -> model::State {
    let time = |time: Option<WallTime>| time.map_or_else(|| NEVER.into(), WallTime::rfc3339);
    let status = state(unit);
    model::State {
        status: status.into(),
        running: matches!(status, "running" | "paused"),
        paused: unit.record.paused,
        restarting: status == "restarting",
        oom_killed: unit.record.oom.in_run,
        dead: unit.record.machine.phase == Phase::Failed,
        pid: unit.init().map_or(0, |pid| pid.as_raw_nonzero().get()),
        exit_code: if unit.record.finished.is_some() { exit_code(unit.record.exit_status) } else { 0 },
        error: unit.record.machine.last_error.clone().unwrap_or_default(),
        started_at: time(unit.record.started),
        finished_at: time(unit.record.finished),
        health: (unit.health != HealthState::None).then(|| model::Health {
            status: unit.health.word().into(),
            failing_streak: unit.health_streak.failures,
            log: [],
        }),
    }
}

fn host_config(service: Option<&Service>) -> model::HostConfig {
    let (masked_paths, readonly_paths) =
        service.map(|service| plan::hidden::paths(&service.security)).unwrap_or_default();
    let security = service.map(|service| &service.security);
    let mut security_opt = Vec::new();
    if security.is_some_and(|security| security.no_new_privs) {
        security_opt.push("no-new-privileges".to_owned());
    }
    if security.is_some_and(|security| !security.seccomp.is_empty()) {
        security_opt.push("seccomp=seccomp.bpf".to_owned());
    }
    let config = [("max-size", FILE_SIZE.to_string()), ("max-file", (OLD_FILES + 1).to_string())];
    model::HostConfig {
        network_mode: network(service),
        restart_policy: model::RestartPolicy {
            name: match service.map(|service| service.run.restart) {
                Some(Restart::Always) => "always",
                Some(Restart::OnFailure) => "on-failure",
                Some(Restart::Never) | None => "no",
            },
            maximum_retry_count: 0,
        },
        log_config: model::LogConfig {
            kind: "json-file",
            config: config.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        },
        cap_add: security.map(|security| security.capabilities.clone()).unwrap_or_default(),
        cap_drop: vec!["ALL".into()],
        privileged: false,
        readonly_rootfs: true,
        security_opt,
        memory: service.and_then(|service| parse_size(service.limits.memory_max.as_deref()?)).unwrap_or(0),
        pids_limit: service.and_then(|service| service.limits.pids_max).unwrap_or(0),
        oom_score_adj: security.map_or(0, |security| security.oom_score_adj),
        cgroup_parent: "/services".into(),
        masked_paths,
        readonly_paths,
    }
}

/// What a container of the service is.
pub fn config(system: &System, name: &str, service: Option<&Service>) -> model::Config {
    let run = service.map(|service| service.run.clone()).unwrap_or_default();
    model::Config {
        hostname: system.hostname.borrow().clone(),
        user: run.user,
        tty: false,
        open_stdin: false,
        env: service.map(plan::process::environment).unwrap_or_default(),
        cmd: command(service),
        image: image(system, name),
        working_dir: run.working_directory,
        labels: labels(service, name),
        stop_signal: run.stop_signal,
        stop_timeout: run.stop_timeout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_dockers_words() {
        for (seconds, text) in [
            (-5, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (3599, "59 minutes"),
            (5000, "About an hour"),
            (100_000, "27 hours"),
            (200_000, "2 days"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn status_column() {
        let at = |seconds| Some(WallTime { seconds, nanoseconds: 0 });
        let mut unit = Unit::broken("x".into());
        let now = WallTime { seconds: 100, nanoseconds: 0 };
        assert_eq!(status(&unit, now), "Failed to start");
        unit.record.started = at(95);
        unit.record.machine.phase = Phase::Ready;
        unit.health = HealthState::Healthy;
        assert_eq!(status(&unit, now), "Up 5 seconds (healthy)");
        unit.record.machine.phase = Phase::BackOff;
        unit.record.finished = at(98);
        unit.record.exit_status = Some(9);
        assert_eq!(status(&unit, now), "Restarting (137) 2 seconds ago");
    }
}
