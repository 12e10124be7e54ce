//! SIGKILL of the daemon, of each service and of dockerd: what must come back does, what must not be disturbed is not.

use super::docker::pids;
use crate::guest::Guest;
use crate::report::Report;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// Back-off and start of a service under emulation.
const RETURN_DEADLINE: Duration = Duration::from_secs(180);
/// Services that are killed; cloud-config has ended, docker has a case of its own.
const KILLED: [&str; 6] = ["udev", "network", "time", "syslog", "acpi", "console"];

/// Runs the cases.
pub fn run(guest: &mut Guest, report: &mut Report) {
    let boot_id = guest.host("cat /proc/sys/kernel/random/boot_id").unwrap_or_default();
    report.case("killed_daemon_comes_back_and_disturbs_nothing", || daemon(guest));
    report.case("killed_dockerd_comes_back_and_containers_live_on", || dockerd(guest));
    for service in KILLED {
        report.case(&format!("killed_{service}_comes_back_alone"), || killed(guest, service));
    }
    report.case("nothing_of_this_rebooted_the_machine", || {
        ensure!(guest.host("cat /proc/sys/kernel/random/boot_id")? == boot_id, "the boot id has changed");
        Ok(())
    });
}

fn wait(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + RETURN_DEADLINE;
    loop {
        match done() {
            Ok(true) => return Ok(()),
            Ok(false) => ensure!(Instant::now() < deadline, "{what} in time"),
            Err(error) => ensure!(Instant::now() < deadline, "{what} in time: {error:#}"),
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn daemon(guest: &mut Guest) -> Result<()> {
    let before = pids(guest)?;
    let old = guest.host("pidof system-daemon")?;
    guest.host("kill -9 $(pidof system-daemon)")?;
    wait("the daemon did not come back", || {
        let new = guest.host("pidof system-daemon || true")?;
        Ok(!new.trim().is_empty() && new != old && pids(guest).is_ok())
    })?;
    let after = pids(guest)?;
    ensure!(before == after, "before:\n{before}\nafter:\n{after}");
    Ok(())
}

fn dockerd(guest: &mut Guest) -> Result<()> {
    let before = pids(guest)?;
    guest.ssh("docker build -q -t box box && docker run -d --name survivor box sleep 100000")?;
    let pid = guest.ssh("docker inspect -f '{{.State.Pid}}' survivor")?;
    guest.host("kill -9 $(pidof dockerd)")?;
    wait("dockerd did not come back", || Ok(guest.ssh("docker version").is_ok()))?;
    let again = guest.ssh("docker inspect -f '{{.State.Pid}} {{.State.Running}}' survivor")?;
    ensure!(again.trim() == format!("{} true", pid.trim()), "before {pid}, after {again}");
    ensure!(pids(guest)? == before, "a system container was disturbed");
    guest.ssh("docker rm -f survivor").map(drop)
}

fn killed(guest: &mut Guest, service: &str) -> Result<()> {
    let find = |text: &str| -> Option<String> {
        text.lines().find(|line| line.starts_with(&format!("\"{service}\" "))).map(str::to_owned)
    };
    let before = pids(guest)?;
    let own = find(&before).context("not in the status")?;
    let pid = own.rsplit(' ').next().unwrap_or_default().to_owned();
    guest.close_ssh();
    guest.host(&format!("kill -9 {pid}"))?;
    let mut after = String::new();
    wait(&format!("{service} did not come back"), || {
        after = pids(guest)?;
        Ok(find(&after).is_some_and(|line| line != own && !line.ends_with("null") && !line.ends_with(" 0")))
    })?;
    let others = |text: &str| text.lines().filter(|line| find(line).is_none()).map(str::to_owned).collect::<Vec<_>>();
    ensure!(others(&before) == others(&after), "others were disturbed; before:\n{before}\nafter:\n{after}");
    Ok(())
}
