//! What PID 1 says: short lines `hull: …` on the system console, and everything in the kernel log, which keeps the time
//! and outlives a reader. Writing never blocks: a console stopped by flow control must not stop PID 1.

use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;

const NONBLOCKING_NO_CTTY: i32 = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;

struct Console {
    console: Option<File>,
    kernel_log: Option<File>,
}

static CONSOLE: OnceLock<Console> = OnceLock::new();

/// Opens `/dev/console` and `/dev/kmsg` and installs the logger; `debug` shows debug lines, too. Call once `/dev` is
/// mounted; before, log lines go nowhere.
pub(crate) fn open(debug: bool) {
    let open = |path| OpenOptions::new().write(true).custom_flags(NONBLOCKING_NO_CTTY).open(path).ok();
    let console = CONSOLE.get_or_init(|| Console { console: open("/dev/console"), kernel_log: open("/dev/kmsg") });
    log::set_max_level(if debug { LevelFilter::Debug } else { LevelFilter::Info });
    // Fails only when it is installed already.
    log::set_logger(console).ok();
}

impl Log for Console {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() > log::max_level() {
            return;
        }
        // Never above notice in the kernel log: from warning up the kernel would print the line a second time.
        let priority = match record.level() {
            Level::Error | Level::Warn => 5,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        };
        // A line that cannot be written has nowhere to be reported.
        let put =
            |file: &Option<File>, line: String| file.as_ref().map(|mut file| file.write_all(line.as_bytes()).ok());
        put(&self.console, format!("hull: {}\n", record.args()));
        put(&self.kernel_log, format!("<{priority}>hull: {}\n", record.args()));
    }

    fn flush(&self) {}
}

/// How bad a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Severity {
    Error,
    Warning,
    Info,
}

/// One sentence for the owner of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) severity: Severity,
    pub(crate) text: String,
}

/// Messages of this boot, in order; saying one also logs it.
#[derive(Debug, Default)]
pub(crate) struct Messages(pub(crate) Vec<Message>);

impl Messages {
    pub(crate) fn say(&mut self, severity: Severity, text: impl Into<String>) {
        let text = text.into();
        match severity {
            Severity::Error => log::error!("{text}"),
            Severity::Warning => log::warn!("{text}"),
            Severity::Info => log::info!("{text}"),
        }
        self.0.push(Message { severity, text });
    }

    pub(crate) fn error(&mut self, text: impl Into<String>) {
        self.say(Severity::Error, text);
    }

    pub(crate) fn warning(&mut self, text: impl Into<String>) {
        self.say(Severity::Warning, text);
    }

    pub(crate) fn info(&mut self, text: impl Into<String>) {
        self.say(Severity::Info, text);
    }
}
