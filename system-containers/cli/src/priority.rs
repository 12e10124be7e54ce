//! Names of syslog(3) levels, as journalctl takes them.

/// From the most severe, 0, to the least, 7.
const NAMES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// Reads a name or a number.
pub(crate) fn parse(text: &str) -> Result<u8, String> {
    let number = NAMES.iter().position(|name| *name == text).or_else(|| text.parse().ok());
    number
        .and_then(|number| u8::try_from(number).ok())
        .filter(|number| usize::from(*number) < NAMES.len())
        .ok_or_else(|| format!("--priority: \"{text}\" is neither 0 to 7 nor one of {}", NAMES.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [("emerg", 0), ("err", 3), ("4", 4), ("debug", 7)] {
            assert_eq!(parse(text), Ok(number));
        }
        for bad in ["", "8", "-1", "error", "ERR"] {
            assert!(parse(bad).unwrap_err().contains("warning"), "{bad}");
        }
    }
}
