//! Start to exit of a static `true`, from one prepared bundle: `hull-runtime`, crun, runc and the floor beside them.
//!
//! `bench_runtime [FILE]`, as root, on a machine with crun and runc (`apt-get install crun runc`). The runs are
//! interleaved, so that all see the same machine. Medians and peak memory are printed, and written to FILE as JSON.
//!
//! Each run is a process of its own (`bench_runtime once COMMAND …`), because the kernel reports the memory of ended
//! children as the largest of all of them.

use hull_runtime::cgroup::{self, Limits};
use hull_runtime::{DeviceRules, Launch, Stdio as Streams, helper, start};
use nix::sys::resource::{UsageWho, getrusage};
use rustix::process::{WaitId, WaitIdOptions, getpid, set_child_subreaper, waitid};
use serde_json::{Value, json};
use std::error::Error;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Runs of each.
const RUNS: usize = 40;

/// Makes this program measure one command.
const ONCE: &str = "once";

/// In place of a command: the library, in this process.
const RESIDENT: &str = "@resident";

/// Where runtimes look for cgroups.
const CGROUPS: &str = "/sys/fs/cgroup";

type Failure = Box<dyn Error>;

/// A command to be measured.
struct Candidate {
    name: &'static str,
    words: Vec<String>,
    /// What it leaves out that the others do.
    note: &'static str,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, _)) if first == helper::ARGUMENT => return helper::main(),
        Some((first, command)) if first == ONCE => once(command),
        _ => compare(arguments.first().map(Path::new)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints microseconds and KiB.
fn once(command: &[String]) -> Result<(), Failure> {
    let (program, words) = command.split_first().ok_or("no command")?;
    if let (true, [bundle, state, cgroup]) = (program == RESIDENT, words) {
        return resident(Path::new(bundle), Path::new(state), Path::new(cgroup));
    }
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
    let before = Instant::now();
    let status = command.status()?;
    let elapsed = before.elapsed();
    if !status.success() {
        return Err(format!("{program}: {status}").into());
    }
    println!("{} {}", elapsed.as_micros(), getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
    Ok(())
}

/// The same by the library, as the system daemon does it: the caller is there already, and has the plan.
fn resident(bundle: &Path, state: &Path, cgroup: &Path) -> Result<(), Failure> {
    let filter = fs::read_dir(state.join(".seccomp"))?.next().ok_or("no compiled filter")??.path();
    let mut config: Value = serde_json::from_str(&fs::read_to_string(bundle.join("config.json"))?)?;
    // A service's filter is compiled already.
    config["linux"]["seccomp"] = Value::Null;
    let launch = Launch {
        spec: serde_json::from_value(config)?,
        rootfs: bundle.join("rootfs"),
        cgroup: cgroup.to_owned(),
        seccomp: Some(filter),
        devices: DeviceRules::default(),
        delegate: false,
    };
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let program = std::env::current_exe()?;
    set_child_subreaper(Some(getpid()))?;
    let before = Instant::now();
    cgroup::create(cgroup, &Limits::default())?;
    let stdio = Streams { stdin: null.as_fd(), stdout: null.as_fd(), stderr: null.as_fd() };
    let started = start(&program, &launch, stdio)?;
    waitid(WaitId::PidFd(started.pidfd.as_fd()), WaitIdOptions::EXITED)?;
    cgroup::remove(cgroup)?;
    println!("{} {}", before.elapsed().as_micros(), getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
    Ok(())
}

fn compare(file: Option<&Path>) -> Result<(), Failure> {
    own_cgroups()?;
    let work = std::env::temp_dir().join(format!("hull-bench-runtime-{}", std::process::id()));
    let bundle = prepare(&work)?;
    let mut candidates = candidates(&work, &bundle)?;
    // Warm caches, compiled filters; and whoever cannot run here at all.
    candidates.retain(|candidate| match measure(candidate) {
        Ok(_) => true,
        Err(error) => {
            println!("{}: left out: {error}", candidate.name);
            false
        }
    });
    let mut runs = vec![Vec::new(); candidates.len()];
    for _ in 0..RUNS {
        for (candidate, runs) in candidates.iter().zip(&mut runs) {
            runs.push(measure(candidate)?);
        }
    }
    let rows: Vec<Value> = candidates.iter().zip(runs).map(|(candidate, runs)| row(candidate, runs)).collect();
    fs::remove_dir_all(&work)?;
    if let Some(file) = file {
        fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
        fs::write(file, serde_json::to_string_pretty(&json!({"runs": RUNS, "results": rows}))?)?;
    }
    Ok(())
}

/// A mount namespace where cgroup v2 is where runtimes look for it, also on machines that still mount v1 there.
fn own_cgroups() -> Result<(), Failure> {
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    if !Path::new(CGROUPS).join("cgroup.controllers").exists() {
        mount("cgroup2", CGROUPS, "cgroup2", MountFlags::empty(), None)?;
    }
    Ok(())
}

/// A bundle as `runc spec` writes it, and a filter as engines have it.
fn prepare(work: &Path) -> Result<PathBuf, Failure> {
    let rootfs = work.join("rootfs");
    for directory in ["bin", "dev", "proc", "run", "sys", "tmp"] {
        fs::create_dir_all(rootfs.join(directory))?;
    }
    fs::copy("/bin/busybox", rootfs.join("bin/true"))?;
    let status = Command::new("runc").arg("spec").current_dir(work).status()?;
    if !status.success() {
        return Err("runc spec failed".into());
    }
    let file = work.join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/true"]);
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{
            "names": [
                "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "create_module", "delete_module",
                "finit_module", "get_kernel_syms", "init_module", "ioperm", "iopl", "kcmp", "kexec_file_load",
                "kexec_load", "keyctl", "lookup_dcookie", "mbind", "mount", "move_pages", "nfsservctl",
                "open_by_handle_at", "perf_event_open", "pivot_root", "process_vm_readv", "process_vm_writev",
                "ptrace", "query_module", "quotactl", "reboot", "request_key", "set_mempolicy", "setns", "settimeofday",
                "swapoff", "swapon", "sysfs", "umount2", "unshare", "uselib", "userfaultfd", "ustat", "vm86",
            ],
            "action": "SCMP_ACT_ERRNO",
        }],
    });
    fs::write(&file, config.to_string())?;
    Ok(work.to_owned())
}

fn candidates(work: &Path, bundle: &Path) -> Result<Vec<Candidate>, Failure> {
    let built = std::env::current_exe()?.parent().and_then(Path::parent).ok_or("no target directory")?.to_owned();
    let (bundle, state) = (bundle.display().to_string(), work.join("state").display().to_string());
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let floor = built.join("examples/start_floor").display().to_string();
    let ours = built.join("hull-runtime").display().to_string();
    let rootfs = format!("{bundle}/rootfs");
    let cgroup = format!("{CGROUPS}/hull-bench-floor");
    Ok(vec![
        Candidate {
            name: "floor",
            words: words(&[&floor, &rootfs, &cgroup, "/bin/true"]),
            note: "no configuration, device rules, nodes, hidden paths or state",
        },
        Candidate {
            name: "hull-runtime",
            words: words(&[&ours, "--root", &state, "run", "-b", &bundle, "hull"]),
            note: "",
        },
        Candidate {
            name: "from the daemon",
            words: words(&[RESIDENT, &bundle, &state, &format!("{CGROUPS}/hull-bench-daemon")]),
            note: "the same by the library; the caller runs already",
        },
        Candidate { name: "crun", words: words(&["crun", "run", "-b", &bundle, "bench-crun"]), note: "" },
        Candidate {
            name: "crun without cgroups",
            words: words(&["crun", "--cgroup-manager=disabled", "run", "-b", &bundle, "bench-crun"]),
            note: "no cgroup, no device rules",
        },
        Candidate { name: "runc", words: words(&["runc", "run", "-b", &bundle, "bench-runc"]), note: "" },
    ])
}

/// Microseconds and KiB of one run.
fn measure(candidate: &Candidate) -> Result<(u64, u64), Failure> {
    let output = Command::new(std::env::current_exe()?).arg(ONCE).args(&candidate.words).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ").into());
    }
    let text = String::from_utf8(output.stdout)?;
    let (time, memory) = text.trim().split_once(' ').ok_or("no figures")?;
    Ok((time.parse()?, memory.parse()?))
}

/// Prints and returns the figures of one candidate.
fn row(candidate: &Candidate, runs: Vec<(u64, u64)>) -> Value {
    let (mut times, memory): (Vec<u64>, Vec<u64>) = runs.into_iter().unzip();
    times.sort_unstable();
    let at = |part: usize| times.get(part * times.len().saturating_sub(1) / 4).copied().unwrap_or(0);
    let milliseconds = |micro: u64| f64::from(u32::try_from(micro).unwrap_or(u32::MAX)) / 1e3;
    let (low, median, high) = (milliseconds(at(0)), milliseconds(at(2)), milliseconds(at(4)));
    let memory = memory.into_iter().max().unwrap_or(0);
    let Candidate { name, note, .. } = candidate;
    println!("{name:22} ms min {low:8.2}  median {median:8.2}  max {high:8.2}  peak {memory:6} KiB  {note}");
    json!({"name": name, "ms_min": low, "ms_median": median, "ms_max": high, "peak_rss_kib": memory, "note": note})
}
