//! `cloud-config compile|apply|final`: picks the stage. Whatever is wrong with user data is in the report, and the
//! exit status is 0; status 1 means that not even the report could be written, 2 a wrong call.

use hull_cloud_config::paths::Paths;
use hull_cloud_config::stage;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let paths = Paths::from_environment();
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
