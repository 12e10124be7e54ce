//! Mounting, by the file descriptors of fsopen(2), open_tree(2) and move_mount(2): what was looked at is what is used.

use super::options::{Depth, Options};
use super::place::Place;
use super::source::{self, Source};
use super::{Ground, MountError, device, device_of, reason};
use hull_sys::mount::{Propagation, set_attributes};
use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_reconfigure, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, fspick, move_mount, open_tree,
};
use serde::Serialize;
use std::os::fd::{AsFd, OwnedFd};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Device, tag, `HOST:/PATH`, or a path of the console.
    pub source: String,
    /// Path of the console.
    pub target: String,
    /// File system; `None` tries all.
    pub kind: Option<String>,
    /// Words of fstab.
    pub options: Vec<String>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mounted {
    /// File system; `none` for a bind mount.
    pub kind: String,
    /// Whether it cannot be written, also where nobody asked for that.
    pub read_only: bool,
}

/// Longest single message of the kernel's on a mount that failed.
const MESSAGE: usize = 512;

/// Mounts; may block.
///
/// # Errors
/// Name source, target and reason.
pub fn attach(wanted: &Wanted, ground: &Ground) -> Result<Mounted, MountError> {
    let options = Options::parse(&wanted.options)?;
    let place = ground.map.find(&wanted.target)?;
    if options.remount {
        return remount(&place, &options, ground);
    }
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let block = source::block_kinds(&known);
    let source = source::classify(&wanted.source, wanted.kind.as_deref(), &options, &ground.map, &block)?;
    // Before the disk is touched: most mistakes are here.
    let target = place.open()?;
    let (mount, mounted) = match source {
        Source::Place(source) => bind(&source, &options)?,
        Source::Named(kind, extra) => {
            let mut options = options;
            options.data.extend(extra.map(|(key, value)| (key, Some(value))));
            let request = Request { source: &wanted.source, options: &options };
            request.make(&[kind])?
        }
        Source::Device(kind) => {
            let device = device::find(&wanted.source, &ground.own)?;
            let path = device.path.to_string_lossy();
            let request = Request { source: &path, options: &options };
            let (mount, mounted) = request.make(&kind.map_or(block, |kind| vec![kind]))?;
            // The kernel looked the path up once more.
            let on = fstat(&mount).map(|status| device_of(&status)).unwrap_or_default();
            if on.0 != 0 && on != device.number {
                return Err(MountError::Conflict(format!("{path} was exchanged meanwhile; try again")));
            }
            (mount, mounted)
        }
    };
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&mount, "", &target, "", flags).map_err(|errno| {
        MountError::new(errno, format!("{} on {}: {}", wanted.source, place.path.display(), reason(errno)))
    })?;
    Ok(mounted)
}

struct Request<'a> {
    source: &'a str,
    options: &'a Options,
}

/// Why the kernel made no file system of it, with what it says besides.
struct Refusal(Errno, String);

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self(errno, String::new())
    }
}

impl Request<'_> {
    /// The first of `kinds` that fits, as a mount that is nowhere yet.
    fn make(&self, kinds: &[String]) -> Result<(OwnedFd, Mounted), MountError> {
        for kind in kinds {
            let mut read_only = self.options.read_only == Some(true);
            let mut made = self.create(kind, read_only);
            // A write-protected medium, as mount(8) treats it.
            if self.options.read_only.is_none() && matches!(&made, Err(Refusal(Errno::ACCESS | Errno::ROFS, _))) {
                read_only = true;
                made = self.create(kind, read_only);
            }
            match made {
                Ok(mount) => return Ok((mount, Mounted { kind: kind.clone(), read_only })),
                Err(Refusal(Errno::INVAL | Errno::NODEV, _)) if kinds.len() > 1 => {}
                Err(Refusal(errno, said)) => return Err(self.error(kind, errno, &said)),
            }
        }
        Err(MountError::Bad(format!(
            "{}: no file system the kernel takes with these options; it was tried as {} (blkid shows what is on it, dmesg \
             why it was not taken)",
            self.source,
            kinds.join(", ")
        )))
    }

    fn create(&self, kind: &str, read_only: bool) -> Result<OwnedFd, Refusal> {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        self.configure(&context, read_only).map_err(|errno| Refusal(errno, messages(&context)))
    }

    fn configure(&self, context: &OwnedFd, read_only: bool) -> Result<OwnedFd, Errno> {
        fsconfig_set_string(context, "source", self.source)?;
        // Of the file system, not of the mount: a later remount then reaches the copies in console and engine.
        fsconfig_set_flag(context, if read_only { "ro" } else { "rw" })?;
        set(context, self.options)?;
        fsconfig_create(context)?;
        fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, self.options.attributes)
    }

    fn error(&self, kind: &str, errno: Errno, said: &str) -> MountError {
        let remedy = match errno {
            Errno::BUSY => "; it is in use otherwise, or mounted with other options",
            Errno::INVAL if said.is_empty() => {
                "; no such file system is on it, or it has no such option: dmesg says more"
            }
            _ => "",
        };
        let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
        MountError::new(errno, format!("{} as {kind}: {}{said}{remedy}", self.source, reason(errno)))
    }
}

fn set(context: &OwnedFd, options: &Options) -> Result<(), Errno> {
    for flag in &options.flags {
        fsconfig_set_flag(context, *flag)?;
    }
    for (key, value) in &options.data {
        match value {
            Some(value) => fsconfig_set_string(context, key.as_str(), value.as_str())?,
            None => fsconfig_set_flag(context, key.as_str())?,
        }
    }
    Ok(())
}

/// What the file system said, one message a read: `e ext4: …`.
fn messages(context: &OwnedFd) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; MESSAGE];
    while let Ok(length) = rustix::io::read(context, &mut buffer) {
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).trim().to_owned();
        all.push(text.get(2..).unwrap_or_default().to_owned());
    }
    all.join("; ")
}

fn bind(source: &Place, options: &Options) -> Result<(OwnedFd, Mounted), MountError> {
    let opened = source.open()?;
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, options.bind == Some(Depth::All));
    let failed = |errno: Errno| MountError::new(errno, format!("{}: {}", source.path.display(), reason(errno)));
    let tree = open_tree(&opened, "", flags).map_err(failed)?;
    let read_only = options.read_only == Some(true);
    let mut attributes = options.attributes;
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, read_only);
    // What is mounted in the source appears in the copy; what is unmounted in the copy, as by a lazy unmount of all of it,
    // stays in the source.
    set_attributes(tree.as_fd(), attributes, Some(Propagation::Slave))
        .map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    Ok((tree, Mounted { kind: "none".into(), read_only }))
}

fn remount(place: &Place, options: &Options, ground: &Ground) -> Result<Mounted, MountError> {
    let target = place.open()?;
    let path = place.path.display();
    let failed = |errno: Errno| match errno {
        Errno::INVAL => MountError::Bad(format!("{path}: nothing is mounted there, or it has no such option")),
        Errno::BUSY => MountError::Conflict(format!("{path}: it is being written to")),
        errno => MountError::new(errno, format!("{path}: {}", reason(errno))),
    };
    let on = fstat(&target).map(|status| device_of(&status)).map_err(failed)?;
    if ground.own.contains(&on) {
        return Err(MountError::Forbidden(format!(
            "{path} is on the OS's own file system, not on one that was mounted"
        )));
    }
    let context = fspick(&target, "", FsPickFlags::FSPICK_EMPTY_PATH | FsPickFlags::FSPICK_CLOEXEC).map_err(failed)?;
    let reconfigure = || {
        if let Some(read_only) = options.read_only {
            fsconfig_set_flag(&context, if read_only { "ro" } else { "rw" })?;
        }
        set(&context, options)?;
        fsconfig_reconfigure(&context)
    };
    reconfigure().map_err(failed)?;
    let read_only = rustix::fs::fstatvfs(&target)
        .map(|status| status.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
        .unwrap_or_default();
    Ok(Mounted { kind: "none".into(), read_only })
}
