//! `image-store import --name NAME --store DIR --definition FILE [--mirror URL]... [--roots FILE] [ARCHIVE | REFERENCE]`:
//! imports the image of one service into a staging directory below DIR and answers one line of JSON, `origin::Imported`.
//! Without archive or reference the definition's `image.reference` is pulled.
//!
//! It then waits for the end of its standard input before it gives up the lock, so that whoever started it can have the
//! staging directory renamed into place; what is still there at the end is removed. Run by the `hull` command.
//!
//! Exit status: 0; 1 when nothing was imported, with the reason on standard error; 2 for a wrong command line.

use anyhow::{Context, Result, bail};
use hull_image_store::import::{Definition, Source, import};
use hull_image_store::incoming::Incoming;
use hull_image_store::limits::Limits;
use hull_image_store::registry::{Client, Mirror};
use lexopt::prelude::*;
use std::io::{Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Certificates of the console's image.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What writing an image needs: owners, and modes of other people's files.
const NEEDED: [caps::Capability; 3] =
    [caps::Capability::CAP_CHOWN, caps::Capability::CAP_DAC_OVERRIDE, caps::Capability::CAP_FOWNER];
const USAGE: u8 = 2;

#[derive(Debug, Default)]
struct Arguments {
    name: String,
    store: PathBuf,
    definition: PathBuf,
    mirrors: Vec<Mirror>,
    roots: Option<PathBuf>,
    source: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("image-store: {error}");
            return ExitCode::from(USAGE);
        }
    };
    match run(arguments) {
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
    match parser.next()? {
        Some(Value(verb)) if verb == "import" => {}
        _ => return Err("the only command is import".into()),
    }
    while let Some(argument) = parser.next()? {
        match argument {
            Long("name") => arguments.name = parser.value()?.string()?,
            Long("store") => arguments.store = parser.value()?.into(),
            Long("definition") => arguments.definition = parser.value()?.into(),
            Long("mirror") => arguments.mirrors.push(parser.value()?.parse()?),
            Long("roots") => arguments.roots = Some(parser.value()?.into()),
            Value(source) if arguments.source.is_none() => arguments.source = Some(source.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let is_missing = [&arguments.store, &arguments.definition].iter().any(|path| path.as_os_str().is_empty());
    if is_missing || arguments.name.is_empty() {
        return Err("--name, --store and --definition are needed".into());
    }
    Ok(arguments)
}

fn run(arguments: Arguments) -> Result<()> {
    let file = &arguments.definition;
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let service = hull_service::parse(&file.display().to_string(), &text)?;
    let problems = hull_service::added::problems(&arguments.name, &service);
    if !problems.is_empty() {
        let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
        bail!("{}: {}", file.display(), list.join("; "));
    }
    let named = arguments.source.or_else(|| service.image.reference.clone());
    let Some(named) = named else {
        bail!("name an archive or a reference, or set image.reference in {}", file.display())
    };
    let is_file = Path::new(&named).exists();
    let source = if is_file {
        Source::Archive(named.into())
    } else {
        let reference = named.parse().with_context(|| format!("{named} is no file, so it must be a reference"))?;
        let roots = arguments.roots.unwrap_or_else(|| ROOTS.into());
        Source::Registry(reference, Client::new(arguments.mirrors, roots))
    };
    let incoming = Incoming::open(&arguments.store)?;
    confine()?;
    let (_staging, imported) =
        import(&incoming, &source, &Definition { text: &text, service: &service }, Limits::default())?;
    let mut answer = serde_json::to_vec(&imported)?;
    answer.push(b'\n');
    stdout().write_all(&answer).and_then(|()| stdout().flush()).context("standard output")?;
    std::io::copy(&mut stdin(), &mut std::io::sink()).context("standard input")?;
    Ok(())
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
