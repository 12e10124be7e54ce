//! `hull`: the administrator's command for the operating system. Asks the system daemon over its unix socket and
//! holds no logic a service owns.
//!
//! | module | what |
//! |---|---|
//! | [`arguments`] | command line to [`arguments::Invocation`], also by program name (`poweroff`, ...) |
//! | [`http`] | a blocking HTTP/1.1 client on a unix socket |
//! | [`client`] | requests of the API, errors with their remedy |
//! | [`status`] | `status` and `ps`: the answer's shape and its rendering |
//! | [`confinement`] | `inspect --confinement`: the report as a table |
//! | [`added`] | `service`: services of the owner's own |
//! | [`update`] | `update`: the OS image |
//! | [`install`] | `install`: a live system to a disk |
//! | [`progress`] | lines of work that takes its time |
//! | [`logs`] | `logs` |
//! | [`mount`] | `mount`, `umount`, `swapon`, `swapoff`, `rescan` |
//! | [`priority`], [`when`] | what its options mean; pure |
//! | [`exec`], [`streams`] | `exec`, and the format of its output |
//! | [`terminal`] | raw mode and window size |
//!
//! Exit status: 0; 1 when the request failed; 2 for a wrong command line; for `exec` the command's own.

mod added;
mod arguments;
mod client;
mod confinement;
mod exec;
mod http;
mod install;
mod logs;
mod mount;
mod priority;
mod progress;
mod status;
mod streams;
mod terminal;
mod update;
mod when;

use anyhow::{Context, Result};
use arguments::{Invocation, Verb};
use client::Client;
use serde_json::json;
use std::ffi::OsString;
use std::io::{IsTerminal, Write, stdout};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Wrong command line, as the shell's own built-ins say it.
const USAGE: u8 = 2;
/// The program behind `hull config`.
const CONFIG: &str = "cloud-config";

fn main() -> ExitCode {
    let invocation = match arguments::parse(std::env::args_os(), std::env::var_os("HULL_SOCKET")) {
        Ok(invocation) => invocation,
        Err(error) => {
            eprintln!("hull: {error}; see hull help");
            return ExitCode::from(USAGE);
        }
    };
    match run(&invocation) {
        Ok(code) => code,
        // A reader that has seen enough, such as head(1).
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hull: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(invocation: &Invocation) -> Result<ExitCode> {
    let client = Client::new(&invocation.socket);
    match &invocation.verb {
        Verb::Help => print(arguments::HELP)?,
        Verb::Version => print(&client::versions(&client))?,
        Verb::Status { json: true } => print(&pretty(&client.get("/hull/status")?)?)?,
        Verb::Status { json: false } => {
            print(&status::summary(&status::parse(client.get("/hull/status")?)?, stdout().is_terminal()))?;
        }
        Verb::Ps { json: true } => print(&pretty(&client.get("/hull/status")?["services"])?)?,
        Verb::Ps { json: false } => {
            print(&status::table(&status::parse(client.get("/hull/status")?)?.services, stdout().is_terminal()))?;
        }
        Verb::Inspect { service } => print(&pretty(&client.get(&format!("/containers/{service}/json"))?)?)?,
        Verb::Confinement { service, json } => {
            let answer = client.get(&format!("/hull/confinement/{service}"))?;
            print(&if *json { pretty(&answer)? } else { confinement::table(&confinement::parse(answer)?) })?;
        }
        Verb::Logs(options) => logs::show(&client, options)?,
        Verb::Exec(command) => return exec::run(&client, command),
        Verb::Lifecycle { action, services } => {
            for service in services {
                client.post(&format!("/containers/{service}/{}", action.word()), None)?;
            }
        }
        Verb::Service(verb) => return added::run(&client, verb),
        Verb::Update(verb) => return update::run(&client, verb),
        Verb::Install(verb) => return install::run(&client, verb),
        Verb::Config(arguments) => return Err(config(arguments)),
        Verb::Mount(wanted) => print(&mount::mount(&client, wanted)?)?,
        Verb::Umount { lazy, targets } => return each(targets, |target| mount::umount(&client, *lazy, target)),
        Verb::Swap(wanted) => print(&mount::swap(&client, wanted)?)?,
        Verb::Rescan { devices } => return each(devices, |device| mount::rescan(&client, device)),
        Verb::Power(action) => {
            client.post("/hull/power", Some(&json!({ "action": action.word() })))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Becomes the program that reads configuration at boot, so that both say the same.
fn config(arguments: &[OsString]) -> anyhow::Error {
    let program = config_program();
    let error = Command::new(&program).args(arguments).exec();
    anyhow::Error::new(error).context(format!("start {}, which knows the configuration", program.display()))
}

fn config_program() -> PathBuf {
    // On a workstation it lies beside this one.
    let beside = std::env::current_exe().map(|own| own.with_file_name(CONFIG)).ok().filter(|path| path.is_file());
    beside.unwrap_or_else(|| CONFIG.into())
}

/// All of them, also behind one that failed.
fn each<T>(list: &[T], mut act: impl FnMut(&T) -> Result<()>) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for item in list {
        if let Err(error) = act(item) {
            eprintln!("hull: {error:#}");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn pretty(value: &serde_json::Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value).context("cannot format the answer")? + "\n")
}

fn print(text: &str) -> Result<()> {
    stdout().write_all(text.as_bytes()).context("cannot write")
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
