//! `linux.resources` → files of cgroup v2 and device rules. Pure.
//!
//! Conversions from the specification's cgroup v1 terms are those all runtimes agreed on: see the tests.

use anyhow::{Context, Result, bail, ensure};
use hull_runtime::{DeviceKind, OrderedRule, Rule};
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxResources};

/// A file of the container's cgroup directory and what is written to it.
pub(crate) type File = (String, String);

/// `cpu.max` without a period of its own, microseconds.
const PERIOD: u64 = 100_000;

/// All files, in the order they have to be written.
pub(crate) fn files(resources: &LinuxResources) -> Result<Vec<File>> {
    let mut files = Vec::new();
    if let Some(memory) = resources.memory() {
        memory_files(memory, &mut files)?;
    }
    if let Some(cpu) = resources.cpu() {
        cpu_files(cpu, &mut files)?;
    }
    if let Some(pids) = resources.pids() {
        // Zero is what users write for "no limit"; a container without processes makes no sense.
        let limit = pids.limit();
        push(&mut files, "pids.max", if limit > 0 { limit.to_string() } else { "max".to_owned() });
    }
    if let Some(block) = resources.block_io() {
        block_files(block, &mut files)?;
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        let size = limit.page_size();
        ensure!(!size.contains('/'), "key linux.resources.hugepageLimits.pageSize: {size}");
        push(&mut files, &format!("hugetlb.{size}.max"), limited(limit.limit()));
    }
    if let Some(network) = resources.network() {
        let used = network.class_id().is_some_and(|id| id != 0)
            || network.priorities().as_ref().is_some_and(|list| !list.is_empty());
        ensure!(!used, "key linux.resources.network: cgroup v2 has no such controller");
    }
    for (device, limit) in resources.rdma().iter().flatten() {
        let part = |name: &str, value: Option<u32>| value.map(|value| format!(" {name}={value}")).unwrap_or_default();
        let text = device.clone() + &part("hca_handle", limit.hca_handles()) + &part("hca_object", limit.hca_objects());
        push(&mut files, "rdma.max", text);
    }
    let mut unified: Vec<_> = resources.unified().iter().flatten().collect();
    unified.sort();
    for (file, value) in unified {
        ensure!(!file.contains('/') && file.contains('.'), "key linux.resources.unified: {file} is no cgroup file");
        push(&mut files, file, value.clone());
    }
    Ok(files)
}

fn push(files: &mut Vec<File>, name: &str, value: String) {
    files.push((name.to_owned(), value));
}

/// -1 is "no limit".
fn limited(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

fn memory_files(memory: &LinuxMemory, files: &mut Vec<File>) -> Result<()> {
    let refused = [
        ("kernel", memory.kernel().is_some_and(|limit| limit > 0)),
        ("kernelTCP", memory.kernel_tcp().is_some_and(|limit| limit > 0)),
        ("swappiness", memory.swappiness().is_some()),
        ("disableOOMKiller", memory.disable_oom_killer() == Some(true)),
        ("useHierarchy", memory.use_hierarchy() == Some(false)),
        ("checkBeforeUpdate", memory.check_before_update() == Some(true)),
    ];
    if let Some((key, _)) = refused.into_iter().find(|(_, used)| *used) {
        bail!("key linux.resources.memory.{key}: not possible with cgroup v2");
    }
    // Zero is what engines write for "not set".
    let set = |value: Option<i64>| value.filter(|value| *value != 0);
    if let Some(swap) = set(memory.swap()) {
        // The specification counts memory and swap together, cgroup v2 swap alone.
        let value = match set(memory.limit()) {
            _ if swap < 0 => "max".to_owned(),
            Some(limit) if limit > 0 => {
                let swap = swap.checked_sub(limit).filter(|swap| *swap >= 0);
                swap.context("key linux.resources.memory.swap: less than memory.limit, which it includes")?.to_string()
            }
            _ => bail!("key linux.resources.memory.swap: needs memory.limit, which it includes"),
        };
        push(files, "memory.swap.max", value);
    }
    if let Some(limit) = set(memory.limit()) {
        push(files, "memory.max", limited(limit));
    }
    if let Some(reservation) = set(memory.reservation()) {
        push(files, "memory.low", limited(reservation));
    }
    Ok(())
}

fn cpu_files(cpu: &LinuxCpu, files: &mut Vec<File>) -> Result<()> {
    let realtime =
        cpu.realtime_runtime().is_some_and(|time| time != 0) || cpu.realtime_period().is_some_and(|p| p != 0);
    ensure!(!realtime, "key linux.resources.cpu.realtimeRuntime: not possible with cgroup v2");
    if let Some(idle) = cpu.idle() {
        push(files, "cpu.idle", idle.to_string());
    }
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        push(files, "cpu.weight", weight_of_shares(shares).to_string());
    }
    let quota = cpu.quota().filter(|quota| *quota != 0);
    let period = cpu.period().filter(|period| *period != 0);
    if quota.is_some() || period.is_some() {
        push(files, "cpu.max", format!("{} {}", limited(quota.unwrap_or(-1)), period.unwrap_or(PERIOD)));
    }
    if let Some(burst) = cpu.burst() {
        push(files, "cpu.max.burst", burst.to_string());
    }
    for (file, list) in [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())] {
        if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
            push(files, file, list.clone());
        }
    }
    Ok(())
}

/// 2 to 262144 shares onto weights 1 to 10000.
fn weight_of_shares(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// 10 to 1000 onto weights 1 to 10000.
fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).clamp(10, 1000) - 10) * 9999 / 990
}

fn block_files(block: &LinuxBlockIo, files: &mut Vec<File>) -> Result<()> {
    let leaf = block.leaf_weight().is_some_and(|weight| weight != 0);
    ensure!(!leaf, "key linux.resources.blockIO.leafWeight: not possible with cgroup v2");
    if let Some(weight) = block.weight().filter(|weight| *weight != 0) {
        push(files, "io.weight", format!("default {}", io_weight(weight)));
    }
    for device in block.weight_device().iter().flatten() {
        ensure!(
            device.leaf_weight().is_none_or(|weight| weight == 0),
            "key linux.resources.blockIO.weightDevice.leafWeight: not possible with cgroup v2"
        );
        if let Some(weight) = device.weight() {
            push(files, "io.weight", format!("{}:{} {}", device.major(), device.minor(), io_weight(weight)));
        }
    }
    let throttles = [
        ("rbps", block.throttle_read_bps_device()),
        ("wbps", block.throttle_write_bps_device()),
        ("riops", block.throttle_read_iops_device()),
        ("wiops", block.throttle_write_iops_device()),
    ];
    for (word, list) in throttles {
        for device in list.iter().flatten() {
            push(files, "io.max", format!("{}:{} {word}={}", device.major(), device.minor(), device.rate()));
        }
    }
    Ok(())
}

/// Device rules in their order.
pub(crate) fn device_rules(resources: Option<&LinuxResources>) -> Result<Vec<OrderedRule>> {
    let list = resources.and_then(|resources| resources.devices().as_ref()).into_iter().flatten();
    list.enumerate()
        .map(|(index, rule)| device_rule(rule).with_context(|| format!("key linux.resources.devices[{index}]")))
        .collect()
}

fn device_rule(rule: &LinuxDeviceCgroup) -> Result<OrderedRule> {
    let kind = match rule.typ() {
        None | Some(LinuxDeviceType::A) => None,
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => Some(DeviceKind::Char),
        Some(LinuxDeviceType::B) => Some(DeviceKind::Block),
        Some(LinuxDeviceType::P) => bail!("type p is no device"),
    };
    // Negative numbers are what engines write for "any".
    let number = |number: Option<i64>| number.filter(|number| *number >= 0).map(u32::try_from).transpose();
    let access = rule.access().as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
    ensure!(access.chars().all(|letter| "rwm".contains(letter)), "access {access}: only r, w and m");
    let has = |letter| access.contains(letter);
    let (major, minor) = (number(rule.major())?, number(rule.minor())?);
    let rule_ = Rule { kind, major, minor, read: has('r'), write: has('w'), mknod: has('m') };
    Ok(OrderedRule { allow: rule.allow(), rule: rule_ })
}

#[cfg(test)]
#[path = "resources_tests.rs"]
mod tests;
