//! What a client asks for. Pure.

use crate::api::error::ApiError;
use crate::api::model::ExecConfig;
use crate::plan::Command;
use hull_runtime::launch::TerminalSize;

/// What the client is connected to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Streams {
    pub(super) input: bool,
    pub(super) output: bool,
    pub(super) errors: bool,
    pub(super) tty: bool,
}

/// The process, and what the client is connected to.
pub(super) fn read(request: ExecConfig) -> Result<(Command, Streams), ApiError> {
    let streams = Streams {
        input: request.attach_stdin == Some(true),
        output: request.attach_stdout == Some(true),
        errors: request.attach_stderr == Some(true),
        tty: request.tty == Some(true),
    };
    let command = Command {
        arguments: request.cmd.unwrap_or_default(),
        environment: request.env.unwrap_or_default(),
        working_directory: request.working_dir.filter(|folder| !folder.is_empty()),
        user: user(request.user.as_deref().unwrap_or_default())?,
        tty: streams.tty,
        size: size(request.console_size.as_deref())?,
    };
    Ok((command, streams))
}

/// `root`, `UID` or `UID:GID`; `None` is the service's own.
pub fn user(text: &str) -> Result<Option<(u32, u32)>, ApiError> {
    let bad = || ApiError::bad(format!("user \"{text}\": give root, UID or UID:GID in numbers"));
    match text {
        "" => Ok(None),
        "root" => Ok(Some((0, 0))),
        _ => {
            let (uid, gid) = text.split_once(':').unwrap_or((text, text));
            Ok(Some((uid.parse().map_err(|_| bad())?, gid.parse().map_err(|_| bad())?)))
        }
    }
}

/// Height and width of a terminal; 0 is not known.
pub(super) fn size(sides: Option<&[usize]>) -> Result<Option<TerminalSize>, ApiError> {
    let Some(sides) = sides else { return Ok(None) };
    let bad = || ApiError::bad(format!("ConsoleSize {sides:?}: give height and width"));
    let &[rows, columns] = sides else { return Err(bad()) };
    let side = |side: usize| u16::try_from(side).map_err(|_| bad());
    let size = TerminalSize { rows: side(rows)?, columns: side(columns)? };
    Ok(Some(size).filter(|size| size.rows > 0 && size.columns > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users() {
        for (text, expected) in [("", None), ("root", Some((0, 0))), ("7", Some((7, 7))), ("7:8", Some((7, 8)))] {
            assert_eq!(user(text).unwrap(), expected, "{text}");
        }
        assert!(user("somebody").is_err());
    }

    #[test]
    fn sizes_of_terminals() {
        assert_eq!(size(None).unwrap(), None);
        assert_eq!(size(Some(&[0, 80])).unwrap(), None);
        assert_eq!(size(Some(&[24, 80])).unwrap(), Some(TerminalSize { rows: 24, columns: 80 }));
        for bad in [&[][..], &[24], &[24, 80, 1], &[70_000, 80]] {
            assert!(size(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
