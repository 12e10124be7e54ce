//! When a new release is looked for: every so often, or at times of the calendar. Pure.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Shortest and longest span, in seconds: a server is not asked more than once a minute.
const SPAN: std::ops::RangeInclusive<u32> = 60..=31 * 86_400;

/// A span such as `6h`, or a text of the calendar such as `0 3 * * *`, whose fields are the caller's to check.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Schedule {
    /// Seconds between two looks.
    Every(u32),
    /// Cron's five fields or `@daily` and the like, as hull-service's calendar reads them; UTC.
    Calendar(String),
}

/// Why a text is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a span from 1m to 31d such as 6h, or five fields of a calendar such as 0 3 * * *")]
pub struct ScheduleError;

impl Default for Schedule {
    fn default() -> Self {
        Self::Every(6 * 3600)
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        if text.starts_with('@') || text.split_whitespace().count() == 5 {
            return Ok(Self::Calendar(text.into()));
        }
        let unit = match text.chars().last() {
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            _ => return Err(ScheduleError),
        };
        let digits = &text[..text.len() - 1];
        let count: Option<u32> =
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        let seconds = count.and_then(|count| count.checked_mul(unit)).filter(|seconds| SPAN.contains(seconds));
        seconds.map(Self::Every).ok_or(ScheduleError)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calendar(text) => f.write_str(text),
            Self::Every(seconds) if seconds % 86_400 == 0 => write!(f, "{}d", seconds / 86_400),
            Self::Every(seconds) if seconds % 3600 == 0 => write!(f, "{}h", seconds / 3600),
            Self::Every(seconds) => write!(f, "{}m", seconds / 60),
        }
    }
}

impl TryFrom<String> for Schedule {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, ScheduleError> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, expected) in [
            ("6h", Schedule::Every(21_600)),
            ("90m", Schedule::Every(5400)),
            ("2d", Schedule::Every(172_800)),
            ("0 3 * * *", Schedule::Calendar("0 3 * * *".into())),
            ("@daily", Schedule::Calendar("@daily".into())),
        ] {
            assert_eq!((text.parse(), expected.to_string().as_str()), (Ok(expected.clone()), text));
        }
        for text in ["", "h", "6", "6s", "-1h", "0h", "32d", "99999999999h", "6ä", "0 3 * *", "+6h"] {
            assert_eq!(text.parse::<Schedule>(), Err(ScheduleError), "{text}");
        }
    }
}
