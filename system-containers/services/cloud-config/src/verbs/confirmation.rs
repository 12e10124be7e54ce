//! `--confirm-within TIME`: how long a change waits to be confirmed.

use anyhow::Context;

/// Less is over before it can be confirmed; more is forgotten: seconds.
const WINDOW: std::ops::RangeInclusive<u32> = 5..=86_400;

/// `20s`, `5m`, `1h` in seconds; a bare number is one of seconds.
pub fn seconds(text: &str) -> anyhow::Result<u32> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        _ => (text, 1),
    };
    let count: Option<u32> = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    let seconds = count.and_then(|count| count.checked_mul(unit)).filter(|seconds| WINDOW.contains(seconds));
    seconds.context("--confirm-within takes 5s to 24h, such as 5m")
}

#[cfg(test)]
mod tests {
    #[test]
    fn spans() {
        for (text, seconds) in
            [("20s", Some(20)), ("5m", Some(300)), ("1h", Some(3600)), ("90", Some(90)), ("24h", Some(86_400))]
        {
            assert_eq!(super::seconds(text).ok(), seconds, "{text}");
        }
        for text in ["", "s", "4s", "25h", "-5m", "5 m", "5d", "99999999h", "5ü"] {
            assert!(super::seconds(text).is_err(), "{text}");
        }
    }
}
