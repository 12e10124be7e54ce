//! `hull exec …`.

use super::service;
use lexopt::prelude::*;
use std::path::PathBuf;

/// `hull exec`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Exec {
    pub(crate) service: String,
    pub(crate) command: Vec<String>,
    pub(crate) interactive: bool,
    pub(crate) tty: bool,
}

/// Options count up to the service's name; everything behind it is the command's.
pub(super) fn parse(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<Exec, lexopt::Error> {
    let mut exec = Exec::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Short('i') | Long("interactive") => exec.interactive = true,
            Short('t') | Long("tty") => exec.tty = true,
            Value(name) => {
                exec.service = service(name)?;
                exec.command = parser.raw_args()?.map(|word| word.string()).collect::<Result<_, _>>()?;
                break;
            }
            other => return Err(other.unexpected()),
        }
    }
    match (exec.service.is_empty(), exec.command.is_empty()) {
        (true, _) => Err("exec: name a service; hull ps lists them".into()),
        (_, true) => Err(format!("exec: name a command to run in {}", exec.service).into()),
        _ => Ok(exec),
    }
}
