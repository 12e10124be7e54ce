//! Mount options: per-mount attributes, propagation, and data for the file system.

use super::mounts::Propagation;
use rustix::mount::MountAttrFlags as Attr;

/// Options of one mount, sorted by who they are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// `MOUNT_ATTR_*` bits of `mount_setattr(2)`.
    pub(super) attributes: u32,
    /// The same for the whole tree (`rro`, `rnosuid`, ...).
    pub(super) tree_attributes: u32,
    /// `None` when not asked for.
    pub(super) propagation: Option<Propagation>,
    pub(super) bind: bool,
    /// The whole tree below the source.
    pub(super) recursive: bool,
    /// Key and value, or flag, for the file system, in the order given.
    pub(super) data: Vec<(String, Option<String>)>,
}

/// Words that with an `r` before them hold for all mounts below as well (specification, "Linux mount options").
const RECURSIVE: [&str; 16] = [
    "ro",
    "rw",
    "nosuid",
    "suid",
    "nodev",
    "dev",
    "noexec",
    "exec",
    "nosymfollow",
    "symfollow",
    "noatime",
    "atime",
    "strictatime",
    "relatime",
    "nodiratime",
    "diratime",
];

/// Sorts options; a later one overrides an earlier one of the same kind.
pub(super) fn parse<'a>(options: impl IntoIterator<Item = &'a str>) -> Options {
    let mut parsed = Options::default();
    for option in options {
        let whole_tree = option.strip_prefix('r').filter(|word| RECURSIVE.contains(word));
        let (set, clear) = match whole_tree.unwrap_or(option) {
            "ro" => (Attr::MOUNT_ATTR_RDONLY, Attr::empty()),
            "rw" => (Attr::empty(), Attr::MOUNT_ATTR_RDONLY),
            "nosuid" => (Attr::MOUNT_ATTR_NOSUID, Attr::empty()),
            "suid" => (Attr::empty(), Attr::MOUNT_ATTR_NOSUID),
            "nodev" => (Attr::MOUNT_ATTR_NODEV, Attr::empty()),
            "dev" => (Attr::empty(), Attr::MOUNT_ATTR_NODEV),
            "noexec" => (Attr::MOUNT_ATTR_NOEXEC, Attr::empty()),
            "exec" => (Attr::empty(), Attr::MOUNT_ATTR_NOEXEC),
            "nosymfollow" => (Attr::MOUNT_ATTR_NOSYMFOLLOW, Attr::empty()),
            "noatime" => (Attr::MOUNT_ATTR_NOATIME, Attr::MOUNT_ATTR_STRICTATIME),
            "strictatime" => (Attr::MOUNT_ATTR_STRICTATIME, Attr::MOUNT_ATTR_NOATIME),
            // relatime is the zero value of the access-time field, and the kernel's default.
            "relatime" | "nostrictatime" | "atime" => {
                (Attr::empty(), Attr::MOUNT_ATTR_NOATIME | Attr::MOUNT_ATTR_STRICTATIME)
            }
            "nodiratime" => (Attr::MOUNT_ATTR_NODIRATIME, Attr::empty()),
            "diratime" => (Attr::empty(), Attr::MOUNT_ATTR_NODIRATIME),
            "symfollow" => (Attr::empty(), Attr::MOUNT_ATTR_NOSYMFOLLOW),
            other => {
                parsed.take_other(other);
                continue;
            }
        };
        let bits = if whole_tree.is_some() { &mut parsed.tree_attributes } else { &mut parsed.attributes };
        *bits = *bits & !clear.bits() | set.bits();
    }
    parsed
}

impl Options {
    fn take_other(&mut self, option: &str) {
        match option {
            "bind" => self.bind = true,
            "rbind" | "recursive" => (self.bind, self.recursive) = (true, true),
            "private" | "rprivate" => self.propagation = Some(Propagation::Private),
            "slave" | "rslave" => self.propagation = Some(Propagation::Slave),
            "unbindable" | "runbindable" => self.propagation = Some(Propagation::Unbindable),
            "shared" | "rshared" => self.propagation = Some(Propagation::Shared),
            // Words of fstab(5) and of old specifications that say what is so anyway.
            "defaults" | "newinstance" => {}
            data => {
                let (key, value) = data.split_once('=').map_or((data, None), |(key, value)| (key, Some(value)));
                self.data.push((key.to_owned(), value.map(str::to_owned)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_sorted_and_the_last_wins() {
        let ro_nosuid = (Attr::MOUNT_ATTR_RDONLY | Attr::MOUNT_ATTR_NOSUID).bits();
        for (options, want) in [
            (vec![], Options::default()),
            (vec!["ro", "nosuid"], Options { attributes: ro_nosuid, ..Options::default() }),
            (vec!["ro", "rw", "nodev", "dev", "defaults"], Options::default()),
            (vec!["noatime", "relatime"], Options::default()),
            (
                vec!["rbind", "rslave"],
                Options { bind: true, recursive: true, propagation: Some(Propagation::Slave), ..Options::default() },
            ),
            (
                vec!["size=64m", "mode=1777", "index"],
                Options {
                    data: vec![
                        ("size".into(), Some("64m".into())),
                        ("mode".into(), Some("1777".into())),
                        ("index".into(), None),
                    ],
                    ..Options::default()
                },
            ),
        ] {
            assert_eq!(parse(options.iter().copied()), want, "{options:?}");
        }
    }
}
