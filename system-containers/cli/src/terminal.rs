//! The user's own terminal: raw mode while a program in a container has it, and its size.

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::stdin;

/// Raw mode until dropped.
#[derive(Debug)]
pub(crate) struct Raw {
    before: Termios,
}

impl Raw {
    /// Switches standard input's terminal.
    pub(crate) fn new() -> Result<Self> {
        let before = tcgetattr(stdin()).context("standard input is no terminal; leave -t out")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).context("cannot set the terminal")?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(stdin(), OptionalActions::Drain, &self.before) {
            eprintln!("hull: cannot reset the terminal ({error}); type: stty sane");
        }
    }
}

/// Rows and columns; `None` where the terminal does not know, as on a serial line.
pub(crate) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(stdin()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}
