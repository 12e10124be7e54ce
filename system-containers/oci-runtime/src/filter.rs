//! `linux.seccomp` → a compiled program below `--root`, found again by the hash of what it was compiled from.

use anyhow::{Context, Result, ensure};
use hull_runtime::seccomp::{LOG, Listener, SPEC_ALLOW, Seccomp, WAIT_KILLABLE_RECV};
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSeccompOperator,
};
use rustix::fs::{MemfdFlags, memfd_create};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

/// Part of the hash: changes when the same profile compiles to something else.
const FORMAT: &str = "hull-seccomp-1";
/// No container is named like this: names do not begin with a dot.
const DIRECTORY: &str = ".seccomp";
/// `SCMP_FLTATR_CTL_OPTIMIZE` 2: a binary search over the numbers instead of one comparison each.
const BINARY_TREE: u32 = 2;
/// errno(3) of an `SCMP_ACT_ERRNO` without one.
const EPERM: u32 = 1;

/// What `features` tells.
pub(crate) const ACTIONS: &[&str] = &[
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];
pub(crate) const OPERATORS: &[&str] =
    &["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];
pub(crate) const ARCHITECTURES: &[&str] = &[
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];
pub(crate) const FLAGS: &[&str] = &[
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

/// Version of libseccomp, which is linked statically.
pub(crate) fn library_version() -> String {
    libseccomp::ScmpVersion::current().map(|version| version.to_string()).unwrap_or_default()
}

/// The filter as it is to be installed; the program is compiled when that was not done before.
pub(crate) fn prepared(root: &Path, seccomp: &LinuxSeccomp) -> Result<Seccomp> {
    let actions = seccomp.syscalls().iter().flatten().map(|rule| rule.action());
    let notifies = actions.into_iter().any(|action| action == LinuxSeccompAction::ScmpActNotify);
    let path = seccomp.listener_path().clone().filter(|path| !path.as_os_str().is_empty());
    let metadata = seccomp.listener_metadata().clone().filter(|text| !text.is_empty());
    ensure!(path.is_some() || !notifies, "key linux.seccomp.listenerPath: missing, and needed by SCMP_ACT_NOTIFY");
    ensure!(path.is_some() || metadata.is_none(), "key linux.seccomp.listenerMetadata: needs listenerPath");
    if let Some(path) = &path {
        ensure!(path.is_absolute(), "key linux.seccomp.listenerPath: {} is not absolute", path.display());
    }
    let flags = flags(seccomp);
    ensure!(
        notifies || flags & WAIT_KILLABLE_RECV == 0,
        "key linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs SCMP_ACT_NOTIFY"
    );
    // Without a rule that notifies it is not read (specification, "Seccomp").
    let listener = path.filter(|_| notifies).map(|path| Listener { path, metadata });
    Ok(Seccomp { program: compiled(root, seccomp)?, flags, listener })
}

/// As seccomp(2) takes them.
fn flags(seccomp: &LinuxSeccomp) -> u32 {
    let bit = |flag: &LinuxSeccompFilterFlag| match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => LOG,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => SPEC_ALLOW,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => WAIT_KILLABLE_RECV,
        // Before execve there is one thread that matters, so there is nothing to synchronise.
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 0,
    };
    seccomp.flags().iter().flatten().map(bit).fold(0, |all, bit| all | bit)
}

fn compiled(root: &Path, seccomp: &LinuxSeccomp) -> Result<PathBuf> {
    let directory = root.join(DIRECTORY);
    let hash = Sha256::digest([FORMAT.as_bytes(), &serde_json::to_vec(seccomp)?].concat());
    let name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = directory.join(format!("{name}.bpf"));
    if path.exists() {
        return Ok(path);
    }
    let program = compile(seccomp)?;
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    // Whole or not at all, also when two containers start at once.
    let temporary = directory.join(format!("{name}.{}", std::process::id()));
    fs::write(&temporary, program).with_context(|| temporary.display().to_string())?;
    fs::rename(&temporary, &path).with_context(|| path.display().to_string())?;
    Ok(path)
}

fn compile(seccomp: &LinuxSeccomp) -> Result<Vec<u8>> {
    ensure!(
        seccomp.default_action() != LinuxSeccompAction::ScmpActNotify,
        "key linux.seccomp.defaultAction: with SCMP_ACT_NOTIFY not even execve could begin"
    );
    let default =
        action(seccomp.default_action(), seccomp.default_errno_ret()).context("key linux.seccomp.defaultAction")?;
    let mut filter = ScmpFilterContext::new(default)?;
    filter.set_ctl_optimize(BINARY_TREE).context("libseccomp 2.5 or newer is needed")?;
    for architecture in seccomp.architectures().iter().flatten() {
        let known = scmp_arch(*architecture)
            .with_context(|| format!("key linux.seccomp.architectures: {architecture} is not supported"))?;
        if !filter.is_arch_present(known)? {
            filter.add_arch(known)?;
        }
    }
    for (index, rule) in seccomp.syscalls().iter().flatten().enumerate() {
        let at = || format!("key linux.seccomp.syscalls[{index}]");
        let action = action(rule.action(), rule.errno_ret()).with_context(at)?;
        if action == default {
            continue;
        }
        for name in rule.names() {
            // Names of other architectures and newer kernels are in every engine's profile.
            let Ok(call) = ScmpSyscall::from_name(name) else { continue };
            add(&mut filter, action, call, rule.args().as_deref().unwrap_or_default())
                .with_context(|| format!("{}: {name}", at()))?;
        }
    }
    let mut file = File::from(memfd_create("seccomp", MemfdFlags::CLOEXEC)?);
    filter.export_bpf(&file)?;
    file.rewind()?;
    let mut program = Vec::new();
    file.read_to_end(&mut program)?;
    Ok(program)
}

/// Conditions on different arguments hold together; of several on one argument any is enough, as in other runtimes,
/// because libseccomp takes one condition an argument.
fn add(filter: &mut ScmpFilterContext, action: ScmpAction, call: ScmpSyscall, args: &[LinuxSeccompArg]) -> Result<()> {
    let compared = args.iter().map(compare).collect::<Result<Vec<_>>>()?;
    let repeated = (0..args.len()).any(|i| args[..i].iter().any(|other| other.index() == args[i].index()));
    if repeated {
        for one in compared {
            filter.add_rule_conditional(action, call, &[one])?;
        }
        return Ok(());
    }
    filter.add_rule_conditional(action, call, &compared)?;
    Ok(())
}

fn compare(arg: &LinuxSeccompArg) -> Result<ScmpArgCompare> {
    let index = u32::try_from(arg.index()).ok().filter(|index| *index < 6).context("args.index: 0 to 5")?;
    let (operator, datum) = match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => (ScmpCompareOp::NotEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpLt => (ScmpCompareOp::Less, arg.value()),
        LinuxSeccompOperator::ScmpCmpLe => (ScmpCompareOp::LessOrEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpEq => (ScmpCompareOp::Equal, arg.value()),
        LinuxSeccompOperator::ScmpCmpGe => (ScmpCompareOp::GreaterEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpGt => (ScmpCompareOp::Greater, arg.value()),
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            (ScmpCompareOp::MaskedEqual(arg.value()), arg.value_two().unwrap_or(0))
        }
    };
    Ok(ScmpArgCompare::new(index, operator, datum))
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<ScmpAction> {
    let number = errno.unwrap_or(EPERM);
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => ScmpAction::KillThread,
        LinuxSeccompAction::ScmpActKillProcess => ScmpAction::KillProcess,
        LinuxSeccompAction::ScmpActTrap => ScmpAction::Trap,
        LinuxSeccompAction::ScmpActErrno => ScmpAction::Errno(number.try_into()?),
        LinuxSeccompAction::ScmpActTrace => ScmpAction::Trace(number.try_into()?),
        LinuxSeccompAction::ScmpActLog => ScmpAction::Log,
        LinuxSeccompAction::ScmpActAllow => ScmpAction::Allow,
        LinuxSeccompAction::ScmpActNotify => ScmpAction::Notify,
    })
}

fn scmp_arch(architecture: Arch) -> Option<ScmpArch> {
    Some(match architecture {
        Arch::ScmpArchNative => ScmpArch::Native,
        Arch::ScmpArchX86 => ScmpArch::X86,
        Arch::ScmpArchX86_64 => ScmpArch::X8664,
        Arch::ScmpArchX32 => ScmpArch::X32,
        Arch::ScmpArchArm => ScmpArch::Arm,
        Arch::ScmpArchAarch64 => ScmpArch::Aarch64,
        Arch::ScmpArchPpc64le => ScmpArch::Ppc64Le,
        Arch::ScmpArchS390x => ScmpArch::S390X,
        Arch::ScmpArchRiscv64 => ScmpArch::Riscv64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn profile(value: serde_json::Value) -> LinuxSeccomp {
        serde_json::from_value(value).expect("profile")
    }

    #[test]
    fn one_profile_is_compiled_once() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let profile = profile(json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
            "syscalls": [
                {"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
                {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
                 "args": [{"index": 0, "value": 2_114_060_288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
            ],
        }));
        let first = compiled(dir.path(), &profile).expect("compiles");
        let bytes = fs::read(&first).expect("program");
        assert!(!bytes.is_empty() && bytes.len() % 8 == 0);
        fs::write(&first, "kept").expect("mark");
        assert_eq!(compiled(dir.path(), &profile).expect("cached"), first);
        assert_eq!(fs::read(&first).expect("program"), b"kept");
    }

    #[test]
    fn what_is_not_done_is_refused_by_key() {
        for (value, key) in [
            (json!({"defaultAction": "SCMP_ACT_NOTIFY"}), "defaultAction"),
            (json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}), "listenerMetadata"),
            (json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}), "flags"),
            (json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_SH"]}), "architectures"),
            (
                json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}),
                "listenerPath",
            ),
        ] {
            let dir = tempfile::tempdir().expect("temporary directory");
            let error = format!("{:#}", prepared(dir.path(), &profile(value)).expect_err(key));
            assert!(error.contains(&format!("linux.seccomp.{key}")), "{error}");
        }
    }
}
