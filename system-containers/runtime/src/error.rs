//! Why a container did not start: the step, the path it was about and the kernel's error number.
//!
//! The same value travels from the container's first process through the helper to the caller, as JSON.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// A failed [`start`](crate::start) or [`exec`](crate::exec). Nothing keeps running after it; the cgroup directory is
/// left to the caller, who made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{step}{}: {}{}", At(.path.as_deref()), std::io::Error::from_raw_os_error(*.errno), Advice(*.step, *.errno))]
pub struct StartError {
    /// What was being done.
    pub step: Step,
    /// What it was done to: a path, or the name of the setting for steps without one.
    pub path: Option<PathBuf>,
    /// `errno(3)` of the failed call.
    pub errno: i32,
}

impl StartError {
    /// Builds the error of one step on one path.
    pub(crate) fn at(step: Step, path: impl AsRef<Path>, errno: Errno) -> Self {
        Self { step, path: Some(path.as_ref().to_owned()), errno: errno.raw_os_error() }
    }

    /// Builds the error of a step that has no path.
    pub(crate) fn of(step: Step, errno: Errno) -> Self {
        Self { step, path: None, errno: errno.raw_os_error() }
    }
}

/// The stages of a start, in the order they happen. Displayed as the beginning of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The specification asks for something this runtime does not do; the path is the field's name.
    Specification,
    /// Starting the helper or talking to it.
    Helper,
    /// Opening the service's cgroup directory.
    Cgroup,
    /// Loading or attaching the device program.
    DeviceProgram,
    /// Reading the compiled seccomp filter.
    SeccompFile,
    /// Opening the root file system.
    Root,
    /// Opening the source of a bind mount, or the layers of an overlay.
    MountSource,
    /// clone3(2) into the cgroup and the new namespaces.
    Clone,
    /// Joining the namespaces of a running container.
    JoinNamespaces,
    /// Making the new root the root.
    PivotRoot,
    /// Finding (or, on a writable file system, making) the mount point.
    MountTarget,
    /// Mounting.
    Mount,
    /// Making a node or link in `/dev`.
    DeviceNode,
    /// Hiding a masked path or making a path read-only.
    HidePath,
    /// Setting the host name.
    HostName,
    /// Writing a kernel parameter; the path is the file under `/proc/sys`.
    Sysctl,
    /// Bringing up the loopback interface.
    Loopback,
    /// Allocating the pseudo-terminal.
    Terminal,
    /// Running a hook; the path names the hook and how it ended.
    Hook,
    /// User and group mappings of a user namespace.
    IdMapping,
    /// Scheduling policy, I/O priority or execution domain.
    Scheduling,
    /// Waiting, created, for the call to start.
    Wait,
    /// Resource limits and `oom_score_adj`.
    Limits,
    /// Session, standard streams, descriptors and signals.
    Streams,
    /// User, groups and capabilities.
    Credentials,
    /// Changing to the working directory.
    WorkingDirectory,
    /// Installing the seccomp filter.
    Seccomp,
    /// Finding and executing the program.
    Program,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Specification => "specification not supported",
            Self::Helper => "runtime helper",
            Self::Cgroup => "open cgroup",
            Self::DeviceProgram => "device program",
            Self::SeccompFile => "read seccomp filter",
            Self::Root => "open root file system",
            Self::MountSource => "open mount source",
            Self::Clone => "create process in cgroup",
            Self::JoinNamespaces => "join namespaces",
            Self::PivotRoot => "change root",
            Self::MountTarget => "mount point",
            Self::Mount => "mount",
            Self::DeviceNode => "make device node",
            Self::HidePath => "hide path",
            Self::HostName => "set host name",
            Self::Sysctl => "set kernel parameter",
            Self::Loopback => "bring up loopback",
            Self::Terminal => "allocate terminal",
            Self::Hook => "run hook",
            Self::IdMapping => "map user and group ids",
            Self::Scheduling => "set scheduling",
            Self::Wait => "wait for start",
            Self::Limits => "set limit",
            Self::Streams => "set up streams",
            Self::Credentials => "set user and capabilities",
            Self::WorkingDirectory => "working directory",
            Self::Seccomp => "install seccomp filter",
            Self::Program => "execute program",
        })
    }
}

/// Writes ` path` when there is one.
struct At<'a>(Option<&'a Path>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |path| write!(f, " {}", path.display()))
    }
}

/// What to do next, for failures that have one usual cause.
struct Advice(Step, i32);

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(step, errno) = *self;
        let text = match (step, Errno::from_raw_os_error(errno)) {
            (Step::MountTarget, Errno::NOENT | Errno::ROFS) => {
                "; the read-only root lacks it: declare the mount in service.toml and rebuild the image"
            }
            (Step::MountSource, Errno::NOENT) => "; make the host path before the start",
            (Step::Program, Errno::NOENT) => "; is the file, or its interpreter, missing in the service's image?",
            (Step::Program, Errno::PERM) => "; does the seccomp filter allow execve?",
            (Step::Cgroup, Errno::NOENT) => "; create the cgroup first",
            _ => return Ok(()),
        };
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_step_path_errno_and_remedy() {
        let error = StartError::at(Step::MountTarget, "/var/lib/x", Errno::ROFS);
        assert_eq!(
            error.to_string(),
            "mount point /var/lib/x: Read-only file system (os error 30); the read-only root lacks it: declare the \
             mount in service.toml and rebuild the image"
        );
        let error = StartError::of(Step::Clone, Errno::BUSY);
        assert_eq!(error.to_string(), "create process in cgroup: Device or resource busy (os error 16)");
    }

    #[test]
    fn survives_the_way_to_the_caller() {
        let error = StartError::at(Step::Program, "/bin/x", Errno::NOENT);
        let text = serde_json::to_string(&error).expect("plain data");
        assert_eq!(serde_json::from_str::<StartError>(&text).expect("own text"), error);
    }
}
