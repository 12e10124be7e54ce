//! The owner's gate: checks a version on trial must pass. They run in the engine's own container, with the docker client
//! and busybox that are there: what the engine says about its applications is judged where it is said, and the daemon
//! parses none of it.

use crate::lifecycle::{System, exec};
use crate::plan::Command;
use hull_update::settings::{Check, Probe};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The user engine.
const ENGINE: &str = "docker";
/// Name of the check that the boot is complete, in the baseline.
pub const BOOT: &str = "boot";
/// Healthy, or running where the image has no health check.
const HEALTHY: &str = r#"state=$(docker inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}' "$1") && case $state in healthy|running) ;; *) exit 1 ;; esac"#;
/// The status line busybox' wget shows.
const ANSWERS: &str = r#"wget -S -q -T "$3" -O /dev/null "$1" 2>&1 | grep -q "HTTP/1.[01] $2""#;

/// Checks that fail now and did not fail before the update, in words.
pub async fn failed(system: &Rc<System>, checks: &[Check], baseline: &BTreeMap<String, bool>) -> Vec<String> {
    let mut failed = Vec::new();
    for check in checks {
        if let Err(reason) = pass(system, check).await {
            if baseline.get(&check.name) == Some(&false) {
                log::info!("gate: {} fails, as it did before the update: {reason}", check.name);
            } else {
                failed.push(format!("{}: {reason}", check.name));
            }
        }
    }
    failed
}

/// Which checks pass now: what a later version is measured by.
pub async fn baseline(system: &Rc<System>, checks: &[Check]) -> BTreeMap<String, bool> {
    let mut baseline = BTreeMap::new();
    for check in checks {
        baseline.insert(check.name.clone(), pass(system, check).await.is_ok());
    }
    baseline
}

async fn pass(system: &Rc<System>, check: &Check) -> Result<(), String> {
    let command = Command { arguments: arguments(check), ..Command::default() };
    let limit = Duration::from_secs(check.timeout.into());
    match tokio::time::timeout(limit, exec::status(system, ENGINE, command)).await {
        Ok(Ok(0)) => Ok(()),
        Ok(Ok(_)) => Err(meaning(&check.probe)),
        Ok(Err(error)) => Err(format!("cannot be checked: {error}")),
        Err(_) => Err(format!("no answer within {} s", check.timeout)),
    }
}

fn arguments(check: &Check) -> Vec<String> {
    let script = |script: &str, arguments: &[&str]| {
        ["/usr/bin/sh", "-c", script, "gate"].iter().chain(arguments).map(|word| (*word).to_owned()).collect()
    };
    match &check.probe {
        Probe::Container { container } => script(HEALTHY, &[container]),
        Probe::Url { url, status } => script(ANSWERS, &[url, &status.to_string(), &check.timeout.to_string()]),
        Probe::Command { container, command } => ["/usr/bin/docker", "exec", container]
            .iter()
            .map(|word| (*word).to_owned())
            .chain(command.clone())
            .collect(),
    }
}

fn meaning(probe: &Probe) -> String {
    match probe {
        Probe::Container { container } => format!("container {container} is not healthy"),
        Probe::Url { url, status } => format!("{url} does not answer with status {status}"),
        Probe::Command { container, command } => format!("{} in container {container} failed", command.join(" ")),
    }
}
