//! A stand-in for PID 1: the subreaper of the daemon's containers, speaking the control protocol.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{Pid, Signal, WaitOptions};
use std::collections::{BTreeMap, HashMap};
use std::io::{IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the stand-in knows.
#[derive(Default)]
pub(crate) struct Known {
    /// Stored descriptors.
    pub(crate) stored: BTreeMap<String, OwnedFd>,
    /// Other messages of the daemon, in order.
    pub(crate) messages: Vec<String>,
    exits: HashMap<i32, i32>,
}

/// The stand-in.
pub(crate) struct FakeInit {
    /// What it knows.
    pub(crate) known: Arc<Mutex<Known>>,
    /// Process id of the daemon that runs now.
    pub(crate) daemon: i32,
    /// The daemon's program.
    pub(crate) program: PathBuf,
    /// Environment of the daemon's console and root.
    root: PathBuf,
    cgroup: PathBuf,
    ours: Arc<OwnedFd>,
    theirs: OwnedFd,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl FakeInit {
    /// Starts listening and reaping; the daemon is started by [`boot`](Self::boot).
    pub(crate) fn start(root: &Path, cgroup: &Path) -> Self {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let (ours, known, stop) = (Arc::new(ours), Arc::new(Mutex::new(Known::default())), Arc::default());
        let threads = vec![
            std::thread::spawn({
                let (ours, known) = (Arc::clone(&ours), Arc::clone(&known));
                move || while listen(&ours, &known) {}
            }),
            std::thread::spawn({
                let (ours, known, stop) = (Arc::clone(&ours), Arc::clone(&known), Arc::clone(&stop));
                move || reap(&ours, &known, &stop)
            }),
        ];
        let program = env!("CARGO_BIN_EXE_system-daemon").into();
        Self { known, daemon: 0, program, root: root.into(), cgroup: cgroup.into(), ours, theirs, stop, threads }
    }

    /// Starts the daemon.
    pub(crate) fn boot(&mut self) {
        let inherited = rustix::io::dup(&self.theirs).unwrap();
        // Not waited for here: the reaper does.
        let id = Command::new(&self.program)
            .arg("--root")
            .arg(&self.root)
            .arg("--cgroup")
            .arg(self.cgroup.join("services"))
            .arg("--console")
            .arg(self.root.join("console"))
            .env("HULL_CONTROL_FD", inherited.as_raw_fd().to_string())
            .stdin(Stdio::null())
            .spawn()
            .map(|child| child.id());
        self.daemon = i32::try_from(id.unwrap()).unwrap();
    }

    /// Kills the daemon, waits until it is gone, and takes back what it did not read, as PID 1 does.
    pub(crate) fn kill_daemon(&mut self) {
        rustix::process::kill_process(Pid::from_raw(self.daemon).unwrap(), Signal::KILL).unwrap();
        while !self.known.lock().unwrap().exits.contains_key(&self.daemon) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.kill_helpers();
        // What it said last is still answered; the answers are for nobody.
        loop {
            let _known = self.known.lock().unwrap();
            if rustix::io::ioctl_fionread(&*self.ours).unwrap() == 0 {
                break;
            }
        }
        let mut packet = [0; 4096];
        let mut exits = Vec::new();
        while let Ok((length, _)) = rustix::net::recv(&self.theirs, &mut packet, RecvFlags::DONTWAIT) {
            let text = String::from_utf8(packet[..length].to_vec()).unwrap();
            exits.extend(text.starts_with("EXIT=").then_some(text));
        }
        exits.iter().for_each(|exit| send(&self.ours, exit, None));
    }

    /// What the daemon left behind must not work beside the next one's; containers are in cgroups of their own.
    fn kill_helpers(&self) {
        let program = self.program.to_str().unwrap();
        let group = self.cgroup.file_name().unwrap().to_str().unwrap();
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let exe = std::fs::read_link(process.path().join("exe")).unwrap_or_default();
            let its = exe.to_str().is_some_and(|exe| exe.starts_with(program));
            let inside = std::fs::read_to_string(process.path().join("cgroup")).unwrap_or_default().contains(group);
            if its && !inside {
                // It may have ended meanwhile.
                rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).ok();
            }
        }
    }

    /// Runs a program of this machine's and returns what it prints; whoever else waits for it loses against the reaper.
    pub(crate) fn output(&self, program: &str, arguments: &[&str]) -> String {
        let child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn();
        let (id, stdout) = child.map(|child| (child.id(), child.stdout)).unwrap();
        let mut text = String::new();
        stdout.unwrap().read_to_string(&mut text).unwrap();
        let pid = i32::try_from(id).unwrap();
        let status = loop {
            match self.known.lock().unwrap().exits.remove(&pid) {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        assert_eq!(status, 0, "{program} {arguments:?}: {text}");
        text.trim().to_owned()
    }

    /// Sends a message to the daemon.
    pub(crate) fn say(&self, text: &str) {
        send(&self.ours, text, None);
    }

    /// Whether the daemon sent this message.
    pub(crate) fn heard(&self, text: &str) -> bool {
        self.known.lock().unwrap().messages.iter().any(|message| message == text)
    }

    /// Ends the daemon and the threads.
    pub(crate) fn end(&mut self) {
        if self.daemon != 0 && !self.known.lock().unwrap().exits.contains_key(&self.daemon) {
            self.kill_daemon();
        }
        self.stop.store(true, Ordering::Relaxed);
        rustix::net::shutdown(&*self.ours, rustix::net::Shutdown::Both).ok();
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

fn reap(ours: &OwnedFd, known: &Mutex<Known>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                let pid = pid.as_raw_nonzero().get();
                known.lock().unwrap().exits.insert(pid, status.as_raw());
                let time = hull_daemon::clock::boot_micros();
                send(ours, &format!("EXIT={pid}\nSTATUS={}\nTIME_US={time}", status.as_raw()), None);
            }
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn send(socket: &OwnedFd, text: &str, descriptor: Option<&OwnedFd>) {
    let descriptors: Vec<_> = descriptor.iter().map(|descriptor| descriptor.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    sendmsg(socket, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::NOSIGNAL).ok();
}

/// Handles one message; false when the channel is shut down.
fn listen(ours: &OwnedFd, known: &Mutex<Known>) -> bool {
    let mut data = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    // Received and answered under the lock, so that nobody finds the socket empty and the answer not yet sent.
    poll(&mut [PollFd::new(ours, PollFlags::IN)], None).unwrap();
    let mut known = known.lock().unwrap();
    let received = recvmsg(ours, &mut [IoSliceMut::new(&mut data)], &mut control, RecvFlags::CMSG_CLOEXEC);
    let length = received.map_or(0, |received| received.bytes);
    if length == 0 {
        return false;
    }
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let text = String::from_utf8(data[..length].to_vec()).unwrap();
    let name = || text.split("FDNAME=").nth(1).unwrap().to_owned();
    if text.starts_with("FDSTORE=1") {
        known.stored.insert(name(), descriptor.expect("a descriptor to store"));
    } else if text.starts_with("FDSTOREREMOVE=1") {
        known.stored.remove(&name());
    } else if text == "FDSTORELIST=1" {
        known.stored.iter().for_each(|(name, stored)| send(ours, &format!("FDNAME={name}"), Some(stored)));
        send(ours, "FDSTOREEND=1", None);
    } else {
        known.messages.push(text);
    }
    true
}
