//! `image-store --store DIR --roots PEM --job DIR`: does the one job that is written in the job's folder, see
//! [`hull_image_store::job`], and writes the answer there. Run by the system daemon, as a service of its own.
//!
//! Exit status: 0, also when the image was refused, which the answer says; 1 when there was no way to answer; 2 for a
//! wrong command line.

use anyhow::{Context, Result, bail};
use hull_image_store::import::{Definition, Source, import};
use hull_image_store::incoming::Incoming;
use hull_image_store::job::{self, Line, Request, Work};
use hull_image_store::keep::keep;
use hull_image_store::limits::Limits;
use hull_image_store::registry::Client;
use lexopt::prelude::*;
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

/// What writing an image needs: owners, and modes of other people's files.
const NEEDED: [caps::Capability; 3] =
    [caps::Capability::CAP_CHOWN, caps::Capability::CAP_DAC_OVERRIDE, caps::Capability::CAP_FOWNER];
const USAGE: u8 = 2;

#[derive(Debug, Default)]
struct Arguments {
    store: PathBuf,
    roots: PathBuf,
    job: PathBuf,
}

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("image-store: {error}");
            return ExitCode::from(USAGE);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Arguments, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let mut arguments = Arguments::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("store") => arguments.store = parser.value()?.into(),
            Long("roots") => arguments.roots = parser.value()?.into(),
            Long("job") => arguments.job = parser.value()?.into(),
            other => return Err(other.unexpected()),
        }
    }
    if [&arguments.store, &arguments.roots, &arguments.job].iter().any(|path| path.as_os_str().is_empty()) {
        return Err("--store, --roots and --job are needed".into());
    }
    Ok(arguments)
}

fn run(arguments: &Arguments) -> Result<()> {
    let file = arguments.job.join(job::REQUEST_FILE);
    let text = match fs::read(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{}: there is no job", file.display()),
        text => text.with_context(|| file.display().to_string())?,
    };
    fs::remove_file(&file).with_context(|| file.display().to_string())?;
    let place = arguments.job.join(job::ANSWER_FILE);
    let answer = RefCell::new(File::create(&place).with_context(|| place.display().to_string())?);
    let say = |line: &Line| -> Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        answer.borrow_mut().write_all(&text).with_context(|| place.display().to_string())
    };
    let report = |text: String| {
        // The result is what counts; whether it can be written shows at the end.
        say(&Line::Status(text)).ok();
    };
    confine()?;
    match serde_json::from_slice(&text).context("request").and_then(|request| work(arguments, request, &report)) {
        Ok(line) => say(&line),
        Err(error) => {
            eprintln!("{error:#}");
            say(&Line::Failed(format!("{error:#}")))
        }
    }
}

fn work(arguments: &Arguments, request: Request, report: &dyn Fn(String)) -> Result<Line> {
    let incoming = Incoming::open(&arguments.store.join(job::INCOMING))?;
    let client = || -> Result<Client> {
        let mirrors = request.mirrors.iter().map(|mirror| mirror.parse().map_err(anyhow::Error::msg));
        let mirrors = mirrors.collect::<Result<_>>()?;
        Ok(Client::new(mirrors, arguments.roots.clone(), request.credentials.clone()))
    };
    let source = |source: job::Source| -> Result<Source> {
        Ok(match source {
            job::Source::Archive(path) => Source::Archive(below(&arguments.store, &path)?),
            job::Source::Reference(text) => Source::Registry(text.parse()?, client()?),
        })
    };
    Ok(match request.work {
        Work::Import { name, definition, source: from } => {
            let service = hull_service::parse("service.toml", &definition)?;
            let problems = hull_service::added::problems(&name, &service);
            if !problems.is_empty() {
                let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
                bail!("service.toml: {}", list.join("; "));
            }
            let definition = Definition { text: &definition, service: &service };
            let (staging, origin) = import(&incoming, &source(from)?, &definition, Limits::default(), report)?;
            Line::Imported { incoming: staging.finish(), origin }
        }
        Work::Keep(from) => {
            let (staging, stored) = keep(&incoming, &source(from)?, Limits::default(), report)?;
            Line::Stored { incoming: staging.finish(), stored }
        }
    })
}

/// A path below the store and nothing else.
fn below(store: &Path, path: &str) -> Result<PathBuf> {
    if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
        bail!("{path}: an archive is a path below the store");
    }
    Ok(store.join(path))
}

/// From here on foreign bytes are read: of root's privileges only those stay that writing files of any owner needs.
fn confine() -> Result<()> {
    rustix::thread::set_no_new_privs(true).context("no new privileges")?;
    if rustix::process::geteuid().is_root() {
        let held = caps::read(None, caps::CapSet::Permitted).context("capabilities")?;
        let kept: caps::CapsHashSet = NEEDED.into_iter().filter(|needed| held.contains(needed)).collect();
        caps::clear(None, caps::CapSet::Inheritable).context("inheritable capabilities")?;
        caps::set(None, caps::CapSet::Effective, &kept).context("effective capabilities")?;
        caps::set(None, caps::CapSet::Permitted, &kept).context("permitted capabilities")?;
    }
    Ok(())
}
