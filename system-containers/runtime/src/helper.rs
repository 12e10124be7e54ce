//! The re-executed helper: a fresh, single-threaded process that may clone3(2) and change namespaces, which a
//! multi-threaded caller may not.
//!
//! | direction | over the helper's stdin, a stream socket | with descriptors |
//! |---|---|---|
//! | caller → helper | a request as JSON | the three standard streams, then those for numbers 3 and up, or a pidfd of the container |
//! | helper → caller | an answer as JSON | pidfd, then terminal master if any |
//!
//! The helper ends after its answer; the process it made is then adopted by the machine's PID 1.

use crate::channel;
use crate::container;
use crate::error::{StartError, Step};
use crate::launch::{Started, Stdio};
use crate::plan;
use hull_sys::mount::{Propagation, set_attributes};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

/// The only argument the helper is run with; an executable's `main` compares it and calls [`main`].
pub const ARGUMENT: &str = "runtime-helper";

/// Longest time from request to answer. A start takes milliseconds; only a mount source on a dead network file system
/// or a machine out of memory takes this long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// `SD_LISTEN_FDS_START` of sd_listen_fds(3).
const FIRST_DESCRIPTOR: RawFd = 3;

/// What the helper is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Start(Box<plan::Container>),
    Exec(Box<plan::Exec>),
}

/// Id of the new process, or what failed.
type Answer = Result<i32, StartError>;

/// Runs the helper and returns what it started.
pub(crate) fn call(
    helper_exe: &Path,
    request: &Request,
    stdio: Stdio<'_>,
    descriptors: &[BorrowedFd<'_>],
) -> Result<Started, StartError> {
    call_within(DEADLINE, helper_exe, request, stdio, descriptors)
}

fn call_within(
    deadline: Duration,
    helper_exe: &Path,
    request: &Request,
    stdio: Stdio<'_>,
    descriptors: &[BorrowedFd<'_>],
) -> Result<Started, StartError> {
    let failed = |error: io::Error| StartError {
        step: Step::Helper,
        path: Some(helper_exe.to_owned()),
        errno: error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
    };
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(|errno| failed(errno.into()))?;
    let mut child = spawn(helper_exe, theirs).map_err(failed)?;
    let answer = converse(ours.as_fd(), deadline, request, stdio, descriptors);
    if answer.is_err() {
        // A helper killed here takes the process it was setting up with it (parent death signal).
        child.kill().map_err(failed)?;
    }
    child.wait().map_err(failed)?;
    let (pid, fds) = answer.map_err(failed)??;
    let mut fds = fds.into_iter();
    let (Some(pid), Some(pidfd)) = (Pid::from_raw(pid), fds.next()) else {
        return Err(failed(Errno::PROTO.into()));
    };
    Ok(Started { pid, pidfd, terminal: fds.next() })
}

/// Runs the executable from a read-only mount of it that is attached nowhere. `/proc/<pid>/exe` of the helper, and of a
/// container's program that is a link to that, leads to this mount, through which nobody can write the host's file.
fn spawn(exe: &Path, socket: OwnedFd) -> io::Result<Child> {
    let tree = open_tree(CWD, exe, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    set_attributes(tree.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY, Some(Propagation::Private))?;
    let mut command = Command::new(format!("/proc/self/fd/{}", tree.as_raw_fd()));
    command.arg0(exe).arg(ARGUMENT).env_clear().stdin(socket).stdout(std::process::Stdio::null()).spawn()
}

type Conversation = Result<(i32, Vec<OwnedFd>), StartError>;

fn converse(
    socket: BorrowedFd<'_>,
    deadline: Duration,
    request: &Request,
    stdio: Stdio<'_>,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<Conversation> {
    set_socket_timeout(socket, Timeout::Recv, Some(deadline))?;
    let mut fds = vec![stdio.stdin, stdio.stdout, stdio.stderr];
    fds.extend(descriptors);
    channel::send(socket, &serde_json::to_vec(request)?, &fds)?;
    let (bytes, fds) = channel::receive(socket).map_err(|errno| match errno {
        Errno::AGAIN => Errno::TIMEDOUT,
        other => other,
    })?;
    if bytes.is_empty() {
        return Err(Errno::CONNRESET.into());
    }
    let answer: Answer = serde_json::from_slice(&bytes)?;
    Ok(answer.map(|pid| (pid, fds)))
}

/// Serves one request on stdin and ends. To be called before the executable starts a thread.
#[must_use]
pub fn main() -> ExitCode {
    take_name();
    match serve(io::stdin().as_fd()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{ARGUMENT}: {error}; it is started by the system daemon, with a socket as its stdin");
            ExitCode::from(2)
        }
    }
}

/// The kernel named this process by the number of the descriptor it was executed from.
fn take_name() {
    let name = std::env::args_os().next().map(PathBuf::from);
    let name = name.as_deref().and_then(Path::file_name).and_then(|name| CString::new(name.as_encoded_bytes()).ok());
    // For people who look at processes, so nothing depends on it.
    name.and_then(|name| rustix::thread::set_name(&name).ok());
}

fn serve(socket: BorrowedFd<'_>) -> io::Result<()> {
    hull_sys::clone::close_on_exec_from(3)?;
    let (bytes, fds) = channel::receive(socket)?;
    let answer = match serde_json::from_slice(&bytes)? {
        Request::Start(plan) => {
            let (streams, descriptors) = lay_out(fds)?;
            container::start(&plan, streams, &descriptors)
        }
        Request::Exec(plan) => {
            let [stdin, stdout, stderr, init] = fds.try_into().map_err(|_| Errno::PROTO)?;
            container::exec(&plan, &init, [stdin, stdout, stderr])
        }
    };
    let (answer, fds): (Answer, Vec<OwnedFd>) = match answer {
        Ok(made) => (Ok(made.pid), std::iter::once(made.pidfd).chain(made.terminal).collect()),
        Err(error) => (Err(error), Vec::new()),
    };
    let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    Ok(channel::send(socket, &serde_json::to_vec(&answer)?, &fds)?)
}

/// Gives what follows the three streams the numbers from 3 on. Whatever is opened later is numbered higher, so they stay
/// free for the container's program; closed on execve like everything else until the container's process says otherwise.
fn lay_out(fds: Vec<OwnedFd>) -> io::Result<([OwnedFd; 3], Vec<OwnedFd>)> {
    let above = FIRST_DESCRIPTOR + RawFd::try_from(fds.len()).map_err(|_| Errno::TOOBIG)?;
    let lift = |fd: OwnedFd| rustix::io::fcntl_dupfd_cloexec(&fd, above);
    let mut streams = fds.into_iter().map(lift).collect::<Result<Vec<_>, _>>()?;
    let lifted = streams.split_off(streams.len().min(3));
    let mut descriptors = Vec::new();
    for (fd, number) in lifted.iter().zip(FIRST_DESCRIPTOR..) {
        let descriptor = rustix::io::fcntl_dupfd_cloexec(fd, number)?;
        if descriptor.as_raw_fd() != number {
            // The caller leaked a descriptor into the helper.
            return Err(Errno::BUSY.into());
        }
        descriptors.push(descriptor);
    }
    Ok((streams.try_into().map_err(|_| Errno::PROTO)?, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_a_helper_that_hangs_is_ended() {
        // Takes any argument, reads no request, and never ends.
        let hanging = Path::new("/usr/bin/yes");
        let null = std::fs::File::open("/dev/null").expect("open /dev/null");
        let stdio = Stdio { stdin: null.as_fd(), stdout: null.as_fd(), stderr: null.as_fd() };
        let spec = oci_spec::runtime::Spec::default();
        let (rootfs, cgroup, devices) = ("/".into(), "/".into(), crate::DeviceRules::default());
        let launch = crate::Launch { spec, rootfs, cgroup, seccomp: None, devices, delegate: false };
        let request = Request::Start(Box::new(plan::of_launch(&launch).expect("plan")));
        let error = call_within(Duration::from_millis(50), hanging, &request, stdio, &[]).expect_err("hangs");
        assert_eq!(error, StartError::at(Step::Helper, hanging, Errno::TIMEDOUT));
    }
}
