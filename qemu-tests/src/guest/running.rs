//! The process of a VM that runs: its serial ports, its monitor, its resets.

use crate::machine::Machine;
use crate::namespace;
use crate::qmp;
use crate::serial::{self, Port, Serial};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// Length of the console's log at each reset.
type Resets = Arc<Mutex<Vec<usize>>>;

/// QEMU, and what is connected to it. Its files are in the guest's directory.
#[derive(Debug)]
pub(super) struct Running {
    process: Child,
    /// The console, ttyS0.
    pub(super) console: Serial,
    /// PID 1's debug shell.
    pub(super) shell: Serial,
    resets: Resets,
}

impl Running {
    /// Starts QEMU in a network namespace, or in this program's; the serial logs are begun anew.
    pub(super) fn start(machine: &Machine, directory: &Path, namespace: Option<&str>) -> Result<Self> {
        let log = std::fs::File::create(directory.join(QEMU_LOG))?;
        let mut process = namespace::command(namespace, "qemu-system-x86_64")
            .args(machine.args())
            .args(["-display", "none", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", monitor(directory).display()))
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", events(directory).display()))
            .args(serial::args(directory, 0, Port::Uart))
            .args(serial::args(directory, 1, Port::Virtio))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("qemu-system-x86_64")?;
        match Self::connect(directory) {
            Ok((console, shell, resets)) => Ok(Self { process, console, shell, resets }),
            Err(error) => {
                end(&mut process);
                Err(error.context(qemu_log(directory)))
            }
        }
    }

    fn connect(directory: &Path) -> Result<(Serial, Serial, Resets)> {
        let (console, shell) = (Serial::connect(directory, 0)?, Serial::connect(directory, 1)?);
        let resets = Resets::default();
        let (log, seen) = (console.log().to_owned(), Arc::clone(&resets));
        qmp::watch(&events(directory), move || {
            let length = std::fs::metadata(&log).map_or(0, |data| usize::try_from(data.len()).unwrap_or(0));
            let mut resets = seen.lock().unwrap_or_else(PoisonError::into_inner);
            // A kernel asks for its reset several times, until one of the ways to do it works.
            if resets.last() != Some(&length) {
                resets.push(length);
            }
        })?;
        Ok((console, shell, resets))
    }

    /// What the console has shown from each start or reset of the machine to the next.
    pub(super) fn boots(&self) -> Result<Vec<String>> {
        let log = std::fs::read(self.console.log())?;
        let resets = self.resets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ends = resets.iter().copied().chain([log.len()]);
        let begins = [0].into_iter().chain(resets.iter().copied());
        let text = |(from, to)| String::from_utf8_lossy(log.get(from..to).unwrap_or_default()).replace('\r', "");
        Ok(begins.zip(ends).map(text).collect())
    }

    /// How QEMU ended, if it did.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.process.try_wait()?)
    }

    /// Ends QEMU without a word to the machine in it.
    pub(super) fn kill(&mut self) {
        end(&mut self.process);
    }
}

fn end(process: &mut Child) {
    // An error means that it has ended, which is what is wanted.
    drop(process.kill());
    drop(process.wait());
}

const QEMU_LOG: &str = "qemu.log";

/// Socket of the monitor.
pub(super) fn monitor(directory: &Path) -> PathBuf {
    directory.join("qmp.sock")
}

/// Socket of the monitor that tells events.
fn events(directory: &Path) -> PathBuf {
    directory.join("events.sock")
}

/// What QEMU itself said.
pub(super) fn qemu_log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join(QEMU_LOG)).unwrap_or_default()
}
