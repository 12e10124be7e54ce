//! `process.execCPUAffinity`: lists of processors.

use crate::error::{StartError, Step};
use oci_spec::runtime::Process;
use rustix::io::Errno;
use rustix::thread::CpuSet;
use serde::{Deserialize, Serialize};

/// Numbers of processors; `None` changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Affinity {
    /// Of the runtime, before the process is made in the container's cgroup.
    pub(crate) initial: Option<Vec<usize>>,
    /// Of the process, once it is there.
    pub(crate) last: Option<Vec<usize>>,
}

impl Affinity {
    pub(super) fn of(process: &Process) -> Result<Self, StartError> {
        let Some(asked) = process.exec_cpu_affinity() else { return Ok(Self::default()) };
        let parsed = |name: &str, list: &Option<String>| {
            let list = list.as_deref().filter(|list| !list.is_empty());
            let invalid =
                || StartError::at(Step::Specification, format!("process.execCPUAffinity.{name}"), Errno::INVAL);
            list.map(|list| parse(list).ok_or_else(invalid)).transpose()
        };
        Ok(Self { initial: parsed("initial", asked.initial())?, last: parsed("final", asked.cpu_affinity_final())? })
    }
}

/// `0-3,7` → 0, 1, 2, 3, 7 (cpuset(7), "List format").
fn parse(list: &str) -> Option<Vec<usize>> {
    let mut processors = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= CpuSet::MAX_CPU {
            return None;
        }
        processors.extend(first..=last);
    }
    Some(processors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_numbers_and_ranges() {
        for (list, want) in [
            ("0", Some(vec![0])),
            ("0-3,7", Some(vec![0, 1, 2, 3, 7])),
            ("", None),
            ("3-1", None),
            ("1,", None),
            ("0-99999999999", None),
            ("all", None),
        ] {
            assert_eq!(parse(list), want, "{list}");
        }
    }
}
