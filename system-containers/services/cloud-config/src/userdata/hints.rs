//! cloud-config keys that are not supported: one warning each, with what to do instead where there is something.

use crate::document::node::Entry;
use crate::report::{Messages, quote};

const PACKAGES: &str = "there is no package manager; run the program as a container (see runcmd)";
const NO_DISTRIBUTION: &str = "it belongs to another distribution";
const KEYS_ONLY: &str =
    "there are no default passwords; use ssh_authorized_keys, or users with passwd and lock_passwd: false";
const AUTOMATIC: &str = "done automatically";

/// Keys people use and the replacement.
const HINTS: [(&str, &str); 44] = [
    ("packages", PACKAGES),
    ("package_update", PACKAGES),
    ("package_upgrade", PACKAGES),
    ("package_reboot_if_required", PACKAGES),
    ("apt", PACKAGES),
    ("apt_update", PACKAGES),
    ("apt_upgrade", PACKAGES),
    ("apt_sources", PACKAGES),
    ("apt_mirror", PACKAGES),
    ("repo_update", PACKAGES),
    ("repo_upgrade", PACKAGES),
    ("yum_repos", PACKAGES),
    ("zypper", PACKAGES),
    ("apk_repos", PACKAGES),
    ("snap", PACKAGES),
    ("user", "use users"),
    ("password", KEYS_ONLY),
    ("chpasswd", KEYS_ONLY),
    ("ssh_pwauth", "SSH takes keys only"),
    ("disable_root", "root has no password and no keys unless users gives it some"),
    ("ssh_import_id", "nothing is fetched from the network; use ssh_authorized_keys"),
    ("growpart", AUTOMATIC),
    ("resize_rootfs", AUTOMATIC),
    ("manage_etc_hosts", "the own name is always in /etc/hosts"),
    ("ntp", "use hull: time: servers"),
    ("rsyslog", "use hull: syslog: remote"),
    ("network", "use hull: network, or the medium's network-config"),
    ("docker", "use hull: engine"),
    ("rancher", "RancherOS keys: use hull"),
    ("coreos", "CoreOS keys: run units as containers"),
    ("groups", "use the groups of users: missing ones are made"),
    ("disk_setup", "partition the disk with bootcmd"),
    ("fs_setup", "make the file system with bootcmd"),
    ("swap", "swap is not supported"),
    ("ca_certs", "for the engine use write_files below /etc/docker/certs.d"),
    ("ca-certs", "for the engine use write_files below /etc/docker/certs.d"),
    ("ssh_keys", "host keys are made at the first boot and kept"),
    ("ssh_deletekeys", "host keys are made at the first boot and kept"),
    ("power_state", "use runcmd with hull poweroff or hull reboot"),
    ("locale", NO_DISTRIBUTION),
    ("ansible", NO_DISTRIBUTION),
    ("puppet", NO_DISTRIBUTION),
    ("chef", NO_DISTRIBUTION),
    ("autoinstall", NO_DISTRIBUTION),
];

/// Keys that only say how cloud-init itself works or prints, and are no loss.
const HARMLESS: [&str; 5] = ["final_message", "output", "merge_how", "merge_type", "cloud_init_modules"];

/// Reports every key left over.
pub fn report<'n>(rest: impl Iterator<Item = &'n Entry>, messages: &mut Messages) {
    for entry in rest {
        let key = quote(&entry.key);
        if HARMLESS.contains(&entry.key.as_str()) {
            messages.info(entry.place, &key, "ignored: it has no meaning here");
            continue;
        }
        let hint = HINTS.iter().find(|(name, _)| *name == entry.key).map_or("not supported", |(_, hint)| hint);
        messages.warning(entry.place, &key, format!("ignored: {hint}"));
    }
}
