//! Mount targets, devices and `/proc` that the container made something else of.

use super::leaked;
use crate::bed::Bed;
use hull_runtime::{Launch, Step};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::io::Errno;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn bind(source: &Path, target: &str) -> Value {
    json!({"type": "bind", "source": source, "destination": target, "options": ["bind"]})
}

/// Starts what must be refused at `step`.
fn refused(bed: &Bed, launch: &Launch, step: Step, errno: Errno) {
    let error = bed.start(launch).err().expect("start must fail");
    assert_eq!((error.step, error.errno), (step, errno.raw_os_error()), "{error}");
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).expect("read directory").next().is_none()
}

#[test]
fn root_cve_2021_30465_links_at_mount_targets_stay_in_the_root() {
    let bed = Bed::new();
    let (host, source) = (bed.make_dir("host"), bed.make_dir("source"));
    fs::write(source.join("file"), "").expect("write");
    let (_leak, number) = leaked(&host);
    let before = bed.host_mounts();
    let climbing = Path::new("../../../../..").join(host.strip_prefix("/").expect("absolute"));
    for (link, to, inside) in [
        ("absolute", host.clone(), true),
        ("climbing", climbing, true),
        ("magic", format!("/proc/self/fd/{number}").into(), false),
        ("root", "/proc/self/root/etc".into(), false),
    ] {
        symlink(&to, bed.path("root/mnt").join(link)).expect("link");
        // The way the host's path takes is made in the container's own /tmp.
        let target = format!("/mnt/{link}/new");
        let launch = bed.launch("c", &format!("ls {target}"), json!({"mounts": [bind(&source, &target)]}));
        if inside {
            let way = json!({"type": "tmpfs", "destination": host});
            let launch = bed.launch("c", &format!("ls {target}"), json!({"mounts": [way, bind(&source, &target)]}));
            assert_eq!(bed.output(&launch), "file\n", "{link}");
        } else {
            refused(&bed, &launch, Step::MountTarget, Errno::LOOP);
        }
        assert!(is_empty(&host), "{link}");
        assert_eq!(bed.host_mounts(), before, "{link}");
    }
}

#[test]
fn root_cve_2021_30465_exchanging_a_mount_target_does_not_lead_out() {
    let bed = Bed::new();
    let (host, source, volume) = (bed.make_dir("host"), bed.make_dir("source"), bed.make_dir("volume"));
    let (_leak, number) = leaked(&host);
    while_exchanged(&volume, Path::new(&format!("/proc/self/fd/{number}")), |number| {
        let mounts = json!([bind(&volume, "/run/v"), bind(&source, &format!("/run/v/a/{number}"))]);
        // Whether it starts depends on the moment.
        bed.start(&bed.launch("c", "true", json!({"mounts": mounts}))).map(|running| running.wait()).ok();
    });
    assert!(is_empty(&host));
}

#[test]
fn root_cve_2021_30465_a_mount_target_is_not_exchanged_after_it_was_looked_at() {
    let bed = Bed::new();
    let (source, volume) = (bed.make_dir("source"), bed.make_dir("volume"));
    let mut started = 0;
    // A directory of procfs is refused, so nothing may lie on it either way.
    while_exchanged(&volume, Path::new("/proc/sys/kernel"), |_| {
        let mounts = json!([bind(&volume, "/run/v"), bind(&source, "/run/v/a")]);
        let launch = bed.launch("c", "test -e /proc/sys/kernel/domainname", json!({"mounts": mounts}));
        let Ok(running) = bed.start(&launch) else { return };
        assert_eq!(running.wait().exit_status(), Some(0), "covered");
        started += 1;
    });
    assert_ne!(started, 0);
}

/// Calls `attempt` while in the volume `a` and `b` are exchanged all the time: a link to `to`, and a directory.
fn while_exchanged(volume: &Path, to: &Path, mut attempt: impl FnMut(u32)) {
    let (place, other) = (volume.join("a"), volume.join("b"));
    symlink(to, &place).expect("link");
    fs::create_dir(&other).expect("make directory");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(CWD, &place, CWD, &other, exchange).expect("exchange");
            }
        });
        let attempts = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (0..50).for_each(&mut attempt)));
        stop.store(true, Ordering::Relaxed);
        attempts.unwrap_or_else(|failed| std::panic::resume_unwind(failed));
    });
}

#[test]
fn root_cve_2025_31133_a_false_null_device_masks_nothing() {
    let bed = Bed::new();
    let dev = bed.make_dir("dev");
    let null = dev.join("null");
    let linux = json!({"maskedPaths": ["/etc/origin"]});
    let launch = bed.launch("c", "cat /etc/origin", json!({"mounts": [bind(&dev, "/dev")], "linux": linux}));
    symlink("/proc/sys/kernel/domainname", &null).expect("link");
    refused(&bed, &launch, Step::HidePath, Errno::LOOP);
    fs::remove_file(&null).expect("remove");
    fs::write(&null, "file\n").expect("write");
    refused(&bed, &launch, Step::HidePath, Errno::NODEV);
    for (minor, good) in [(5, false), (3, true)] {
        fs::remove_file(&null).expect("remove");
        mknodat(CWD, &null, FileType::CharacterDevice, Mode::from(0o666), makedev(1, minor)).expect("make node");
        if good {
            assert_eq!(bed.output(&launch), "");
        } else {
            refused(&bed, &launch, Step::HidePath, Errno::NODEV);
        }
    }
}

#[test]
fn root_cve_2025_52565_a_false_terminal_or_console_is_not_used() {
    let bed = Bed::new();
    let (pts, dev) = (bed.make_dir("pts"), bed.make_dir("dev"));
    symlink("/run/pts/ptmx", pts.join("ptmx")).expect("link");
    symlink("/run/console", dev.join("console")).expect("link");
    let devpts = json!({"type": "devpts", "destination": "/run/pts", "options": ["ptmxmode=0666"]});
    let mounts = json!([bind(&dev, "/dev"), bind(&pts, "/dev/pts"), devpts]);
    let script = "grep -c console /proc/self/mountinfo; echo up; read go";
    let mut running = bed.start(&bed.launch("c", script, json!({"mounts": mounts}))).expect("start");
    assert_eq!((running.line(), running.line()), ("0".into(), "up".into()));
    let mut exec = bed.exec_of("c", &running, "tty");
    exec.tty = true;
    let error = bed.exec(&exec).err().expect("exec must fail");
    assert_eq!((error.step, error.errno), (Step::Terminal, Errno::NODEV.raw_os_error()), "{error}");
}

#[test]
fn root_cve_2025_52881_nothing_covers_a_file_of_proc() {
    let bed = Bed::new();
    let volume = bed.make_dir("volume");
    fs::write(volume.join("domainname"), "untouched").expect("write");
    symlink("/proc/sys", bed.path("root/mnt/sys")).expect("link");
    let linux = json!({"sysctl": {"kernel.domainname": "written"}});
    for (source, target) in [
        (volume.join("domainname"), "/proc/sys/kernel/domainname"),
        (volume.clone(), "/proc/sys/kernel"),
        (volume.clone(), "/mnt/sys/kernel"),
    ] {
        let launch = bed.launch("c", "true", json!({"mounts": [bind(&source, target)], "linux": linux}));
        refused(&bed, &launch, Step::MountTarget, Errno::PERM);
    }
    assert_eq!(fs::read_to_string(volume.join("domainname")).expect("read"), "untouched");
}

#[test]
fn root_cve_2019_16884_no_volume_takes_the_place_of_proc() {
    let bed = Bed::new();
    let volume = bed.make_dir("volume");
    fs::write(volume.join("keys"), "").expect("write");
    let linux = json!({"maskedPaths": ["/proc/keys"]});
    let mut mounts = vec![bind(&volume, "/proc"), json!({"type": "tmpfs", "destination": "/proc"})];
    mounts.push(json!({"type": "proc", "source": volume, "destination": "/proc", "options": ["bind"]}));
    for mount in mounts {
        let launch = bed.launch("c", "true", json!({"mounts": [mount], "linux": linux}));
        refused(&bed, &launch, Step::Specification, Errno::PERM);
    }
    fs::remove_dir(bed.path("root/proc")).expect("remove");
    symlink("run", bed.path("root/proc")).expect("link");
    refused(&bed, &bed.launch("c", "true", json!({})), Step::MountTarget, Errno::LOOP);
}
