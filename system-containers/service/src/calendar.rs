//! Times of the calendar in cron's five fields, as crontab(5) has them, in UTC.
//!
//! ```text
//! minute 0-59 │ hour 0-23 │ day of month 1-31 │ month 1-12, jan-dec │ day of week 0-7, sun-sat (0 and 7: Sunday)
//! ```
//! A field is `*`, or a list of numbers and ranges (`1,10-12`), each with a step if wanted (`*/15`, `8-18/2`). When both
//! kinds of day are restricted, either is enough. `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly` stand for the
//! five fields that mean it.

use std::str::FromStr;

const DAY: i64 = 86_400;
/// Days looked through for the next time: 29 February may be 8 years away, around a year such as 2100.
const HORIZON_DAYS: i64 = 8 * 366 + 1;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Why a text is no time of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Not five fields.
    #[error("\"{0}\" must have five fields: minute, hour, day of month, month, day of week")]
    Fields(String),
    /// One of them.
    #[error("{field}: \"{text}\" must be *, or numbers, ranges and steps from {first} to {last}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it holds.
        text: String,
        /// Least number.
        first: u32,
        /// Greatest number.
        last: u32,
    },
    /// Such as 30 February.
    #[error("\"{0}\" never comes")]
    Never(String),
}

/// Times of the calendar; bit n of a field stands for the number n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both kinds of day are restricted.
    either: bool,
}

impl FromStr for Calendar {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let spelled = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = spelled.split_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(CalendarError::Fields(text.into()));
        };
        let weekdays = field("day of week", weekday, 0, 7, &WEEKDAYS)?;
        let calendar = Self {
            minutes: field("minute", minute, 0, 59, &[])?,
            hours: field("hour", hour, 0, 23, &[])?,
            days: field("day of month", day, 1, 31, &[])?,
            months: field("month", month, 1, 12, &MONTHS)?,
            weekdays: weekdays | weekdays >> 7 & 1,
            either: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        match calendar.next(0) {
            Some(_) => Ok(calendar),
            None => Err(CalendarError::Never(text.into())),
        }
    }
}

fn field(field: &'static str, text: &str, first: u32, last: u32, names: &[&str]) -> Result<u64, CalendarError> {
    let number = |word: &str| {
        let named = names.iter().zip(first..).find(|(name, _)| word.eq_ignore_ascii_case(name));
        named.map(|(_, number)| number).or_else(|| word.parse().ok()).filter(|number| (first..=last).contains(number))
    };
    let item = |item: &str| {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (item, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (first, last),
            Some((from, to)) => (number(from)?, number(to)?),
            // `5/10` counts from 5 to the end, as in other crons.
            None => (number(range)?, if step > 1 { last } else { number(range)? }),
        };
        (from <= to).then(|| (from..=to).step_by(step).fold(0, |bits, number| bits | 1_u64 << number))
    };
    let bits = text.split(',').map(item).try_fold(0, |bits, more| Some(bits | more?));
    bits.ok_or_else(|| CalendarError::Field { field, text: text.into(), first, last })
}

fn has(bits: u64, number: i64) -> bool {
    u32::try_from(number).is_ok_and(|number| bits.checked_shr(number).is_some_and(|rest| rest & 1 == 1))
}

impl Calendar {
    /// The first time later than `after`; both are seconds since 1970.
    pub fn next(&self, after: i64) -> Option<i64> {
        let begin = after.div_euclid(60).saturating_add(1).saturating_mul(60);
        let today = begin.div_euclid(DAY);
        (today..today.saturating_add(HORIZON_DAYS)).filter(|day| self.on(*day)).find_map(|day| {
            let from = if day == today { begin.rem_euclid(DAY) / 60 } else { 0 };
            let minute =
                (from..DAY / 60).find(|minute| has(self.hours, minute / 60) && has(self.minutes, minute % 60))?;
            Some(day * DAY + minute * 60)
        })
    }

    /// Whether it comes on a day, counted from 1970-01-01, which was a Thursday.
    fn on(&self, day: i64) -> bool {
        let (_, month, day_of_month) = civil(day);
        let (of_month, of_week) = (has(self.days, day_of_month), has(self.weekdays, (day + 4).rem_euclid(7)));
        has(self.months, month) && if self.either { of_month || of_week } else { of_month && of_week }
    }
}

/// Gregorian year, month and day of a day number counted from 1970-01-01; eras of 400 years starting on 1 March.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Inverse of [`civil`].
pub fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-02-27 (a Friday) and a time of day.
    fn at(hour: i64, minute: i64) -> i64 {
        day_number(2026, 2, 27) * DAY + hour * 3600 + minute * 60
    }

    #[test]
    fn next_times() {
        for (text, expected) in [
            ("0 3 * * *", day_number(2026, 2, 28) * DAY + 3 * 3600),
            ("*/15 * * * *", at(12, 45)),
            ("31 * * * *", at(12, 31)),
            ("30 12 * * *", day_number(2026, 2, 28) * DAY + 12 * 3600 + 30 * 60),
            ("5/20 12-14/2 * * *", at(12, 45)),
            ("0 0 29 2 *", day_number(2028, 2, 29) * DAY),
            ("0 0 * * mon", day_number(2026, 3, 2) * DAY),
            ("0 0 * * 7", day_number(2026, 3, 1) * DAY),
            ("0 0 13 * fri", day_number(2026, 3, 6) * DAY),
            ("0 0 */13 * fri", day_number(2026, 3, 27) * DAY),
            ("0 0 1 Jan,MAR *", day_number(2026, 3, 1) * DAY),
            ("@yearly", day_number(2027, 1, 1) * DAY),
        ] {
            let calendar: Calendar = text.parse().unwrap();
            assert_eq!(calendar.next(at(12, 30)), Some(expected), "{text}");
        }
        let minutely: Calendar = "* * * * *".parse().unwrap();
        assert_eq!((minutely.next(59), minutely.next(60), minutely.next(-61)), (Some(60), Some(120), Some(-60)));
    }

    #[test]
    fn bad_texts_name_the_field() {
        for (text, word) in [
            ("", "five fields"),
            ("0 3 * *", "five fields"),
            ("60 * * * *", "minute"),
            ("0 24 * * *", "hour"),
            ("0 0 0 * *", "day of month"),
            ("0 0 * 13 *", "month"),
            ("0 0 * * 8", "day of week"),
            ("0 5-3 * * *", "hour"),
            ("*/0 * * * *", "minute"),
            ("a * * * *", "minute"),
            ("1, * * * *", "minute"),
            ("0 0 30 2 *", "never comes"),
            ("@never", "five fields"),
        ] {
            let error = text.parse::<Calendar>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn dates_round_trip() {
        for days in [-719_528, -1, 0, 59, 11_016, 20_500, 47_541] {
            let (year, month, day) = civil(days);
            assert_eq!(day_number(year, month, day), days);
        }
    }
}
