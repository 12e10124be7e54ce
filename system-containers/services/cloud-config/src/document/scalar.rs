//! Plain scalars by the YAML 1.1 types that cloud-init's reader knows: `0644` is octal, `yes` is true.
//!
//! Two kinds are left as text on purpose: base-60 numbers (`22:22` is a pair of ports here) and timestamps.

use super::node::Kind;

/// What a plain (unquoted) scalar is.
pub fn resolve(text: &str) -> Kind {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Kind::Null;
    }
    if let Some(value) = boolean(text) {
        return Kind::Bool(value);
    }
    if let Some(value) = integer(text) {
        return Kind::Int(value);
    }
    if is_float(text) { Kind::Float } else { Kind::Text }
}

/// The truth values of YAML 1.1 in the three spellings of case it allows; `y` and `n` are text.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// `-?`, then `0b…`, `0x…`, octal after a leading `0` (or `0o`, which is YAML 1.2), or decimal; `_` may separate digits.
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (radix, digits) = if let Some(rest) = digits.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = digits.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = digits.strip_prefix("0o") {
        (8, rest)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, digits)
    } else {
        (10, digits)
    };
    let digits: String = digits.chars().filter(|&character| character != '_').collect();
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    let value = i64::from_str_radix(&digits, radix).ok()?;
    Some(if negative { -value } else { value })
}

fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let has_digit = unsigned.bytes().any(|byte| byte.is_ascii_digit());
    has_digit
        && unsigned.contains('.')
        && unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && text.replace('_', "").parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_yaml_1_1() {
        for (text, kind) in [
            ("", Kind::Null),
            ("~", Kind::Null),
            ("yes", Kind::Bool(true)),
            ("Off", Kind::Bool(false)),
            ("y", Kind::Text),
            ("yEs", Kind::Text),
            ("0644", Kind::Int(0o644)),
            ("0o644", Kind::Int(0o644)),
            ("0x1F", Kind::Int(31)),
            ("0b11", Kind::Int(3)),
            ("1_000", Kind::Int(1000)),
            ("-17", Kind::Int(-17)),
            ("0", Kind::Int(0)),
            ("089", Kind::Text),
            ("-", Kind::Text),
            ("+-3", Kind::Text),
            ("22:22", Kind::Text),
            ("2024-01-01", Kind::Text),
            ("1.5", Kind::Float),
            (".5", Kind::Float),
            ("1e3", Kind::Text),
            ("1.0e+3", Kind::Float),
            (".", Kind::Text),
            ("-.inf", Kind::Float),
            ("1.2.3", Kind::Text),
            ("12345678901234567890", Kind::Text),
            ("é", Kind::Text),
        ] {
            assert_eq!(resolve(text), kind, "{text:?}");
        }
    }
}
