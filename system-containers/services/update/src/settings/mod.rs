//! Settings of updates: what the machine configuration renders and the daemon reads. Pure.
//!
//! The file is `/run/hull/config/update/update.json`; a missing one is [`Settings::default`]: updates are off.

mod schedule;
mod window;

pub use schedule::{Schedule, ScheduleError};
pub use window::{Window, WindowError};

use serde::{Deserialize, Serialize};

/// Where it is.
pub const PATH: &str = "/run/hull/config/update/update.json";
/// Of a check, in seconds.
pub const DEFAULT_TIMEOUT: u32 = 60;
/// Minutes of a week.
const WEEK: u32 = 7 * window::DAY as u32;

/// All settings, each with its value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Settings {
    /// Directory of releases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Which of its channels.
    pub channel: String,
    /// How far updates go by themselves.
    pub policy: Policy,
    /// When a new release is looked for.
    pub check: Schedule,
    /// When the machine may restart by itself, in UTC; empty is always.
    pub window: Vec<Window>,
    /// What has to work for a new version to stay.
    pub gate: Vec<Check>,
    /// For all of it after a boot, in seconds.
    pub gate_timeout: u32,
    /// Boots a new version gets.
    pub tries: u8,
}

/// How far updates go by themselves; by hand all of it works under each, given a URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing is asked of the network.
    #[default]
    Off,
    /// New releases are told of.
    Check,
    /// They are also written into the free slot.
    Fetch,
    /// The machine also restarts into them.
    Apply,
}

/// One check of the gate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Check {
    /// Unique among the checks.
    pub name: String,
    /// Seconds from the start of the gate until it has to have passed once.
    pub timeout: u32,
    /// What is asked.
    #[serde(flatten)]
    pub probe: Probe,
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "probe", rename_all = "lowercase")]
pub enum Probe {
    /// An application container is healthy, or runs when it has no health check.
    Container {
        /// Its name.
        container: String,
    },
    /// A URL answers.
    Url {
        /// Which.
        url: String,
        /// Expected status.
        status: u16,
    },
    /// A command in an application container ends with 0.
    Command {
        /// Name of the container.
        container: String,
        /// Program and arguments.
        command: Vec<String>,
    },
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: None,
            channel: "stable".into(),
            policy: Policy::Off,
            check: Schedule::default(),
            window: Vec::new(),
            gate: Vec::new(),
            gate_timeout: 300,
            tries: 2,
        }
    }
}

impl Settings {
    /// Whether the machine may restart by itself; `weekday` 0 is Sunday, `minutes` count from midnight, UTC.
    #[must_use]
    pub fn open_at(&self, weekday: u8, minutes: u16) -> bool {
        self.window.is_empty() || self.window.iter().any(|window| window.open_at(weekday, minutes))
    }

    /// Minutes until it may; 0 is now.
    #[must_use]
    pub fn minutes_until_open(&self, weekday: u8, minutes: u16) -> u32 {
        let day = u32::from(window::DAY);
        let open = |wait: &u32| {
            let at = (u32::from(weekday) * day + u32::from(minutes) + wait) % WEEK;
            let (weekday, minutes) = (u8::try_from(at / day), u16::try_from(at % day));
            weekday.is_ok_and(|weekday| minutes.is_ok_and(|minutes| self.open_at(weekday, minutes)))
        };
        // A window is open at some minute of every week.
        (0..WEEK).find(open).unwrap_or(0)
    }
}

impl Probe {
    /// A name for a check that was given none.
    #[must_use]
    pub fn default_name(&self) -> String {
        match self {
            Self::Container { container } => container.clone(),
            Self::Url { url, .. } => url.clone(),
            Self::Command { container, command } => {
                let program = command.first().map(String::as_str).unwrap_or_default();
                format!("{container}: {program}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back() {
        let settings = Settings {
            url: Some("https://r.example/hull".into()),
            policy: Policy::Apply,
            check: "0 3 * * *".parse().unwrap(),
            window: vec!["Sat 02:00-05:00".parse().unwrap()],
            gate: vec![
                Check { name: "web".into(), timeout: 60, probe: Probe::Container { container: "web".into() } },
                Check {
                    name: "page".into(),
                    timeout: 5,
                    probe: Probe::Url { url: "http://127.0.0.1/".into(), status: 204 },
                },
                Check {
                    name: "db".into(),
                    timeout: 9,
                    probe: Probe::Command { container: "db".into(), command: vec!["true".into()] },
                },
            ],
            ..Settings::default()
        };
        let text = serde_json::to_string(&settings).unwrap();
        assert!(text.contains(r#""check":"0 3 * * *","window":["Sat 02:00-05:00"]"#), "{text}");
        assert!(text.contains(r#"{"name":"page","timeout":5,"probe":"url","url":"http://127.0.0.1/","status":204}"#));
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
    }

    #[test]
    fn an_open_window_is_found() {
        let mut settings = Settings::default();
        assert_eq!((settings.open_at(3, 0), settings.minutes_until_open(3, 0)), (true, 0));
        settings.window = vec!["Sat 02:00-05:00".parse().unwrap(), "Wed 23:00-01:00".parse().unwrap()];
        for (weekday, minutes, wait) in
            [(6, 120, 0), (6, 300, 4 * 1440 - 300 + 1380), (4, 59, 0), (4, 60, 2940), (3, 0, 1380)]
        {
            assert_eq!(settings.minutes_until_open(weekday, minutes), wait, "{weekday} {minutes}");
            assert_eq!(settings.open_at(weekday, minutes), wait == 0);
        }
    }
}
