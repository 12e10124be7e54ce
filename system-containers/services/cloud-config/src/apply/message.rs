//! `final_message`: what the console shows when everything is done.

use crate::report::Report;
use std::process::{Command, Stdio};

/// The version in words, by os-release(5).
const OS_RELEASE: &str = "/usr/lib/os-release";
/// Lines and characters that are printed of it.
const MAX_LINES: usize = 40;
const MAX_LINE: usize = 500;

/// What the variables stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variables {
    version: String,
    timestamp: String,
    datasource: String,
    uptime: String,
}

impl Variables {
    /// As they are now.
    pub fn now(report: &Report) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            version: version(&read(OS_RELEASE)).to_owned(),
            timestamp: timestamp(),
            datasource: report.datasource.clone(),
            uptime: read("/proc/uptime").split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        Some(match name.to_ascii_lowercase().as_str() {
            "version" => &self.version,
            "timestamp" => &self.timestamp,
            "datasource" => &self.datasource,
            "uptime" => &self.uptime,
            _ => return None,
        })
    }
}

/// Prints it for the console.
pub fn print(text: &str, variables: &Variables) {
    for line in lines(text, variables) {
        // 4 reaches the console, where whoever waits for it looks.
        println!("<4>cloud-config: {line}");
    }
}

/// Its lines, with the values in the place of `$name` and `${name}`.
fn lines(text: &str, variables: &Variables) -> Vec<String> {
    let filled = fill(text, variables);
    let clean = |line: &str| line.replace(char::is_control, " ").chars().take(MAX_LINE).collect();
    filled.trim_end().lines().take(MAX_LINES).map(clean).collect()
}

fn fill(text: &str, variables: &Variables) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled += before;
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let bare = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let (name, behind) = braced.unwrap_or(bare);
        match variables.get(name) {
            Some(value) => {
                filled += value;
                rest = behind;
            }
            None => {
                filled.push('$');
                rest = after;
            }
        }
    }
    filled + rest
}

fn version(os_release: &str) -> &str {
    let line = os_release.lines().find_map(|line| line.strip_prefix("VERSION="));
    line.unwrap_or_default().trim_matches('"')
}

/// As RFC 2822 has it, which cloud-init uses; nothing if date(1) fails.
fn timestamp() -> String {
    let output = Command::new("date").args(["-u", "-R"]).stdin(Stdio::null()).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let own = str::to_owned;
        Variables { version: own("7"), timestamp: own("now"), datasource: own("nocloud:/dev/vdb"), uptime: own("9.5") }
    }

    #[test]
    fn variables_in_all_their_spellings() {
        for (text, expected) in [
            ("up $UPTIME s, $version", vec!["up 9.5 s, 7"]),
            ("${timestamp}: ${ datasource}\n\n", vec!["now: ${ datasource}"]),
            ("$Datasource\n$$uptime $nope $", vec!["nocloud:/dev/vdb", "$9.5 $nope $"]),
            ("a\u{1b}[2J\u{7}b", vec!["a [2J b"]),
            ("", vec![]),
        ] {
            assert_eq!(lines(text, &variables()), expected, "{text}");
        }
        assert_eq!(lines(&"x\n".repeat(1000), &variables()).len(), MAX_LINES);
        assert_eq!(lines(&"x".repeat(10_000), &variables())[0].len(), MAX_LINE);
    }

    #[test]
    fn the_values_are_those_of_now() {
        let now = Variables::now(&Report { datasource: "none".into(), ..Report::default() });
        assert!(now.timestamp.ends_with(" +0000"), "{now:?}");
        assert!(now.uptime.parse::<f64>().is_ok_and(|uptime| uptime > 0.0), "{now:?}");
        assert_eq!((now.datasource.as_str(), version("NAME=Hull\nVERSION=\"1.2\"\n")), ("none", "1.2"));
    }
}
