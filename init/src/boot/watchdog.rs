//! The hardware watchdog: resets the machine when PID 1 hangs.

use crate::clock::monotonic;
use hull_sys::watchdog::Watchdog;
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use std::path::Path;
use std::time::Duration;

const DEVICE: &str = "/dev/watchdog";
/// Covers the longest step between two feedings (a stuck disk's own retries take up to 30 s).
const TIMEOUT_SECONDS: u16 = 60;
/// A version on trial that hangs is to be left soon.
const TRIAL_TIMEOUT_SECONDS: u16 = 30;
/// Two tries within the shorter timeout.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// The running watchdog, or nothing on a machine without one.
#[derive(Debug)]
pub(crate) struct Feeder {
    device: Option<Watchdog>,
    fed: Duration,
}

impl Feeder {
    /// Starts the watchdog where there is one; `trial` makes it a less patient one.
    pub(crate) fn start(trial: bool) -> Self {
        let device = match Watchdog::open(Path::new(DEVICE)) {
            Ok(device) => {
                match device.set_timeout(if trial { TRIAL_TIMEOUT_SECONDS } else { TIMEOUT_SECONDS }) {
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

    /// Leaves it running for the program that PID 1 executes next; returns its descriptor's number.
    pub(crate) fn hand_over(mut self) -> Option<i32> {
        let number = self.device.take()?.hand_over();
        number.inspect_err(|errno| log::warn!("the hardware watchdog cannot be handed over: {errno}")).ok()
    }

    /// Goes on with the one the initrd phase started; fed at once.
    pub(crate) fn take_over(number: i32) -> Result<Self, Errno> {
        let this = pidfd_open(getpid(), PidfdFlags::empty())?;
        let descriptor = pidfd_getfd(&this, number, PidfdGetfdFlags::empty())?;
        // The number itself goes, so that no child inherits it.
        nix::unistd::close(number).ok();
        let mut feeder = Self { device: Some(Watchdog::from_open(descriptor)), fed: Duration::ZERO };
        feeder.tick();
        Ok(feeder)
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
