//! Messages are `KEY=VALUE` lines, one message a packet, words of sd_notify(3) where it has them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest packet in bytes, both directions.
pub const MAX_PACKET: usize = 4096;

/// How the machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// Off.
    Poweroff,
    /// Firmware, then again.
    Reboot,
    /// Stopped, power stays on.
    Halt,
}

impl Power {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "poweroff" => Self::Poweroff,
            "reboot" => Self::Reboot,
            "halt" => Self::Halt,
            _ => return None,
        })
    }
}

impl fmt::Display for Power {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Poweroff => "poweroff",
            Self::Reboot => "reboot",
            Self::Halt => "halt",
        })
    }
}

/// From PID 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromInit {
    /// A child of PID 1 was reaped.
    Exit {
        /// Its process id.
        pid: i32,
        /// Raw wait status, see wait(2).
        status: i32,
        /// `CLOCK_BOOTTIME` in microseconds.
        time_us: u64,
    },
    /// One stored descriptor, which travels with the packet.
    Stored {
        /// Name it was stored under.
        name: String,
    },
    /// All stored descriptors have been sent.
    StoredEnd,
    /// Stop all services, then answer [`ToInit::Stopped`].
    Stop(Power),
}

/// To PID 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToInit {
    /// The daemon serves.
    Ready,
    /// One line about what it does.
    Status(String),
    /// Still alive.
    Watchdog,
    /// Keep the descriptor of this packet under a name, in place of the one that has it.
    Store {
        /// Name.
        name: String,
    },
    /// Forget a descriptor.
    StoreRemove {
        /// Name.
        name: String,
    },
    /// Send all stored descriptors.
    StoreList,
    /// Begin the end of the machine.
    Shutdown(Power),
    /// All services are stopped.
    Stopped,
    /// The version on trial is found good within so many seconds, or PID 1 reboots; `None`: it is good.
    Trial(Option<u32>),
}

/// A packet that is none of [`FromInit`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown message {text:?} from PID 1")]
pub struct MessageError {
    /// The packet, shortened.
    pub text: String,
}

impl ToInit {
    /// Text of the packet. Line breaks in values become spaces.
    pub fn encode(&self) -> String {
        let line = |text: &str| text.replace(['\n', '\r'], " ");
        match self {
            Self::Ready => "READY=1".into(),
            Self::Status(text) => format!("STATUS={}", line(text)),
            Self::Watchdog => "WATCHDOG=1".into(),
            Self::Store { name } => format!("FDSTORE=1\nFDNAME={}", line(name)),
            Self::StoreRemove { name } => format!("FDSTOREREMOVE=1\nFDNAME={}", line(name)),
            Self::StoreList => "FDSTORELIST=1".into(),
            Self::Shutdown(power) => format!("SHUTDOWN={power}"),
            Self::Stopped => "STOPPED=1".into(),
            Self::Trial(time) => format!("TRIAL={}", time.unwrap_or(0)),
        }
    }
}

impl FromInit {
    /// Reads one packet. Keys that are not known are passed over, as in sd_notify.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        let value = |key: &str| {
            text.lines().find_map(|line| line.split_once('=').filter(|(name, _)| *name == key)).map(|(_, value)| value)
        };
        let number = |key: &str| value(key).and_then(|text| text.parse().ok());
        if let (Some(pid), Some(status)) = (number("EXIT"), number("STATUS")) {
            let time_us = value("TIME_US").and_then(|text| text.parse().ok()).unwrap_or(0);
            return Ok(Self::Exit { pid, status, time_us });
        }
        if value("FDSTOREEND").is_some() {
            return Ok(Self::StoredEnd);
        }
        if let Some(name) = value("FDNAME") {
            return Ok(Self::Stored { name: name.into() });
        }
        if let Some(power) = value("STOP").and_then(Power::parse) {
            return Ok(Self::Stop(power));
        }
        Err(MessageError { text: text.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_from_init() {
        for (text, message) in [
            ("EXIT=12\nSTATUS=256\nTIME_US=99", FromInit::Exit { pid: 12, status: 256, time_us: 99 }),
            ("FDNAME=log:a:stdout", FromInit::Stored { name: "log:a:stdout".into() }),
            ("FDSTOREEND=1\n", FromInit::StoredEnd),
            ("STOP=halt", FromInit::Stop(Power::Halt)),
        ] {
            assert_eq!(FromInit::parse(text), Ok(message));
        }
        for bad in ["", "EXIT=x\nSTATUS=0", "EXIT=1", "STOP=explode"] {
            assert!(FromInit::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_value_cannot_smuggle_a_second_line() {
        assert_eq!(ToInit::Status("a\nSHUTDOWN=halt".into()).encode(), "STATUS=a SHUTDOWN=halt");
    }
}
