//! Where a service can write: its mounts, and what every container gets.

use crate::schema::{Api, MountType, Service};
use serde::{Deserialize, Serialize};

/// A directory or file that is mounted writable.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Writable {
    /// Path in the container.
    pub path: String,
    /// Host path behind it; `None` for a file system in memory that ends with the container.
    pub source: Option<String>,
}

/// File systems in memory every container has; `system-containers/runtime/src/plan/mounts.rs` makes them.
const MEMORY: [&str; 4] = ["/dev/shm", "/dev/mqueue", "/run", "/tmp"];
const HOST_DEV: &str = "/dev";
/// Where the daemon puts the API socket, see `system-containers/daemon/src/plan/mounts.rs`.
const API: (&str, &str) = ("/run/hull", "/run/hull/api");
/// And the socket for sd_notify(3) messages.
const NOTIFY: (&str, &str) = ("/run/service/notify", "/run/hull/services");

/// Everything writable in the container `name`, in the order of paths.
pub(super) fn paths(name: &str, service: &Service) -> Vec<Writable> {
    let memory = |path: &str| Writable { path: path.into(), source: None };
    let host = |path: &str, source: String| Writable { path: path.into(), source: Some(source) };
    let mut writable: Vec<Writable> = MEMORY.iter().copied().map(memory).collect();
    if service.security.devices.host_dev {
        // Among it /dev/shm and /dev/mqueue, which get instances of their own on top.
        writable.push(host(HOST_DEV, HOST_DEV.into()));
    } else {
        writable.push(memory(HOST_DEV));
    }
    let several = service.processes.len() > 1;
    if several || service.ready.as_ref().is_some_and(|ready| ready.notify) {
        writable.push(host(NOTIFY.0, format!("{}/{name}/notify", NOTIFY.1)));
    }
    if service.api != Api::None {
        writable.push(host(API.0, format!("{}/{name}", API.1)));
    }
    for mount in &service.mounts {
        // The last of contradicting options counts.
        let read_only = mount.options.iter().rev().find(|option| matches!(option.as_str(), "ro" | "rw"));
        if read_only.is_some_and(|option| option == "ro") {
            continue;
        }
        writable.retain(|other| other.path != mount.target);
        let source = (mount.kind != MountType::Tmpfs).then(|| mount.source.clone()).flatten();
        writable.push(Writable { path: mount.target.clone(), source });
    }
    writable.sort_by(|one, other| one.path.cmp(&other.path));
    writable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_only_is_writable() {
        let text = "description = \"x\"\napi = \"power\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n\
            [[mount]]\nsource = \"/state/a\"\ntarget = \"/a\"\noptions = [\"ro\"]\n\
            [[mount]]\nsource = \"/state/b\"\ntarget = \"/b\"\n\
            [[mount]]\ntype = \"tmpfs\"\ntarget = \"/c\"\noptions = [\"ro\", \"rw\"]\n\
            [[mount]]\ntype = \"overlay\"\nsource = \"/state/etc/x\"\ntarget = \"/etc\"\n";
        let service = crate::parse("t", text).unwrap();
        let found: Vec<_> = paths("t", &service).into_iter().map(|one| (one.path, one.source)).collect();
        let found: Vec<_> = found.iter().map(|(path, source)| (path.as_str(), source.as_deref())).collect();
        assert_eq!(
            found,
            [
                ("/b", Some("/state/b")),
                ("/c", None),
                ("/dev", None),
                ("/dev/mqueue", None),
                ("/dev/shm", None),
                ("/etc", Some("/state/etc/x")),
                ("/run", None),
                ("/run/hull", Some("/run/hull/api/t")),
                ("/tmp", None),
            ]
        );
    }
}
