//! One job of the service `image-store`: the request is written, the service runs once, the answer is read as it grows.

use crate::lifecycle::machine::describe;
use crate::lifecycle::{Event, Phase, System};
use hull_image_store::job::{ANSWER_FILE, Line, REQUEST_FILE, Request};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// The importer.
pub const SERVICE: &str = "image-store";
/// Time between two looks at the answer.
const LOOK: Duration = Duration::from_millis(200);

/// Does a job; `tell` gets what the importer says meanwhile. Jobs take turns: the caller holds [`System::changing`].
///
/// # Errors
/// Why nothing was done, for people.
pub async fn run(system: &Rc<System>, request: &Request, tell: &mut dyn FnMut(String)) -> Result<Line, String> {
    let folder = system.paths.importer();
    let exits = |system: &System| system.with(SERVICE, |unit| unit.record.exits);
    if exits(system).is_none() {
        return Err(format!("this system has no service {SERVICE}"));
    }
    // One that a daemon before this one started.
    system.until(SERVICE, |unit| !unit.record.machine.active()).await;
    let before = exits(system).unwrap_or(0);
    write(&folder, request).map_err(|error| format!("{}: {error}", folder.display()))?;
    system.post(SERVICE, Event::Start);
    let answer = folder.join(ANSWER_FILE);
    let mut told = 0;
    loop {
        let ended = tokio::time::timeout(
            LOOK,
            system.until(SERVICE, |unit| {
                let failed = matches!(unit.record.machine.phase, Phase::BackOff | Phase::Failed);
                unit.record.exits > before || (failed && unit.record.machine.last_error.is_some())
            }),
        );
        let ended = ended.await.is_ok();
        let lines = lines(&answer);
        for line in lines.iter().skip(told) {
            if let Line::Status(text) = line {
                tell(text.clone());
            }
        }
        told = lines.len();
        if ended {
            fs::remove_file(folder.join(REQUEST_FILE)).ok();
            return match lines.into_iter().last() {
                Some(line @ (Line::Imported { .. } | Line::Stored { .. })) => Ok(line),
                Some(Line::Failed(reason)) => Err(reason),
                Some(Line::Status(_)) | None => Err(why(system)),
            };
        }
    }
}

/// Why there is no answer.
fn why(system: &System) -> String {
    let found = system.with(SERVICE, |unit| {
        let error = unit.record.machine.last_error.clone();
        error.unwrap_or_else(|| format!("ended: {}", describe(unit.record.exit_status)))
    });
    system.post(SERVICE, Event::Stop);
    format!("{SERVICE}: {}; see hull logs {SERVICE}", found.unwrap_or_default())
}

fn write(folder: &Path, request: &Request) -> io::Result<()> {
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
fn lines(answer: &Path) -> Vec<Line> {
    let text = fs::read_to_string(answer).unwrap_or_default();
    let whole = text.rsplit_once('\n').map(|(whole, _)| whole).unwrap_or_default();
    whole.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
