//! Mounts made for the console: what it sees of them, what is refused. Disks are loop devices.

use super::world::{World, client};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::{Value, json};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const MIB: u64 = 1 << 20;
const MOUNTS: &str = "[[mount]]\nsource = \"/state/data/mnt\"\ntarget = \"/mnt\"\noptions = [\"rw\", \"shared\"]\n\
    [[mount]]\nsource = \"/state/data/srv\"\ntarget = \"/srv\"\noptions = [\"rw\", \"shared\"]\n\
    [[mount]]\nsource = \"/state/data/own\"\ntarget = \"/data\"\noptions = [\"rw\"]\n";

/// A file behind a loop device.
struct Disk {
    device: String,
    _image: tempfile::NamedTempFile,
}

impl Disk {
    /// With ext4 on it.
    fn new(world: &World, option: &str) -> Self {
        Self::prepared(world, option, |path| drop(world.init.output("mkfs.ext4", &["-q", path])))
    }

    fn prepared(world: &World, option: &str, prepare: impl Fn(&str)) -> Self {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(16 * MIB).unwrap();
        let path = image.path().to_str().unwrap();
        prepare(path);
        Self { device: world.init.output("losetup", &["--find", "--show", option, path]), _image: image }
    }
}

/// A machine whose state is a disk of its own, shared as on a real one, its console, and a second disk.
struct Machine {
    state: PathBuf,
    console: PathBuf,
    system: Disk,
    disk: Disk,
    world: World,
}

impl Machine {
    fn start() -> Self {
        let mut world = World::new();
        let (system, disk) = (Disk::new(&world, "--nooverlap"), Disk::new(&world, "--nooverlap"));
        let state = world.root.join("state");
        let none = None::<&str>;
        mount(Some(system.device.as_str()), &state, Some("ext4"), MsFlags::empty(), none).unwrap();
        mount(none, &state, none, MsFlags::MS_SHARED, none).unwrap();
        world.service("console", &World::script("", "while :; do /bin/busybox sleep 0.1; done", MOUNTS));
        for folder in ["mnt", "srv"] {
            fs::create_dir(world.root.join("services/console/rootfs").join(folder)).unwrap();
        }
        world.init.boot();
        let pid = world.until_state("console", "ready")["pid"].clone();
        let console = format!("/proc/{pid}/root").into();
        Self { state, console, system, disk, world }
    }

    /// A path as the console sees it.
    fn at(&self, path: &str) -> PathBuf {
        self.console.join(path.trim_start_matches('/'))
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let answer = client::request(&self.world.socket(), method, path, body).unwrap();
        (answer.status, answer.body)
    }

    fn mount(&self, source: &str, target: &str, kind: Option<&str>, options: &[&str]) -> (u16, String) {
        let request = json!({ "source": source, "target": target, "kind": kind, "options": options });
        self.ask("POST", "/hull/mounts", &request.to_string())
    }

    fn unmount(&self, target: &str) -> u16 {
        self.ask("DELETE", &format!("/hull/mounts?target={target}"), "").0
    }

    fn detach(&self, disk: &Disk) {
        self.world.init.output("losetup", &["--detach", &disk.device]);
    }

    #[track_caller]
    fn refused(&self, answer: (u16, String), status: u16, part: &str) {
        assert!(answer.0 == status && answer.1.contains(part), "{answer:?}: {status} {part}");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With all that is below it; the devices go with the last mount.
        umount2(&self.state, MntFlags::MNT_DETACH).ok();
        for disk in [&self.system, &self.disk] {
            self.detach(disk);
        }
    }
}

fn is_read_only(path: &Path) -> bool {
    fs::write(path, "x").is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem)
}

#[test]
fn root_the_console_sees_what_is_mounted_and_unmounted() {
    let machine = Machine::start();
    fs::create_dir(machine.at("/mnt/a")).unwrap();
    let answer = machine.mount("tmpfs", "/mnt/a", Some("tmpfs"), &["size=1m", "nosuid", "nofail", "x-y"]);
    assert_eq!(answer, (200, json!({ "kind": "tmpfs", "read-only": false }).to_string()));
    fs::write(machine.at("/mnt/a/f"), "x").unwrap();
    assert_eq!(fs::read_to_string(machine.state.join("data/mnt/a/f")).unwrap(), "x");

    // Of the file system, so that it holds for the console's copy too.
    assert_eq!(machine.mount("", "/mnt/a", None, &["remount", "ro"]).0, 200);
    assert!(is_read_only(&machine.at("/mnt/a/g")));
    assert_eq!(machine.mount("", "/mnt/a", None, &["remount", "rw"]).0, 200);

    let used = fs::File::open(machine.at("/mnt/a/f")).unwrap();
    machine.refused(machine.ask("DELETE", "/hull/mounts?target=/mnt/a", ""), 409, "/mnt/a is in use");
    drop(used);
    assert_eq!(machine.unmount("/mnt/a"), 204);
    assert!(!machine.at("/mnt/a/f").exists());
    machine.refused(machine.ask("DELETE", "/hull/mounts?target=/mnt/a", ""), 404, "/mnt/a: nothing is mounted");

    // The console's own mount, as for a disk that is to be all of /mnt.
    assert_eq!(machine.mount("tmpfs", "/mnt", Some("tmpfs"), &[]).0, 200);
    assert!(!machine.at("/mnt/a").exists());
    assert_eq!(machine.ask("DELETE", "/hull/mounts?target=/mnt&lazy=1", "").0, 204);
    assert!(machine.at("/mnt/a").exists());
}

#[test]
fn root_a_disk_is_mounted_without_its_type_and_after_a_restart_of_the_daemon() {
    let mut machine = Machine::start();
    fs::create_dir(machine.at("/srv/d")).unwrap();
    let answer = machine.mount(&machine.disk.device, "/srv/d", None, &["ro", "noatime"]);
    assert_eq!(answer, (200, json!({ "kind": "ext4", "read-only": true }).to_string()));
    assert!(machine.at("/srv/d/lost+found").exists() && is_read_only(&machine.at("/srv/d/f")));
    machine.world.init.kill_daemon();
    machine.world.init.boot();
    machine.world.until_state("console", "ready");
    assert_eq!(machine.unmount("/srv/d"), 204);
    assert_eq!(machine.mount(&machine.disk.device, "/srv/d", Some("ext4"), &[]).0, 200);
    fs::write(machine.at("/srv/d/f"), "x").unwrap();
    // What the kernel says of it.
    let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap();
    assert!(
        mounts.lines().any(|line| line.starts_with(&machine.disk.device) && line.contains("/srv/d ext4 rw")),
        "{mounts}"
    );
    assert_eq!(machine.unmount("/srv/d"), 204);
    for (kind, status, part) in [(Some("iso9660"), 400, "iso9660"), (Some("vfatt"), 400, "there are"), (None, 400, "")]
    {
        machine.refused(machine.mount(&machine.disk.device, "/srv/d", kind, &["no_such_option=1"]), status, part);
    }
}

#[test]
fn root_a_write_protected_disk_is_mounted_read_only_and_a_blank_one_not_at_all() {
    let machine = Machine::start();
    fs::create_dir(machine.at("/mnt/a")).unwrap();
    let disk = Disk::new(&machine.world, "--read-only");
    let answer = machine.mount(&disk.device, "/mnt/a", None, &["defaults"]);
    assert_eq!(answer, (200, json!({ "kind": "ext4", "read-only": true }).to_string()));
    assert_eq!(machine.unmount("/mnt/a"), 204);
    assert_eq!(machine.mount(&disk.device, "/mnt/a", Some("ext4"), &["rw"]).0, 500);
    machine.detach(&disk);

    let blank = Disk::prepared(&machine.world, "--nooverlap", |_| {});
    machine.refused(machine.mount(&blank.device, "/mnt/a", None, &[]), 400, "no file system the kernel takes");
    machine.refused(machine.mount(&blank.device, "/mnt/a", Some("ext4"), &[]), 400, "no such file system is on it");
    machine.detach(&blank);
}

#[test]
fn root_a_changed_partition_table_is_read_again() {
    let machine = Machine::start();
    let disk = Disk::prepared(&machine.world, "--partscan", |_| {});
    let name = disk.device.trim_start_matches("/dev/");
    let partition = format!("/sys/class/block/{name}p1");
    // One the table does not have: the kernel that runs tests may know no kind of table, and then the blank one is read.
    let node = fs::File::open(&disk.device).unwrap();
    hull_sys::blkpg::add(&node, 1, MIB, MIB).unwrap();
    drop(node);
    assert!(Path::new(&partition).exists());
    let rescan = json!({ "device": disk.device }).to_string();
    assert_eq!(machine.ask("POST", "/hull/rescan", &rescan), (204, String::new()));
    assert!(!Path::new(&partition).exists());
    let none = json!({ "device": machine.disk.device }).to_string();
    machine.refused(machine.ask("POST", "/hull/rescan", &none), 400, "name the whole disk");
    machine.detach(&disk);
}

#[test]
fn root_a_directory_is_bound_elsewhere() {
    let machine = Machine::start();
    fs::create_dir_all(machine.at("/srv/from/deep")).unwrap();
    fs::create_dir(machine.at("/mnt/to")).unwrap();
    assert_eq!(machine.mount("tmpfs", "/srv/from/deep", Some("tmpfs"), &[]).0, 200);
    fs::write(machine.at("/srv/from/deep/f"), "x").unwrap();
    assert_eq!(machine.mount("/srv/from", "/mnt/to", None, &["bind", "ro"]).0, 200);
    assert!(!machine.at("/mnt/to/deep/f").exists() && is_read_only(&machine.at("/mnt/to/g")));
    assert_eq!(machine.unmount("/mnt/to"), 204);
    assert_eq!(machine.mount("/srv/from", "/mnt/to", None, &["rbind"]).0, 200);
    assert!(machine.at("/mnt/to/deep/f").exists());
    machine.refused(machine.mount("", "/mnt/to", None, &["remount", "ro"]), 403, "the OS's own file system");
    assert_eq!(machine.ask("DELETE", "/hull/mounts?target=/mnt/to&lazy=1", "").0, 204);
    assert!(machine.at("/srv/from/deep/f").exists() && !machine.at("/mnt/to/deep").exists());
}

#[test]
fn root_nothing_of_the_systems_own_is_mounted_or_mounted_over() {
    let machine = Machine::start();
    fs::create_dir(machine.at("/mnt/a")).unwrap();
    for (link, to) in [("etc", "/etc"), ("up", "../../.."), ("proc", "/proc/self/root")] {
        std::os::unix::fs::symlink(to, machine.at("/mnt").join(link)).unwrap();
    }
    for target in ["/etc", "/proc", "/", "/run/hull", "/data", "/data/x", "/mnt/etc", "/mnt/etc/ssh", "/mnt/up/run"] {
        machine.refused(
            machine.mount("tmpfs", target, Some("tmpfs"), &[]),
            403,
            target.split_at(4.min(target.len())).0,
        );
        machine.refused(machine.ask("DELETE", &format!("/hull/mounts?target={target}/x"), ""), 403, "");
        machine.refused(machine.mount(target, "/mnt/a", None, &["bind"]), 403, "");
    }
    for target in ["relative", "/mnt/../etc", ""] {
        machine.refused(machine.mount("tmpfs", target, Some("tmpfs"), &[]), 400, "");
    }
    machine.refused(machine.mount("tmpfs", "/mnt/none", Some("tmpfs"), &[]), 404, "/mnt/none does not exist");
    let system = machine.system.device.as_str();
    machine.refused(machine.mount(system, "/mnt/a", None, &[]), 403, "the system disk");
    machine.refused(machine.ask("POST", "/hull/swaps", &json!({ "device": system }).to_string()), 403, "system disk");
    machine.refused(machine.ask("POST", "/hull/rescan", &json!({ "device": system }).to_string()), 403, "system disk");
    for (source, kind, status, part) in [
        ("proc", Some("proc"), 400, "type proc"),
        ("/dev/null", None, 400, "no block device"),
        ("LABEL=hull-none", None, 404, "LABEL=hull-none: there is no such device"),
        ("/srv/image", None, 400, "option bind"),
    ] {
        machine.refused(machine.mount(source, "/mnt/a", kind, &[]), status, part);
    }
    fs::write(machine.at("/srv/file"), vec![0; 1 << 16]).unwrap();
    machine.refused(machine.ask("POST", "/hull/swaps", &json!({ "device": "/srv/file" }).to_string()), 400, "mkswap");
    machine.refused(machine.ask("DELETE", "/hull/swaps?device=/srv/file", ""), 400, "no swap area");
    let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap();
    assert_eq!(mounts.matches(machine.state.to_str().unwrap()).count(), 1, "{mounts}");
    let status: Value = machine.world.status().unwrap();
    assert_eq!(status["services"][0]["state"], "ready");
}

#[test]
fn root_without_a_console_there_is_nowhere_to_mount() {
    let mut world = World::new();
    world.service("a", &World::script("", "while :; do /bin/busybox sleep 0.1; done", ""));
    world.init.boot();
    world.until_state("a", "ready");
    let request = json!({ "source": "tmpfs", "target": "/mnt" }).to_string();
    let answer = client::request(&world.socket(), "POST", "/hull/mounts", request).unwrap();
    assert!(answer.status == 500 && answer.body.contains("no service \\\"console\\\""), "{}", answer.body);
}
