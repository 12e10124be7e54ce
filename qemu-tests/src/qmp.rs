//! QEMU machine protocol over a unix socket: one command, one answer. See QEMU's qmp-spec.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// QEMU answers from its main loop; under emulation that may take a while.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// Sends `command` (such as `system_powerdown`) and waits for its answer.
pub fn command(socket: &Path, command: &str) -> Result<Value> {
    let stream = UnixStream::connect(socket).with_context(|| format!("QMP socket {}", socket.display()))?;
    stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut greeting = String::new();
    reader.read_line(&mut greeting)?;
    for name in ["qmp_capabilities", command] {
        writeln!(writer, "{{\"execute\":\"{name}\"}}")?;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                bail!("QEMU closed the QMP socket at {name}");
            }
            let answer: Value = serde_json::from_str(&line)?;
            if let Some(error) = answer.get("error") {
                bail!("QMP {name}: {error}");
            }
            if let Some(value) = answer.get("return") {
                if name == command {
                    return Ok(value.clone());
                }
                break;
            }
        }
    }
    bail!("QMP {command}: no answer")
}
