//! One job of an on-demand service: the request is written, the service runs once, the answer is read as it grows.
//!
//! ```text
//! <folder>/request.json   one value; removed by the service once read, for it may hold a password
//! <folder>/answer         lines of JSON; the last one is the outcome
//! ```

use crate::lifecycle::machine::describe;
use crate::lifecycle::{Event, Phase, System};
use hull_update::job::Line;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// The request's file.
pub const REQUEST_FILE: &str = "request.json";
/// The answer's file.
pub const ANSWER_FILE: &str = "answer";
/// Time between two looks at the answer.
const LOOK: Duration = Duration::from_millis(200);

/// Does a job; `tell` gets every line, the last one too, which is also returned. Jobs of one service take turns: the
/// caller sees to it.
///
/// # Errors
/// Why there is no answer, for people.
pub async fn run<L: DeserializeOwned>(
    system: &Rc<System>,
    service: &str,
    folder: &Path,
    request: &impl Serialize,
    tell: &mut dyn FnMut(&L),
) -> Result<L, String> {
    let exits = |system: &System| system.with(service, |unit| unit.record.exits);
    if exits(system).is_none() {
        return Err(format!("this system has no service {service}"));
    }
    // One that a daemon before this one started.
    system.until(service, |unit| !unit.record.machine.active()).await;
    let before = exits(system).unwrap_or(0);
    write(folder, request).map_err(|error| format!("{}: {error}", folder.display()))?;
    system.post(service, Event::Start);
    let answer = folder.join(ANSWER_FILE);
    let mut told = 0;
    loop {
        let ended = tokio::time::timeout(
            LOOK,
            system.until(service, |unit| {
                let failed = matches!(unit.record.machine.phase, Phase::BackOff | Phase::Failed);
                unit.record.exits > before || (failed && unit.record.machine.last_error.is_some())
            }),
        );
        let ended = ended.await.is_ok();
        let mut lines: Vec<L> = lines(&answer);
        lines.iter().skip(told).for_each(&mut *tell);
        told = lines.len();
        if ended {
            fs::remove_file(folder.join(REQUEST_FILE)).ok();
            return lines.pop().ok_or_else(|| why(system, service));
        }
    }
}

/// Does a job of the update program; `tell` gets what is being done.
///
/// # Errors
/// Why it was not done, for people.
pub async fn done<D: DeserializeOwned>(
    system: &Rc<System>,
    service: &str,
    folder: &Path,
    request: &impl Serialize,
    tell: &mut dyn FnMut(String),
) -> Result<D, String> {
    let mut hear = |line: &Line<D>| {
        if let Line::Status(text) = line {
            tell(text.clone());
        }
    };
    match run(system, service, folder, request, &mut hear).await? {
        Line::Done(done) => Ok(done),
        Line::Failed(reason) => Err(reason),
        Line::Status(_) => Err(why(system, service)),
    }
}

/// Why a service gave no answer that counts.
pub fn why(system: &System, service: &str) -> String {
    let found = system.with(service, |unit| {
        let error = unit.record.machine.last_error.clone();
        error.unwrap_or_else(|| format!("ended: {}", describe(unit.record.exit_status)))
    });
    system.post(service, Event::Stop);
    format!("{service}: {}; see hull logs {service}", found.unwrap_or_default())
}

fn write(folder: &Path, request: &impl Serialize) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for file in [ANSWER_FILE, REQUEST_FILE] {
        match fs::remove_file(folder.join(file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // It may hold a password.
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(folder.join(REQUEST_FILE))?;
    file.write_all(&serde_json::to_vec(request)?)
}

/// All whole lines so far.
fn lines<L: DeserializeOwned>(answer: &Path) -> Vec<L> {
    let text = fs::read_to_string(answer).unwrap_or_default();
    let whole = text.rsplit_once('\n').map(|(whole, _)| whole).unwrap_or_default();
    whole.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
