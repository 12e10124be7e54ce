//! Points of time on the command line.

/// A point of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum When {
    /// Seconds since 1970 or RFC 3339, for the daemon to read.
    At(String),
    /// Seconds before now.
    Ago(u64),
}

/// Reads seconds since 1970, RFC 3339 with `Z` or an offset, or a span before now such as `10m` or `1h30m`.
pub(crate) fn parse(text: &str) -> Result<When, String> {
    if let Some(seconds) = span(text) {
        return Ok(When::Ago(seconds));
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let date = text.split_once('T').is_some_and(|(date, clock)| {
        date.split('-').all(digits) && clock.bytes().all(|byte| byte.is_ascii_digit() || b":.Z+-".contains(&byte))
    });
    if date || (digits(whole) && digits(fraction)) {
        return Ok(When::At(text.into()));
    }
    Err(format!(
        "\"{text}\" is neither RFC 3339 (2026-01-31T12:00:00Z), nor a span such as 10s, 5m, 1h30m, 2d, nor seconds since 1970"
    ))
}

fn span(text: &str) -> Option<u64> {
    let (mut rest, mut sum) = (text, 0_u64);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = match rest.as_bytes()[end] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86400,
            _ => return None,
        };
        sum = sum.saturating_add(rest[..end].parse::<u64>().ok()?.saturating_mul(unit));
        rest = &rest[end + 1..];
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_time() {
        for (text, seconds) in [("10s", 10), ("2m", 120), ("1h30m", 5400), ("1d", 86400)] {
            assert_eq!(parse(text), Ok(When::Ago(seconds)));
        }
        for text in ["1700000000", "1700000000.25", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+01:00"] {
            assert_eq!(parse(text), Ok(When::At(text.into())));
        }
        for bad in ["", "yesterday", "5x", "m", "1.5m", "2026-01-31", "2026-01-31T12&boot=1", "ä", "5ä"] {
            assert!(parse(bad).unwrap_err().contains("neither"), "{bad}");
        }
    }
}
