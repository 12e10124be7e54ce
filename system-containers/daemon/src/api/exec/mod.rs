//! `/containers/{id}/exec` and `/exec/*`: further processes, on a hijacked connection or detached.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | the endpoints |
//! | `request.rs` | what a client asks for, pure |
//! | `sessions.rs` | execs that are remembered |
//! | `connection.rs` | their streams, and the connection they are on |

mod connection;
mod request;
mod sessions;

pub use request::user;
pub use sessions::Sessions;

use super::body::{self, Answer};
use super::dispatch::Api;
use super::error::ApiError;
use super::model::{ExecConfig, ExecCreated, ExecInspectResponse, ExecStartConfig, ProcessConfig};
use super::query::Query;
use super::stream::upgraded;
use crate::lifecycle::record::new_id;
use crate::plan::Command;
use connection::{apologize, converse, launch};
use hyper::body::Incoming;
use hyper::header::UPGRADE;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use request::Streams;
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::termios::{Winsize, tcsetwinsize};
use sessions::{Phase, Session, finish, record, set_phase};
use std::io;
use std::rc::Rc;

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
    let (command, streams) = request::read(request)?;
    let text = sessions::told(&command);
    let mut sessions = api.sessions.borrow_mut();
    sessions.count += 1;
    let (id, order, name) = (new_id(), sessions.count, service.clone());
    let session = Session { service, order, command, streams, phase: Phase::Created, pid: 0, terminal: None };
    sessions.insert(id.clone(), session)?;
    api.system.tell(&name, format!("exec_create: {text}"), &[("execID", id.clone())]);
    Ok(body::json(StatusCode::CREATED, &ExecCreated { id }))
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

/// `POST /exec/{id}/start`: answers 101 and hands the connection over, or runs it detached.
pub async fn start(api: &Rc<Api>, id: &str, mut request: Request<Incoming>) -> Result<Answer, ApiError> {
    let upgrade = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let options: ExecStartConfig = body::read(request.into_body()).await?;
    let detach = options.detach == Some(true);
    let (service, command, streams) = prepare(api, id, &options, detach || upgrade.is_some())?;
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

/// What shells and Docker say: 127 for a program that is not there, 126 for one that cannot be run.
fn failure_code(error: &io::Error) -> i32 {
    let start = error.get_ref().and_then(|inner| inner.downcast_ref::<hull_runtime::StartError>());
    if start.is_some_and(|start| start.errno == Errno::NOENT.raw_os_error()) { 127 } else { 126 }
}

fn prepare(
    api: &Api,
    id: &str,
    options: &ExecStartConfig,
    connected: bool,
) -> Result<(String, Command, Streams), ApiError> {
    let now = request::size(options.console_size.as_deref())?;
    let mut sessions = api.sessions.borrow_mut();
    let session = sessions.get(id)?;
    if session.phase != Phase::Created {
        return Err(ApiError::conflict(format!("exec {id} has been started already")));
    }
    if !connected {
        return Err(ApiError::bad(
            "the connection must be upgraded: send \"Connection: Upgrade\" and \"Upgrade: tcp\"",
        ));
    }
    session.phase = Phase::Running;
    let command = Command { size: now.or(session.command.size), ..session.command.clone() };
    Ok((session.service.clone(), command, session.streams))
}
