//! Whether a container's first process lives, and the words for what it does.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;

/// Status of a container (specification, "State"; `paused` is what runc adds).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// A process, told from a later one with the same id by the time it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// Clock ticks since boot.
    birth: u64,
}

impl Identity {
    pub(crate) fn of(pid: i32) -> Result<Self> {
        let (_, birth) = stat(pid).with_context(|| format!("process {pid} has ended"))?;
        Ok(Self { pid, birth })
    }

    /// Whether it lives; a zombie does not.
    pub(crate) fn lives(self) -> bool {
        stat(self.pid).is_some_and(|(state, birth)| birth == self.birth && !matches!(state, 'Z' | 'X'))
    }
}

/// State and time of birth.
fn stat(pid: i32) -> Option<(char, u64)> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 3 and 22 of proc_pid_stat(5); the second, a name in brackets, may hold anything.
fn parse(text: &str) -> Option<(char, u64)> {
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_do_not_shift_the_fields() {
        let numbers = (4..=25).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        for name in ["sh", "a b", "a) Z 1", ""] {
            assert_eq!(parse(&format!("7 ({name}) S {numbers}")), Some(('S', 22)), "{name}");
        }
        assert_eq!(parse("7 (sh) S 4"), None);
    }

    #[test]
    fn another_process_with_the_same_id_is_not_it() {
        let own = i32::try_from(std::process::id()).expect("id");
        let identity = Identity::of(own).expect("this process");
        assert!(identity.lives());
        assert!(!Identity { birth: identity.birth + 1, ..identity }.lives());
    }
}
