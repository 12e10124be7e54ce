//! The mount list of a container: the standard mounts, each replaced by the specification's own at the same path, then
//! the specification's others in their order.
//!
//! | path | file system | flags |
//! |---|---|---|
//! | `/proc` | proc | nosuid nodev noexec |
//! | `/dev` | tmpfs with nodes | nosuid noexec |
//! | `/dev/pts` | devpts | nosuid noexec |
//! | `/dev/shm` | tmpfs | nosuid nodev noexec |
//! | `/dev/mqueue` | mqueue | nosuid nodev noexec |
//! | `/sys` | sysfs of the container's network namespace | ro nosuid nodev noexec |
//! | `/sys/fs/cgroup` | cgroup2, rooted at the container | ro (rw when delegated) nosuid nodev noexec |
//! | `/run` | tmpfs | nosuid nodev |
//! | `/tmp` | tmpfs | nosuid nodev |

use super::{Mappings, options, unsupported};
use crate::error::{StartError, Step};
use crate::launch::Launch;
use oci_spec::runtime;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mount {
    /// Absolute path in the container.
    pub(crate) target: PathBuf,
    pub(crate) what: What,
    /// `MOUNT_ATTR_*` bits of the mount itself.
    pub(crate) attributes: u32,
    /// `MOUNT_ATTR_*` bits of a bind mount and all below it.
    pub(crate) tree_attributes: u32,
    /// Of a bind mount: its files' owners are shown mapped.
    pub(crate) mapped: Option<Mapped>,
}

/// An idmapped mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mapped {
    pub(crate) ids: Mappings,
    /// The mounts below as well.
    pub(crate) recursive: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    /// A file or directory of the host, opened in the host's mount namespace.
    Bind { source: PathBuf, recursive: bool, propagation: Propagation },
    /// overlayfs, made in the host's mount namespace; without `lower` the root's own directory at the target.
    Overlay { lower: Option<PathBuf>, upper: PathBuf, work: PathBuf, data: Vec<(String, Option<String>)> },
    /// A new instance of a file system, made in the container's namespaces.
    New { kind: String, source: Option<PathBuf>, propagation: Option<Propagation>, data: Vec<(String, Option<String>)> },
    /// The private `/dev`: a tmpfs that gets nodes and links.
    Dev { data: Vec<(String, Option<String>)> },
}

/// Propagation of a bind mount, see `mount_namespaces(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Propagation {
    Private,
    Slave,
    Shared,
    Unbindable,
}

/// Type, path and options of the standard mounts. Sizes bound what a confused service can take from the machine's
/// memory; where memory limits are set they count as well.
const STANDARD: [(&str, &str, &str); 9] = [
    ("proc", "/proc", "nosuid,nodev,noexec"),
    ("tmpfs", "/dev", "nosuid,noexec,mode=755,size=1m"),
    ("devpts", "/dev/pts", "nosuid,noexec,ptmxmode=0666,mode=0620,gid=5"),
    ("tmpfs", "/dev/shm", "nosuid,nodev,noexec,mode=1777,size=64m"),
    ("mqueue", "/dev/mqueue", "nosuid,nodev,noexec"),
    ("sysfs", "/sys", "ro,nosuid,nodev,noexec"),
    ("cgroup2", CGROUP, "nosuid,nodev,noexec"),
    ("tmpfs", "/run", "nosuid,nodev,mode=755,size=64m"),
    ("tmpfs", "/tmp", "nosuid,nodev,mode=1777,size=64m"),
];

const CGROUP: &str = "/sys/fs/cgroup";

/// File systems a container may get an instance of; those that take a device or could expose the host are left out.
const NEW: [&str; 6] = ["proc", "tmpfs", "devpts", "mqueue", "sysfs", "cgroup2"];

/// Plans all mounts.
pub(super) fn plan(specified: &[runtime::Mount], launch: &Launch) -> Result<Vec<Mount>, StartError> {
    let standard = |(kind, target, text): (&str, &str, &str)| match specified.iter().find(|m| is_at(m, target)) {
        Some(mount) => one(mount, launch.delegate),
        None => build(kind, None, target.into(), text.split(','), launch.delegate),
    };
    let others = specified.iter().filter(|mount| !STANDARD.iter().any(|(_, target, _)| is_at(mount, target)));
    STANDARD.into_iter().map(standard).chain(others.map(|mount| one(mount, launch.delegate))).collect()
}

/// Plans the mounts of an OCI bundle: those of the list, in its order, and no others. A file system may be of any type
/// the kernel has; plain option words hold for the mount itself, words with `r` for those below it too.
pub(super) fn plan_listed(specified: &[runtime::Mount], linux: &runtime::Linux) -> Result<Vec<Mount>, StartError> {
    specified.iter().map(|mount| listed(mount, linux)).collect()
}

fn listed(mount: &runtime::Mount, linux: &runtime::Linux) -> Result<Mount, StartError> {
    let target = mount.destination().clone();
    let invalid = |errno| Err(StartError::at(Step::Specification, &target, errno));
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    if !target.is_absolute() || target == Path::new("/") || !target.components().all(plain) {
        return invalid(Errno::INVAL);
    }
    let mut options = options::parse(mount.options().iter().flatten().map(String::as_str));
    let mapped = mapped(mount, &mut options.data, linux)?;
    if let Some((word, _)) = options.data.iter().find(|(word, _)| NOT_DONE.contains(&word.as_str())) {
        return Err(unsupported(&format!("mounts {}: option {word}", target.display())));
    }
    let kind = mount.typ().as_deref().unwrap_or("none");
    let what = if options.bind || kind == "bind" {
        let Some(source) = mount.source().clone().filter(|source| source.is_absolute()) else {
            return invalid(Errno::INVAL);
        };
        if let Some((word, _)) = options.data.first() {
            return Err(unsupported(&format!("mounts {}: option {word} of a bind mount", target.display())));
        }
        let propagation = options.propagation.unwrap_or(Propagation::Private);
        What::Bind { source, recursive: options.recursive, propagation }
    } else {
        let data = options.data;
        match if kind == "cgroup" { "cgroup2" } else { kind } {
            "none" => return invalid(Errno::NODEV),
            "tmpfs" if target == Path::new("/dev") && options.propagation.is_none() => What::Dev { data },
            kind => What::New {
                kind: kind.to_owned(),
                source: mount.source().clone(),
                propagation: options.propagation,
                data,
            },
        }
    };
    if hides_proc(&target, &what) {
        return invalid(Errno::PERM);
    }
    if mapped.is_some() && !matches!(what, What::Bind { .. }) {
        return Err(unsupported(&format!("mounts {}: idmap of what is no bind mount", target.display())));
    }
    let (attributes, tree_attributes) = (options.attributes, options.tree_attributes);
    Ok(Mount { target, what, attributes, tree_attributes, mapped })
}

/// The words `idmap` and `ridmap`, and mappings of the mount or else of the container (specification, "Linux mount
/// options").
fn mapped(
    mount: &runtime::Mount,
    words: &mut Vec<(String, Option<String>)>,
    linux: &runtime::Linux,
) -> Result<Option<Mapped>, StartError> {
    let asked = |word: &str| words.iter().any(|(have, _)| have == word);
    let (plain, recursive) = (asked("idmap"), asked("ridmap"));
    words.retain(|(word, _)| !["idmap", "ridmap"].contains(&word.as_str()));
    let given = |list: &Option<Vec<runtime::LinuxIdMapping>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let own = given(mount.uid_mappings()) || given(mount.gid_mappings());
    if !plain && !recursive && !own {
        return Ok(None);
    }
    let (uid, gid) = if own {
        (mount.uid_mappings().as_deref(), mount.gid_mappings().as_deref())
    } else {
        (linux.uid_mappings().as_deref(), linux.gid_mappings().as_deref())
    };
    let missing = || unsupported(&format!("mounts {}: idmap without mappings", mount.destination().display()));
    Ok(Some(Mapped { ids: Mappings::of(uid, gid).ok_or_else(missing)?, recursive }))
}

/// A directory in place of `/proc` could hold files that look like the kernel's to whoever masks, reads or writes them.
fn hides_proc(target: &Path, what: &What) -> bool {
    let genuine = match what {
        What::New { kind, .. } => kind == "proc",
        What::Bind { source, .. } => source == Path::new("/proc"),
        What::Dev { .. } | What::Overlay { .. } => false,
    };
    target == Path::new("/proc") && !genuine
}

/// Option words that are not the kernel's but other runtimes'.
const NOT_DONE: [&str; 3] = ["tmpcopyup", "copy-symlink", "src-nofollow"];

fn refuse_mappings(mount: &runtime::Mount) -> Result<(), StartError> {
    let mapped = mount.uid_mappings().as_ref().or(mount.gid_mappings().as_ref());
    if mapped.is_some_and(|mappings| !mappings.is_empty()) {
        return Err(unsupported("mounts.uidMappings"));
    }
    Ok(())
}

fn is_at(mount: &runtime::Mount, target: &str) -> bool {
    mount.destination() == Path::new(target)
}

fn one(mount: &runtime::Mount, delegate: bool) -> Result<Mount, StartError> {
    refuse_mappings(mount)?;
    let options = mount.options().iter().flatten().map(String::as_str);
    let kind = mount.typ().as_deref().unwrap_or("bind");
    build(kind, mount.source().clone(), mount.destination().clone(), options, delegate)
}

fn build<'a>(
    kind: &str,
    source: Option<PathBuf>,
    target: PathBuf,
    words: impl IntoIterator<Item = &'a str>,
    delegate: bool,
) -> Result<Mount, StartError> {
    let invalid = |errno| Err(StartError::at(Step::Specification, &target, errno));
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    if !target.is_absolute() || !target.components().all(plain) {
        return invalid(Errno::INVAL);
    }
    let mut options = options::parse(words);
    if target == Path::new(CGROUP) && !delegate {
        options.attributes |= rustix::mount::MountAttrFlags::MOUNT_ATTR_RDONLY.bits();
    }
    let attributes = options.attributes;
    let what = if options.bind || matches!(kind, "bind" | "rbind" | "none") {
        let Some(source) = source.filter(|source| source.is_absolute()) else { return invalid(Errno::INVAL) };
        if !options.data.is_empty() {
            return invalid(Errno::INVAL);
        }
        let recursive = options.recursive || kind == "rbind";
        What::Bind { source, recursive, propagation: options.propagation.unwrap_or(Propagation::Private) }
    } else if options.propagation.is_some_and(|asked| asked != Propagation::Private) {
        return invalid(Errno::OPNOTSUPP);
    } else if kind == "overlay" {
        let mut take = |key: &str| {
            let at = options.data.iter().position(|(have, _)| have == key)?;
            options.data.swap_remove(at).1.map(PathBuf::from)
        };
        let (lower, upper, work) = (take("lowerdir"), take("upperdir"), take("workdir"));
        let (Some(upper), Some(work)) = (upper, work) else { return invalid(Errno::INVAL) };
        What::Overlay { lower, upper, work, data: options.data }
    } else {
        let kind = if kind == "cgroup" { "cgroup2" } else { kind };
        match kind {
            "tmpfs" if target == Path::new("/dev") => What::Dev { data: options.data },
            _ if NEW.contains(&kind) => {
                What::New { kind: kind.to_owned(), source: None, propagation: None, data: options.data }
            }
            _ => return invalid(Errno::NODEV),
        }
    };
    // For a system service every word holds for the whole tree of an `rbind`.
    let tree_attributes = options.tree_attributes | attributes;
    if hides_proc(&target, &what) {
        return invalid(Errno::PERM);
    }
    Ok(Mount { target, what, attributes, tree_attributes, mapped: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::DeviceRules;
    use oci_spec::runtime::{MountBuilder, Spec};
    use rustix::mount::MountAttrFlags as Attr;

    fn launch(delegate: bool) -> Launch {
        let (rootfs, cgroup) = ("/r".into(), "/c".into());
        Launch { spec: Spec::default(), rootfs, cgroup, seccomp: None, devices: DeviceRules::default(), delegate }
    }

    fn spec_mount(kind: &str, source: Option<&str>, target: &str, options: &[&str]) -> runtime::Mount {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let mut mount = MountBuilder::default().destination(target).typ(kind).options(options).build().expect("mount");
        mount.set_source(source.map(PathBuf::from));
        mount
    }

    fn planned(mounts: &[runtime::Mount]) -> Result<Vec<Mount>, StartError> {
        plan(mounts, &launch(false))
    }

    fn targets(mounts: &[Mount]) -> Vec<&str> {
        mounts.iter().map(|mount| mount.target.to_str().expect("UTF-8")).collect()
    }

    #[test]
    fn standard_mounts_come_first_and_once() {
        let mounts = planned(&[
            spec_mount("bind", Some("/state/x"), "/var/lib/x", &["rbind"]),
            spec_mount("bind", Some("/dev"), "/dev", &["rbind", "rslave"]),
        ])
        .expect("plan");
        let mut want: Vec<_> = STANDARD.iter().map(|(_, target, _)| *target).collect();
        want.push("/var/lib/x");
        assert_eq!(targets(&mounts), want);
        assert!(matches!(mounts[1].what, What::Bind { propagation: Propagation::Slave, recursive: true, .. }));
    }

    #[test]
    fn default_mounts_of_the_specification_crate_are_understood() {
        let mounts = planned(Spec::default().mounts().as_deref().expect("mounts")).expect("plan");
        assert_eq!(mounts.len(), STANDARD.len());
        assert!(mounts.iter().any(|mount| matches!(&mount.what, What::Dev { .. })));
    }

    #[test]
    fn cgroups_are_writable_only_when_delegated() {
        for (delegate, read_only) in [(false, true), (true, false)] {
            let mounts = plan(&[], &launch(delegate)).expect("plan");
            let cgroup = mounts.iter().find(|mount| mount.target == Path::new(CGROUP)).expect("standard");
            assert_eq!(cgroup.attributes & Attr::MOUNT_ATTR_RDONLY.bits() != 0, read_only);
        }
    }

    #[test]
    fn binds_are_private_unless_asked() {
        for (options, want) in [
            (&["bind"][..], Propagation::Private),
            (&["bind", "shared"], Propagation::Shared),
            (&["bind", "rslave"], Propagation::Slave),
        ] {
            let mounts = planned(&[spec_mount("bind", Some("/s"), "/t", options)]).expect("plan");
            let What::Bind { propagation, .. } = &mounts.last().expect("last").what else { unreachable!() };
            assert_eq!(*propagation, want);
        }
    }

    #[test]
    fn overlays_take_upper_and_work_from_the_options() {
        let mount = spec_mount("overlay", None, "/etc", &["upperdir=/s/u", "workdir=/s/w", "index=off"]);
        let mounts = planned(&[mount]).expect("plan");
        let (upper, work) = ("/s/u".into(), "/s/w".into());
        let data = vec![("index".to_owned(), Some("off".to_owned()))];
        assert_eq!(mounts.last().expect("last").what, What::Overlay { lower: None, upper, work, data });
    }

    #[test]
    fn mistakes_are_named() {
        for (mount, errno) in [
            (spec_mount("bind", None, "/t", &[]), Errno::INVAL),
            (spec_mount("bind", Some("relative"), "/t", &[]), Errno::INVAL),
            (spec_mount("bind", Some("/s"), "/t", &["no-such-option"]), Errno::INVAL),
            (spec_mount("bind", Some("/s"), "/t/../etc", &[]), Errno::INVAL),
            (spec_mount("bind", Some("/s"), "t", &[]), Errno::INVAL),
            (spec_mount("overlay", None, "/t", &["upperdir=/s/u"]), Errno::INVAL),
            (spec_mount("ext4", Some("/dev/sda1"), "/t", &[]), Errno::NODEV),
            (spec_mount("tmpfs", None, "/t", &["shared"]), Errno::OPNOTSUPP),
        ] {
            let target = mount.destination().clone();
            let error = planned(std::slice::from_ref(&mount)).expect_err("refused");
            assert_eq!(error, StartError::at(Step::Specification, target, errno), "{mount:?}");
        }
    }
}
