//! Measures how long a container takes from the call of `start` to its `main`, beside a plain fork and exec.
//!
//! `start_latency [cgroup directory] [starts]`, as root. Both kinds run the same static program (this one, as `stamp`),
//! alternating, so that both see the same machine.

use hull_runtime::cgroup::{self, Limits};
use hull_runtime::{DeviceRules, Launch, Stdio, helper, start};
use rustix::process::{WaitId, WaitIdOptions, getpid, set_child_subreaper, waitid};
use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

const CGROUP: &str = "/sys/fs/cgroup/hull-start-latency";
const STARTS: usize = 50;

/// Argument that makes this program write the time and end.
const STAMP: &str = "stamp";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    match first.as_deref() {
        Some(helper::ARGUMENT) => return helper::main(),
        Some(STAMP) => {
            println!("{}", now().as_nanos());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let cgroup = PathBuf::from(first.unwrap_or_else(|| CGROUP.into()));
    let starts = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(STARTS);
    match measure(&cgroup, starts) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("start_latency: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cgroup: &Path, starts: usize) -> Result<(), Box<dyn Error>> {
    set_child_subreaper(Some(getpid()))?;
    let exe = std::env::current_exe()?;
    let rootfs = std::env::temp_dir().join(format!("hull-start-latency-{}", getpid()));
    for directory in ["dev", "proc", "sys", "run", "tmp"] {
        fs::create_dir_all(rootfs.join(directory))?;
    }
    fs::copy(&exe, rootfs.join("program"))?;
    let launch = launch(&rootfs, cgroup)?;

    let (mut floor, mut returned, mut contained) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..starts {
        let before = now();
        let output = Command::new(rootfs.join("program")).arg(STAMP).output()?;
        floor.push(stamp(&output.stdout)? - before);

        let (output, stdout) = rustix::pipe::pipe()?;
        let (null, stderr) = (File::open("/dev/null")?, std::io::stderr());
        let before = now();
        cgroup::create(cgroup, &Limits::default())?;
        let stdio = Stdio { stdin: null.as_fd(), stdout: stdout.as_fd(), stderr: stderr.as_fd() };
        let started = start(&exe, &launch, stdio)?;
        returned.push(now() - before);
        drop(stdout);
        contained.push(stamp(&read(output)?)? - before);
        waitid(WaitId::PidFd(started.pidfd.as_fd()), WaitIdOptions::EXITED)?;
    }
    cgroup::remove(cgroup)?;
    fs::remove_dir_all(&rootfs)?;
    print("fork and exec: call to main", floor);
    print("container: call to main", contained);
    print("container: call to return", returned);
    Ok(())
}

/// A container as confined as a typical service, without a filter file.
fn launch(rootfs: &Path, cgroup: &Path) -> Result<Launch, Box<dyn Error>> {
    let spec = serde_json::json!({
        "ociVersion": "1.0.2",
        "hostname": "latency",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/program", STAMP], "cwd": "/", "noNewPrivileges": true},
        "linux": {
            "namespaces": [{"type": "pid"}],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    });
    Ok(Launch {
        spec: serde_json::from_value(spec)?,
        rootfs: rootfs.to_owned(),
        cgroup: cgroup.to_owned(),
        seccomp: None,
        devices: DeviceRules::default(),
        delegate: false,
    })
}

fn now() -> Duration {
    clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default()
}

fn read(pipe: OwnedFd) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::from(pipe).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn stamp(output: &[u8]) -> Result<Duration, Box<dyn Error>> {
    Ok(Duration::from_nanos(std::str::from_utf8(output)?.trim().parse()?))
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| times.get(part * times.len().saturating_sub(1) / 2).map_or(0.0, |t| t.as_secs_f64() * 1e3);
    println!("{what:28} min {:6.3}  median {:6.3}  max {:6.3} ms  (n = {})", at(0), at(1), at(2), times.len());
}
