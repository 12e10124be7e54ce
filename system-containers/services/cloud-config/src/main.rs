//! `cloud-config compile|apply|final`: picks the stage. Whatever is wrong with user data is in the report, and the
//! exit status is 0; status 1 means that not even the report could be written, 2 a wrong call.

use hull_cloud_config::paths::{AFTER_PANIC, Paths};
use hull_cloud_config::stage;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let paths = Paths::from_environment();
    if !paths.recovering {
        recover_from_panics();
    }
    let stage: fn(&Paths) -> anyhow::Result<()> = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["compile"] => stage::compile::run,
        ["apply"] => stage::apply::run,
        ["final"] => stage::last::run,
        _ => {
            eprintln!("usage: cloud-config compile|apply|final");
            return ExitCode::from(2);
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

/// A panic (the YAML scanner has some) starts this program once more, without user data: the other services must get
/// their configuration whatever the user data holds.
fn recover_from_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        println!("<3>cloud-config: internal error at {place}; starting again without user data");
        let arguments = std::env::args_os().skip(1);
        let error = Command::new("/proc/self/exe").args(arguments).env(AFTER_PANIC, "1").exec();
        println!("<3>cloud-config: {error}");
    }));
}
