//! `system-daemon`: see the library. `system-daemon runtime-helper` is the runtime's helper, run by the daemon itself.
//!
//! `--root DIR`, `--cgroup DIR` and `--console FILE` put it below another directory, as its tests do.

use anyhow::bail;
use hull_daemon::paths::Paths;
use hull_daemon::{logger, run};
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == hull_runtime::helper::ARGUMENT) {
        return hull_runtime::helper::main();
    }
    let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    logger::install(command_line.split_whitespace().any(|word| word == "hull.debug"));
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let paths = parse(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run::run(paths))
}

fn parse(mut arguments: impl Iterator<Item = OsString>) -> anyhow::Result<Paths> {
    let mut paths = Paths::machine();
    while let Some(option) = arguments.next() {
        let place = match option.to_str() {
            Some("--root") => &mut paths.root,
            Some("--cgroup") => &mut paths.cgroup,
            Some("--console") => &mut paths.console,
            _ => bail!("unknown argument {}", option.to_string_lossy()),
        };
        match arguments.next() {
            Some(value) => *place = value.into(),
            None => bail!("{} needs a path", option.to_string_lossy()),
        }
    }
    Ok(paths)
}
