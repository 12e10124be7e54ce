//! `hull-runtime`: an OCI runtime (specification 1.2) on cgroup v2, as containerd's shim, dockerd and people call it.
//!
//! | module | owns |
//! |---|---|
//! | `cli` | the command line → [`cli::Invocation`] |
//! | `config` | `config.json`: reading and validation |
//! | `resources` | `linux.resources` → cgroup files and device rules |
//! | `filter` | `linux.seccomp` → compiled program, cached by content |
//! | `cgroups` | `linux.cgroupsPath` → directory |
//! | `store`, `status` | containers below `--root`: records, locks; whether they live |
//! | `lifecycle` | create, start, kill, delete, run |
//! | `execute` | exec |
//! | `control` | pause, resume, update |
//! | `report`, `features` | state, list, ps, events; features |
//! | `console`, `pid_file` | `--console-socket`, `--pid-file` |
//! | `wait` | waiting for a process in the foreground |
//! | `journal` | `--log` |

mod cgroups;
mod cli;
mod config;
mod console;
mod control;
mod execute;
mod features;
mod filter;
mod journal;
mod lifecycle;
mod pid_file;
mod report;
mod resources;
mod status;
mod store;
mod wait;

use cli::{Command, Invocation};
use std::process::ExitCode;

/// What any failure of the runtime itself ends with.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let invocation = match cli::parse(lexopt::Parser::from_env()) {
        Ok(Some(invocation)) => invocation,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hull-runtime: {error:#}");
            return ExitCode::from(FAILED);
        }
    };
    match journal::open(&invocation.global).and_then(|()| run(&invocation)) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            journal::error(&format!("{error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

fn run(invocation: &Invocation) -> anyhow::Result<u8> {
    let global = &invocation.global;
    journal::debug(&format!("{:?}", invocation.command));
    let store = store::Store::new(&global.root)?;
    match &invocation.command {
        Command::Create(asked) => lifecycle::create(&store, asked).map(|_| ())?,
        Command::Start { id } => lifecycle::start(&store, id)?,
        Command::Run { asked, detach, keep } => return lifecycle::run(&store, asked, *detach, *keep),
        Command::Kill { id, signal, all } => lifecycle::kill(&store, id, *signal, *all)?,
        Command::Delete { id, force } => lifecycle::delete(&store, id, *force)?,
        Command::Exec(asked) => return execute::exec(&store, asked),
        Command::Pause { id } => control::pause(&store, id)?,
        Command::Resume { id } => control::resume(&store, id)?,
        Command::Update { id, resources } => control::update(&store, id, resources)?,
        Command::State { id } => report::state(&store, id)?,
        Command::List { format, quiet } => report::list(&store, *format, *quiet)?,
        Command::Ps { id, format } => report::processes(&store, id, *format)?,
        Command::Stats { id } => report::stats(&store, id)?,
        Command::Features => features::features()?,
    }
    Ok(0)
}
