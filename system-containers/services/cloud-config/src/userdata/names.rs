//! What names may look like. Names end up in line-based files, so these checks are also what keeps a value from
//! becoming a second line there.

/// A user or group name as useradd(8) takes it, upper case and dots included.
pub fn is_account(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        && name.len() <= 32
}

/// A host name or domain of RFC 1123: labels of letters, digits and hyphens, 253 characters at most.
pub fn is_host(name: &str) -> bool {
    !name.is_empty() && name.len() <= 253 && name.split('.').all(is_label)
}

/// One label of a host name.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A name of the time zone database, such as `Europe/Vienna`.
pub fn is_timezone(name: &str) -> bool {
    name.len() <= 64
        && name.split('/').all(|part| {
            part.starts_with(|first: char| first.is_ascii_alphanumeric())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
        })
}

/// An absolute path without `..`, line ends or NUL.
pub fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() < 4096
        && !path.contains(['\n', '\0'])
        && !path.split('/').any(|part| part == "..")
}

/// One line of printable text.
pub fn is_line(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

/// The beginning of a URL that is fetched.
pub fn is_web_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (check, good, bad) in [
            (
                is_account as fn(&str) -> bool,
                vec!["a", "_x", "web-1", "A.b"],
                vec!["", "-a", "1a", "a:b", "a\n", "a b", "é"],
            ),
            (is_host, vec!["web", "web-1.example.org", "1a"], vec!["", "a..b", "-a", "a_b", "a\nb", "a."]),
            (is_timezone, vec!["UTC", "Europe/Vienna", "Etc/GMT+1"], vec!["", "../x", "/etc/passwd", "a//b", "a\n"]),
            (is_path, vec!["/a", "/"], vec!["a", "/a/../b", "/a\nb", ""]),
        ] {
            for name in good {
                assert!(check(name), "{name:?}");
            }
            for name in bad {
                assert!(!check(name), "{name:?}");
            }
        }
    }
}
