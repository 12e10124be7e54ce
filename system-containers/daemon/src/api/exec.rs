//! `/containers/{id}/exec` and `/exec/*`: further processes, on a hijacked connection or detached.

use super::body::{self, Answer};
use super::dispatch::Api;
use super::error::ApiError;
use super::model::{ExecConfig, ExecCreated, ExecInspectResponse, ExecStartConfig, ProcessConfig};
use super::query::Query;
use super::stream::{PIECE, STDERR, STDOUT, Sink, Source, drain, frame, upgraded};
use crate::lifecycle::exec::{Running, spawn};
use crate::lifecycle::machine::exit_code;
use crate::lifecycle::record::new_id;
use crate::plan::Command;
use hull_runtime::launch::TerminalSize;
use hyper::body::Incoming;
use hyper::header::UPGRADE;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{Winsize, tcsetwinsize};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;

/// Execs remembered; the oldest that has ended is forgotten first.
const KEPT: usize = 128;
/// Characters of a command that an event tells.
const MAX_EVENT: usize = 1024;

/// All execs by id.
#[derive(Debug, Default)]
pub struct Sessions {
    sessions: BTreeMap<String, Session>,
    count: u64,
}

#[derive(Debug)]
struct Session {
    service: String,
    order: u64,
    command: Command,
    streams: Streams,
    phase: Phase,
    pid: i32,
    terminal: Option<Rc<Sink>>,
}

/// What the client is connected to.
#[derive(Debug, Clone, Copy, Default)]
struct Streams {
    input: bool,
    output: bool,
    errors: bool,
    tty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Created,
    Running,
    Ended(i32),
}

impl Sessions {
    fn insert(&mut self, id: String, session: Session) -> Result<(), ApiError> {
        if self.sessions.len() >= KEPT {
            let idle = self.sessions.iter().filter(|(_, session)| session.phase != Phase::Running);
            let oldest = idle.min_by_key(|(_, session)| session.order).map(|(id, _)| id.clone());
            match oldest {
                Some(oldest) => drop(self.sessions.remove(&oldest)),
                None => return Err(ApiError::conflict(format!("{KEPT} execs are running already"))),
            }
        }
        self.sessions.insert(id, session);
        Ok(())
    }

    fn get(&mut self, id: &str) -> Result<&mut Session, ApiError> {
        self.sessions.get_mut(id).ok_or_else(|| ApiError::missing(format!("No such exec instance: {id}")))
    }
}

/// `POST /containers/{id}/exec`.
pub fn create(api: &Api, service: String, request: ExecConfig) -> Result<Answer, ApiError> {
    if request.privileged == Some(true) {
        return Err(ApiError::bad("a process in a system container never has more privileges than the service"));
    }
    if request.cmd.as_ref().is_none_or(Vec::is_empty) {
        return Err(ApiError::bad("No exec command specified"));
    }
    if api.system.with(&service, |unit| unit.init()).flatten().is_none() {
        return Err(ApiError::conflict(format!("container {service} is not running")));
    }
    if api.system.with(&service, |unit| unit.record.paused) == Some(true) {
        return Err(ApiError::conflict(format!("Container {service} is paused, unpause the container before exec")));
    }
    let streams = Streams {
        input: request.attach_stdin == Some(true),
        output: request.attach_stdout == Some(true),
        errors: request.attach_stderr == Some(true),
        tty: request.tty == Some(true),
    };
    let command = Command {
        arguments: request.cmd.unwrap_or_default(),
        environment: request.env.unwrap_or_default(),
        working_directory: request.working_dir.filter(|folder| !folder.is_empty()),
        user: user(request.user.as_deref().unwrap_or_default())?,
        tty: streams.tty,
        size: size(request.console_size.as_deref())?,
    };
    // Events are kept.
    let text: String = command.arguments.join(" ").chars().take(MAX_EVENT).collect();
    let mut sessions = api.sessions.borrow_mut();
    sessions.count += 1;
    let (id, order, name) = (new_id(), sessions.count, service.clone());
    let session = Session { service, order, command, streams, phase: Phase::Created, pid: 0, terminal: None };
    sessions.insert(id.clone(), session)?;
    api.system.tell(&name, format!("exec_create: {text}"), &[("execID", id.clone())]);
    Ok(body::json(StatusCode::CREATED, &ExecCreated { id }))
}

/// `root`, `UID` or `UID:GID`; `None` is the service's own.
pub fn user(text: &str) -> Result<Option<(u32, u32)>, ApiError> {
    let bad = || ApiError::bad(format!("user \"{text}\": give root, UID or UID:GID in numbers"));
    match text {
        "" => Ok(None),
        "root" => Ok(Some((0, 0))),
        _ => {
            let (uid, gid) = text.split_once(':').unwrap_or((text, text));
            Ok(Some((uid.parse().map_err(|_| bad())?, gid.parse().map_err(|_| bad())?)))
        }
    }
}

/// Height and width of a terminal; 0 is not known.
fn size(sides: Option<&[usize]>) -> Result<Option<TerminalSize>, ApiError> {
    let Some(sides) = sides else { return Ok(None) };
    let bad = || ApiError::bad(format!("ConsoleSize {sides:?}: give height and width"));
    let &[rows, columns] = sides else { return Err(bad()) };
    let side = |side: usize| u16::try_from(side).map_err(|_| bad());
    let size = TerminalSize { rows: side(rows)?, columns: side(columns)? };
    Ok(Some(size).filter(|size| size.rows > 0 && size.columns > 0))
}

/// `GET /exec/{id}/json`.
pub fn inspect(api: &Api, id: &str) -> Result<ExecInspectResponse, ApiError> {
    let mut sessions = api.sessions.borrow_mut();
    let session = sessions.get(id)?;
    let mut command = session.command.arguments.iter().cloned();
    Ok(ExecInspectResponse {
        id: Some(id.into()),
        running: Some(session.phase == Phase::Running),
        exit_code: if let Phase::Ended(code) = session.phase { Some(code.into()) } else { None },
        process_config: Some(ProcessConfig {
            tty: Some(session.streams.tty),
            entrypoint: Some(command.next().unwrap_or_default()),
            arguments: Some(command.collect()),
            privileged: Some(false),
            ..ProcessConfig::default()
        }),
        open_stdin: Some(session.streams.input),
        open_stdout: Some(session.streams.output),
        open_stderr: Some(session.streams.errors),
        container_id: Some(api.system.with(&session.service, |unit| unit.record.id.clone()).unwrap_or_default()),
        pid: Some(session.pid.into()),
        ..ExecInspectResponse::default()
    })
}

/// `POST /exec/{id}/resize`.
pub fn resize(api: &Api, id: &str, query: &Query) -> Result<Answer, ApiError> {
    let (rows, columns) = (query.number("h")?.unwrap_or(0), query.number("w")?.unwrap_or(0));
    let mut sessions = api.sessions.borrow_mut();
    let terminal = sessions.get(id)?.terminal.clone();
    let terminal = terminal.ok_or_else(|| ApiError::conflict("the exec has no terminal now"))?;
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal.as_fd(), size).map_err(|errno| ApiError::internal(format!("resize: {errno}")))?;
    Ok(body::empty(StatusCode::OK))
}

/// Our ends of the streams of a running exec.
struct Attached {
    input: Option<Rc<Sink>>,
    outputs: Vec<(Option<u8>, Source)>,
    /// Somebody types at a terminal: without input it has lost its user.
    typed_at: bool,
}

/// `POST /exec/{id}/start`: answers 101 and hands the connection over, or runs it detached.
pub async fn start(api: &Rc<Api>, id: &str, mut request: Request<Incoming>) -> Result<Answer, ApiError> {
    let upgrade = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let options: ExecStartConfig = body::read(request.into_body()).await?;
    let detach = options.detach == Some(true);
    let (service, command, streams) = prepare(api, id, &options)?;
    if !detach && upgrade.is_none() {
        return Err(ApiError::bad(
            "the connection must be upgraded: send \"Connection: Upgrade\" and \"Upgrade: tcp\"",
        ));
    }
    let launched = launch(api, &service, command, streams, detach).await;
    if let Err(error) = &launched {
        set_phase(api, id, Phase::Ended(failure_code(error)));
    }
    let (shared, id) = (Rc::clone(api), id.to_owned());
    let Some(upgrade) = upgrade.filter(|_| !detach) else {
        let (running, _) = launched.map_err(|error| ApiError::bad(format!("exec failed: {error}")))?;
        record(api, &id, &running, None);
        tokio::task::spawn_local(async move { finish(&shared, &id, running).await });
        return Ok(body::empty(StatusCode::OK));
    };
    if let Ok((running, attached)) = &launched {
        record(api, &id, running, attached.input.clone().filter(|_| streams.tty));
    }
    tokio::task::spawn_local(async move {
        let connection = upgrade.await.map(TokioIo::new);
        match (connection, launched) {
            (Ok(connection), Ok((running, attached))) => converse(&shared, &id, running, attached, connection).await,
            (Ok(connection), Err(error)) => apologize(connection, &error, streams.tty).await,
            (Err(error), launched) => {
                log::debug!("exec: {error}");
                if let Ok((running, _)) = launched {
                    finish(&shared, &id, running).await;
                }
            }
        }
    });
    let kind =
        if streams.tty { "application/vnd.docker.raw-stream" } else { "application/vnd.docker.multiplexed-stream" };
    Ok(upgraded(kind))
}

fn record(api: &Api, id: &str, running: &Running, terminal: Option<Rc<Sink>>) {
    let text = api
        .sessions
        .borrow_mut()
        .get(id)
        .ok()
        .map(|session| (session.service.clone(), format!("exec_start: {}", session.command.arguments.join(" "))));
    if let Some((service, action)) = text {
        api.system.tell(&service, action, &[("execID", id.to_owned())]);
    }
    if let Ok(session) = api.sessions.borrow_mut().get(id) {
        session.pid = running.started.pid.as_raw_nonzero().get();
        session.terminal = terminal;
    }
}

/// What shells and Docker say: 127 for a program that is not there, 126 for one that cannot be run.
fn failure_code(error: &io::Error) -> i32 {
    let start = error.get_ref().and_then(|inner| inner.downcast_ref::<hull_runtime::StartError>());
    if start.is_some_and(|start| start.errno == Errno::NOENT.raw_os_error()) { 127 } else { 126 }
}

/// Docker's clients show what comes over the connection, and ask for the exit code afterwards.
async fn apologize<S: AsyncWrite + Unpin>(mut stream: S, error: &io::Error, tty: bool) {
    let text = format!("exec failed: {error}\r\n");
    let bytes = if tty { text.into_bytes().into() } else { frame(STDERR, text.as_bytes()) };
    let sent = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    };
    if let Err(error) = sent.await {
        log::debug!("exec: {error}");
    }
}

fn prepare(api: &Api, id: &str, options: &ExecStartConfig) -> Result<(String, Command, Streams), ApiError> {
    let now = size(options.console_size.as_deref())?;
    let mut sessions = api.sessions.borrow_mut();
    let session = sessions.get(id)?;
    if session.phase != Phase::Created {
        return Err(ApiError::conflict(format!("exec {id} has been started already")));
    }
    session.phase = Phase::Running;
    let command = Command { size: now.or(session.command.size), ..session.command.clone() };
    Ok((session.service.clone(), command, session.streams))
}

async fn launch(
    api: &Rc<Api>,
    service: &str,
    command: Command,
    streams: Streams,
    detach: bool,
) -> io::Result<(Running, Attached)> {
    let null = || std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from);
    let mut attached = Attached { input: None, outputs: Vec::new(), typed_at: streams.tty && streams.input };
    let mut stdio = [null()?, null()?, null()?];
    if !detach && !streams.tty {
        if streams.input {
            let (read_end, write_end) = pipe()?;
            stdio[0] = read_end;
            attached.input = Some(Rc::new(Sink::new(write_end)?));
        }
        for (index, attach, stream) in [(1, streams.output, STDOUT), (2, streams.errors, STDERR)] {
            if attach {
                let (read_end, write_end) = pipe()?;
                stdio[index] = write_end;
                attached.outputs.push((Some(stream), Source::new(read_end)?));
            }
        }
    }
    let mut running = spawn(&api.system, service, command, stdio).await?;
    if let Some(terminal) = running.started.terminal.take().filter(|_| !detach) {
        attached.input = Some(Rc::new(Sink::new(terminal.try_clone()?)?));
        attached.outputs.push((None, Source::new(terminal)?));
    }
    Ok((running, attached))
}

/// Copies both ways until the outputs end and the process is gone; only then is the connection closed, so that a
/// client that asks for the exit code afterwards gets one.
async fn converse<S>(api: &Rc<Api>, id: &str, running: Running, attached: Attached, stream: S)
where
    S: AsyncRead + AsyncWrite + 'static,
{
    let (mut reader, writer) = tokio::io::split(stream);
    let writer = Rc::new(Mutex::new(writer));
    let Attached { input, outputs, typed_at } = attached;
    let mut copies = tokio::task::JoinSet::new();
    for (number, output) in outputs {
        copies.spawn_local(copy(number, output, Rc::clone(&writer)));
    }
    {
        let feed = feed(&mut reader, input);
        let copied = async {
            while copies.join_next().await.is_some() {}
            finish(api, id, running).await;
        };
        tokio::pin!(feed, copied);
        tokio::select! {
            () = &mut copied => {}
            () = &mut feed => {
                // The end of a terminal's input is a client that is gone: it hangs up when its descriptors are closed.
                let patience = if typed_at { HANG_UP } else { Duration::MAX };
                if tokio::time::timeout(patience, &mut copied).await.is_err() {
                    log::debug!("exec: the client of {id} is gone");
                }
            }
        }
    }
    set_terminal(api, id, None);
    if let Err(error) = writer.lock().await.shutdown().await {
        log::debug!("exec: {error}");
    }
    // Input nobody read would make the kernel reset the connection, and the client lose the last output.
    tokio::time::timeout(FAREWELL, drain(&mut reader)).await.ok();
}

/// Copies the client's input to the process, or nowhere, until it ends; `None` only waits for that.
async fn feed<R: AsyncRead + Unpin>(reader: &mut R, input: Option<Rc<Sink>>) {
    let mut buffer = [0; PIECE];
    while let Ok(length @ 1..) = reader.read(&mut buffer).await {
        match &input {
            Some(input) if input.write_all(&buffer[..length]).await.is_err() => break,
            _ => {}
        }
    }
}

fn set_terminal(api: &Api, id: &str, terminal: Option<Rc<Sink>>) {
    if let Ok(session) = api.sessions.borrow_mut().get(id) {
        session.terminal = terminal;
    }
}

/// Time a client gets to close its side after the process has ended.
const FAREWELL: Duration = Duration::from_secs(2);
/// Time a process on a terminal gets to end by itself after its client has gone.
const HANG_UP: Duration = Duration::from_millis(500);

async fn copy<W: AsyncWrite + Unpin>(number: Option<u8>, output: Source, writer: Rc<Mutex<W>>) {
    let mut buffer = [0; PIECE];
    let mut open = true;
    while let Ok(length @ 1..) = output.read(&mut buffer).await {
        let piece = &buffer[..length];
        let mut writer = writer.lock().await;
        // A client that is gone must not block the process: its output goes nowhere.
        open =
            open && match number {
                Some(number) => writer.write_all(&frame(number, piece)).await.is_ok(),
                None => writer.write_all(piece).await.is_ok(),
            } && writer.flush().await.is_ok();
    }
}

async fn finish(api: &Api, id: &str, running: Running) {
    let exit = running.exit.await.ok();
    set_phase(api, id, Phase::Ended(exit_code(exit.map(|exit| exit.status))));
}

fn set_phase(api: &Api, id: &str, phase: Phase) {
    let service = api.sessions.borrow_mut().get(id).ok().map(|session| {
        session.phase = phase;
        session.terminal = None;
        session.service.clone()
    });
    if let (Phase::Ended(code), Some(service)) = (phase, service) {
        let attributes = [("execID", id.to_owned()), ("exitCode", code.to_string())];
        api.system.tell(&service, "exec_die", &attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users() {
        for (text, expected) in [("", None), ("root", Some((0, 0))), ("7", Some((7, 7))), ("7:8", Some((7, 8)))] {
            assert_eq!(user(text).unwrap(), expected, "{text}");
        }
        assert!(user("somebody").is_err());
    }

    #[test]
    fn sizes_of_terminals() {
        assert_eq!(size(None).unwrap(), None);
        assert_eq!(size(Some(&[0, 80])).unwrap(), None);
        assert_eq!(size(Some(&[24, 80])).unwrap(), Some(TerminalSize { rows: 24, columns: 80 }));
        for bad in [&[][..], &[24], &[24, 80, 1], &[70_000, 80]] {
            assert!(size(Some(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_oldest_ended_exec_is_forgotten() {
        let session = |order, phase| Session {
            service: "a".into(),
            order,
            command: Command::default(),
            streams: Streams::default(),
            phase,
            pid: 0,
            terminal: None,
        };
        let mut sessions = Sessions::default();
        sessions.insert("first".into(), session(0, Phase::Running)).unwrap();
        for order in 1..=200 {
            sessions.insert(format!("{order}"), session(order, Phase::Ended(0))).unwrap();
        }
        assert_eq!(sessions.sessions.len(), KEPT);
        assert!(sessions.get("first").is_ok() && sessions.get("200").is_ok() && sessions.get("1").is_err());
    }
}
