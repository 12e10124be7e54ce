//! Each way a start can fail: the error names step, path and errno, and nothing is left.

use crate::bed::Bed;
use hull_runtime::{Launch, Step, cgroup};
use rustix::io::Errno;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Starts what must fail and checks the error and that nothing is left but the cgroup directory, empty.
fn assert_fails(bed: &Bed, launch: &Launch, step: Step, path: &Path, errno: Errno) {
    let before = bed.host_mounts();
    let error = bed.start(launch).err().expect("start must fail");
    let want = (step, Some(path.to_owned()), errno.raw_os_error());
    assert_eq!((error.step, error.path.clone(), error.errno), want, "{error}");
    assert_eq!(bed.leftovers(), [""; 0]);
    assert_eq!(bed.host_mounts(), before);
    assert_eq!(cgroup::pids(&launch.cgroup).expect("pids"), []);
    cgroup::remove(&launch.cgroup).expect("cgroup can be removed");
}

fn with_mount(mount: Value) -> Value {
    json!({"mounts": [mount]})
}

#[test]
fn root_what_is_missing_is_named() {
    let bed = Bed::new();
    let there = bed.make_dir("there");
    let gone = bed.path("gone");
    let bind = |source: &Path, target: &str| {
        with_mount(json!({"type": "bind", "source": source, "destination": target, "options": ["rbind"]}))
    };
    let overlay = |target: &str, upper: &Path| {
        let options = [format!("upperdir={}", upper.display()), format!("workdir={}", there.display())];
        with_mount(json!({"type": "overlay", "destination": target, "options": options}))
    };
    let program = |path: &str| json!({"process": {"args": [path]}});
    let cases: [(Value, Step, PathBuf, Errno); 11] = [
        (program("/usr/bin/gone"), Step::Program, "/usr/bin/gone".into(), Errno::NOENT),
        (program("gone"), Step::Program, "gone".into(), Errno::NOENT),
        (program("/etc/origin"), Step::Program, "/etc/origin".into(), Errno::ACCESS),
        (program("/etc"), Step::Program, "/etc".into(), Errno::ACCESS),
        (json!({"process": {"cwd": "/gone"}}), Step::WorkingDirectory, "/gone".into(), Errno::NOENT),
        (bind(&gone, "/mnt"), Step::MountSource, gone.clone(), Errno::NOENT),
        (bind(&there, "/srv"), Step::MountTarget, "/srv".into(), Errno::ROFS),
        (bind(&there, "/etc/origin"), Step::MountTarget, "/etc/origin".into(), Errno::NOTDIR),
        (overlay("/srv", &there), Step::MountTarget, bed.path("root/srv"), Errno::NOENT),
        (overlay("/etc", &gone), Step::MountSource, gone.clone(), Errno::NOENT),
        (
            json!({"linux": {"sysctl": {"kernel.gone": "1"}}}),
            Step::Sysctl,
            "/proc/sys/kernel/gone".into(),
            Errno::NOENT,
        ),
    ];
    for (changes, step, path, errno) in cases {
        assert_fails(&bed, &bed.launch("c", "true", changes), step, &path, errno);
    }
}

#[test]
fn root_bad_files_of_the_launch_are_named() {
    let bed = Bed::new();
    let good = bed.launch("c", "true", json!({}));
    let gone = bed.path("gone");
    assert_fails(&bed, &Launch { rootfs: gone.clone(), ..good.clone() }, Step::Root, &gone, Errno::NOENT);
    let launch = Launch { seccomp: Some(gone.clone()), ..good.clone() };
    assert_fails(&bed, &launch, Step::SeccompFile, &gone, Errno::NOENT);
    let torn = bed.path("torn.bpf");
    fs::write(&torn, [0; 9]).expect("write");
    let launch = Launch { seccomp: Some(torn.clone()), ..good.clone() };
    assert_fails(&bed, &launch, Step::SeccompFile, &torn, Errno::INVAL);
}

#[test]
fn root_a_missing_cgroup_is_named() {
    let bed = Bed::new();
    let launch = bed.launch("c", "true", json!({}));
    let error = bed.start_in_given_cgroup(&launch).err().expect("no cgroup");
    assert_eq!((error.step, error.path), (Step::Cgroup, Some(launch.cgroup)));
}

#[test]
fn root_a_filter_without_execve_is_reported() {
    let bed = Bed::new();
    let filter = bed.path("no-execve.bpf");
    // Load the number; execve (59) → EPERM; else allow.
    let program: [(u16, u8, u8, u32); 4] =
        [(0x20, 0, 0, 0), (0x15, 0, 1, 59), (0x06, 0, 0, 0x0005_0001), (0x06, 0, 0, 0x7fff_0000)];
    let bytes = program.map(|(code, jt, jf, k)| [&code.to_le_bytes()[..], &[jt, jf], &k.to_le_bytes()].concat());
    fs::write(&filter, bytes.concat()).expect("write");
    let launch = Launch { seccomp: Some(filter), ..bed.launch("c", "true", json!({})) };
    assert_fails(&bed, &launch, Step::Program, Path::new("/usr/bin/busybox"), Errno::PERM);
}

#[test]
fn root_a_helper_that_is_none_is_named() {
    let bed = Bed::new();
    let launch = bed.launch("c", "true", json!({}));
    let null = fs::File::open("/dev/null").expect("open /dev/null");
    let stdio = std::os::fd::AsFd::as_fd(&null);
    let stdio = hull_runtime::Stdio { stdin: stdio, stdout: stdio, stderr: stdio };
    for helper in ["/no/such/helper", "/bin/true"] {
        let error = hull_runtime::start(Path::new(helper), &launch, stdio).expect_err("no helper");
        assert_eq!((error.step, error.path), (Step::Helper, Some(helper.into())));
    }
}
