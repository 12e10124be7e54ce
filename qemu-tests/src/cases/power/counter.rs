//! A container that counts: each number is appended to a file of a volume and synced before it is told to this machine,
//! which puts it in the trace at once.

use crate::fault_disk::FaultDisk;
use anyhow::{Context, Result, ensure};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where the guest tells its numbers.
pub(super) const ADDRESS: &str = "10.0.2.100:9000";
/// Folder of the volume as users see it.
pub(super) const VOLUME: &str = "/srv/counter";
/// The file, from the root of the state file system.
pub(super) const FILE: &str = "/data/srv/counter/lines";
/// Name of container and image.
pub(super) const NAME: &str = "counter";
/// The program: goes on where the file ends.
pub(super) const PROGRAM: &str = r#"cd /v
i=$(busybox tail -n 1 lines 2>/dev/null)
while :; do
    i=$((${i:-0}+1))
    echo $i | busybox dd of=lines oflag=append conv=notrunc,fsync 2>/dev/null || exit 1
    echo $i
    echo $i | busybox nc -w 5 10.0.2.100 9000
    busybox sleep 1
done"#;

const POLL: Duration = Duration::from_millis(200);
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Listens until dropped.
#[derive(Debug)]
pub(super) struct Counter {
    /// Loopback port behind [`ADDRESS`].
    pub(super) port: u16,
    last: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Counter {
    /// Marks `durable N` for each number told.
    pub(super) fn listen(disk: &Arc<FaultDisk>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("port of the counter")?;
        let port = listener.local_addr()?.port();
        let (last, stopping) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (disk, last, stopping) = (Arc::clone(disk), Arc::clone(&last), Arc::clone(&stopping));
            std::thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    if stopping.load(Ordering::SeqCst) {
                        break;
                    }
                    if let Some(number) = told(stream)
                        && disk.mark(&format!("durable {number}")).is_ok()
                    {
                        last.fetch_max(number, Ordering::SeqCst);
                    }
                }
            })
        };
        Ok(Self { port, last, stopping, thread: Some(thread) })
    }

    /// Waits until the container has counted `more` from now on.
    pub(super) fn wait(&self, more: u64, time: Duration) -> Result<()> {
        let deadline = Instant::now() + time;
        let want = self.last.load(Ordering::SeqCst) + more;
        while self.last.load(Ordering::SeqCst) < want {
            ensure!(Instant::now() < deadline, "the container did not count to {want} in time");
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

/// A line with a number; a connection that is cut tells nothing.
fn told(mut stream: TcpStream) -> Option<u64> {
    stream.set_read_timeout(Some(READ_TIMEOUT)).ok()?;
    let mut text = String::new();
    let mut buffer = [0; 64];
    while !text.ends_with('\n') {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        text.push_str(std::str::from_utf8(&buffer[..count]).ok()?);
    }
    text.trim().parse().ok()
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the listener, which looks at the flag. An error means that it has ended.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        drop(self.thread.take().map(JoinHandle::join));
    }
}
