//! `hull inspect --confinement`: the report of `GET /hull/confinement/{service}` as a table; pure.
//!
//! The answers are words of [`hull_service::confinement::rows`], the same as in `docs/confinement.md`.

use anyhow::{Context, Result};
use hull_service::confinement::{DANGEROUS, Report, capabilities};
use serde_json::Value;

/// Columns of text; with the spaces between them 100 wide.
const ASPECT: usize = 29;
const SERVICE: usize = 41;
const PLAIN: usize = 26;
/// What continues an answer on the next line.
const INDENT: &str = "  ";

/// The answer.
pub(crate) fn parse(value: Value) -> Result<Report> {
    serde_json::from_value(value).context("the answer has another shape: client and daemon differ?")
}

/// The whole report.
pub(crate) fn table(report: &Report) -> String {
    let mut text = line("", &report.service, "PLAIN ROOT DAEMON");
    for row in report.rows() {
        let service = wrap(&row.service, SERVICE);
        let plain = wrap(&row.plain, PLAIN);
        for index in 0..service.len().max(plain.len()) {
            let cell = |cells: &[String]| cells.get(index).cloned().unwrap_or_default();
            text += &line(if index == 0 { row.aspect } else { "" }, &cell(&service), &cell(&plain));
        }
    }
    let held = &report.confinement.capabilities;
    let meaning = |name: &String| (name.clone(), capabilities::meaning(name).unwrap_or("unknown to this command"));
    text += &meanings("What the capabilities let it do, as far as its namespaces reach:", held.iter().map(meaning));
    let calls = &report.confinement.system_calls.dangerous;
    let named = DANGEROUS.iter().filter(|(name, _)| calls.iter().any(|call| call == name));
    text + &meanings("What the dangerous system calls do:", named.map(|(name, meaning)| ((*name).to_owned(), *meaning)))
}

fn line(aspect: &str, service: &str, plain: &str) -> String {
    format!("{aspect:ASPECT$}  {service:SERVICE$}  {plain}").trim_end().to_owned() + "\n"
}

/// A list under a heading; nothing at all where the list is empty.
fn meanings<'a>(heading: &str, list: impl Iterator<Item = (String, &'a str)>) -> String {
    let lines: String = list.map(|(name, meaning)| format!("  {name:ASPECT$}{meaning}\n")).collect();
    if lines.is_empty() { lines } else { format!("\n{heading}\n{lines}") }
}

/// Entries to lines of at most `width`, broken between words; a longer word stays whole.
fn wrap(entries: &[String], width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in entries {
        let mut line = String::new();
        for word in entry.split(' ') {
            if !line.trim().is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::replace(&mut line, INDENT.into()));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        let report = parse(serde_json::from_str(include_str!("../testdata/confinement.json")).unwrap()).unwrap();
        let text = table(&report);
        assert_eq!(text, include_str!("../testdata/confinement.txt"));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn entries_are_broken_between_words() {
        for (entries, width, lines) in [
            (&["a b c"][..], 3, &["a b", "  c"][..]),
            (&["one", "two three"], 9, &["one", "two three"]),
            (&["a longer-than-that x"], 6, &["a", "  longer-than-that", "  x"]),
            (&[], 6, &[]),
        ] {
            let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
            assert_eq!(wrap(&entries, width), lines, "{entries:?}");
        }
    }

    #[test]
    fn another_shape_is_named() {
        assert!(parse(serde_json::json!({ "service": "x" })).unwrap_err().to_string().contains("another shape"));
    }
}
