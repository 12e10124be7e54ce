//! The far end of a VLAN, in user space: the kernel of the machine that runs the tests may have no VLANs.
//!
//! ```text
//! trunk tap ─ socat ─ unix socket ─ Vlan: takes tags off ─→ unix socket ─ socat ─ access tap
//!                                   Vlan: ←─ puts tags on
//! ```
//! socat carries whole Ethernet frames, one a datagram; tags are IEEE 802.1Q's.

use crate::namespace;
use anyhow::{Context, Result, ensure};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two taps of a namespace; ended when dropped.
#[derive(Debug)]
pub struct Vlan {
    carriers: Vec<Child>,
    threads: Vec<JoinHandle<()>>,
    ended: Arc<AtomicBool>,
}

/// Bytes of both hardware addresses, before a tag.
const ADDRESSES: usize = 12;
/// Type of a frame with a tag.
const TAGGED: [u8; 2] = [0x81, 0x00];
/// Bits of a tag that are the VLAN's number.
const NUMBER: u16 = 0xfff;
/// Larger than any frame.
const BUFFER: usize = 1 << 16;
/// How soon a thread sees that it is over.
const POLL: Duration = Duration::from_millis(200);
const START_DEADLINE: Duration = Duration::from_secs(60);

impl Vlan {
    /// Joins frames of VLAN `number` on the tap `trunk` to untagged ones on the tap `access`; sockets are made in `folder`.
    pub fn join(namespace: &str, number: u16, trunk: &str, access: &str, folder: &Path) -> Result<Self> {
        let mut vlan = Self { carriers: Vec::new(), threads: Vec::new(), ended: Arc::default() };
        let (trunk, trunk_far) = vlan.carry(namespace, trunk, folder)?;
        let (access, access_far) = vlan.carry(namespace, access, folder)?;
        vlan.pump(trunk.try_clone()?, access.try_clone()?, access_far, move |frame| untagged(frame, number));
        vlan.pump(access, trunk, trunk_far, move |frame| tagged(frame, number));
        Ok(vlan)
    }

    /// Starts socat between a tap and a socket: ours, and the path of socat's.
    fn carry(&mut self, namespace: &str, tap: &str, folder: &Path) -> Result<(UnixDatagram, PathBuf)> {
        let [near, far] = ["near", "far"].map(|end| folder.join(format!("{tap}.{end}")));
        for path in [&near, &far] {
            // Of a broken-off run.
            std::fs::remove_file(path).ok();
        }
        let socket = UnixDatagram::bind(&near).with_context(|| near.display().to_string())?;
        socket.set_read_timeout(Some(POLL))?;
        let carrier = namespace::command(Some(namespace), "socat")
            .arg(format!("TUN,tun-name={tap},tun-type=tap,iff-no-pi"))
            .arg(format!("UNIX-SENDTO:{},bind={}", near.display(), far.display()))
            .stdin(Stdio::null())
            .spawn()
            .context("socat")?;
        self.carriers.push(carrier);
        let deadline = Instant::now() + START_DEADLINE;
        while !far.exists() {
            ensure!(Instant::now() < deadline, "socat does not carry the frames of {tap}");
            std::thread::sleep(POLL / 4);
        }
        Ok((socket, far))
    }

    /// Sends what arrives at one socket on to the other end of another, changed or not at all.
    fn pump(
        &mut self,
        from: UnixDatagram,
        to: UnixDatagram,
        far: PathBuf,
        change: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static,
    ) {
        let ended = Arc::clone(&self.ended);
        self.threads.push(std::thread::spawn(move || {
            let mut buffer = vec![0; BUFFER];
            while !ended.load(Ordering::SeqCst) {
                // Nothing in time, or nobody there: both ends come and go, and a network loses frames.
                let Ok(length) = from.recv(&mut buffer) else { continue };
                if let Some(frame) = buffer.get(..length).and_then(&change) {
                    to.send_to(&frame, &far).ok();
                }
            }
        }));
    }
}

impl Drop for Vlan {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        for carrier in &mut self.carriers {
            drop(carrier.kill());
            drop(carrier.wait());
        }
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// A frame without its tag, if it is one of this VLAN.
fn untagged(frame: &[u8], number: u16) -> Option<Vec<u8>> {
    let (addresses, rest) = frame.split_at_checked(ADDRESSES)?;
    let [high, low, rest @ ..] = rest.strip_prefix(&TAGGED)? else { return None };
    (u16::from_be_bytes([*high, *low]) & NUMBER == number).then(|| [addresses, rest].concat())
}

/// A frame with a tag.
fn tagged(frame: &[u8], number: u16) -> Option<Vec<u8>> {
    let (addresses, rest) = frame.split_at_checked(ADDRESSES)?;
    Some([addresses, &TAGGED, &number.to_be_bytes(), rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_put_on_and_taken_off() {
        let plain = *b"tttttt ffffff type and content";
        let with = tagged(&plain, 7).unwrap();
        assert_eq!(with.len(), plain.len() + 4);
        assert_eq!(untagged(&with, 7).unwrap(), plain);
        let mut urgent = with.clone();
        urgent[14] |= 0xe0;
        assert_eq!(untagged(&urgent, 7).unwrap(), plain, "the priority is no part of the number");
        for (frame, number) in [(&with[..], 8), (&plain[..], 7), (&with[..15], 7), (&with[..8], 7), (&[][..], 7)] {
            assert_eq!(untagged(frame, number), None, "{frame:?}");
        }
        assert_eq!(tagged(b"short", 7), None);
    }
}
