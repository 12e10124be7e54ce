//! QEMU machine protocol over a unix socket: one command, one answer; and the resets, as they happen. See QEMU's qmp-spec.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// QEMU answers from its main loop; under emulation that may take a while.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// Sends `command` (such as `system_powerdown`) with its arguments, an object, and waits for its answer.
pub fn command(socket: &Path, command: &str, arguments: &Value) -> Result<Value> {
    let stream = UnixStream::connect(socket).with_context(|| format!("QMP socket {}", socket.display()))?;
    stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut greeting = String::new();
    reader.read_line(&mut greeting)?;
    for (name, arguments) in [("qmp_capabilities", &json!({})), (command, arguments)] {
        writeln!(writer, "{}", json!({ "execute": name, "arguments": arguments }))?;
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

/// Calls `reset` at every reset of the machine, on a thread of its own that ends with QEMU.
pub fn watch(socket: &Path, mut reset: impl FnMut() + Send + 'static) -> Result<()> {
    let mut stream = UnixStream::connect(socket).with_context(|| format!("QMP socket {}", socket.display()))?;
    writeln!(stream, "{}", json!({ "execute": "qmp_capabilities" }))?;
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(std::result::Result::ok) {
            let event = serde_json::from_str::<Value>(&line).unwrap_or_default();
            if event["event"] == "RESET" {
                reset();
            }
        }
    });
    Ok(())
}
