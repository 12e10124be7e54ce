//! Lines for whoever sits at the machine: boot progress and urgent log lines of services.
//!
//! A serial console takes a tenth of a second for a kilobyte, so a named thread writes, from a bounded queue; what
//! does not fit is counted and said.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

/// Lines that may wait; about 10 s of a 115200 baud line.
const QUEUE: usize = 256;

/// A log line with this priority or a more urgent (smaller) one is echoed: warnings and worse.
pub const ECHO_PRIORITY: u8 = 4;

/// Longest echoed line in bytes.
const MAX_LINE: usize = 512;

/// Handle of the writing thread.
#[derive(Debug, Clone)]
pub struct Console {
    queue: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

impl Console {
    /// Starts the thread; `path` is opened for each burst, so a console that appears later is used.
    pub fn start(path: PathBuf) -> std::io::Result<Self> {
        let (queue, lines) = sync_channel::<String>(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        std::thread::Builder::new().name("console".into()).spawn(move || {
            while let Ok(line) = lines.recv() {
                // Nobody to tell when the console itself cannot be written.
                let Ok(mut console) = OpenOptions::new().append(true).open(&path) else { continue };
                console.write_all(line.as_bytes()).ok();
                for line in lines.try_iter() {
                    console.write_all(line.as_bytes()).ok();
                }
                let lost = lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    console.write_all(format!("hull: {lost} lines not shown here\n").as_bytes()).ok();
                }
            }
        })?;
        Ok(Self { queue, dropped })
    }

    /// Queues one line, control characters taken out.
    pub fn line(&self, prefix: &str, text: &str) {
        if self.queue.try_send(clean(prefix, text)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A service must not be able to move the cursor or fake another line on the administrator's screen.
fn clean(prefix: &str, text: &str) -> String {
    let mut line = format!("{prefix}: ");
    for character in text.chars().filter(|character| !character.is_control()) {
        if line.len() >= MAX_LINE {
            line.push('…');
            break;
        }
        line.push(character);
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_clean_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        std::fs::write(&path, "").unwrap();
        let console = Console::start(path.clone()).unwrap();
        console.line("time", "a\u{1b}[2Jb\nc");
        console.line("hull", &"x".repeat(2000));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        let text = loop {
            let text = std::fs::read_to_string(&path).unwrap();
            if text.matches('\n').count() == 2 || std::time::Instant::now() > deadline {
                break text;
            }
            std::thread::yield_now();
        };
        assert!(text.starts_with("time: a[2Jbc\nhull: xxx"), "{text}");
        assert!(text.len() < 600, "{}", text.len());
    }
}
