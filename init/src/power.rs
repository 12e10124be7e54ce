//! The three ways to end: power off, reboot, halt; by API, by signal, and as an argument of reboot(2).

use rustix::system::RebootCommand;
use std::fmt;

/// glibc's SIGRTMIN, which is what senders mean; the kernel's own is 32.
const SIGRTMIN: u32 = 34;

/// How the machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    Off,
    Reboot,
    Halt,
}

impl Power {
    /// What a signal to PID 1 asks for. Ctrl-Alt-Del arrives as SIGINT.
    pub(crate) fn from_signal(signal: u32) -> Option<Self> {
        const HALT: u32 = SIGRTMIN + 3;
        const OFF: u32 = SIGRTMIN + 4;
        const REBOOT: u32 = SIGRTMIN + 5;
        match signal {
            /* SIGUSR2 */ 12 | OFF => Some(Self::Off),
            /* SIGINT, SIGTERM */ 2 | 15 | REBOOT => Some(Self::Reboot),
            /* SIGUSR1 */ 10 | HALT => Some(Self::Halt),
            _ => None,
        }
    }

    /// The word on the control channel.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Off, Self::Reboot, Self::Halt].into_iter().find(|power| power.to_string() == word)
    }

    pub(crate) fn command(self) -> RebootCommand {
        match self {
            Self::Off => RebootCommand::PowerOff,
            Self::Reboot => RebootCommand::Restart,
            Self::Halt => RebootCommand::Halt,
        }
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "poweroff",
            Self::Reboot => "reboot",
            Self::Halt => "halt",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc;

    #[test]
    fn signals_as_documented() {
        let number = |signal: i32| u32::try_from(signal).expect("positive");
        assert_eq!(SIGRTMIN, number(libc::SIGRTMIN()));
        for (signal, power) in [
            (libc::SIGUSR2, Some(Power::Off)),
            (libc::SIGRTMIN() + 4, Some(Power::Off)),
            (libc::SIGTERM, Some(Power::Reboot)),
            (libc::SIGINT, Some(Power::Reboot)),
            (libc::SIGRTMIN() + 5, Some(Power::Reboot)),
            (libc::SIGUSR1, Some(Power::Halt)),
            (libc::SIGRTMIN() + 3, Some(Power::Halt)),
            (libc::SIGCHLD, None),
            (libc::SIGHUP, None),
            (libc::SIGRTMIN(), None),
        ] {
            assert_eq!(Power::from_signal(number(signal)), power, "signal {signal}");
        }
    }

    #[test]
    fn words_come_back() {
        for power in [Power::Off, Power::Reboot, Power::Halt] {
            assert_eq!(Power::from_word(&power.to_string()), Some(power));
        }
        assert_eq!(Power::from_word("off"), None);
    }
}
