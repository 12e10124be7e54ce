//! Which accelerator works: asked by running a guest, since `/dev/kvm` may exist and hang every kernel.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How QEMU executes guest code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accel {
    /// Hardware virtualisation.
    Kvm,
    /// Emulation, one host thread a guest CPU.
    Tcg,
}

/// A working KVM guest prints its first kernel lines within a second or two.
const KVM_DEADLINE: Duration = Duration::from_secs(8);
/// What the kernel prints when it finds no root file system: proof that it ran through its whole start.
const KERNEL_END: &str = "Kernel panic";

impl Accel {
    /// QEMU arguments. TCG leaves cmpxchg16b out: some emulator builds implement it wrongly and the guest kernel oopses.
    /// Also what takes longer emulated than going without it: SHA-256 by AVX2 three times as long as by AVX, and byte-wise
    /// string instructions, for which a kernel clears a page with 4096 steps instead of 512.
    pub fn args(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => ["-accel", "tcg,thread=multi", "-cpu", "max,-cx16,-avx2,-erms,-fsrm"],
        }
    }

    /// Factor for deadlines.
    pub fn patience(self) -> u32 {
        match self {
            Self::Kvm => 1,
            Self::Tcg => 6,
        }
    }
}

/// Runs `kernel` under KVM until it stops for want of a root, or a deadline; TCG when that fails in any way.
pub fn probe(kernel: &Path) -> Accel {
    match std::env::var("ACCEL").as_deref() {
        Ok("kvm") => return Accel::Kvm,
        Ok("tcg") => return Accel::Tcg,
        _ => {}
    }
    if Path::new("/dev/kvm").exists() && kvm_runs(kernel) { Accel::Kvm } else { Accel::Tcg }
}

fn kvm_runs(kernel: &Path) -> bool {
    let Ok(log) = tempfile::NamedTempFile::new() else { return false };
    let child = Command::new("qemu-system-x86_64")
        .args(Accel::Kvm.args())
        .args(["-m", "256", "-display", "none", "-nic", "none", "-no-reboot", "-kernel"])
        .arg(kernel)
        .args(["-append", "console=ttyS0 panic=-1", "-serial"])
        .arg(format!("file:{}", log.path().display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    let deadline = Instant::now() + KVM_DEADLINE;
    let mut ran = false;
    while Instant::now() < deadline && !ran {
        std::thread::sleep(Duration::from_millis(100));
        ran = std::fs::read(log.path()).is_ok_and(|text| String::from_utf8_lossy(&text).contains(KERNEL_END));
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            break;
        }
    }
    if child.kill().is_err() || child.wait().is_err() {
        return false;
    }
    ran
}
