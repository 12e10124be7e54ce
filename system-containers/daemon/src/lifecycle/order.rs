//! Who may start and who may stop next. Pure.

use super::machine::{Machine, Phase};
use crate::definition::Graph;
use std::collections::BTreeMap;

/// Whether a waiting service may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Now.
    Start,
    /// A required service must be started first.
    Want(String),
    /// Something it waits for is on its way.
    Wait,
    /// A required service failed; should it come up after all, this one starts then.
    Blocked(String),
}

/// Decides for one waiting service.
pub fn admission(name: &str, graph: &Graph, machines: &BTreeMap<&str, &Machine>) -> Admission {
    let of = |other: &String| machines.get(other.as_str()).copied();
    for other in graph.requires.get(name).into_iter().flatten() {
        match of(other) {
            Some(machine) if machine.satisfied() => {}
            Some(machine) if machine.phase == Phase::Idle => return Admission::Want(other.clone()),
            Some(machine) if !machine.settled() => return Admission::Wait,
            _ => return Admission::Blocked(format!("requires {other}, which is not up")),
        }
    }
    let settled = |other: &String| of(other).is_none_or(Machine::settled);
    match graph.after.get(name).into_iter().flatten().all(settled) {
        true => Admission::Start,
        false => Admission::Wait,
    }
}

/// Services that may be stopped now: nobody active depends on them.
pub fn stoppable<'a>(graph: &Graph, machines: &BTreeMap<&'a str, &Machine>) -> Vec<&'a str> {
    let active = |name: &str| machines.get(name).is_some_and(|machine| machine.active());
    machines
        .keys()
        .copied()
        .filter(|name| active(name) && !graph.dependents(name).any(|other| other != *name && active(other)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(phase: Phase) -> Machine {
        Machine { phase, ..Machine::default() }
    }

    fn graph() -> Graph {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Graph {
            after: [("b".into(), set(&["a"])), ("c".into(), set(&["b"]))].into(),
            requires: [("c".into(), set(&["a"]))].into(),
        }
    }

    #[test]
    fn admission_waits_blocks_and_starts() {
        use Phase::{Ended, Failed, Idle, Ready, Starting};
        for (name, a, b, expected) in [
            ("b", Starting, Phase::Waiting, Admission::Wait),
            ("b", Failed, Phase::Waiting, Admission::Start),
            ("c", Starting, Ready, Admission::Wait),
            ("c", Failed, Ready, Admission::Blocked("requires a, which is not up".into())),
            ("c", Ended, Starting, Admission::Wait),
            ("c", Ended, Failed, Admission::Start),
            ("c", Idle, Ready, Admission::Want("a".into())),
            ("b", Idle, Phase::Waiting, Admission::Start),
        ] {
            let (a, b, c) = (machine(a), machine(b), machine(Phase::Waiting));
            let machines = [("a", &a), ("b", &b), ("c", &c)].into();
            assert_eq!(admission(name, &graph(), &machines), expected, "{name}");
        }
    }

    #[test]
    fn stopping_goes_from_the_leaves() {
        let (up, down) = (machine(Phase::Ready), machine(Phase::Stopped));
        assert_eq!(stoppable(&graph(), &[("a", &up), ("b", &up), ("c", &up)].into()), ["c"]);
        assert_eq!(stoppable(&graph(), &[("a", &up), ("b", &up), ("c", &down)].into()), ["b"]);
        assert_eq!(stoppable(&graph(), &[("a", &up), ("b", &down), ("c", &down)].into()), ["a"]);
    }
}
