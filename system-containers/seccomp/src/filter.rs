//! An expanded list through libseccomp (seccomp_init(3) and friends).
//!
//! What is not allowed fails with `ENOSYS`, so that the C library falls back to older calls instead of giving up.
//! Other ABIs than x86-64 are answered likewise, except that `@known` covers them too: applications may be 32-bit.
//! Arguments are not looked at.

use super::groups::{Expanded, Name};
use anyhow::{Context, Result, bail};
use libseccomp::{ScmpAction, ScmpArch, ScmpFilterContext, ScmpSyscall};
use std::io::{Read, Seek, SeekFrom};

/// First number behind all tables of the kernel; those are dense and end below 500 (Linux 6.12).
const NUMBERS_END: i32 = 1024;
/// `SCMP_FLTATR_CTL_OPTIMIZE` 2: a binary search over the numbers instead of one comparison each.
const BINARY_TREE: u32 = 2;
/// errno(3) of Linux on x86.
const ENOSYS: i32 = 38;

/// The BPF program: an array of `struct sock_filter`, 8 bytes each, little endian.
pub(crate) fn compile(list: &Expanded) -> Result<Vec<u8>> {
    let mut filter = for_architecture(ScmpArch::X8664, list)?;
    if list.all_known {
        for other in [ScmpArch::X86, ScmpArch::X32] {
            filter.merge(for_architecture(other, list)?)?;
        }
    }
    let mut file = tempfile::tempfile()?;
    filter.export_bpf(&mut file)?;
    file.seek(SeekFrom::Start(0))?;
    let mut program = Vec::new();
    file.read_to_end(&mut program)?;
    Ok(program)
}

fn for_architecture(architecture: ScmpArch, list: &Expanded) -> Result<ScmpFilterContext> {
    let refuse = ScmpAction::Errno(ENOSYS);
    let mut filter = ScmpFilterContext::new(refuse)?;
    if architecture != ScmpArch::X8664 {
        filter.add_arch(architecture)?;
        filter.remove_arch(ScmpArch::X8664)?;
    }
    filter.set_act_badarch(refuse)?;
    filter.set_ctl_optimize(BINARY_TREE).context("libseccomp 2.5 or newer is needed")?;
    for name in numbers(architecture, list)? {
        filter.add_rule(ScmpAction::Allow, name)?;
    }
    Ok(filter)
}

fn numbers(architecture: ScmpArch, list: &Expanded) -> Result<Vec<ScmpSyscall>> {
    let mut calls = Vec::new();
    if list.all_known {
        // Names first: libseccomp's rules take the native number and translate it for the filter's architecture.
        let known = (0..NUMBERS_END).filter_map(|number| ScmpSyscall::from(number).get_name_by_arch(architecture).ok());
        for name in known.filter(|name| !list.removed.iter().any(|other| other.text == *name)) {
            calls.push(ScmpSyscall::from_name(&name)?);
        }
    }
    for name in &list.removed {
        lookup(name)?;
    }
    for name in &list.allowed {
        calls.extend(lookup(name)?);
    }
    Ok(calls)
}

/// This machine's libseccomp has a rule for the name.
pub(crate) fn is_known(name: &str) -> bool {
    ScmpSyscall::from_name(name).is_ok_and(|call| call.as_raw_syscall() >= 0)
}

fn lookup(name: &Name) -> Result<Option<ScmpSyscall>> {
    match ScmpSyscall::from_name(&name.text) {
        // Negative numbers stand for calls of other architectures only.
        Ok(call) if call.as_raw_syscall() >= 0 => Ok(Some(call)),
        _ if name.optional => Ok(None),
        _ => bail!(
            "libseccomp knows no x86-64 system call \"{}\"; append \"?\" if it is newer than the library",
            name.text
        ),
    }
}

#[cfg(test)]
mod tests;
