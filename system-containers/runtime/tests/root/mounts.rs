//! Root file system, standard mounts, hidden paths, binds and their propagation, overlays.

use crate::bed::{Bed, capabilities};
use rustix::mount::{MountFlags, mount};
use serde_json::{Value, json};
use std::fs;

fn bind(source: &std::path::Path, target: &str, options: &[&str]) -> Value {
    json!({"type": "bind", "source": source, "destination": target, "options": options})
}

/// Tries a command and says how it went.
fn verdict(command: &str) -> String {
    format!("({command}) 2>&1 && echo yes; true\n")
}

#[test]
fn root_root_is_read_only_and_nothing_of_the_host_is_left() {
    let bed = Bed::new();
    let script = verdict("echo x > /etc/new") + "cat /proc/self/mountinfo";
    let output = bed.output(&bed.launch("c", &script, json!({})));
    assert!(output.starts_with("sh: can't create /etc/new: Read-only file system\n"), "{output}");
    let points: Vec<_> = output.lines().skip(1).filter_map(|line| line.split(' ').nth(4)).collect();
    let standard = ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup", "/run", "/tmp"];
    assert_eq!(points, [&["/"][..], &standard].concat());
    assert!(!bed.path("root/etc/new").exists());
}

#[test]
fn root_root_stays_read_only_even_for_an_administrator_without_remount() {
    let bed = Bed::new();
    let process = json!({"process": {"capabilities": capabilities(&["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"])}});
    let output = bed.output(&bed.launch("c", &verdict("touch /usr/bin/new"), process));
    assert!(output.contains("Read-only file system"), "{output}");
}

#[test]
fn root_standard_mounts_are_usable_and_confined() {
    let bed = Bed::new();
    let script = [
        "echo x > /run/f && echo x > /tmp/f && echo x > /dev/shm/f && echo x > /dev/null && head -c1 /dev/zero | wc -c",
        &verdict("echo x > /sys/kernel/uevent_seqnum"),
        &verdict("mkdir /sys/fs/cgroup/x"),
        "cat /proc/self/cgroup",
        "ls /dev",
        "test -c /dev/ptmx && test -d /dev/mqueue && stat -c %a /tmp /dev/shm /dev/null",
    ]
    .join("\n");
    let output = bed.output(&bed.launch("c", &script, json!({})));
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[0], "1");
    assert!(lines[1].ends_with("Read-only file system") && lines[2].ends_with("Read-only file system"), "{output}");
    assert!(lines.contains(&"0::/"), "rooted in its own cgroup: {output}");
    let devices = lines[lines.len() - 17..lines.len() - 3].join(" ");
    assert_eq!(devices, "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero");
    assert_eq!(lines[lines.len() - 3..], ["1777", "1777", "666"]);
}

#[test]
fn root_delegated_cgroup_is_writable() {
    let bed = Bed::new();
    let mut launch = bed.launch(
        "c",
        "mkdir /sys/fs/cgroup/x && echo 0 > /sys/fs/cgroup/x/cgroup.procs && cat /proc/self/cgroup",
        json!({}),
    );
    launch.delegate = true;
    let output = bed.output(&launch);
    assert!(output.contains("0::/x\n") || output.contains("0::/\n"), "{output}");
    assert!(bed.cgroup("c/x").exists());
}

#[test]
fn root_paths_are_masked_and_read_only() {
    let bed = Bed::new();
    fs::create_dir(bed.path("root/etc/secrets")).expect("make directory");
    fs::write(bed.path("root/etc/secrets/key"), "secret").expect("write");
    let linux = json!({
        "maskedPaths": ["/proc/keys", "/proc/acpi", "/etc/secrets", "/proc/scsi", "/proc/no/such", "/etc/origin"],
        "readonlyPaths": ["/proc/sys", "/proc/no/such"],
    });
    let script = "cat /proc/keys /etc/origin; ls /etc/secrets; ".to_owned()
        + &verdict("touch /etc/secrets/x")
        + &verdict("echo x > /proc/sys/kernel/domainname");
    let output = bed.output(&bed.launch("c", &script, json!({"linux": linux})));
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 2, "nothing but two failures: {output}");
    assert!(lines.iter().all(|line| line.ends_with("Read-only file system")), "{output}");
}

#[test]
fn root_kernel_parameters_are_set_before_they_become_read_only() {
    let bed = Bed::new();
    let linux = json!({"sysctl": {"net.ipv4.ip_unprivileged_port_start": "99"}, "readonlyPaths": ["/proc/sys"]});
    let script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start";
    assert_eq!(bed.output(&bed.launch("c", script, json!({"linux": linux}))), "99\n");
}

#[test]
fn root_binds_bring_files_and_directories() {
    let bed = Bed::new();
    let source = bed.make_dir("source");
    fs::write(source.join("file"), "from the host\n").expect("write");
    let mounts = json!([
        bind(&source, "/mnt", &["bind", "ro"]),
        bind(&source.join("file"), "/run/deep/file", &["bind"]),
        bind(&source, "/run/made", &["bind"]),
        {"type": "tmpfs", "destination": "/var", "options": ["size=64k", "mode=700", "noexec"]},
    ]);
    let script = "cat /mnt/file /run/deep/file\n".to_owned()
        + &verdict("touch /mnt/new")
        + &verdict("touch /run/made/new")
        + "stat -c %a /var; grep ' /var ' /proc/mounts";
    let output = bed.output(&bed.launch("c", &script, json!({"mounts": mounts})));
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[..2], ["from the host", "from the host"]);
    assert!(lines[2].ends_with("Read-only file system"), "{output}");
    assert_eq!(lines[3..5], ["yes", "700"]);
    assert!(lines[5].contains("noexec") && lines[5].contains("size=64k"), "{output}");
    assert!(source.join("new").exists());
}

#[test]
fn root_a_mount_made_in_one_container_appears_in_another_with_the_same_shared_bind() {
    let bed = Bed::new();
    let shared = bed.make_dir("shared/sub").parent().expect("parent").to_owned();
    for options in [["rbind", "rshared"], ["bind", "shared"]] {
        let mounts = json!([bind(&shared, "/mnt", &options)]);
        let process = json!({"capabilities": capabilities(&["CAP_SYS_ADMIN"])});
        // The observer runs before the mount is made.
        let script = "echo up; read go; cat /mnt/sub/file; read go; ls /mnt/sub";
        let mut observer = bed.start(&bed.launch("b", script, json!({"mounts": mounts}))).expect("start observer");
        assert_eq!(observer.line(), "up");
        let script =
            "mount -t tmpfs x /mnt/sub && echo hello > /mnt/sub/file && echo done; read go; umount -l /mnt/sub";
        let changes = json!({"mounts": mounts, "process": process});
        let mut maker = bed.start(&bed.launch("a", script, changes)).expect("start maker");
        assert_eq!(maker.line(), "done");
        observer.feed();
        assert_eq!(observer.line(), "hello");
        assert_eq!(fs::read_to_string(shared.join("sub/file")).expect("on the host as well"), "hello\n");
        maker.feed();
        assert_eq!(maker.output(), "");
        assert!(!shared.join("sub/file").exists(), "gone on the host");
        observer.feed();
        assert_eq!(observer.output(), "", "gone in the other container");
    }
}

#[test]
fn root_slave_sees_later_mounts_of_the_host_and_private_does_not() {
    let bed = Bed::new();
    for (options, seen) in [(&["rbind", "rslave"][..], true), (&["rbind"], false), (&["rbind", "rprivate"], false)] {
        let source = bed.make_dir(&format!("{}/sub", options.join("-")));
        let mounts = json!([bind(source.parent().expect("parent"), "/mnt", options)]);
        let process = json!({"capabilities": capabilities(&["CAP_SYS_ADMIN"])});
        let script = "mkdir /mnt/own; mount -t tmpfs x /mnt/own; touch /mnt/own/file; echo up; read go; ls /mnt/sub";
        let changes = json!({"mounts": mounts, "process": process});
        let mut container = bed.start(&bed.launch("c", script, changes)).expect("start");
        assert_eq!(container.line(), "up");
        assert!(!source.with_file_name("own").join("file").exists(), "{options:?}: seen on the host");
        mount("tmpfs", &source, "tmpfs", MountFlags::empty(), None).expect("mount on the host");
        fs::write(source.join("later"), "").expect("write");
        container.feed();
        assert_eq!(container.output(), if seen { "later\n" } else { "" }, "{options:?}");
    }
}

#[test]
fn root_overlay_keeps_changes_in_the_host_directory() {
    let bed = Bed::new();
    let (upper, work) = (bed.make_dir("over/upper"), bed.make_dir("over/work"));
    let options = [format!("upperdir={}", upper.display()), format!("workdir={}", work.display())];
    let mounts = json!([{"type": "overlay", "destination": "/etc", "options": options}]);
    let script = "cat /etc/origin; echo changed > /etc/origin; echo new > /etc/new; cat /etc/origin";
    let output = bed.output(&bed.launch("c", script, json!({"mounts": mounts})));
    assert_eq!(output, "image\nchanged\n");
    assert_eq!(fs::read_to_string(upper.join("origin")).expect("copied up"), "changed\n");
    assert!(upper.join("new").exists());
    assert_eq!(fs::read_to_string(bed.path("root/etc/origin")).expect("untouched"), "image\n");
}

#[test]
fn root_host_dev_takes_the_place_of_the_private_one() {
    let bed = Bed::new();
    let mounts = json!([bind(std::path::Path::new("/dev"), "/dev", &["rbind", "rslave"])]);
    let output = bed.output(&bed.launch("c", "ls -d /dev/kmsg; ls /dev/pts", json!({"mounts": mounts})));
    assert_eq!(output, "/dev/kmsg\nptmx\n", "host's nodes, own terminals");
}

#[test]
fn root_starting_and_ending_changes_no_mount_of_the_host() {
    let bed = Bed::new();
    let before = bed.host_mounts();
    bed.output(&bed.launch("c", "true", json!({})));
    assert_eq!(bed.host_mounts(), before);
}
