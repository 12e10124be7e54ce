//! Runs one build command: output to a log, a line every few seconds, the end of the log when it fails.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a running step shows that it is alive.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// How often a running step is looked at; bounds what a short step waits in vain.
const POLL_EVERY: Duration = Duration::from_millis(100);
/// Lines of the log shown on failure: enough for one compiler error with its include chain.
const TAIL_LINES: usize = 30;

/// Runs `command`, appending its output to `log`; `what` names the step in progress lines and errors.
pub(super) fn run(command: &mut Command, what: &str, log: &Path, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let open = || OpenOptions::new().create(true).append(true).open(log);
    let output = open().with_context(|| format!("cannot write {}", log.display()))?;
    let errors = output.try_clone().context("cannot duplicate the log's descriptor")?;
    let mut follower = BufReader::new(File::open(log).with_context(|| format!("cannot read {}", log.display()))?);
    follower.seek(std::io::SeekFrom::End(0)).with_context(|| format!("cannot read {}", log.display()))?;

    let started = Instant::now();
    let mut next_report = started + REPORT_EVERY;
    let mut objects = 0;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .with_context(|| format!("{what}: cannot start {:?}", command.get_program()))?;
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("{what}: cannot wait for it"))? {
            break status;
        }
        if Instant::now() >= next_report {
            next_report += REPORT_EVERY;
            objects += count_objects(&mut follower);
            progress(&report(what, objects, started.elapsed()));
        }
        thread::sleep(POLL_EVERY);
    };
    if !status.success() {
        bail!("{what} failed ({status}); the end of {}:\n{}", log.display(), tail(log));
    }
    Ok(())
}

fn report(what: &str, objects: usize, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if objects == 0 { format!("{what}: {seconds} s") } else { format!("{what}: {objects} objects, {seconds} s") }
}

/// Counts the object files announced since the last call. A line still being written is counted next time or lost;
/// the number is a sign of life, not an account.
fn count_objects(log: &mut impl BufRead) -> usize {
    let mut line = Vec::new();
    let mut objects = 0;
    while log.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        objects += usize::from(line.starts_with(b"  CC ") || line.starts_with(b"  AS "));
        line.clear();
    }
    objects
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_shows_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut script = Command::new("sh");
        script.args(["-c", "seq 100; echo no such header >&2; exit 3"]);
        let message = run(&mut script, "compiling", &log, &mut |_| ()).unwrap_err().to_string();
        for part in ["compiling failed", "exit status: 3", "\n100\nno such header"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("\n1\n"), "{message}");
    }

    #[test]
    fn objects_are_counted_since_the_last_look() {
        let mut log: &[u8] = b"  CC      a.o\n  AS      b.o\n  LD      c\nwarning: CC\n";
        assert_eq!(count_objects(&mut log), 2);
        assert_eq!(count_objects(&mut log), 0);
    }

    #[test]
    fn a_report_names_step_and_time() {
        assert_eq!(report("kernel: unpacking", 0, Duration::from_secs(12)), "kernel: unpacking: 12 s");
        assert_eq!(report("kernel: compiling", 7, Duration::from_millis(900)), "kernel: compiling: 7 objects, 0 s");
    }
}
