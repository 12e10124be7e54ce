//! `cloud-config compile|fetch|apply|final`: picks the stage. Whatever is wrong with user data is in the report, and the
//! exit status is 0; status 1 means that not even the report could be written, 2 a wrong call.
//!
//! `cloud-config identity` writes name and time zone of the console anew, `live` is the service `live-config`, and
//! `config …` is `hull config`: status 1 when what was asked for cannot be done, 2 for a wrong call.

use hull_cloud_config::paths::{AFTER_PANIC, Paths};
use hull_cloud_config::{live, stage, verbs};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::process::ExitCode;

/// Set for the run whose memory is bounded.
const WITHIN_LIMIT: &str = "HULL_WITHIN_LIMIT";
/// Address space of that run: less than its container has, so that the allocation fails and not the container.
const MAX_MEMORY: u64 = 100 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let paths = Paths::from_environment();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if !paths.recovering {
        let reads_user_data = matches!(words[..], ["compile", ..] | ["config", "validate", ..]);
        if reads_user_data && std::env::var_os(WITHIN_LIMIT).is_none() {
            return within_limit();
        }
        bound_memory();
        if !matches!(words[..], ["live"]) {
            recover_from_panics();
        }
    }
    let stage: fn(&Paths) -> anyhow::Result<()> = match words[..] {
        ["config", ref words @ ..] => return ExitCode::from(verbs::run(words, &paths)),
        ["compile"] => stage::compile::run,
        ["fetch"] => hull_cloud_config::fetch::run,
        ["apply"] => stage::apply::run,
        ["identity"] => stage::apply::identity,
        ["final"] => stage::last::run,
        ["live"] => live::server::run,
        _ => {
            eprintln!("usage: cloud-config compile|fetch|apply|identity|final|live|config …");
            return ExitCode::from(verbs::UNUSABLE);
        }
    };
    match stage(&paths) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("<3>cloud-config {}: {error:#}", arguments[0]);
            ExitCode::FAILURE
        }
    }
}

/// Runs what reads user data first as a child with bounded memory: a template can ask for any amount, which ends a program on the spot. The
/// later stages read only what this one survived, and what they start must not inherit the bound.
fn within_limit() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    match Command::new("/proc/self/exe").args(arguments).env(WITHIN_LIMIT, "1").status() {
        Ok(status) if status.code().is_some() => {
            ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(verbs::UNUSABLE))
        }
        _ => {
            println!("<3>cloud-config: out of memory or killed; starting again without user data");
            start_again();
            ExitCode::FAILURE
        }
    }
}

fn bound_memory() {
    let limit = Rlimit { current: Some(MAX_MEMORY), maximum: Some(MAX_MEMORY) };
    if std::env::var_os(WITHIN_LIMIT).is_some() {
        if let Err(error) = setrlimit(Resource::As, limit) {
            println!("<4>cloud-config: memory is not bounded: {error}");
        }
    }
}

/// A panic (of the YAML scanner or the template engine) starts this program once more, without user data: the other
/// services must get their configuration whatever the user data holds.
fn recover_from_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        println!("<3>cloud-config: internal error at {place}; starting again without user data");
        start_again();
    }));
}

/// Returns only if that fails.
fn start_again() {
    let arguments = std::env::args_os().skip(1);
    let error = Command::new("/proc/self/exe").args(arguments).env(AFTER_PANIC, "1").exec();
    println!("<3>cloud-config: {error}");
}
