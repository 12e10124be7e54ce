//! The image under measure: boot marks from `hull status`, memory from `/proc`.

use super::{CONTAINER, DOCKER, IMPORT, RUN, Times};
use crate::cases::first_boot::user_data;
use crate::guest::{Boot, Guest, Site};
use crate::machine::Firmware;
use crate::seed::Seed;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;

/// An installed machine that has been booted once.
#[derive(Debug)]
pub struct Hull {
    guest: Guest,
    /// The engine's configuration, for the floor.
    pub daemon_json: String,
}

/// Proportional set size by owner, in KiB.
pub type Memory = BTreeMap<String, u64>;

impl Hull {
    /// First boot: state partition, user data, the image for the container.
    pub fn prepare(site: &Site) -> Result<Self> {
        let boot = Boot {
            firmware: Firmware::Bios,
            memory: 2048,
            seed: Some(Seed::vfat(user_data(site)?, "bench")),
            ..Boot::default()
        };
        let mut guest = Guest::boot(site, "bench", &boot)?;
        guest.wait_complete()?;
        guest.retry(30, &format!("cd / && {IMPORT}"))?;
        let daemon_json = guest.host("cat /run/hull/config/docker/daemon.json")?;
        power_off(&mut guest)?;
        Ok(Self { guest, daemon_json })
    }

    /// One measured boot.
    pub fn boot(&mut self) -> Result<(Times, Memory)> {
        let guest = &mut self.guest;
        guest.start()?;
        // Asked from outside, on PID 1's own shell, so that no login competes with the engine.
        guest.wait_console("docker ready", 60)?;
        let uptime = guest.hull(&format!("exec console {RUN} >/dev/null && cut -d' ' -f1 /proc/uptime"))?;
        guest.wait_complete()?;
        let status: Value = serde_json::from_str(&guest.hull("status --json")?)?;
        let mut times = Times::new();
        for (key, name) in [
            ("init", "init"),
            ("root_mounted", "root mounted"),
            ("state_ready", "state ready"),
            ("daemon_started", "daemon started"),
        ] {
            times.insert(name.into(), seconds(&status["times_us"][key]).with_context(|| format!("times_us.{key}"))?);
        }
        for service in status["services"].as_array().context("no services")? {
            let name = service["name"].as_str().context("no name")?;
            let label = if name == "docker" { DOCKER.into() } else { format!("{name} ready") };
            if let Some(ready) = seconds(&service["ready_us"]) {
                times.insert(label, ready);
            }
        }
        times.insert(CONTAINER.into(), uptime.trim().parse().with_context(|| uptime.clone())?);
        let memory = memory(guest)?;
        power_off(guest)?;
        Ok((times, memory))
    }
}

#[allow(clippy::cast_precision_loss, reason = "microseconds since boot are far below 2^52")]
fn seconds(value: &Value) -> Option<f64> {
    value.as_u64().map(|micros| micros as f64 / 1e6)
}

fn power_off(guest: &mut Guest) -> Result<()> {
    drop(guest.hull("poweroff &"));
    guest.wait_off(30).map(drop)
}

/// PSS of every process, summed by its cgroup's owner.
fn memory(guest: &mut Guest) -> Result<Memory> {
    let text = guest.host(
        "for p in /proc/[0-9]*; do s=$(grep ^Pss: $p/smaps_rollup 2>/dev/null | tr -dc 0-9); [ -n \"$s\" ] && echo $s $(cat $p/cgroup); done; true",
    )?;
    let mut memory = Memory::new();
    for line in text.lines() {
        let Some((size, cgroup)) = line.split_once(" 0::/") else { continue };
        let owner = cgroup.strip_prefix("services/").unwrap_or(cgroup).split('/').next().unwrap_or_default();
        if owner != "debug-shell" {
            *memory.entry(owner.into()).or_default() += size.trim().parse::<u64>().unwrap_or(0);
        }
    }
    Ok(memory)
}
