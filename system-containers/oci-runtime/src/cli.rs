//! The command line: global options, a verb, its options and operands. What is not done is refused by name.

use anyhow::{Context, Result, bail};
use lexopt::prelude::{Long, Short, Value};
use lexopt::{Parser, ValueExt};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::str::FromStr;

/// State of containers when `--root` is not given.
const ROOT: &str = "/run/hull-runtime";

/// Highest signal of Linux.
const LAST_SIGNAL: i32 = 64;
/// The first real-time signal the C library leaves to programs.
const FIRST_REAL_TIME: i32 = 34;

const USAGE: &str = "\
usage: hull-runtime [--root DIR] [--log FILE] [--log-format text|json] [--debug] VERB ...
  create [--bundle DIR] [--console-socket SOCKET] [--pid-file FILE] [--preserve-fds N] [--no-new-keyring] ID
  start ID
  run [as create] [--detach] [--keep] ID
  state ID
  kill [--all] ID [SIGNAL]
  delete [--force] ID
  exec [--process FILE] [--tty] [--cwd DIR] [--env K=V] [--user UID[:GID]] [--additional-gids GID] [--cap CAP]
       [--no-new-privs] [--detach] [--pid-file FILE] [--console-socket SOCKET] [--preserve-fds N] ID [COMMAND ...]
  list [--format table|json] [--quiet]
  ps [--format table|json] ID
  pause ID | resume ID
  update --resources FILE|- ID
  events --stats ID
  features";

/// Options before the verb.
#[derive(Debug, Clone)]
pub(crate) struct Global {
    pub(crate) root: PathBuf,
    pub(crate) log: Option<PathBuf>,
    pub(crate) json_log: bool,
    pub(crate) debug: bool,
}

/// A whole command line.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) global: Global,
    pub(crate) command: Command,
}

/// Of list and ps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Table,
    Json,
}

/// Options of create and run.
#[derive(Debug, Default)]
pub(crate) struct Create {
    pub(crate) id: String,
    pub(crate) bundle: Option<PathBuf>,
    pub(crate) console_socket: Option<PathBuf>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) preserve: u32,
    pub(crate) callers_keyring: bool,
}

/// Options of exec.
#[derive(Debug, Default)]
pub(crate) struct Exec {
    pub(crate) id: String,
    pub(crate) process: Option<PathBuf>,
    pub(crate) command: Vec<String>,
    pub(crate) tty: bool,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) env: Vec<String>,
    pub(crate) user: Option<(u32, Option<u32>)>,
    pub(crate) groups: Vec<u32>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) no_new_privs: bool,
    pub(crate) detach: bool,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) console_socket: Option<PathBuf>,
    pub(crate) preserve: u32,
}

/// The verb with its options.
#[derive(Debug)]
pub(crate) enum Command {
    Create(Create),
    Start { id: String },
    Run { asked: Create, detach: bool, keep: bool },
    State { id: String },
    Kill { id: String, signal: i32, all: bool },
    Delete { id: String, force: bool },
    Exec(Exec),
    List { format: Format, quiet: bool },
    Ps { id: String, format: Format },
    Pause { id: String },
    Resume { id: String },
    Update { id: String, resources: PathBuf },
    Stats { id: String },
    Features,
}

/// Parses; `None` when the answer (`--version`, `--help`) is already printed.
pub(crate) fn parse(mut parser: Parser) -> Result<Option<Invocation>> {
    let mut global = Global { root: ROOT.into(), log: None, json_log: false, debug: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("root") => global.root = parser.value()?.into(),
            Long("log") => global.log = Some(parser.value()?.into()),
            Long("log-format") => {
                global.json_log = match parser.value()?.string()?.as_str() {
                    "json" => true,
                    "text" => false,
                    other => bail!("--log-format {other}: json or text"),
                }
            }
            Long("debug") => global.debug = true,
            Long("systemd-cgroup") => bail!("--systemd-cgroup: there is no systemd here; use the cgroupfs driver"),
            Long("version") | Short('v') => {
                println!("hull-runtime version {}\nspec: {}", env!("CARGO_PKG_VERSION"), crate::config::NEWEST);
                return Ok(None);
            }
            Long("help") | Short('h') => {
                println!("{USAGE}");
                return Ok(None);
            }
            Value(verb) => {
                let verb = verb.string()?;
                let command = verb_of(&verb, &mut parser).with_context(|| verb.clone())?;
                return Ok(Some(Invocation { global, command }));
            }
            other => return Err(other.unexpected().into()),
        }
    }
    bail!("no verb\n{USAGE}")
}

fn verb_of(verb: &str, parser: &mut Parser) -> Result<Command> {
    let (mut all, mut force, mut quiet, mut detach, mut keep, mut stats) = (false, false, false, false, false, false);
    let (mut format, mut resources) = (Format::Table, None);
    let (mut create, mut exec) = (Create::default(), Exec::default());
    let mut operands: Vec<String> = Vec::new();
    let creates = matches!(verb, "create" | "run");
    let executes = verb == "exec";
    while let Some(argument) = parser.next()? {
        match argument {
            Value(operand) => {
                operands.push(operand.string()?);
                if executes {
                    // The rest is the command's, options included.
                    for rest in parser.raw_args()? {
                        operands.push(rest.string()?);
                    }
                }
            }
            Long("bundle") | Short('b') if creates => create.bundle = Some(parser.value()?.into()),
            Long("no-pivot") => bail!("--no-pivot: the root is always changed by pivot_root(2)"),
            Long("no-new-keyring") if creates => create.callers_keyring = true,
            Long("console-socket") if creates || executes => {
                create.console_socket = Some(parser.value()?.into());
            }
            Long("pid-file") if creates || executes => create.pid_file = Some(parser.value()?.into()),
            Long("preserve-fds") if creates || executes => create.preserve = parser.value()?.parse()?,
            Long("detach") | Short('d') if executes || verb == "run" => detach = true,
            Long("keep") if verb == "run" => keep = true,
            Long("process") | Short('p') if executes => exec.process = Some(parser.value()?.into()),
            Long("tty") | Short('t') if executes => exec.tty = true,
            Long("cwd") if executes => exec.cwd = Some(parser.value()?.into()),
            Long("env") | Short('e') if executes => exec.env.push(parser.value()?.string()?),
            Long("user") | Short('u') if executes => exec.user = Some(user(&parser.value()?.string()?)?),
            Long("additional-gids") | Short('g') if executes => exec.groups.push(parser.value()?.parse()?),
            Long("cap") | Short('c') if executes => exec.capabilities.push(parser.value()?.string()?),
            Long("no-new-privs") if executes => exec.no_new_privs = true,
            Long("all") | Short('a') if verb == "kill" => all = true,
            Long("force") | Short('f') if verb == "delete" => force = true,
            Long("quiet") | Short('q') if verb == "list" => quiet = true,
            Long("format") | Short('f') if matches!(verb, "list" | "ps") => {
                format = match parser.value()?.string()?.as_str() {
                    "json" => Format::Json,
                    "table" => Format::Table,
                    other => bail!("--format {other}: table or json"),
                }
            }
            Long("resources") | Short('r') if verb == "update" => resources = Some(parser.value()?.into()),
            Long("stats") if verb == "events" => stats = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if verb == "kill" && operands.len() == 2 {
        let signal = signal(&operands.remove(1))?;
        return Ok(Command::Kill { id: operands.remove(0), signal, all });
    }
    if executes {
        let mut operands = operands.into_iter();
        exec.id = operands.next().context("no container ID")?;
        exec.command = operands.collect();
        exec.detach = detach;
        Create { console_socket: exec.console_socket, pid_file: exec.pid_file, preserve: exec.preserve, .. } = create;
        return Ok(Command::Exec(exec));
    }
    if matches!(verb, "list" | "features") {
        if let Some(operand) = operands.first() {
            bail!("unexpected operand {operand}");
        }
        return Ok(if verb == "list" { Command::List { format, quiet } } else { Command::Features });
    }
    let [id] = <[String; 1]>::try_from(operands).ok().context("exactly one container ID is needed")?;
    Ok(match verb {
        "create" => Command::Create(Create { id, ..create }),
        "run" => Command::Run { asked: Create { id, ..create }, detach, keep },
        "start" => Command::Start { id },
        "state" => Command::State { id },
        "kill" => Command::Kill { id, signal: Signal::SIGTERM as i32, all },
        "delete" => Command::Delete { id, force },
        "ps" => Command::Ps { id, format },
        "pause" => Command::Pause { id },
        "resume" => Command::Resume { id },
        "update" => Command::Update { id, resources: resources.context("--resources is needed")? },
        "events" if stats => Command::Stats { id },
        "events" => bail!("a stream of events is not supported: use --stats"),
        other => bail!("unknown verb {other}\n{USAGE}"),
    })
}

/// `UID` or `UID:GID`.
fn user(text: &str) -> Result<(u32, Option<u32>)> {
    let number = |text: &str| text.parse().with_context(|| format!("--user {text}: a number is needed"));
    match text.split_once(':') {
        None => Ok((number(text)?, None)),
        Some((uid, gid)) => Ok((number(uid)?, Some(number(gid)?))),
    }
}

/// `9`, `KILL`, `SIGKILL`, `SIGRTMIN+3`.
pub(crate) fn signal(text: &str) -> Result<i32> {
    let unknown = || format!("unknown signal {text}");
    if let Ok(number) = text.parse::<i32>() {
        return (1..=LAST_SIGNAL).contains(&number).then_some(number).with_context(unknown);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = if let Some(offset) = name.strip_prefix("RTMIN") {
        Some((FIRST_REAL_TIME, offset.strip_prefix('+').unwrap_or(offset)))
    } else {
        name.strip_prefix("RTMAX").map(|offset| (LAST_SIGNAL, offset))
    };
    if let Some((base, offset)) = real_time {
        let offset: i32 = if offset.is_empty() { 0 } else { offset.parse().ok().with_context(unknown)? };
        let number = base + offset;
        return (FIRST_REAL_TIME..=LAST_SIGNAL).contains(&number).then_some(number).with_context(unknown);
    }
    Signal::from_str(&format!("SIG{name}")).map(|signal| signal as i32).ok().with_context(unknown)
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
