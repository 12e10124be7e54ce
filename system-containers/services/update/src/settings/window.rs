//! When the machine may restart by itself. Pure.
//!
//! ```text
//! Sat 02:00-05:00        Mon-Fri,Sun 22:00-04:00        02:00-05:00
//! ```
//! Times are UTC; the end is not part of the window. One that ends before it starts goes on after midnight and belongs to
//! the day it starts on.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Minutes.
pub(super) const DAY: u16 = 24 * 60;
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const EVERY_DAY: u8 = 0x7f;

/// One window; as text in files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    text: String,
    /// Bit n: it starts on weekday n, 0 is Sunday.
    days: u8,
    from: u16,
    to: u16,
}

/// Why a text is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a window such as Sat 02:00-05:00 or 02:00-05:00, in UTC")]
pub struct WindowError;

impl Window {
    /// Whether it is open; `weekday` 0 is Sunday, `minutes` count from midnight.
    #[must_use]
    pub fn open_at(&self, weekday: u8, minutes: u16) -> bool {
        let starts_on = |day: u8| self.days & 1 << (day % 7) != 0;
        if self.from < self.to {
            starts_on(weekday) && (self.from..self.to).contains(&minutes)
        } else {
            starts_on(weekday) && minutes >= self.from || starts_on(weekday + 6) && minutes < self.to
        }
    }
}

fn days(text: &str) -> Option<u8> {
    let day = |word: &str| {
        let position = WEEKDAYS.iter().position(|name| word.eq_ignore_ascii_case(name));
        position.and_then(|day| u8::try_from(day).ok())
    };
    text.split(',').try_fold(0, |bits, item| {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let (first, last) = (day(first)?, day(last)?);
        // Fri-Mon goes round
        let count = (last + 7 - first) % 7;
        Some((0..=count).fold(bits, |bits, next| bits | 1 << ((first + next) % 7)))
    })
}

fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, span) = match *words.as_slice() {
            [span] => (Some(EVERY_DAY), span),
            [list, span] => (days(list), span),
            _ => return Err(WindowError),
        };
        let (from, to) = span.split_once('-').ok_or(WindowError)?;
        let (Some(days), Some(from), Some(to)) = (days, minutes(from), minutes(to)) else { return Err(WindowError) };
        let sound = from != to && from < DAY;
        if sound { Ok(Self { text: words.join(" "), days, from, to }) } else { Err(WindowError) }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Window {
    type Error = WindowError;

    fn try_from(text: String) -> Result<Self, WindowError> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_and_closed() {
        for (text, open, closed) in [
            ("02:00-05:00", &[(0, 120), (3, 299)][..], &[(0, 119), (3, 300)][..]),
            ("sat 02:00-05:00", &[(6, 120)], &[(5, 120), (0, 120)]),
            ("Sat 22:00-04:00", &[(6, 1320), (6, 1439), (0, 0), (0, 239)], &[(6, 100), (0, 240), (5, 1400), (1, 0)]),
            ("Fri-Mon 00:00-24:00", &[(5, 0), (6, 700), (0, 0), (1, 1439)], &[(4, 1439), (2, 0)]),
            ("Mon,Wed-Thu 10:00-11:00", &[(1, 600), (3, 600), (4, 659)], &[(2, 600), (5, 600)]),
            ("Sun 23:00-00:00", &[(0, 1439)], &[(1, 0), (0, 0)]),
        ] {
            let window: Window = text.parse().unwrap();
            assert!(open.iter().all(|(weekday, minutes)| window.open_at(*weekday, *minutes)), "{text}");
            assert!(!closed.iter().any(|(weekday, minutes)| window.open_at(*weekday, *minutes)), "{text}");
            assert_eq!(window.to_string(), text);
        }
    }

    #[test]
    fn bad_texts() {
        for text in [
            "",
            "Sat",
            "Sat 2:00-5:00",
            "Samstag 02:00-05:00",
            "02:00",
            "02:00-02:00",
            "24:00-01:00",
            "23:00-24:01",
            "02:60-03:00",
            "Sat 02:00 - 05:00",
            ", 02:00-03:00",
            "+2:00-03:00",
        ] {
            assert_eq!(text.parse::<Window>(), Err(WindowError), "{text}");
        }
    }
}
