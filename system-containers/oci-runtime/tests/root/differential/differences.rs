//! Known differences, each with its reason.

/// What was compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    Crun,
    Runc,
    Both,
}

use Against::{Both, Crun, Runc};

/// One difference.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) against: Against,
    /// Names of bundles, or beginnings of names that end with `*`.
    pub(super) bundles: &'static [&'static str],
    pub(super) field: &'static str,
    pub(super) reason: &'static str,
}

impl Known {
    pub(super) fn applies(&self, against: Against, bundle: &str, field: &str) -> bool {
        let named = |name: &&str| name.strip_suffix('*').map_or(*name == bundle, |start| bundle.starts_with(start));
        (self.against == Both || self.against == against) && self.field == field && self.bundles.iter().any(named)
    }
}

const fn known(against: Against, bundles: &'static [&'static str], field: &'static str, reason: &'static str) -> Known {
    Known { against, bundles, field, reason }
}

const USER_NAMESPACES: &[&str] = &["user-namespace*"];
const NODES: &str = "crun binds the host's nodes nosuid and noexec; there is nothing to execute in a node";
const CGROUP_NAME: &str = "crun calls the source cgroup2; ours is the specification's mounts.source";
const OLD: &str = "came with version 1.1 of the specification, which Debian 12's does not know";
const MASK: &str = "masked directories: ours are nosuid, nodev and noexec as well, and have one inode";
const MASKED_FILE: &str = "masked files: ours show the container's /dev/null, crun's the host's";
const SLAVE: &str = "runc leaves binds of shared mounts slaves unless told otherwise; ours and crun's are private";
const NOT_MARKED: &str = "crun's root is private when it binds, so nothing is left of the source's group";
const MODE: &str = "runc gives a tmpfs the mode of the directory below it, even over the option";

/// All of them.
pub(super) const KNOWN: &[Known] = &[
    known(Both, &["*"], "signals", "ours resets every signal; the others pass on what their caller ignores"),
    known(Crun, &["*"], "dev", "crun links /dev/core to /proc/kcore; the specification has no such link"),
    known(Crun, &["*"], "links", "the same"),
    known(Crun, &["*"], "mount /sys/fs/cgroup", CGROUP_NAME),
    known(Runc, &["*"], "mount /sys", "runc makes the file system read-only, not only the mount"),
    known(Runc, &["groups-of-root"], "user", "runc drops groups that are listed twice"),
    known(Crun, &["home-unknown"], "env", "crun sets no HOME for a user without an entry; ours is / as under runc"),
    known(Both, &["io-priority*"], "io_priority", OLD),
    known(Both, &["scheduler-*"], "scheduling", OLD),
    known(Runc, &["names"], "hostname", OLD),
    known(Runc, &["personality"], "personality", OLD),
    known(Runc, &["personality"], "machine", OLD),
    known(Runc, &["time*"], "outcome", OLD),
    known(Crun, &["time*"], "outcome", "Debian 12's crun fails with a time namespace of its own"),
    known(Runc, &["mount-owners-mapped"], "files", OLD),
    known(Runc, &["mount-owners-mapped"], "mount /mnt", OLD),
    known(Runc, USER_NAMESPACES, "dev", "runc's message queues belong to a group outside the namespace"),
    known(Crun, &["user-namespace*"], "keyring", "crun makes it outside the user namespace, where it is not seen"),
    known(Crun, USER_NAMESPACES, "mount /dev/full", NODES),
    known(Crun, USER_NAMESPACES, "mount /dev/null", NODES),
    known(Crun, USER_NAMESPACES, "mount /dev/random", NODES),
    known(Crun, USER_NAMESPACES, "mount /dev/tty", NODES),
    known(Crun, USER_NAMESPACES, "mount /dev/urandom", NODES),
    known(Crun, USER_NAMESPACES, "mount /dev/zero", NODES),
    known(
        Crun,
        &["terminal*"],
        "mount /dev/console",
        "ours keeps the flags of the devpts it is bound from, as runc does",
    ),
    known(
        Crun,
        &["hooks*"],
        "hooks",
        "crun's state: root as well, another version, pid and status later than they are",
    ),
    known(Runc, &["hooks*"], "hooks", "runc's state names its own version, ours the configuration's"),
    known(Crun, &["hidden-paths"], "mount /proc/acpi", MASK),
    known(Runc, &["hidden-paths"], "mount /proc/acpi", MASK),
    known(Both, &["hidden-paths"], "mount /sys/firmware", MASK),
    known(Both, &["hidden-mount"], "mount /tmp", MASK),
    known(Crun, &["hidden-paths"], "mount /proc/keys", MASKED_FILE),
    known(Crun, &["hidden-paths"], "mount /proc/timer_list", MASKED_FILE),
    known(Crun, &["hidden-mount"], "mount /sys", "crun drops the flags of what it makes read-only"),
    known(Crun, &["hidden-mount"], "mount /dev/shm", "the same"),
    known(Runc, &["root-shared"], "mount /", "runc leaves the root private"),
    known(Runc, &["root-unbindable"], "outcome", "runc binds the root after it was made unbindable"),
    known(Runc, &["bind-tree*", "bind-over-link", "bind-without-type", "bind-shared"], "mount /mnt/under", SLAVE),
    known(Crun, &["bind-shared", "bind-unbindable"], "mount /mnt", NOT_MARKED),
    known(Crun, &["bind-shared", "bind-slave"], "mount /mnt/under", NOT_MARKED),
    known(Runc, &["tmpfs*", "mounts-below-each-other"], "files", MODE),
    known(Runc, &["tmpfs"], "listed", MODE),
    known(Runc, &["bind-of-dev"], "dev", MODE),
    known(Runc, &["tmpfs-plain"], "mount /mnt", "runc leaves the source empty"),
    known(Both, &["tmpfs-with-copy"], "outcome", "tmpcopyup is refused by ours"),
    known(
        Crun,
        &["devices"],
        "device",
        "crun lets everything be opened when no device rules are given; ours the listed",
    ),
    known(Runc, &["device-again"], "outcome", "runc opens /dev/null before it allows it"),
];
