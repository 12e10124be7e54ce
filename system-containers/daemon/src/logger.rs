//! The daemon's own messages: one line each on standard error, which PID 1 points at the console.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::Write;

struct Logger;

static LOGGER: Logger = Logger;

/// Installs the backend; `debug` shows everything, else informational messages and worse.
pub fn install(debug: bool) {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(if debug { LevelFilter::Debug } else { LevelFilter::Info });
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let word = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info => "",
            Level::Debug | Level::Trace => "debug: ",
        };
        // A console that cannot be written to leaves nobody to tell.
        std::io::stderr().write_all(format!("hull: {word}{}\n", record.args()).as_bytes()).ok();
    }

    fn flush(&self) {}
}
