//! Packets of the control channel: `KEY=VALUE` lines, sd_notify(3)'s vocabulary where it has one. Pure.

use crate::power::Power;
use std::time::Duration;
use thiserror::Error;

/// Longest packet taken.
pub(crate) const PACKET_BYTES: usize = 4096;
const NAME_BYTES: usize = 255;

/// One thing the daemon says. A packet may hold several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Ready,
    Status(String),
    Watchdog,
    /// Keep the packet's descriptor under this name.
    Store(String),
    Remove(String),
    /// Send all stored descriptors.
    List,
    Shutdown(Power),
    Stopped,
    /// The version on trial is to be good after this time at the latest; `None`: it is.
    Trial(Option<Duration>),
}

/// Why a packet is dropped.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum MessageError {
    #[error("is not text")]
    NotText,
    #[error("line {0:?} is not understood")]
    Line(String),
    #[error("FDSTORE and FDSTOREREMOVE need FDNAME, 1 to {NAME_BYTES} printable characters")]
    Name,
}

/// Parses a packet from the daemon.
pub(crate) fn parse(packet: &[u8]) -> Result<Vec<Request>, MessageError> {
    let text = std::str::from_utf8(packet).map_err(|_| MessageError::NotText)?;
    let name = || {
        let name = text.lines().find_map(|line| line.strip_prefix("FDNAME=")).unwrap_or_default();
        let good = (1..=NAME_BYTES).contains(&name.len()) && !name.contains(char::is_control);
        good.then(|| name.to_owned()).ok_or(MessageError::Name)
    };
    let mut requests = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let unknown = || MessageError::Line(line.chars().take(64).collect());
        requests.push(match line.split_once('=').ok_or_else(unknown)? {
            ("READY", "1") => Request::Ready,
            ("STATUS", text) => Request::Status(text.to_owned()),
            ("WATCHDOG", "1") => Request::Watchdog,
            ("FDSTORE", "1") => Request::Store(name()?),
            ("FDSTOREREMOVE", "1") => Request::Remove(name()?),
            ("FDSTORELIST", "1") => Request::List,
            ("SHUTDOWN", word) => Request::Shutdown(Power::from_word(word).ok_or_else(unknown)?),
            ("STOPPED", "1") => Request::Stopped,
            ("TRIAL", "0") => Request::Trial(None),
            ("TRIAL", text) => {
                let seconds = text.parse::<u32>().map_err(|_| unknown())?;
                Request::Trial(Some(Duration::from_secs(seconds.into())))
            }
            ("FDNAME", _) => continue,
            _ => return Err(unknown()),
        });
    }
    Ok(requests)
}

/// A reaped child: its raw wait status and when, CLOCK_BOOTTIME in microseconds.
pub(crate) fn exit(pid: i32, status: i32, time_us: u64) -> String {
    format!("{EXIT}{pid}\nSTATUS={status}\nTIME_US={time_us}")
}

/// How a packet about a reaped child begins.
pub(crate) const EXIT: &str = "EXIT=";

pub(crate) fn stored(name: &str) -> String {
    format!("FDNAME={name}")
}

pub(crate) const STORE_END: &str = "FDSTOREEND=1";

pub(crate) fn stop(power: Power) -> String {
    format!("STOP={power}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets() {
        let line = |text: &str| Err(MessageError::Line(text.into()));
        for (packet, expected) in [
            ("READY=1\nSTATUS=all = well\n", Ok(vec![Request::Ready, Request::Status("all = well".into())])),
            ("WATCHDOG=1", Ok(vec![Request::Watchdog])),
            ("FDSTORE=1\nFDNAME=log/udev", Ok(vec![Request::Store("log/udev".into())])),
            ("FDNAME=x\nFDSTOREREMOVE=1", Ok(vec![Request::Remove("x".into())])),
            ("FDSTORELIST=1", Ok(vec![Request::List])),
            ("SHUTDOWN=poweroff", Ok(vec![Request::Shutdown(Power::Off)])),
            ("STOPPED=1", Ok(vec![Request::Stopped])),
            ("TRIAL=90", Ok(vec![Request::Trial(Some(Duration::from_secs(90)))])),
            ("TRIAL=0", Ok(vec![Request::Trial(None)])),
            ("TRIAL=-1", line("TRIAL=-1")),
            ("", Ok(vec![])),
            ("SHUTDOWN=now", line("SHUTDOWN=now")),
            ("READY=0", line("READY=0")),
            ("hello", line("hello")),
            ("FDSTORE=1", Err(MessageError::Name)),
            ("FDSTORE=1\nFDNAME=", Err(MessageError::Name)),
            ("FDSTORE=1\nFDNAME=a\tb", Err(MessageError::Name)),
        ] {
            assert_eq!(parse(packet.as_bytes()), expected, "{packet:?}");
        }
        assert_eq!(parse(&[0xff]), Err(MessageError::NotText));
    }

    #[test]
    fn answers() {
        assert_eq!(exit(7, 9, 123), "EXIT=7\nSTATUS=9\nTIME_US=123");
        assert_eq!(stored("x"), "FDNAME=x");
        assert_eq!(stop(Power::Off), "STOP=poweroff");
    }

    proptest! {
        #[test]
        fn never_panics(packet in prop::collection::vec(any::<u8>(), 0..200)) {
            parse(&packet).ok();
        }
    }
}
