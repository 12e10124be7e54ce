//! Scripts of user data and vendor data, and the order they run in.
//!
//! ```text
//! every boot      boothooks as they come, bootcmd                                         stage apply
//! once/instance   vendor scripts                                                          stage final
//! once            per-once
//! every boot      per-boot
//! once/instance   per-instance
//! once/instance   other scripts and runcmd by file name: part-001, runcmd, setup.sh
//! ```
//! Within a line scripts run by file name; of two with one name the later one counts, as a file of cloud-init's would.

use super::format::{self, When};
use crate::report::Place;

/// File name that runcmd has among the scripts.
const RUNCMD: &str = "runcmd";

/// One script.
#[derive(Clone, PartialEq, Eq)]
pub struct Script {
    /// Its part.
    pub place: Place,
    /// File name: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// When it runs.
    pub when: When,
    /// It comes from vendor data.
    pub vendor: bool,
    /// From `#!` on.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The content may hold a secret.
        write!(formatter, "Script({}, {:?}, {} bytes)", self.name, self.when, self.content.len())
    }
}

/// What is done in the last stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work<'s> {
    /// A script.
    Script(&'s Script),
    /// The list of `runcmd`.
    Runcmd,
}

/// What is not done yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// For this instance.
    pub instance: bool,
    /// In the life of the machine.
    pub once: bool,
}

impl Script {
    /// A script from a part; what no file name may have is left out of its name, as in cloud-init.
    pub fn new(place: Place, name: &str, when: When, vendor: bool, content: &[u8]) -> Self {
        let fits = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
        let name: String = name.replace('/', "_").chars().filter(fits).take(MAX_NAME).collect();
        let name = if name.trim_matches('.').is_empty() { "script".to_owned() } else { name };
        Self { place, name, when, vendor, content: format::script(content) }
    }
}

/// Longest file name that is kept: with what is put before it, it has to fit into a directory entry.
const MAX_NAME: usize = 100;

/// The boothooks, in the order they came in.
pub fn boothooks(scripts: &[Script]) -> impl Iterator<Item = &Script> {
    scripts.iter().filter(|script| script.when == When::Boothook)
}

/// What the last stage does, in order.
pub fn order(scripts: &[Script], due: Due) -> Vec<Work<'_>> {
    let mut work = Vec::new();
    if due.instance {
        work.extend(named(scripts, |script| script.vendor && script.when == When::WithRuncmd));
    }
    for (when, due) in [(When::Once, due.once), (When::Boot, true), (When::Instance, due.instance)] {
        if due {
            work.extend(named(scripts, |script| script.when == when));
        }
    }
    if due.instance {
        let mut own =
            named(scripts, |script| !script.vendor && script.when == When::WithRuncmd && script.name != RUNCMD);
        let name = |work: &Work<'_>| match work {
            Work::Script(script) => script.name.clone(),
            Work::Runcmd => RUNCMD.to_owned(),
        };
        own.push(Work::Runcmd);
        own.sort_by_key(name);
        work.extend(own);
    }
    work
}

fn named(scripts: &[Script], wanted: impl Fn(&Script) -> bool) -> Vec<Work<'_>> {
    let mut chosen: Vec<&Script> = Vec::new();
    for script in scripts.iter().filter(|script| wanted(script)) {
        chosen.retain(|other| other.name != script.name);
        chosen.push(script);
    }
    chosen.sort_by(|one, other| one.name.cmp(&other.name));
    chosen.into_iter().map(Work::Script).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(name: &str, when: When, vendor: bool) -> Script {
        Script::new(Place::default(), name, when, vendor, b"#!/bin/sh\n")
    }

    fn names(work: &[Work<'_>]) -> Vec<String> {
        work.iter()
            .map(|work| match work {
                Work::Runcmd => "[runcmd]".to_owned(),
                Work::Script(script) => script.name.clone(),
            })
            .collect()
    }

    #[test]
    fn the_order_is_that_of_cloud_init() {
        let scripts = [
            script("setup.sh", When::WithRuncmd, false),
            script("part-002", When::WithRuncmd, false),
            script("Zeta", When::WithRuncmd, false),
            script("hook", When::Boothook, false),
            script("i", When::Instance, false),
            script("b", When::Boot, false),
            script("a", When::Boot, true),
            script("o", When::Once, false),
            script("v", When::WithRuncmd, true),
            script("runcmd", When::WithRuncmd, false),
        ];
        let all = order(&scripts, Due { instance: true, once: true });
        assert_eq!(names(&all), ["v", "o", "a", "b", "i", "Zeta", "part-002", "[runcmd]", "setup.sh"]);
        assert_eq!(names(&order(&scripts, Due { instance: false, once: false })), ["a", "b"]);
        assert_eq!(names(&order(&scripts, Due { instance: false, once: true })), ["o", "a", "b"]);
        assert_eq!(boothooks(&scripts).count(), 1);
    }

    #[test]
    fn of_two_with_one_name_the_later_one_counts() {
        let mut later = script("a", When::Boot, false);
        later.content = b"#!/bin/true\n".to_vec();
        let scripts = [script("a", When::Boot, false), later.clone()];
        assert_eq!(order(&scripts, Due { instance: false, once: false }), [Work::Script(&later)]);
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        for (name, expected) in [
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("..", "script"),
            ("", "script"),
            ("a b\n;c", "abc"),
            ("/x", "_x"),
        ] {
            assert_eq!(script(name, When::Boot, false).name, expected);
        }
        assert_eq!(script(&"x".repeat(999), When::Boot, false).name.len(), MAX_NAME);
    }
}
