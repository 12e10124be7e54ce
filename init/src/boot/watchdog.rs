//! The hardware watchdog: resets the machine when PID 1 hangs.

use crate::clock::monotonic;
use hull_sys::watchdog::Watchdog;
use std::path::Path;
use std::time::Duration;

const DEVICE: &str = "/dev/watchdog";
/// Covers the longest step between two feedings (a stuck disk's own retries take up to 30 s).
const TIMEOUT_SECONDS: u16 = 60;
/// Three tries within the timeout.
pub(crate) const INTERVAL: Duration = Duration::from_secs(20);

/// The running watchdog, or nothing on a machine without one.
#[derive(Debug)]
pub(crate) struct Feeder {
    device: Option<Watchdog>,
    fed: Duration,
}

impl Feeder {
    /// Starts the watchdog where there is one.
    pub(crate) fn start() -> Self {
        let device = match Watchdog::open(Path::new(DEVICE)) {
            Ok(device) => {
                match device.set_timeout(TIMEOUT_SECONDS) {
                    Ok(seconds) => log::info!("hardware watchdog: {seconds} s"),
                    Err(errno) => log::warn!("hardware watchdog keeps its own timeout: {errno}"),
                }
                Some(device)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                log::warn!("cannot start the hardware watchdog {DEVICE}: {error}");
                None
            }
        };
        Self { device, fed: monotonic() }
    }

    /// Feeds it when that is due; cheap enough to call often.
    pub(crate) fn tick(&mut self) {
        let now = monotonic();
        if now < self.fed + INTERVAL {
            return;
        }
        self.fed = now;
        if let Some(Err(error)) = self.device.as_mut().map(Watchdog::feed) {
            log::warn!("cannot feed the hardware watchdog: {error}");
        }
    }

    /// Stops it where the hardware allows: a halted machine is to stay halted.
    pub(crate) fn disarm(&mut self) {
        if let Some(Err(error)) = self.device.take().map(Watchdog::disarm) {
            log::warn!("cannot stop the hardware watchdog, it will reset the machine: {error}");
        }
    }

    /// When [`tick`](Self::tick) has something to do next; `None` without a watchdog.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.device.as_ref().map(|_| self.fed + INTERVAL)
    }
}
