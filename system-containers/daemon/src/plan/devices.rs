//! Device rules of a service. The runtime itself adds the standard nodes.

use super::facts::Facts;
use hull_runtime::{DeviceKind, DeviceRules, Rule};
use hull_service::{DeviceRule, Devices};

/// `/dev/mem`, `/dev/kmem`, `/dev/port`: minors of major 1, see Documentation/admin-guide/devices.txt.
const MEMORY_MINORS: [u32; 3] = [1, 2, 4];
/// `/dev/kmsg`.
const KMSG_MINOR: u32 = 11;
/// `/dev/watchdog`: a miscellaneous device.
const WATCHDOG: (u32, u32) = (10, 130);

/// Compiles the `[security.devices]` table.
pub fn rules(devices: &Devices, facts: &Facts) -> DeviceRules {
    DeviceRules {
        allow: devices.allow.iter().map(rule).chain(slots(devices, facts)).chain(esp(devices, facts)).collect(),
        deny: devices.deny.iter().flat_map(|set| denied(set, devices, facts)).collect(),
        default_allow: devices.allow_all,
    }
}

fn rule(rule: &DeviceRule) -> Rule {
    Rule {
        kind: Some(if rule.kind == "block" { DeviceKind::Block } else { DeviceKind::Char }),
        major: rule.major,
        minor: rule.minor,
        read: rule.access.contains('r'),
        write: rule.access.contains('w'),
        mknod: rule.access.contains('m'),
    }
}

/// Reading the running slot is harmless, for it is what everybody runs; its writer would fail every verified read.
fn slots(devices: &Devices, facts: &Facts) -> impl Iterator<Item = Rule> {
    let slots = facts.slots.filter(|_| devices.slots);
    slots.into_iter().flat_map(move |slots| {
        std::iter::once(partition(slots.running, false)).chain(slots.other.map(|other| partition(other, true)))
    })
}

fn esp(devices: &Devices, facts: &Facts) -> Option<Rule> {
    facts.esp.filter(|_| devices.esp).map(|number| partition(number, false))
}

fn partition((major, minor): (u32, u32), write: bool) -> Rule {
    Rule { kind: Some(DeviceKind::Block), major: Some(major), minor: Some(minor), read: true, write, mknod: false }
}

fn denied(set: &str, devices: &Devices, facts: &Facts) -> Vec<Rule> {
    match set {
        "system-disk" => {
            let disk = facts.system_disk.iter().map(|(major, minor)| all(DeviceKind::Block, *major, Some(*minor)));
            // Rules that deny win; what stays denied of ESP and running slot is to write them and to make nodes of them.
            let running = facts.slots.filter(|_| devices.slots).map(|slots| slots.running);
            let esp = facts.esp.filter(|_| devices.esp);
            let readable = |rule: &Rule| {
                let number = rule.major.zip(rule.minor);
                number.is_some() && (number == running || number == esp)
            };
            disk.map(|rule| Rule { read: !readable(&rule), ..rule }).collect()
        }
        "memory" => MEMORY_MINORS.iter().map(|minor| all(DeviceKind::Char, 1, Some(*minor))).collect(),
        "kmsg" => vec![all(DeviceKind::Char, 1, Some(KMSG_MINOR))],
        "watchdog" => std::iter::once(all(DeviceKind::Char, WATCHDOG.0, Some(WATCHDOG.1)))
            .chain(facts.watchdog_major.map(|major| all(DeviceKind::Char, major, None)))
            .collect(),
        // The schema knows no other set.
        _ => vec![],
    }
}

fn all(kind: DeviceKind, major: u32, minor: Option<u32>) -> Rule {
    Rule { kind: Some(kind), major: Some(major), minor, read: true, write: true, mknod: true }
}
