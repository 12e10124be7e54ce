//! The two clocks the daemon uses and RFC 3339 text; there is no time zone here, everything is UTC.

use hull_service::calendar::{civil, day_number};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Microseconds of `CLOCK_BOOTTIME`: since kernel entry, suspended time included.
pub fn boot_micros() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1000
}

/// A point of `CLOCK_REALTIME`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WallTime {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds below one second.
    pub nanoseconds: u32,
}

/// What RFC 3339 can write: seconds since 1970 of the years 0 to 9999.
const FOUR_DIGIT_YEARS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// Docker's "never": the zero value of Go's time.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

impl WallTime {
    /// Now.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Realtime);
        Self { seconds: now.tv_sec, nanoseconds: u32::try_from(now.tv_nsec).unwrap_or(0) }
    }

    /// So many nanoseconds later.
    pub fn plus_nanos(self, nanoseconds: u64) -> Self {
        let sum = u64::from(self.nanoseconds) + nanoseconds % 1_000_000_000;
        let seconds = i64::try_from(nanoseconds / 1_000_000_000 + sum / 1_000_000_000).unwrap_or(i64::MAX);
        let nanoseconds = u32::try_from(sum % 1_000_000_000).unwrap_or(0);
        Self { seconds: self.seconds.saturating_add(seconds), nanoseconds }
    }

    /// RFC 3339 with nine decimals and `Z`.
    pub fn rfc3339(self) -> String {
        let (days, second) = (self.seconds.div_euclid(86_400), self.seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:09}Z",
            second / 3600,
            second / 60 % 60,
            second % 60,
            self.nanoseconds
        )
    }

    /// The inverse of [`rfc3339`](Self::rfc3339), with zero to nine decimals and `Z` or an offset such as `+01:00`.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (date, clock) = text.split_once('T')?;
        let (clock, offset) = match clock.strip_suffix('Z') {
            Some(clock) => (clock, 0),
            None => {
                let (clock, zone) = clock.split_at(clock.find(['+', '-'])?);
                let (hours, minutes) = zone[1..].split_once(':')?;
                let seconds = i64::from(hours.parse::<u8>().ok()?) * 3600 + i64::from(minutes.parse::<u8>().ok()?) * 60;
                (clock, if zone.starts_with('-') { -seconds } else { seconds })
            }
        };
        let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
        let (year, month, day) = (date.next()??, date.next()??, date.next()??);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
        let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
        let in_range = (0..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..=60).contains(&second);
        if !in_range {
            return None;
        }
        let seconds = day_number(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
        FOUR_DIGIT_YEARS.contains(&seconds).then_some(Self { seconds, nanoseconds: decimals(fraction)? })
    }

    /// Docker's query form: `SECONDS[.FRACTION]` since 1970, or RFC 3339 in UTC.
    pub fn parse_query(text: &str) -> Option<Self> {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        match seconds.parse() {
            Ok(seconds) => Some(Self { seconds, nanoseconds: decimals(fraction)? }),
            Err(_) => Self::parse_rfc3339(text),
        }
    }
}

fn decimals(fraction: &str) -> Option<u32> {
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (1_767_225_599, "2025-12-31T23:59:59.000000000Z"),
        ] {
            let time = WallTime { seconds, nanoseconds: 0 };
            assert_eq!(time.rfc3339(), text);
            assert_eq!(WallTime::parse_rfc3339(text), Some(time));
        }
    }

    #[test]
    fn later() {
        let time = WallTime { seconds: 1, nanoseconds: 999_999_999 };
        assert_eq!(time.plus_nanos(2_000_000_002), WallTime { seconds: 4, nanoseconds: 1 });
    }

    #[test]
    fn query_forms() {
        let time = Some(WallTime { seconds: 12, nanoseconds: 500_000_000 });
        assert_eq!(WallTime::parse_query("12.5"), time);
        assert_eq!(WallTime::parse_query("1970-01-01T00:00:12.5Z"), time);
        assert_eq!(WallTime::parse_query("1970-01-01T01:30:12.5+01:30"), time);
        assert_eq!(WallTime::parse_query("1969-12-31T22:00:12.5-02:00"), time);
        for bad in ["", "x", "12.x", "1970-13-01T00:00:00Z", "1970-01-01T00:00:00", "1970-01-01T00:00:00+1"] {
            assert_eq!(WallTime::parse_query(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_no_time() {
        for bad in [
            "9223372036854775807-01-01T00:00:00Z",
            "999999999999999-01-01T00:00:00Z",
            "2026-01-01T-9223372036854775808:00:00Z",
            "2026-01-01T00:-9223372036854775808:00Z",
            "2026-01-01T00:00:-1Z",
            "9999-12-31T23:59:60Z",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert_eq!(WallTime::parse_rfc3339(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn text_round_trips(seconds in -62_000_000_000_i64..250_000_000_000, nanoseconds in 0_u32..1_000_000_000) {
            let time = WallTime { seconds, nanoseconds };
            proptest::prop_assert_eq!(WallTime::parse_rfc3339(&time.rfc3339()), Some(time));
        }
    }
}
