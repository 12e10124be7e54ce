//! `update --state DIR --esp DIR --job DIR --trust DIR --roots PEM`: does the one job that is written in the job's folder,
//! see [`hull_update::job`], and writes the answer there. Run by the system daemon, as a service of its own.
//!
//! Exit status: 0, also when nothing could be done, which the answer says; 1 when there was no way to answer; 2 for a
//! wrong command line.

use anyhow::{Context, Result, bail};
use hull_update::job::{Line, Request};
use hull_update::service::{self, Places};
use lexopt::prelude::*;
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: u8 = 2;

fn main() -> ExitCode {
    let (places, job) = match parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("update: {error}");
            return ExitCode::from(USAGE);
        }
    };
    match run(&places, &job) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<(Places, PathBuf), lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let (mut places, mut job) = (Places::default(), PathBuf::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("state") => places.state = parser.value()?.into(),
            Long("esp") => places.esp = parser.value()?.into(),
            Long("trust") => places.trust = parser.value()?.into(),
            Long("roots") => places.roots = parser.value()?.into(),
            Long("job") => job = parser.value()?.into(),
            other => return Err(other.unexpected()),
        }
    }
    let needed = [&places.state, &places.esp, &places.trust, &places.roots, &job];
    if needed.iter().any(|path| path.as_os_str().is_empty()) {
        return Err("--state, --esp, --trust, --roots and --job are needed".into());
    }
    Ok((places, job))
}

fn run(places: &Places, job: &std::path::Path) -> Result<()> {
    let file = job.join("request.json");
    let text = match fs::read(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{}: there is no job", file.display()),
        text => text.with_context(|| file.display().to_string())?,
    };
    fs::remove_file(&file).with_context(|| file.display().to_string())?;
    rustix::thread::set_no_new_privs(true).context("no new privileges")?;
    let place = job.join("answer");
    let answer = RefCell::new(File::create(&place).with_context(|| place.display().to_string())?);
    let say = |line: &Line| -> Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        answer.borrow_mut().write_all(&text).with_context(|| place.display().to_string())
    };
    let tell = |text: String| {
        println!("{text}");
        // The result is what counts; whether it can be written shows at the end.
        say(&Line::Status(text)).ok();
    };
    let request = serde_json::from_slice::<Request>(&text).context("request");
    match request.and_then(|request| service::run(places, &request, &tell)) {
        Ok(done) => say(&Line::Done(done)),
        Err(error) => {
            eprintln!("{error:#}");
            say(&Line::Failed(format!("{error:#}")))
        }
    }
}
