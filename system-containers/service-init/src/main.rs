//! `service-init`: PID 1 of a service with several processes.
//!
//! Owns the order, readiness, restart and orderly stop of the processes listed in the service's own `service.toml`;
//! the container around them and its restart belong to the system daemon, which starts this program and
//! bind-mounts the file at `/run/service/service.toml`.
//!
//! | module | what |
//! |---|---|
//! | [`supervise`] | pure state machine: events in, actions out |
//! | [`run`] | the loop that carries the actions out: signals, children, timers |
//! | [`launch`] | starts a process through `service-init enter`, which prepares it and becomes it |
//! | [`probe`] | readiness probes |
//! | [`notify`] | messages to the daemon |
//! | [`delegate`] | the service's own cgroup subtree |
//!
//! Exit status: 0 after an orderly stop or when every run-once process succeeded, 1 otherwise.

mod delegate;
mod launch;
mod notify;
mod probe;
mod run;
mod supervise;

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where the daemon mounts the service's description.
const SERVICE_FILE: &str = "/run/service/service.toml";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let result = match arguments.split_first() {
        Some((verb, rest)) if verb == launch::ENTER => launch::enter(rest),
        Some((file, [])) => supervise_file(file.into()),
        None => supervise_file(SERVICE_FILE.into()),
        Some(_) => bail_usage(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("<3>service-init: {error:#}");
        ExitCode::FAILURE
    })
}

fn supervise_file(file: PathBuf) -> Result<ExitCode> {
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let service = hull_service::parse(&file.display().to_string(), &text)?;
    drop(text);
    run::run(service)
}

fn bail_usage() -> Result<ExitCode> {
    bail!("usage: service-init [SERVICE.TOML]")
}
