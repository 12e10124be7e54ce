//! Command line to [`Invocation`]; pure.
//!
//! | module | what |
//! |---|---|
//! | [`added`] | `hull service` |
//! | [`logs`], [`exec`] | `hull logs`, `hull exec` |
//! | [`install`] | `hull install` |
//! | [`mount`] | `hull mount` and its kin |
//! | [`update`] | `hull update` |

pub(crate) mod added;
mod exec;
pub(crate) mod install;
mod logs;
pub(crate) mod mount;
pub(crate) mod update;

use self::added::Added;
pub(crate) use self::exec::Exec;
use self::install::Install;
pub(crate) use self::logs::Logs;
use self::mount::{Mount, Swap};
use self::update::Update;
use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where the daemon's socket is inside containers that have one.
const SOCKET: &str = "/run/hull/hull.sock";
/// What `hull config` can do.
const CONFIG_VERBS: [&str; 10] =
    ["validate", "show", "get", "set", "unset", "diff", "apply", "confirm", "revert", "schema"];

/// Text of `hull help`.
pub(crate) const HELP: &str = "\
hull: the operating system's services and power

  hull status [--json]                    one-screen summary: boot, root, state partition, services, messages
  hull ps [--json]                        services
  hull logs [OPTION...] [SERVICE...]      logs, of all services if none is named, in the order of their times
      -f, --follow                        go on with what comes
      -n, --tail N                        only the last N lines
      --since TIME, --until TIME          2026-01-31T12:00:00Z, or 10s, 5m, 1h30m, 2d ago, or seconds since 1970
      -p, --priority LEVEL                as severe or more: 0 to 7, or emerg, alert, crit, err, warning, notice,
                                          info, debug
      -b, --boot BOOT                     of one boot: 0 is this one, -1 the one before it
      -t, --timestamps                    with times
  hull exec [-i] [-t] SERVICE COMMAND...  run a command inside a service's container
  hull inspect SERVICE                    everything known about it, as JSON
  hull inspect --confinement [--json] SERVICE
                                          what it can reach, beside an unconfined root daemon
  hull start|stop|restart SERVICE...
  hull service list [--json]              services of your own
  hull service add NAME --definition FILE [IMAGE] [OPTION...]
                                          IMAGE is a reference with its digest (default: image.reference in FILE)
      --archive FILE                      an OCI or docker archive in its place
      --image NAME                        a kept image in its place, see system-docker load
      --mirror URL                        ask this server first; may be repeated
      --user NAME --password-file FILE    for the registry
      --yes, --disabled                   enable it without asking, or leave it disabled
  hull service upgrade NAME [--definition FILE] [IMAGE] [OPTION...]
                                          a new image, a new definition, or both
  hull service enable [--yes] NAME        show what it may do, ask, and start it
  hull service disable|remove NAME        stop it, and keep it down; remove its files too, but not its data
  hull update [--json]                    the OS image: versions, slots, what is newer; also update status
  hull update check                       look for a new release
  hull update fetch [--force]             write it into the free slot
  hull update apply [--no-reboot] [--force]
                                          write it and restart into it; it stays if it passes its gate
      --no-reboot                         at the next restart instead
      --force                             also one that is held, failed here before, or is not this machine's turn yet
  hull update rollback [--no-reboot]      back to the version in the other slot
  hull update hold [REASON] | unhold      let nothing be updated by itself, or let it again
  hull install [--json]                   on a live system: disks it could be written to
  hull install DISK [--user-data FILE] [--yes]
                                          write it there; FILE is what its first boot is configured with
  hull config validate FILE...            user data, or machine configuration (*.toml): what the machine would say of
                                          it; status 1 for errors, 2 for a file that cannot be read
  hull config show | get KEY              the machine configuration of the next boot, or one key such as time.servers
  hull config set KEY VALUE | unset KEY   change a key of it; checked before it is written
  hull config diff                        what of it is not in force; status 1 if anything
  hull config apply [--confirm-within TIME]
                                          put it in force without a restart, as far as that goes
      --confirm-within TIME               taken back after TIME (5m) or a restart, unless: hull config confirm
  hull config revert                      back to what was in force before the last apply
  hull config schema [--user-data]        JSON Schema for editors
  hull mount [-t TYPE] [-o OPTIONS] [-r] [--bind|--rbind] SOURCE TARGET
                                          mount a disk, tmpfs, a server's directory, or a directory elsewhere, below
                                          /home, /mnt, /srv, ...; without arguments list what is mounted
  hull umount [-l] TARGET...              unmount it; -l: as soon as nobody uses it any more
  hull swapon [-p PRIORITY] DEVICE...     swap on a device or file made with mkswap; without arguments list them
  hull swapoff DEVICE...
  hull rescan DISK...                     read changed partition tables again, after fdisk
                                          these also as mount, umount, swapon, swapoff, partprobe
  hull poweroff|reboot|halt               also as commands of their own; shutdown [-r|-h|-P|-H] [now]
  hull version | help

  --socket PATH   the daemon's socket; default $HULL_SOCKET or /run/hull/hull.sock

The API is root's: use sudo. Containers of the user engine are docker's; the services are also there for
docker tools as `system-docker`.
";

/// What to do, and where the daemon is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    pub(crate) socket: PathBuf,
    pub(crate) verb: Verb,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Help,
    Version,
    Status {
        json: bool,
    },
    Ps {
        json: bool,
    },
    Inspect {
        service: String,
    },
    Confinement {
        service: String,
        json: bool,
    },
    Logs(Logs),
    Exec(Exec),
    Lifecycle {
        action: Lifecycle,
        services: Vec<String>,
    },
    Service(Added),
    Update(Update),
    Install(Install),
    /// Arguments of the program that knows.
    Config(Vec<OsString>),
    Mount(Mount),
    Umount {
        lazy: bool,
        targets: Vec<PathBuf>,
    },
    Swap(Swap),
    Rescan {
        devices: Vec<String>,
    },
    Power(Power),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Start,
    Stop,
    Restart,
}

impl Lifecycle {
    /// Last part of the request's path.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    Poweroff,
    Reboot,
    Halt,
}

impl Power {
    /// The API's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Poweroff => "poweroff",
            Self::Reboot => "reboot",
            Self::Halt => "halt",
        }
    }
}

/// Parses the whole command line, program name first; `environment` is the value of `HULL_SOCKET`.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Option<OsString>,
) -> Result<Invocation, lexopt::Error> {
    let mut parser = lexopt::Parser::from_iter(arguments);
    let mut socket = PathBuf::from(environment.unwrap_or_else(|| SOCKET.into()));
    let name = parser.bin_name().map(|name| Path::new(name).file_name().unwrap_or_default().to_owned());
    let verb = match name.as_deref().and_then(|name| name.to_str()) {
        Some("poweroff") => power(&mut parser, &mut socket, Power::Poweroff)?,
        Some("reboot") => power(&mut parser, &mut socket, Power::Reboot)?,
        Some("halt") => power(&mut parser, &mut socket, Power::Halt)?,
        // shutdown(8) without an option powers off here, as a container host has no single-user mode.
        Some("shutdown") => power(&mut parser, &mut socket, Power::Poweroff)?,
        Some(name @ ("mount" | "umount" | "swapon" | "swapoff")) => disks(&mut parser, &mut socket, name)?,
        Some("partprobe") => disks(&mut parser, &mut socket, "rescan")?,
        _ => verb(&mut parser, &mut socket)?,
    };
    Ok(Invocation { socket, verb })
}

fn verb(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<Verb, lexopt::Error> {
    let word = loop {
        match parser.next()? {
            Some(Long("socket")) => *socket = parser.value()?.into(),
            Some(Long("help") | Short('h')) => return Ok(Verb::Help),
            Some(Long("version")) => return Ok(Verb::Version),
            Some(Value(word)) => break word.string()?,
            Some(other) => return Err(other.unexpected()),
            None => return Ok(Verb::Help),
        }
    };
    match word.as_str() {
        "help" => Ok(Verb::Help),
        "version" => plain(parser, socket).map(|()| Verb::Version),
        "status" => json(parser, socket).map(|json| Verb::Status { json }),
        "ps" => json(parser, socket).map(|json| Verb::Ps { json }),
        "inspect" => inspect(parser, socket),
        "logs" => logs::parse(parser, socket).map(Verb::Logs),
        "exec" => exec::parse(parser, socket).map(Verb::Exec),
        "start" => lifecycle(parser, socket, Lifecycle::Start),
        "stop" => lifecycle(parser, socket, Lifecycle::Stop),
        "restart" => lifecycle(parser, socket, Lifecycle::Restart),
        "service" => added::parse(parser, socket).map(Verb::Service),
        "update" => update::parse(parser, socket).map(Verb::Update),
        "install" => install::parse(parser, socket).map(Verb::Install),
        "config" => config(parser),
        name @ ("mount" | "umount" | "swapon" | "swapoff" | "rescan") => disks(parser, socket, name),
        "poweroff" => power(parser, socket, Power::Poweroff),
        "reboot" => power(parser, socket, Power::Reboot),
        "halt" => power(parser, socket, Power::Halt),
        _ => Err(format!("there is no command \"{word}\"").into()),
    }
}

/// Its words are those of the program behind it, which also says what is wrong with them.
fn config(parser: &mut lexopt::Parser) -> Result<Verb, lexopt::Error> {
    let words: Vec<OsString> = std::iter::once("config".into()).chain(parser.raw_args()?).collect();
    match words.get(1) {
        Some(word) if CONFIG_VERBS.iter().any(|verb| *verb == word) => Ok(Verb::Config(words)),
        _ => Err(format!("config takes {}", CONFIG_VERBS.join(", ")).into()),
    }
}

fn disks(parser: &mut lexopt::Parser, socket: &mut PathBuf, command: &str) -> Result<Verb, lexopt::Error> {
    Ok(match command {
        "mount" => Verb::Mount(mount::mount(parser, socket)?),
        "umount" => {
            let (lazy, targets) = mount::umount(parser, socket)?;
            Verb::Umount { lazy, targets }
        }
        "swapon" => Verb::Swap(mount::swapon(parser, socket)?),
        "swapoff" => Verb::Swap(Swap::Off { devices: mount::devices(parser, socket, command)? }),
        _ => Verb::Rescan { devices: mount::devices(parser, socket, command)? },
    })
}

fn plain(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<(), lexopt::Error> {
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            other => return Err(other.unexpected()),
        }
    }
    Ok(())
}

fn json(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<bool, lexopt::Error> {
    let mut json = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Long("json") => json = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(json)
}

fn inspect(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<Verb, lexopt::Error> {
    let (mut confinement, mut json, mut services) = (false, false, Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Long("confinement") => confinement = true,
            Long("json") => json = true,
            Value(name) => services.push(service(name)?),
            other => return Err(other.unexpected()),
        }
    }
    match (services.pop(), services.is_empty()) {
        (Some(service), true) if confinement => Ok(Verb::Confinement { service, json }),
        // Without --confinement it is JSON with or without --json.
        (Some(service), true) => Ok(Verb::Inspect { service }),
        _ => Err("inspect takes one service; hull ps lists them".into()),
    }
}

fn services(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<Vec<String>, lexopt::Error> {
    let mut services = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Value(name) => services.push(service(name)?),
            other => return Err(other.unexpected()),
        }
    }
    if services.is_empty() { Err("name a service; hull ps lists them".into()) } else { Ok(services) }
}

/// A name goes into a request's path, so nothing else may be in it.
fn service(name: OsString) -> Result<String, lexopt::Error> {
    let name = name.string()?;
    let sound = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if sound { Ok(name) } else { Err(format!("\"{name}\" is no service name").into()) }
}

fn lifecycle(parser: &mut lexopt::Parser, socket: &mut PathBuf, action: Lifecycle) -> Result<Verb, lexopt::Error> {
    services(parser, socket).map(|services| Verb::Lifecycle { action, services })
}

/// `poweroff` and friends take and ignore the usual options of their namesakes, so that scripts work.
fn power(parser: &mut lexopt::Parser, socket: &mut PathBuf, action: Power) -> Result<Verb, lexopt::Error> {
    let mut action = action;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Long("help") => return Ok(Verb::Help),
            Short('r') | Long("reboot") => action = Power::Reboot,
            Short('h' | 'P' | 'p') | Long("poweroff") => action = Power::Poweroff,
            Short('H') | Long("halt") => action = Power::Halt,
            Short('f' | 'n' | 'w' | 'd') | Long("no-wall") => {}
            Value(word) if word == "now" || word == "+0" => {}
            Value(word) => {
                return Err(format!("{}: only \"now\" is understood as a time", word.to_string_lossy()).into());
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Verb::Power(action))
}

#[cfg(test)]
mod tests;
