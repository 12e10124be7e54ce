//! `docker inspect`.

use super::{command, container_labels, image, image_id, labels, mounts, network, state};
use crate::api::model::{self, ContainerStateStatusEnum as Word, ContainerSummaryStateEnum as State, int64};
use crate::clock::{NEVER, WallTime};
use crate::lifecycle::machine::exit_code;
use crate::lifecycle::{HealthState, Phase, System, Unit};
use crate::log_store::{FILE_SIZE, OLD_FILES};
use crate::plan;
use hull_service::{Restart, Service, validate::parse_size};
use std::collections::HashMap;

/// `docker inspect`.
pub fn inspect(system: &System, name: &str, unit: &Unit) -> model::ContainerInspectResponse {
    let service = unit.definition.as_ref();
    let mut path = command(service);
    let args = if path.is_empty() { Vec::new() } else { path.split_off(1) };
    model::ContainerInspectResponse {
        id: Some(unit.record.id.clone()),
        created: Some(time(unit.record.created)),
        path: Some(path.concat()),
        args: Some(args),
        state: Some(life(unit)),
        image: Some(image_id(system, name)),
        name: Some(format!("/{name}")),
        restart_count: Some(unit.record.machine.restarts.into()),
        driver: Some("erofs".into()),
        platform: Some("linux".into()),
        log_path: Some(system.logs.folder(name).join("current").display().to_string()),
        host_config: Some(host_config(service)),
        mounts: Some(mounts(service)),
        config: Some(model::ContainerConfig {
            labels: Some(container_labels(unit, name)),
            ..config(system, name, service)
        }),
        // No service is on a network of its own.
        network_settings: Some(model::NetworkSettings { networks: Some(HashMap::new()), ..Default::default() }),
        ..Default::default()
    }
}

fn time(time: Option<WallTime>) -> String {
    time.map_or_else(|| NEVER.into(), WallTime::rfc3339)
}

fn life(unit: &Unit) -> model::ContainerState {
    let state = state(unit);
    model::ContainerState {
        status: Some(word(state)),
        running: Some(matches!(state, State::RUNNING | State::PAUSED)),
        paused: Some(unit.record.paused),
        restarting: Some(state == State::RESTARTING),
        oom_killed: Some(unit.record.oom.in_run),
        dead: Some(unit.record.machine.phase == Phase::Failed),
        pid: Some(unit.init().map_or(0, |pid| pid.as_raw_nonzero().get().into())),
        exit_code: Some(if unit.record.finished.is_some() { exit_code(unit.record.exit_status).into() } else { 0 }),
        error: Some(unit.record.machine.last_error.clone().unwrap_or_default()),
        started_at: Some(time(unit.record.started)),
        finished_at: Some(time(unit.record.finished)),
        health: health(unit.health).map(|status| model::Health {
            status: Some(status),
            failing_streak: Some(unit.health_streak.failures.into()),
            // Not kept.
            log: Some(Vec::new()),
        }),
    }
}

/// The crate has the same words twice.
fn word(state: State) -> Word {
    match state {
        State::EMPTY => Word::EMPTY,
        State::CREATED => Word::CREATED,
        State::RUNNING => Word::RUNNING,
        State::PAUSED => Word::PAUSED,
        State::RESTARTING => Word::RESTARTING,
        State::REMOVING => Word::REMOVING,
        State::EXITED => Word::EXITED,
        State::DEAD => Word::DEAD,
    }
}

/// Nothing for a service without a check.
fn health(state: HealthState) -> Option<model::HealthStatusEnum> {
    match state {
        HealthState::None => None,
        HealthState::Starting => Some(model::HealthStatusEnum::STARTING),
        HealthState::Healthy => Some(model::HealthStatusEnum::HEALTHY),
        HealthState::Unhealthy => Some(model::HealthStatusEnum::UNHEALTHY),
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
    let log = [("max-size", FILE_SIZE.to_string()), ("max-file", (OLD_FILES + 1).to_string())];
    let memory = service.and_then(|service| parse_size(service.limits.memory_max.as_deref()?));
    let pids = service.and_then(|service| service.limits.pids_max);
    model::HostConfig {
        network_mode: Some(network(service)),
        restart_policy: Some(model::RestartPolicy {
            name: Some(match service.map(|service| service.run.restart) {
                Some(Restart::Always) => model::RestartPolicyNameEnum::ALWAYS,
                Some(Restart::OnFailure) => model::RestartPolicyNameEnum::ON_FAILURE,
                Some(Restart::Never) | None => model::RestartPolicyNameEnum::NO,
            }),
            maximum_retry_count: Some(0),
        }),
        log_config: Some(model::HostConfigLogConfig {
            typ: Some("json-file".into()),
            config: Some(log.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        }),
        cap_add: Some(security.map(|security| security.capabilities.clone()).unwrap_or_default()),
        cap_drop: Some(vec!["ALL".into()]),
        privileged: Some(false),
        readonly_rootfs: Some(true),
        security_opt: Some(security_opt),
        // 0 is no limit.
        memory: Some(memory.map_or(0, int64)),
        pids_limit: Some(pids.map_or(0, int64)),
        oom_score_adj: Some(security.map_or(0, |security| security.oom_score_adj.into())),
        cgroup_parent: Some("/services".into()),
        masked_paths: Some(masked_paths),
        readonly_paths: Some(readonly_paths),
        ..Default::default()
    }
}

/// What a container of the service is.
pub fn config(system: &System, name: &str, service: Option<&Service>) -> model::ContainerConfig {
    let run = service.map(|service| service.run.clone()).unwrap_or_default();
    model::ContainerConfig {
        hostname: Some(system.hostname.borrow().clone()),
        user: Some(run.user),
        tty: Some(false),
        open_stdin: Some(false),
        env: Some(service.map(plan::process::environment).unwrap_or_default()),
        cmd: Some(command(service)),
        image: Some(image(system, name)),
        working_dir: Some(run.working_directory),
        labels: Some(labels(service, name)),
        stop_signal: Some(run.stop_signal),
        stop_timeout: Some(run.stop_timeout.into()),
        ..Default::default()
    }
}
