//! features: what this runtime can do, as JSON (specification, "Features Structure").

use crate::config::{NEWEST, OLDEST};
use crate::filter;
use crate::report::print;
use anyhow::Result;
use serde_json::{Value, json};

/// Words of `mounts[].options` that are not the file system's own.
const MOUNT_OPTIONS: &[&str] = &[
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "exec",
    "idmap",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "unbindable",
];

/// Prints them.
pub(crate) fn features() -> Result<()> {
    print(&serde_json::to_string_pretty(&structure())?)
}

fn structure() -> Value {
    let capabilities: Vec<String> = caps::runtime::procfs_all_supported(None)
        .unwrap_or_default()
        .into_iter()
        .map(|capability| capability.to_string())
        .collect();
    json!({
        "ociVersionMin": OLDEST,
        "ociVersionMax": NEWEST,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": MOUNT_OPTIONS,
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": capabilities,
            "cgroup": {"v1": false, "v2": true, "systemd": false, "systemdUser": false, "rdma": true},
            "seccomp": {
                "enabled": true,
                "actions": filter::ACTIONS,
                "operators": filter::OPERATORS,
                "archs": filter::ARCHITECTURES,
                "knownFlags": filter::FLAGS,
                "supportedFlags": filter::FLAGS,
            },
            "apparmor": {"enabled": true},
            "selinux": {"enabled": false},
            "intelRdt": {"enabled": false},
            "mountExtensions": {"idmap": {"enabled": true}},
        },
        "annotations": {"io.github.seccomp.libseccomp.version": filter::library_version()},
        "potentiallyUnsafeConfigAnnotations": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::Features;

    #[test]
    fn the_structure_is_the_specifications() {
        let features: Features = serde_json::from_value(structure()).expect("features");
        assert_eq!(features.oci_version_max(), NEWEST);
        for word in MOUNT_OPTIONS {
            assert!(MOUNT_OPTIONS.iter().filter(|other| *other == word).count() == 1, "{word} is listed twice");
        }
    }
}
