//! The machine configuration changed while the machine runs: what takes effect at once, what goes unless it is confirmed,
//! and what stays.

use super::first_boot::user_data;
use crate::guest::{Boot, Guest, Site};
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Result, ensure};

/// An address beside the one that ssh comes in by.
const ADDRESS: &str = "198.51.100.7";
const SECOND: &str = "198.51.100.8";

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let booted = report.value("live_config_machine_boots", || {
        let boot = Boot { seed: Some(Seed::vfat(user_data(site)?, "live-config")), ..Boot::default() };
        let mut guest = Guest::boot(site, "live-config", &boot)?;
        guest.wait_complete()?;
        guest.retry(30, "true")?;
        Ok(guest)
    });
    let Some(mut guest) = booted else { return };
    report.case("live_config_says_what_is_wrong_before_it_is_written", || refused(&guest));
    report.case("live_config_takes_effect_without_a_restart", || applied(&mut guest));
    report.case("live_config_goes_back_to_what_was_before", || reverted(&mut guest));
    report.case("live_config_of_the_network_goes_unless_confirmed", || unconfirmed(&mut guest));
    report.case("live_config_that_is_confirmed_outlives_a_restart", || confirmed(&mut guest));
    report.case("live_config_unconfirmed_goes_when_the_power_is_cut", || cut(&mut guest));
}

/// A line of `hull config` that must fail; all it says.
fn fails(guest: &Guest, line: &str) -> Result<String> {
    guest.root(&format!("if hull config {line} 2>&1; then echo no failure; exit 1; fi"))
}

fn refused(guest: &Guest) -> Result<()> {
    for (line, want) in [
        ("set engine.live_restore true", "90-set.toml line 3 column 1 engine.live_restore: unknown key"),
        ("set time.servers \"a b\"", "time.servers[0]: expected a host name or address"),
        ("get hostnam", "unknown key"),
        ("confirm", "no change waits to be confirmed"),
        ("revert", "there is no change to take back"),
        ("apply --confirm-within soon", "such as 5m"),
    ] {
        let text = fails(guest, line)?;
        ensure!(text.contains(want), "{line}: {text}");
    }
    let text = guest.root("hull config diff; hull config apply; ls /state/config")?;
    ensure!(text.contains("nothing to apply") && !text.contains("90-set"), "{text}");
    Ok(())
}

fn applied(guest: &mut Guest) -> Result<()> {
    guest.root(
        "tar -C /usr/bin -c busybox | docker import - own && docker run -d --name stays own /busybox sleep 100000",
    )?;
    let before = guest.root("docker inspect -f {{.State.StartedAt}} stays; hull ps --json")?;
    guest.root(
        "hull config set hostname changed && hull config set timezone UTC && \
         hull config set time.servers '[\"192.0.2.123\"]' && \
         hull config set engine.registry-mirrors '[\"http://mirror.invalid\"]' && hull config set engine.log-driver json-file",
    )?;
    let text = guest.root("hull config diff || echo differs; hull config get hostname; hostname")?;
    for want in ["hostname: \"hulltest\" → \"changed\"", "time.servers: (not set) →", "differs\nchanged\nhulltest\n"]
    {
        ensure!(text.contains(want), "{text:?} does not contain {want:?}");
    }
    let text = guest.root("hull config apply")?;
    ensure!(text.contains("engine: log-driver: when the engine starts again") && text.ends_with("applied\n"), "{text}");
    guest.retry(30, "docker info -f {{.RegistryConfig.Mirrors}} | grep http://mirror.invalid")?;
    let text = guest.root(
        "hostname; cat /etc/hostname /etc/timezone; hull exec docker busybox hostname; hull exec time chronyc -n sources; \
         hull config diff; docker inspect -f {{.State.StartedAt}} stays; hull ps --json",
    )?;
    for want in ["changed\nchanged\nUTC\nchanged\n", "192.0.2.123"] {
        ensure!(text.contains(want), "{text:?} does not contain {want:?}");
    }
    let started = |text: &str| text.lines().find(|line| line.starts_with("20")).map(str::to_owned);
    ensure!(started(&before).is_some() && started(&before) == started(&text), "{before}{text}");
    Ok(())
}

fn reverted(guest: &mut Guest) -> Result<()> {
    let text = guest.root("hull config revert; hostname; ls /state/config; hull config diff; cat /etc/timezone")?;
    ensure!(text.contains("\nhulltest\n") && text.contains("90-set.toml.reverted"), "{text}");
    ensure!(text.ends_with("Europe/Berlin\n"), "{text}");
    ensure!(fails(guest, "revert")?.contains("there is no change to take back"));
    let text = guest.root("hull exec time chronyc -n sources")?;
    ensure!(!text.contains("192.0.2.123"), "{text}");
    guest.retry(30, "! docker info -f {{.RegistryConfig.Mirrors}} | grep mirror.invalid").map(drop)
}

fn set_address(guest: &Guest, address: &str) -> Result<()> {
    let network = format!("{{ version = 2, ethernets.eth0 = {{ dhcp4 = true, addresses = [\"{address}/24\"] }} }}");
    guest.root(&format!("hull config set network '{network}'")).map(drop)
}

/// Beside the one that ssh comes in by.
fn has_address(guest: &mut Guest, address: &str) -> Result<()> {
    let text = guest.retry(30, &format!("ip -4 addr show eth0 | grep {address} && ip -4 addr show eth0"))?;
    ensure!(text.contains("10.0.2.15"), "{text}");
    Ok(())
}

fn unconfirmed(guest: &mut Guest) -> Result<()> {
    set_address(guest, ADDRESS)?;
    let window = guest.patience() * 20;
    let text = guest.root(&format!("hull config apply --confirm-within {window}s"))?;
    ensure!(text.contains(&format!("taken back in {window} s")), "{text}");
    has_address(guest, ADDRESS)?;
    ensure!(fails(guest, "apply")?.contains("waits to be confirmed"));
    let text = guest.root("hull status")?;
    ensure!(text.contains("taken back in") && text.contains("hull config confirm"), "{text}");
    // Whoever asked is gone, and all that runs beside him.
    guest.hull_within("restart console", 60)?;
    guest.close_ssh();
    guest.retry(60, "sudo hull logs live-config | grep 'not confirmed in time'")?;
    // networkd is ready before it is done.
    guest.retry(30, &format!("! ip -4 addr show eth0 | grep -q {ADDRESS}"))?;
    let text = guest.root("ip -4 addr show eth0; cat /state/config/*.toml; hull logs live-config")?;
    ensure!(text.contains("10.0.2.15") && !text.contains("[network"), "{text}");
    ensure!(text.contains("it is kept in 90-set.toml.reverted"), "{text}");
    Ok(())
}

fn confirmed(guest: &mut Guest) -> Result<()> {
    set_address(guest, ADDRESS)?;
    let text = guest.root("hull config apply --confirm-within 1h; hull config confirm")?;
    ensure!(text.ends_with("confirmed: it stays, also after a restart\n"), "{text}");
    guest.reboot_by_ssh()?;
    guest.wait_console_times("boot complete", 2, 90)?;
    has_address(guest, ADDRESS)?;
    // A part of the network is a change of all of it.
    guest
        .root(&format!("hull config set network.ethernets.eth0.addresses '[\"{SECOND}/24\"]' && hull config apply"))?;
    has_address(guest, SECOND)?;
    guest.root("hull config revert")?;
    has_address(guest, ADDRESS)?;
    guest.retry(30, &format!("! ip -4 addr show eth0 | grep -q {SECOND}")).map(drop)
}

fn cut(guest: &mut Guest) -> Result<()> {
    guest.root("hull config set hostname forgotten && hull config apply --confirm-within 1h && sync")?;
    ensure!(guest.root("hostname")? == "forgotten\n");
    guest.cut_power();
    guest.start()?;
    guest.wait_complete()?;
    guest.retry(30, "true")?;
    let text = guest.root("hostname; hull status; hull config diff; ip -4 addr show eth0")?;
    ensure!(text.starts_with("hulltest\n") && text.contains(ADDRESS), "{text}");
    ensure!(text.contains("not confirmed before the machine restarted"), "{text}");
    Ok(())
}
