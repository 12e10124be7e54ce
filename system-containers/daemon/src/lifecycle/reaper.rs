//! Exits are learned from PID 1 only. One may be reported before the daemon knows whose process it was.

use std::collections::{HashMap, VecDeque};
use tokio::sync::oneshot;

/// Exits of unknown processes kept; everything orphaned on the machine ends here, so it is bounded.
const KEPT: usize = 256;

/// A reaped process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its id.
    pub pid: i32,
    /// Raw wait status.
    pub status: i32,
    /// `CLOCK_BOOTTIME`, microseconds.
    pub time_us: u64,
}

/// Matches exits with those who wait for them.
#[derive(Debug, Default)]
pub struct Reaper {
    waiting: HashMap<i32, oneshot::Sender<Exit>>,
    early: VecDeque<Exit>,
}

impl Reaper {
    /// Waits for a process that was made at or after `since_us`; an older exit of the same id is another process's.
    pub fn wait(&mut self, pid: i32, since_us: u64) -> oneshot::Receiver<Exit> {
        let (sender, receiver) = oneshot::channel();
        let found = self.early.iter().position(|exit| exit.pid == pid && exit.time_us >= since_us);
        match found.and_then(|index| self.early.remove(index)) {
            // The receiver is in this function's hands.
            Some(exit) => drop(sender.send(exit)),
            None => drop(self.waiting.insert(pid, sender)),
        }
        receiver
    }

    /// Hands an exit to whoever waits for it, or keeps it.
    pub fn exited(&mut self, exit: Exit) {
        match self.waiting.remove(&exit.pid) {
            // Whoever waited may have given up.
            Some(sender) => drop(sender.send(exit)),
            None => {
                if self.early.len() == KEPT {
                    self.early.pop_front();
                }
                self.early.push_back(exit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn exits_find_their_waiter_before_or_after() {
        let mut reaper = Reaper::default();
        let exit = |pid, time_us| Exit { pid, status: 0, time_us };
        let late = reaper.wait(1, 0);
        reaper.exited(exit(1, 5));
        assert_eq!(late.await, Ok(exit(1, 5)));

        reaper.exited(exit(2, 5));
        assert_eq!(reaper.wait(2, 5).await, Ok(exit(2, 5)));

        reaper.exited(exit(3, 5));
        let mut reused = reaper.wait(3, 6);
        assert!(reused.try_recv().is_err());
        reaper.exited(exit(3, 7));
        assert_eq!(reused.await, Ok(exit(3, 7)));

        (0..1000).for_each(|pid| reaper.exited(exit(pid, 9)));
        assert_eq!(reaper.early.len(), KEPT);
    }
}
