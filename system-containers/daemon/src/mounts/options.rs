//! Words of fstab(5) to what the kernel takes. Pure.

use super::MountError;
use rustix::mount::MountAttrFlags;

/// What the words mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Attributes of the mount.
    pub attributes: MountAttrFlags,
    /// `ro` or `rw`, when one is said.
    pub read_only: Option<bool>,
    /// Flags of the file system.
    pub flags: Vec<&'static str>,
    /// What only the file system understands, with its value if it has one.
    pub data: Vec<(String, Option<String>)>,
    /// `bind`, or `rbind`: also what is mounted below.
    pub bind: Option<Depth>,
    /// The file system is mounted and is to change.
    pub remount: bool,
}

/// How much a bind mount shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// One file system.
    One,
    /// All that is mounted below it too.
    All,
}

/// Options that name further devices or descriptors, which nobody looked at.
const REFUSED: [&str; 11] =
    ["source", "device", "journal_path", "journal_dev", "jdev", "logdev", "rtdev", "fd", "rfdno", "wfdno", "trans"];
/// Words that only mount(8) and fstab know.
const FOR_FSTAB: [&str; 14] = [
    "", "defaults", "nofail", "_netdev", "auto", "noauto", "user", "nouser", "users", "owner", "group", "async",
    "silent", "loud",
];

impl Options {
    /// Reads the words; a later one beats an earlier one.
    ///
    /// # Errors
    /// For words that ask for what cannot be had here.
    pub fn parse(words: &[String]) -> Result<Self, MountError> {
        let mut options = Self {
            attributes: MountAttrFlags::empty(),
            read_only: None,
            flags: Vec::new(),
            data: Vec::new(),
            bind: None,
            remount: false,
        };
        for word in words {
            options.add(word)?;
        }
        if options.bind.is_some() && options.remount {
            return Err(MountError::Bad(
                "remount,bind: the copies in console and engine would keep their flags; unmount it and mount it again"
                    .into(),
            ));
        }
        if options.bind.is_some() && !(options.data.is_empty() && options.flags.is_empty()) {
            return Err(MountError::Bad("bind: options of the file system are not for a second view of it".into()));
        }
        if options.remount && !options.attributes.is_empty() {
            return Err(MountError::Bad(
                "remount changes the file system only, such as ro and rw; for nosuid, nodev, noexec and access times unmount \
                 it and mount it again"
                    .into(),
            ));
        }
        Ok(options)
    }

    fn add(&mut self, word: &str) -> Result<(), MountError> {
        use MountAttrFlags as Attribute;
        let mut set = |flag: Attribute, on: bool| self.attributes.set(flag, on);
        match word {
            "ro" => self.read_only = Some(true),
            "rw" => self.read_only = Some(false),
            "nosuid" => set(Attribute::MOUNT_ATTR_NOSUID, true),
            "suid" => set(Attribute::MOUNT_ATTR_NOSUID, false),
            "nodev" => set(Attribute::MOUNT_ATTR_NODEV, true),
            "dev" => set(Attribute::MOUNT_ATTR_NODEV, false),
            "noexec" => set(Attribute::MOUNT_ATTR_NOEXEC, true),
            "exec" => set(Attribute::MOUNT_ATTR_NOEXEC, false),
            "nodiratime" => set(Attribute::MOUNT_ATTR_NODIRATIME, true),
            "diratime" => set(Attribute::MOUNT_ATTR_NODIRATIME, false),
            "noatime" | "strictatime" | "relatime" | "atime" => {
                // One field, whose zero is relatime.
                set(Attribute::MOUNT_ATTR__ATIME, false);
                set(Attribute::MOUNT_ATTR_NOATIME, word == "noatime");
                set(Attribute::MOUNT_ATTR_STRICTATIME, word == "strictatime");
            }
            "sync" => self.flags.push("sync"),
            "dirsync" => self.flags.push("dirsync"),
            "lazytime" => self.flags.push("lazytime"),
            "bind" => self.bind = Some(Depth::One),
            "rbind" => self.bind = Some(Depth::All),
            "remount" => self.remount = true,
            "move" | "shared" | "rshared" | "slave" | "rslave" | "private" | "rprivate" | "unbindable"
            | "runbindable" => {
                return Err(MountError::Bad(format!("{word}: mounts stay where they are made, in console and engine")));
            }
            "loop" => {
                return Err(MountError::Bad("loop: an image in a file cannot be mounted; copy it to a disk".into()));
            }
            word if FOR_FSTAB.contains(&word)
                || ["x-", "X-", "comment="].iter().any(|start| word.starts_with(start)) => {}
            word => self.data.push(datum(word)?),
        }
        Ok(())
    }
}

fn datum(word: &str) -> Result<(String, Option<String>), MountError> {
    if word.contains([',', '\0', '\n']) {
        return Err(MountError::Bad(format!("options: {word:?} is more than one word")));
    }
    let (key, value) = match word.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (word, None),
    };
    // 9p: over a device of this machine's or the network, not over a descriptor or socket of the daemon's.
    let is_plain = key == "trans" && matches!(value.as_deref(), Some("virtio" | "tcp"));
    if REFUSED.contains(&key) && !is_plain {
        return Err(MountError::Forbidden(format!("option {key}: it names what the system daemon cannot check")));
    }
    Ok((key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, MountError> {
        Options::parse(&text.split(',').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_attributes_flags_or_data() {
        let found = parse("defaults,nofail,_netdev,x-systemd.device-timeout=5,ro,noatime,sync,commit=30,acl").unwrap();
        assert_eq!(found.attributes, MountAttrFlags::MOUNT_ATTR_NOATIME);
        assert_eq!((found.read_only, found.flags), (Some(true), vec!["sync"]));
        assert_eq!(found.data, [("commit".to_owned(), Some("30".to_owned())), ("acl".into(), None)]);
    }

    #[test]
    fn the_later_word_counts() {
        let none = MountAttrFlags::empty();
        for (text, attributes, read_only) in [
            ("ro,rw", none, Some(false)),
            ("nosuid,suid,nodev,dev,noexec,exec", none, None),
            ("noatime,relatime", none, None),
            ("noatime,strictatime", MountAttrFlags::MOUNT_ATTR_STRICTATIME, None),
            ("", none, None),
        ] {
            let found = parse(text).unwrap();
            assert_eq!((found.attributes, found.read_only), (attributes, read_only), "{text}");
        }
        assert_eq!(parse("bind").unwrap().bind, Some(Depth::One));
        assert_eq!(parse("rbind,ro").unwrap().bind, Some(Depth::All));
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (text, part) in [
            ("remount,bind,ro", "mount it again"),
            ("remount,nosuid", "mount it again"),
            ("bind,size=1m", "second view"),
            ("shared", "shared: mounts stay"),
            ("loop", "in a file"),
            ("journal_path=/dev/vda3", "option journal_path"),
            ("source=/dev/vda3", "option source"),
            ("trans=fd", "option trans"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(Options::parse(&["size=1,ro".into()]).is_err());
        assert!(parse("trans=virtio,version=9p2000.L").is_ok());
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(words: Vec<String>) {
            Options::parse(&words).ok();
        }
    }
}
