//! `update --state DIR --esp DIR --job DIR --trust DIR --roots PEM`: does the one job that is written in the job's folder,
//! see [`hull_update::job`], and writes the answer there. `update install --job DIR`: the same for the service `install`, see
//! [`hull_update::install::job`]. Run by the system daemon, each as a service of its own.
//!
//! Exit status: 0, also when nothing could be done, which the answer says; 1 when there was no way to answer; 2 for a
//! wrong command line.

use hull_update::answer;
use hull_update::install::install;
use hull_update::service::{self, Places};
use lexopt::prelude::*;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: u8 = 2;

/// Whose job is done, and where it is.
enum Invocation {
    Update(Places, PathBuf),
    Install(PathBuf),
}

fn main() -> ExitCode {
    let done = match parse() {
        Ok(Invocation::Update(places, job)) => {
            answer::serve(&job, |request, tell| service::run(&places, request, tell))
        }
        Ok(Invocation::Install(job)) => answer::serve(&job, install),
        Err(error) => {
            eprintln!("update: {error}");
            return ExitCode::from(USAGE);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Invocation, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let (mut places, mut job, mut installs) = (Places::default(), PathBuf::new(), false);
    while let Some(argument) = parser.next()? {
        match argument {
            Value(verb) if verb == "install" => installs = true,
            Long("job") => job = parser.value()?.into(),
            Long("state") => places.state = parser.value()?.into(),
            Long("esp") => places.esp = parser.value()?.into(),
            Long("trust") => places.trust = parser.value()?.into(),
            Long("roots") => places.roots = parser.value()?.into(),
            other => return Err(other.unexpected()),
        }
    }
    let needed = [&places.state, &places.esp, &places.trust, &places.roots];
    let given = needed.iter().filter(|path| !path.as_os_str().is_empty()).count();
    match (installs, given) {
        _ if job.as_os_str().is_empty() => Err("--job is needed".into()),
        (true, 0) => Ok(Invocation::Install(job)),
        (true, _) => Err("install takes --job alone".into()),
        (false, 4) => Ok(Invocation::Update(places, job)),
        (false, _) => Err("--state, --esp, --trust, --roots and --job are needed".into()),
    }
}
