//! What a recorded run is made of: its steps, the marks it leaves in the trace, and what each mark promises.
//!
//! ```text
//! firmware uefi          once, first
//! old 0.1.0              the version of the image
//! fetch begins           … fetch ends: a step
//! configuration 3        the third content of the fragment was renamed into place and its folder synced
//! durable 17             the container's fsync(2) of line 17 had returned when it said so
//! ```

use super::points::Operation;
use crate::fault_disk::trace::{Event, Record};
use crate::machine::Firmware;
use anyhow::{Context, Result};

/// A part of the run, in the order in which they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// From power on to a complete boot: partition, file system, instance.
    FirstBoot,
    /// `docker pull`.
    Pull,
    /// `docker run` of the container that counts.
    Run,
    /// A fragment of the machine configuration is replaced, several times.
    Configuration,
    /// `hull update fetch`: the other slot is written.
    Fetch,
    /// `hull update apply` until the machine restarts.
    Apply,
    /// The new version's first boot, until it is found good.
    Trial,
    /// `hull update rollback` until the old version has booted.
    Rollback,
}

impl Step {
    /// In order.
    pub const ALL: [Self; 8] = [
        Self::FirstBoot,
        Self::Pull,
        Self::Run,
        Self::Configuration,
        Self::Fetch,
        Self::Apply,
        Self::Trial,
        Self::Rollback,
    ];

    /// For marks and the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstBoot => "first boot",
            Self::Pull => "pull",
            Self::Run => "run",
            Self::Configuration => "configuration",
            Self::Fetch => "fetch",
            Self::Apply => "apply",
            Self::Trial => "trial",
            Self::Rollback => "rollback",
        }
    }

    /// Mark at the beginning.
    pub fn begins(self) -> String {
        format!("{} begins", self.name())
    }

    /// Mark at the end.
    pub fn ends(self) -> String {
        format!("{} ends", self.name())
    }

    /// For the choice of points; updates get the most.
    pub fn operation(self, firmware: Firmware) -> Operation {
        let weight = match self {
            Self::FirstBoot | Self::Rollback => 2,
            Self::Pull | Self::Run | Self::Configuration => 1,
            Self::Fetch | Self::Apply | Self::Trial => 3,
        };
        let name = format!("{} {}", word(firmware), self.name());
        Operation { name, begin: self.begins(), end: self.ends(), weight }
    }

    /// Whether the version of the update may be what boots after a cut in this step.
    pub fn may_boot_new(self) -> bool {
        self >= Self::Apply
    }
}

/// Firmware in marks and names of folders.
pub fn word(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Uefi => "uefi",
        Firmware::Bios => "bios",
    }
}

/// The firmware of such a word.
pub fn firmware(text: &str) -> Option<Firmware> {
    [Firmware::Uefi, Firmware::Bios].into_iter().find(|firmware| word(*firmware) == text)
}

/// What the marks before a cut promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Promised {
    /// Lines of the container's file.
    pub lines: u64,
    /// Number of the fragment's content; 0: it may be missing.
    pub configuration: u64,
}

impl Promised {
    /// By the records before `at`.
    pub fn before(records: &[Record], at: usize) -> Self {
        let latest = |mark: &str| {
            let numbers =
                marks(&records[..at.min(records.len())]).filter_map(|text| text.strip_prefix(mark)?.parse().ok());
            numbers.max().unwrap_or(0)
        };
        Self { lines: latest("durable "), configuration: latest("configuration ") }
    }

    /// The container's file: lines 1, 2, 3 … without a gap, at least those promised.
    pub fn check_lines(self, text: Option<&str>) -> Result<()> {
        let text = text.unwrap_or_default();
        let mut count = 0;
        for line in text.split_inclusive('\n') {
            count += 1;
            anyhow::ensure!(line == format!("{count}\n"), "line {count} of the container's file is {line:?}");
        }
        anyhow::ensure!(count >= self.lines, "the container's file has {count} lines; {} were synced", self.lines);
        Ok(())
    }

    /// The fragment: one of its contents in full, none that is older than what was promised.
    pub fn check_configuration(self, text: Option<&str>) -> Result<()> {
        let found = match text {
            None => 0,
            Some(text) => (1..=CONFIGURATIONS)
                .find(|number| fragment(*number) == text)
                .with_context(|| format!("the fragment is damaged: {text:?}"))?,
        };
        let promised = self.configuration;
        anyhow::ensure!(found >= promised, "the fragment has content {found}; {promised} was synced");
        Ok(())
    }
}

/// How often the fragment is replaced.
pub const CONFIGURATIONS: u64 = 5;

/// A fragment's content, longer than a sector so that it can be torn.
pub fn fragment(number: u64) -> String {
    let filler = format!("# content {number} of {CONFIGURATIONS}\n").repeat(64);
    format!("{filler}[engine.log-opts]\nmax-size = \"{number}m\"\n")
}

/// The value behind a mark's first word.
pub fn value<'a>(records: &'a [Record], mark: &str) -> Option<&'a str> {
    marks(records).find_map(|text| text.strip_prefix(mark)?.strip_prefix(' '))
}

fn marks(records: &[Record]) -> impl Iterator<Item = &str> {
    records.iter().filter_map(|record| match &record.event {
        Event::Mark(text) => Some(text.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_marks_before_the_cut_promise() {
        let texts =
            ["old 0.1.0", "configuration begins", "configuration 1", "durable 9", "durable 10", "configuration 2"];
        let records: Vec<Record> =
            texts.map(|text| Record { time: Duration::ZERO, event: Event::Mark(text.into()) }).into();
        for (at, lines, configuration) in [(0, 0, 0), (3, 0, 1), (4, 9, 1), (5, 10, 1), (9, 10, 2)] {
            assert_eq!(Promised::before(&records, at), Promised { lines, configuration }, "{at}");
        }
        assert_eq!(value(&records, "old"), Some("0.1.0"));
    }

    #[test]
    fn what_was_promised_must_be_there() {
        let promised = Promised { lines: 2, configuration: 2 };
        for (text, good) in [
            (Some("1\n2\n"), true),
            (Some("1\n2\n3\n"), true),
            (Some("1\n"), false),
            (Some("1\n2"), false),
            (Some("1\n\0\0"), false),
            (Some("2\n3\n"), false),
            (None, false),
        ] {
            assert_eq!(promised.check_lines(text).is_ok(), good, "{text:?}");
        }
        Promised::default().check_lines(None).unwrap();
        let torn = fragment(2)[..600].to_owned() + &fragment(3)[600..];
        for (text, good) in [
            (Some(fragment(2)), true),
            (Some(fragment(3)), true),
            (Some(fragment(1)), false),
            (Some(torn), false),
            (Some(String::new()), false),
            (None, false),
        ] {
            assert_eq!(promised.check_configuration(text.as_deref()).is_ok(), good, "{text:?}");
        }
        Promised::default().check_configuration(None).unwrap();
    }
}
