//! Bundles that differ in mounts, devices and kernel parameters.

use super::{Table, kinds};
use crate::bed::Bed;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{chown, symlink};

/// What mounts are made of.
pub(super) fn prepare(bed: &Bed) {
    for directory in ["data/deep", "data/under", "upper", "work", "rootfs/etc", "dev/pts", "dev/shm", "dev/mqueue"] {
        fs::create_dir_all(bed.path(directory)).expect("make directory");
    }
    fs::write(bed.path("data/file"), "content\n").expect("write");
    chown(bed.path("data/file"), Some(3), Some(4)).expect("chown");
    fs::write(bed.path("rootfs/etc/passwd"), "root:x:0:0::/root:/bin/sh\nfive:x:5:6::/home/five:/bin/sh\n")
        .expect("write");
    for (name, minor) in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9), ("tty", 0)] {
        let (kind, mode) = (FileType::CharacterDevice, Mode::from_raw_mode(0o666));
        let device = makedev(if name == "tty" { 5 } else { 1 }, minor);
        mknodat(CWD, bed.path("dev").join(name), kind, mode, device).expect("make node");
    }
    symlink("mnt", bed.path("rootfs/link")).expect("link");
    fs::write(bed.path("rootfs/mnt/file"), "").expect("write");
}

/// In a thread's own mount namespace: a shared mount below the directory that is bound.
pub(in super::super) fn prepare_mounts(bed: &Bed) {
    let under = bed.path("data/under");
    mount("under", &under, "tmpfs", MountFlags::empty(), None).expect("mount");
    mount_change(&under, MountPropagationFlags::SHARED).expect("make shared");
}

pub(super) fn mounts(bed: &Bed) -> Table {
    let data = bed.path("data");
    let one = |mount: Value| json!({"mounts": [mount]});
    let bind =
        |options: &[&str]| one(json!({"destination": "/mnt", "type": "bind", "source": data, "options": options}));
    let new = |kind: &str, target: &str, options: &[&str]| {
        one(json!({"destination": target, "type": kind, "source": kind, "options": options}))
    };
    let file = |target: &str| json!({"destination": target, "type": "bind", "source": bed.path("data/file"), "options": ["bind", "ro"]});
    let overlay = format!(
        "lowerdir={},upperdir={},workdir={}",
        data.display(),
        bed.path("upper").display(),
        bed.path("work").display()
    );
    let map = json!([{"containerID": 0, "hostID": 500, "size": 10}]);
    vec![
        ("bind", bind(&["bind"])),
        ("bind-tree", bind(&["rbind"])),
        ("bind-read-only", bind(&["bind", "ro"])),
        ("bind-tree-top-read-only", bind(&["rbind", "ro"])),
        ("bind-tree-read-only", bind(&["rbind", "rro"])),
        ("bind-flags", bind(&["bind", "nosuid", "nodev", "noexec"])),
        ("bind-tree-flags", bind(&["rbind", "rnosuid", "rnodev", "rnoexec"])),
        ("bind-tree-top-flags", bind(&["rbind", "nosuid", "nodev", "noexec"])),
        ("bind-noatime", bind(&["bind", "noatime"])),
        ("bind-nodiratime", bind(&["bind", "nodiratime"])),
        ("bind-private", bind(&["rbind", "rprivate"])),
        ("bind-slave", bind(&["rbind", "rslave"])),
        ("bind-shared", bind(&["rbind", "rshared"])),
        ("bind-unbindable", bind(&["bind", "unbindable"])),
        ("bind-file", one(file("/mnt/file"))),
        ("bind-file-made", json!({"root": {"readonly": false}, "mounts": [file("/tmp/made/file")]})),
        ("bind-over-link", one(json!({"destination": "/link", "type": "bind", "source": data, "options": ["rbind"]}))),
        (
            "bind-relative",
            one(json!({"destination": "/mnt", "type": "bind", "source": "../data", "options": ["bind"]})),
        ),
        ("bind-without-type", one(json!({"destination": "/mnt", "source": data, "options": ["rbind", "ro"]}))),
        (
            "bind-of-proc",
            json!({"linux": {"namespaces": kinds(&["mount"])}, "mounts": [
            {"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]}]}),
        ),
        (
            "bind-of-dev",
            json!({"mounts": [{"destination": "/dev", "type": "bind", "source": bed.path("dev"), "options": ["rbind"]}]}),
        ),
        (
            "mount-owners-mapped",
            one(json!({"destination": "/mnt", "type": "bind", "source": data,
            "options": ["bind", "idmap"], "uidMappings": map, "gidMappings": map})),
        ),
        ("tmpfs", new("tmpfs", "/mnt", &["nosuid", "size=1m", "mode=1770", "uid=5", "gid=6", "nr_inodes=100"])),
        ("tmpfs-times", new("tmpfs", "/mnt", &["noatime", "nodiratime", "noexec"])),
        ("tmpfs-strict-times", new("tmpfs", "/mnt", &["strictatime", "ro"])),
        ("tmpfs-plain", one(json!({"destination": "/mnt", "type": "tmpfs"}))),
        ("tmpfs-slave", new("tmpfs", "/mnt", &["rslave"])),
        (
            "tmpfs-with-copy",
            json!({"mounts": [{"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}]}),
        ),
        (
            "mounts-below-each-other",
            json!({"mounts": [
            {"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/mnt/deep", "type": "bind", "source": data, "options": ["bind"]},
            {"destination": "/mnt/deep", "type": "tmpfs", "source": "again", "options": ["ro"]}]}),
        ),
        ("overlay", new("overlay", "/mnt", &overlay.split(',').collect::<Vec<_>>())),
        ("ramfs", new("ramfs", "/mnt", &["nodev"])),
        ("proc-options", new("proc", "/proc", &["nosuid", "nodev", "noexec", "hidepid=2"])),
        (
            "devpts-options",
            new("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0600", "mode=0600", "gid=5"]),
        ),
        ("cgroup-writable", new("cgroup", "/sys/fs/cgroup", &["nosuid", "noexec", "nodev"])),
        ("cgroup2-by-name", new("cgroup2", "/sys/fs/cgroup", &["ro"])),
        ("sys-writable", new("sysfs", "/sys", &["nosuid"])),
        ("root-writable", json!({"root": {"readonly": false}})),
    ]
}

/// Of `linux`, but for namespaces, resources and seccomp.
pub(super) fn linux() -> Table {
    let of = |linux: Value| json!({"linux": linux});
    let propagation = |word: &str| json!({"root": {"readonly": false}, "linux": {"rootfsPropagation": word}});
    let node = |path: &str, kind: &str, minor: u32| {
        json!({"path": path, "type": kind, "major": 1, "minor": minor,
        "fileMode": 0o640, "uid": 3, "gid": 4})
    };
    vec![
        (
            "hidden-paths",
            of(json!({"maskedPaths": ["/proc/acpi", "/proc/keys", "/sys/firmware", "/no/such", "/proc/timer_list"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/no/such", "/proc/sysrq-trigger"]})),
        ),
        ("hidden-mount", json!({"linux": {"maskedPaths": ["/tmp"], "readonlyPaths": ["/dev/shm", "/sys"]}})),
        ("root-private", propagation("private")),
        ("root-slave", propagation("rslave")),
        ("root-shared", propagation("shared")),
        ("root-unbindable", propagation("unbindable")),
        (
            "kernel-parameters",
            of(json!({"sysctl": {"net.ipv4.ip_forward": "1", "kernel.msgmax": "9000",
            "kernel.shm_rmid_forced": "1", "fs.mqueue.queues_max": "99"}})),
        ),
        ("personality", of(json!({"personality": {"domain": "LINUX32"}}))),
        (
            "devices",
            of(json!({"devices": [node("/dev/extra", "c", 3), node("/dev/below/a/b", "c", 5),
            {"path": "/dev/loop7", "type": "b", "major": 7, "minor": 7}]})),
        ),
        ("device-again", of(json!({"devices": [node("/dev/null", "c", 3)]}))),
        ("annotated", json!({"annotations": {"a": "b"}})),
    ]
}
