//! Attributes of the process that is executed: arguments, user, capabilities, resource limits.

use super::unsupported;
use crate::error::{StartError, Step};
use crate::launch;
use oci_spec::runtime::{
    self, Capabilities, IOPriorityClass, LinuxCapabilities, LinuxSchedulerFlag, LinuxSchedulerPolicy, PosixRlimitType,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::str::FromStr;

/// umask(2) when the specification has none: the usual one.
const UMASK: u32 = 0o022;

/// A process, ready to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    /// `HOME` is added to `env` when it is not there.
    pub(crate) with_home: bool,
    pub(crate) cwd: PathBuf,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) umask: u32,
    pub(crate) capabilities: CapabilityMasks,
    pub(crate) no_new_privs: bool,
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) scheduling: Option<Scheduling>,
    /// I/O class and level.
    pub(crate) io_priority: Option<(u16, u16)>,
    pub(crate) apparmor: Option<String>,
}

/// Arguments of sched_setattr(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scheduling {
    pub(crate) policy: u32,
    pub(crate) flags: u64,
    pub(crate) nice: i32,
    pub(crate) priority: u32,
    pub(crate) runtime: u64,
    pub(crate) deadline: u64,
    pub(crate) period: u64,
}

/// One `setrlimit(2)`; `u64::MAX` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rlimit {
    pub(crate) kind: PosixRlimitType,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// Capability sets as the kernel's bit masks, bit n is capability n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CapabilityMasks {
    pub(crate) bounding: u64,
    pub(crate) permitted: u64,
    pub(crate) effective: u64,
    pub(crate) inheritable: u64,
    pub(crate) ambient: u64,
}

/// Plans the container's first process.
pub(super) fn of_spec(process: &runtime::Process) -> Result<Process, StartError> {
    let user = process.user();
    let rlimit = |limit: &runtime::PosixRlimit| Rlimit { kind: limit.typ(), soft: limit.soft(), hard: limit.hard() };
    check(Process {
        args: process.args().clone().unwrap_or_default(),
        env: process.env().clone().unwrap_or_default(),
        with_home: false,
        cwd: process.cwd().clone(),
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().clone().unwrap_or_default(),
        umask: user.umask().unwrap_or(UMASK),
        capabilities: masks(process.capabilities().as_ref())?,
        no_new_privs: process.no_new_privileges().unwrap_or(false),
        rlimits: process.rlimits().iter().flatten().map(rlimit).collect(),
        oom_score_adj: process.oom_score_adj(),
        scheduling: process.scheduler().as_ref().map(scheduling).transpose()?,
        io_priority: process.io_priority().as_ref().map(io_priority).transpose()?,
        apparmor: process.apparmor_profile().clone().filter(|profile| !profile.is_empty()),
    })
}

/// The same for a process of a bundle; those find their `HOME`, as in other runtimes.
pub(super) fn of_bundle(process: &runtime::Process) -> Result<Process, StartError> {
    Ok(Process { with_home: true, ..of_spec(process)? })
}

/// Plans a further process of a container.
pub(super) fn of_exec(exec: &launch::Exec) -> Result<Process, StartError> {
    check(Process {
        args: exec.command.clone(),
        env: exec.env.clone(),
        with_home: false,
        cwd: exec.cwd.clone(),
        uid: exec.user.uid,
        gid: exec.user.gid,
        groups: exec.user.groups.clone(),
        umask: UMASK,
        capabilities: masks(exec.capabilities.as_ref())?,
        no_new_privs: exec.no_new_privs,
        rlimits: Vec::new(),
        oom_score_adj: None,
        scheduling: None,
        io_priority: None,
        apparmor: None,
    })
}

fn scheduling(asked: &runtime::Scheduler) -> Result<Scheduling, StartError> {
    let flag = |flag: &LinuxSchedulerFlag| match flag {
        LinuxSchedulerFlag::SchedResetOnFork => 0x01,
        LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
        LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
        LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
        LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
        LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
        LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
    };
    // Numbers of linux/sched.h.
    let policy = match asked.policy() {
        LinuxSchedulerPolicy::SchedOther => 0,
        LinuxSchedulerPolicy::SchedFifo => 1,
        LinuxSchedulerPolicy::SchedRr => 2,
        LinuxSchedulerPolicy::SchedBatch => 3,
        LinuxSchedulerPolicy::SchedIso => return Err(unsupported("process.scheduler.policy: SCHED_ISO")),
        LinuxSchedulerPolicy::SchedIdle => 5,
        LinuxSchedulerPolicy::SchedDeadline => 6,
    };
    let priority = asked.priority().unwrap_or(0).try_into();
    Ok(Scheduling {
        policy,
        flags: asked.flags().iter().flatten().map(flag).fold(0, |all, flag| all | flag),
        nice: asked.nice().unwrap_or(0),
        priority: priority
            .map_err(|_| StartError::at(Step::Specification, "process.scheduler.priority", Errno::RANGE))?,
        runtime: asked.runtime().unwrap_or(0),
        deadline: asked.deadline().unwrap_or(0),
        period: asked.period().unwrap_or(0),
    })
}

fn io_priority(asked: &runtime::LinuxIOPriority) -> Result<(u16, u16), StartError> {
    let class = match asked.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    let level = u16::try_from(asked.priority()).ok().filter(|level| *level < 8);
    let level =
        level.ok_or_else(|| StartError::at(Step::Specification, "process.ioPriority.priority", Errno::RANGE))?;
    Ok((class, level))
}

fn check(process: Process) -> Result<Process, StartError> {
    let invalid = |field: &str| Err(StartError::at(Step::Specification, field, Errno::INVAL));
    if process.args.first().is_none_or(String::is_empty) {
        return invalid("process.args");
    }
    if process.args.iter().chain(&process.env).any(|text| text.contains('\0')) {
        return invalid("process.args or process.env (NUL byte)");
    }
    if !process.cwd.is_absolute() {
        return invalid("process.cwd");
    }
    Ok(process)
}

fn masks(sets: Option<&LinuxCapabilities>) -> Result<CapabilityMasks, StartError> {
    let Some(sets) = sets else { return Ok(CapabilityMasks::default()) };
    let (permitted, inheritable) = (mask(sets.permitted().as_ref())?, mask(sets.inheritable().as_ref())?);
    Ok(CapabilityMasks {
        bounding: mask(sets.bounding().as_ref())?,
        permitted,
        effective: mask(sets.effective().as_ref())?,
        inheritable,
        // The kernel has no others (capabilities(7)); `runc spec` lists some without making them inheritable.
        ambient: mask(sets.ambient().as_ref())? & permitted & inheritable,
    })
}

fn mask(set: Option<&Capabilities>) -> Result<u64, StartError> {
    set.into_iter().flatten().try_fold(0, |mask, capability| {
        let name = format!("CAP_{capability}");
        let known = caps::Capability::from_str(&name).map_err(|_| unsupported(&name))?;
        Ok(mask | known.bitmask())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::{Capability, LinuxCapabilitiesBuilder};

    #[test]
    fn masks_have_the_kernels_bit_numbers() {
        for (set, want) in [
            (vec![], 0),
            (vec![Capability::Chown], 1),
            (vec![Capability::NetAdmin, Capability::NetRaw], 1 << 12 | 1 << 13),
            (vec![Capability::SysAdmin], 1 << 21),
            (vec![Capability::CheckpointRestore], 1 << 40),
        ] {
            let set: Capabilities = set.into_iter().collect();
            assert_eq!(mask(Some(&set)), Ok(want), "{set:?}");
        }
    }

    #[test]
    fn sets_stay_apart() {
        let sets = LinuxCapabilitiesBuilder::default()
            .bounding([Capability::Chown])
            .permitted([Capability::Kill])
            .build()
            .expect("sets");
        let want = CapabilityMasks { bounding: 1, permitted: 1 << 5, ..CapabilityMasks::default() };
        let got = masks(Some(&sets)).expect("known names");
        assert_eq!(got.bounding, want.bounding);
        assert_eq!(got.permitted, want.permitted);
        assert_eq!(masks(None), Ok(CapabilityMasks::default()));
    }

    #[test]
    fn a_process_needs_a_program_and_an_absolute_directory() {
        let good = of_spec(&runtime::Process::default()).expect("default process");
        let cases = [
            Process { args: vec![], ..good.clone() },
            Process { args: vec![String::new()], ..good.clone() },
            Process { env: vec!["A=\0".into()], ..good.clone() },
            Process { cwd: "tmp".into(), ..good.clone() },
        ];
        for process in cases {
            let error = check(process.clone()).expect_err("refused");
            assert_eq!((error.step, error.errno), (Step::Specification, Errno::INVAL.raw_os_error()), "{process:?}");
        }
    }
}
