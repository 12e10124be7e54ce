//! Execs that are remembered: created, running, ended.

use super::request::Streams;
use crate::api::dispatch::Api;
use crate::api::error::ApiError;
use crate::api::stream::Sink;
use crate::lifecycle::exec::Running;
use crate::lifecycle::machine::exit_code;
use crate::plan::Command;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Execs remembered; the oldest that has ended is forgotten first.
const KEPT: usize = 128;

/// Characters of a command that an event tells.
const MAX_EVENT: usize = 1024;

/// All execs by id.
#[derive(Debug, Default)]
pub struct Sessions {
    sessions: BTreeMap<String, Session>,
    pub(super) count: u64,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) service: String,
    pub(super) order: u64,
    pub(super) command: Command,
    pub(super) streams: Streams,
    pub(super) phase: Phase,
    pub(super) pid: i32,
    pub(super) terminal: Option<Rc<Sink>>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Created,
    Running,
    Ended(i32),
}

impl Sessions {
    pub(super) fn insert(&mut self, id: String, session: Session) -> Result<(), ApiError> {
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

    pub(super) fn get(&mut self, id: &str) -> Result<&mut Session, ApiError> {
        self.sessions.get_mut(id).ok_or_else(|| ApiError::missing(format!("No such exec instance: {id}")))
    }
}

/// The command in an event: events are kept.
pub(super) fn told(command: &Command) -> String {
    command.arguments.join(" ").chars().take(MAX_EVENT).collect()
}

/// Its process has been made.
pub(super) fn record(api: &Api, id: &str, running: &Running, terminal: Option<Rc<Sink>>) {
    let of = |session: &mut Session| (session.service.clone(), format!("exec_start: {}", told(&session.command)));
    let text = api.sessions.borrow_mut().get(id).ok().map(of);
    if let Some((service, action)) = text {
        api.system.tell(&service, action, &[("execID", id.to_owned())]);
    }
    if let Ok(session) = api.sessions.borrow_mut().get(id) {
        session.pid = running.started.pid.as_raw_nonzero().get();
        session.terminal = terminal;
    }
}

/// Its terminal has come or gone.
pub(super) fn set_terminal(api: &Api, id: &str, terminal: Option<Rc<Sink>>) {
    if let Ok(session) = api.sessions.borrow_mut().get(id) {
        session.terminal = terminal;
    }
}

/// Waits until its process has ended.
pub(super) async fn finish(api: &Api, id: &str, running: Running) {
    let exit = running.exit.await.ok();
    set_phase(api, id, Phase::Ended(exit_code(exit.map(|exit| exit.status))));
}

/// Its phase has changed; an end is told.
pub(super) fn set_phase(api: &Api, id: &str, phase: Phase) {
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
    fn an_event_tells_the_beginning_of_a_long_command() {
        let command = Command { arguments: vec!["echo".into(), "x".repeat(5000)], ..Command::default() };
        let text = told(&command);
        assert!(text.starts_with("echo xx") && text.len() == MAX_EVENT);
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
