//! Namespaces of a bundle that exist already: opened in the caller, joined on both sides of clone3(2).
//!
//! New namespaces belong to the user namespace they are made in. So where one is joined, a process in between joins it and
//! makes the container's first process, as its own sibling:
//!
//! ```text
//! caller ─── fork ──▶ in between: setns(user), setns(pid)
//!   │                     └─ clone3(CLONE_PARENT, new namespaces) ──▶ first process
//!   └── parent of both ◀── id over a pipe; ends
//! ```

use super::{of_io, of_nix};
use crate::error::{StartError, Step};
use crate::plan::Extras;
use hull_sys::clone::{Forked, fork};
use nix::sched::{CloneFlags, setns};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// One that is joined.
#[derive(Debug)]
struct Namespace {
    flag: CloneFlags,
    fd: OwnedFd,
    path: PathBuf,
}

impl Namespace {
    fn join(&self) -> Result<(), StartError> {
        setns(&self.fd, self.flag).map_err(|errno| StartError::at(Step::JoinNamespaces, &self.path, of_nix(errno)))
    }
}

/// All that are joined.
#[derive(Debug)]
pub(super) struct Joined {
    user: Option<Namespace>,
    pid: Option<Namespace>,
    /// Mount namespaces last: then paths are others.
    inside: Vec<Namespace>,
}

impl Joined {
    pub(super) fn open(extras: &Extras) -> Result<Self, StartError> {
        let mut joined = Self { user: None, pid: None, inside: Vec::new() };
        for (flag, path) in &extras.joined {
            let failed = |errno| StartError::at(Step::JoinNamespaces, path, errno);
            let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
            let namespace = Namespace { flag: CloneFlags::from_bits_retain(*flag), fd, path: path.clone() };
            match namespace.flag {
                CloneFlags::CLONE_NEWUSER => joined.user = Some(namespace),
                CloneFlags::CLONE_NEWPID => joined.pid = Some(namespace),
                _ => joined.inside.push(namespace),
            }
        }
        joined.inside.sort_by_key(|namespace| namespace.flag == CloneFlags::CLONE_NEWNS);
        Ok(joined)
    }

    /// Forks the first process, which has to call [`Joined::enter`].
    pub(super) fn fork(&self, new: CloneFlags, cgroup: BorrowedFd<'_>) -> Result<Forked, StartError> {
        let failed = |error: io::Error| StartError::of(Step::Clone, of_io(&error));
        let Some(user) = &self.user else {
            // Concerns children alone.
            self.pid.as_ref().map_or(Ok(()), Namespace::join)?;
            return fork(new, Some(cgroup)).map_err(failed);
        };
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
        match fork(CloneFlags::empty(), None).map_err(failed)? {
            Forked::Child => {
                drop(reader);
                let joined = user.join().and_then(|()| self.pid.as_ref().map_or(Ok(()), Namespace::join));
                let made = joined.and_then(|()| fork(new | CloneFlags::CLONE_PARENT, Some(cgroup)).map_err(failed));
                let answer = match made {
                    Ok(Forked::Child) => return Ok(Forked::Child),
                    Ok(Forked::Parent { pid, .. }) => Ok(pid),
                    Err(error) => Err(error),
                };
                let told = serde_json::to_vec(&answer).map_err(io::Error::from);
                let told = told.and_then(|text| File::from(writer).write_all(&text));
                std::process::exit(i32::from(told.is_err()))
            }
            Forked::Parent { pidfd: between, .. } => {
                drop(writer);
                let answer = hear(reader);
                waitid(WaitId::PidFd(between.as_fd()), WaitIdOptions::EXITED).map_err(|errno| failed(errno.into()))?;
                let pid = answer.map_err(failed)??;
                let process = Pid::from_raw(pid).ok_or_else(|| failed(Errno::PROTO.into()))?;
                // A child of this process, so its id is its own until it is waited for.
                let pidfd = pidfd_open(process, PidfdFlags::empty()).map_err(|errno| failed(errno.into()))?;
                Ok(Forked::Parent { pid, pidfd })
            }
        }
    }

    /// In the first process: joins the others.
    pub(super) fn enter(self) -> Result<(), StartError> {
        self.inside.iter().try_for_each(Namespace::join)
    }
}

/// The first process holds the pipe open as well, so the answer is one read.
fn hear(reader: OwnedFd) -> io::Result<Result<i32, StartError>> {
    let mut text = [0; 4096];
    let length = File::from(reader).read(&mut text)?;
    Ok(serde_json::from_slice(&text[..length])?)
}
