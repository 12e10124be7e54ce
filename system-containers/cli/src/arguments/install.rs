//! `hull install`.

use lexopt::prelude::*;
use std::path::PathBuf;

/// What is done about installing a live system.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Install {
    List { json: bool },
    Write { disk: String, user_data: Option<PathBuf>, yes: bool },
}

pub(super) fn parse(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<Install, lexopt::Error> {
    let (mut json, mut disk, mut user_data, mut yes) = (false, None, None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Long("json") => json = true,
            Long("user-data") => user_data = Some(parser.value()?.into()),
            Long("yes") | Short('y') => yes = true,
            Value(word) if disk.is_none() => disk = Some(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    match disk {
        Some(disk) if !json => Ok(Install::Write { disk, user_data, yes }),
        None if user_data.is_none() && !yes => Ok(Install::List { json }),
        _ => Err("install takes a disk with --user-data and --yes, or --json alone".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_or_none() {
        let parsed = |line: &str| {
            let mut parser = lexopt::Parser::from_args(line.split_whitespace());
            parse(&mut parser, &mut PathBuf::new()).map_err(|error| error.to_string())
        };
        let write = |user_data: Option<&str>, yes| {
            Ok(Install::Write { disk: "/dev/sda".into(), user_data: user_data.map(PathBuf::from), yes })
        };
        assert_eq!(parsed(""), Ok(Install::List { json: false }));
        assert_eq!(parsed("--json"), Ok(Install::List { json: true }));
        assert_eq!(parsed("/dev/sda"), write(None, false));
        assert_eq!(parsed("/dev/sda -y --user-data web.yaml"), write(Some("web.yaml"), true));
        for (line, part) in [
            ("--yes", "takes a disk"),
            ("--json /dev/sda", "takes a disk"),
            ("/dev/sda /dev/sdb", "sdb"),
            ("--force", "force"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
