//! Every service has only what its service.toml says: read from `/proc` in the guest, and tried from inside.

use crate::attempts::{self, inside};
use crate::guest::Guest;
use crate::report::Report;
use anyhow::{Context, Result, ensure};
use hull_service::Service;
use hull_service::confinement::{CALLS_FILE, Report as ConfinementReport, capabilities};
use serde_json::Value;
use std::collections::BTreeMap;

/// Namespaces that are always the container's own.
const OWN: [&str; 5] = ["mnt", "pid", "ipc", "uts", "cgroup"];

/// Where the program that makes [`attempts`] is put, on the machine and in each container: in memory, executable.
const PROGRAM: &str = "/run/hull-attempts";

/// Runs three cases a service, and one that shows that the attempts work.
pub fn run(guest: &mut Guest, report: &mut Report) {
    let Some(services) = report.value("status_lists_every_service_and_all_required_run", || services(guest)) else {
        return;
    };
    let disk = report.value("attempts_succeed_where_nothing_forbids_them", || unconfined(guest, services["console"]));
    for (name, pid) in services {
        report.case(&format!("{name}_is_confined_as_its_service_toml_says"), || confined(guest, &name, pid));
        report.case(&format!("{name}_is_reported_as_it_is_installed"), || reported(guest, &name));
        if let Some(disk) = &disk {
            report.case(&format!("{name}_is_refused_what_it_is_not_for"), || refused(guest, &name, pid, disk));
        }
    }
    // In memory, which later cases are short of; missing when the upload failed, which is reported above.
    drop(guest.host(&format!("rm -f {PROGRAM}")));
}

/// Name and first process of every running service.
fn services(guest: &mut Guest) -> Result<BTreeMap<String, u64>> {
    let status: Value = serde_json::from_str(&guest.ssh("sudo hull status --json")?)?;
    let list = status["services"].as_array().context("no services in the status")?;
    let mut running = BTreeMap::new();
    for service in list {
        let name = service["name"].as_str().context("a service without a name")?.to_owned();
        if service["required"] == true {
            ensure!(service["last_error"].is_null(), "{name}: {}", service["last_error"]);
        }
        if let Some(pid) = service["pid"].as_u64().filter(|pid| *pid > 0) {
            running.insert(name, pid);
        }
    }
    for name in ["udev", "network", "time", "syslog", "acpi", "console", "docker"] {
        ensure!(running.contains_key(name), "{name} does not run: {status}");
    }
    Ok(running)
}

fn definition(guest: &mut Guest, name: &str) -> Result<Service> {
    let text = guest.host(&format!("cat /services/{name}/service.toml"))?;
    Ok(hull_service::parse(name, &text)?)
}

fn confined(guest: &mut Guest, name: &str, pid: u64) -> Result<()> {
    let service = definition(guest, name)?;
    let status = guest.host(&format!("cat /proc/{pid}/status"))?;
    let field = |key: &str| -> Result<&str> {
        status
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .map(str::trim)
            .with_context(|| format!("no {key} in /proc/{pid}/status"))
    };
    let held = &service.security.capabilities;
    let want = capabilities::mask(held.iter().map(String::as_str));
    ensure!(want.count_ones() as usize == held.len(), "{held:?} names a capability twice or one nobody knows");
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        let is = u64::from_str_radix(field(set)?, 16)?;
        // A process may give up more than it must (a daemon that changes its user); the bounding set is exact.
        let fits = if set == "CapBnd" { is == want } else { is & !want == 0 };
        ensure!(fits, "{set} is {is:x}, service.toml means {want:x}");
    }
    ensure!(field("Seccomp")? == "2", "no seccomp filter");
    let no_new_privs = field("NoNewPrivs")? == "1";
    ensure!(no_new_privs == service.security.no_new_privs, "NoNewPrivs is {no_new_privs}");

    let links = |pid: &str, guest: &mut Guest| -> Result<BTreeMap<String, String>> {
        let text = guest
            .host(&format!("for n in mnt pid ipc uts cgroup net; do echo $n $(readlink /proc/{pid}/ns/$n); done"))?;
        Ok(text.lines().filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.into(), b.into())).collect())
    };
    let (host, own) = (links("1", guest)?, links(&pid.to_string(), guest)?);
    for namespace in OWN {
        ensure!(own.get(namespace).is_some_and(|link| !link.is_empty()), "no {namespace} namespace read");
        ensure!(own.get(namespace) != host.get(namespace), "{namespace} namespace is the host's");
    }
    let private = own.get("net") != host.get("net");
    ensure!(
        private == (service.namespaces.network == hull_service::Network::Private),
        "network namespace private: {private}"
    );

    let mounts = guest.host(&format!("cat /proc/{pid}/mountinfo"))?;
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).context("no root mount")?;
    let options = root.split(' ').nth(5).unwrap_or_default();
    ensure!(options.split(',').any(|option| option == "ro"), "root is mounted {options}");
    let cgroup = guest.host(&format!("cat /proc/{pid}/cgroup"))?;
    ensure!(cgroup.trim().starts_with(&format!("0::/services/{name}")), "cgroup {cgroup}");
    Ok(())
}

/// Brings the program to the machine by way of the console's container and makes the attempts there, as root in the
/// machine's namespaces. Without this one a refusal might be that of an attempt that never works. Returns the name of
/// the system disk.
fn unconfined(guest: &mut Guest, console: u64) -> Result<String> {
    let uploaded = "/tmp/hull-attempts";
    guest.upload(&std::env::current_exe()?, uploaded)?;
    guest.host(&format!("mv /proc/{console}/root{uploaded} {PROGRAM} && {}", privileged(PROGRAM)))?;
    let boot: Value = serde_json::from_str(&guest.host("cat /run/hull/boot.json")?)?;
    let disk = boot["system_disk"].as_str().context("no system disk in the boot report")?.trim_start_matches("/dev/");
    let text = guest.host(&format!("{PROGRAM} {} {disk}", inside::ATTEMPTS))?;
    let answers = inside::answers(&text)?;
    let faults = attempts::all().filter(|attempt| answers[attempt.name] != attempt.unconfined());
    let faults: Vec<String> = faults
        .map(|attempt| format!("{}: {}, expected {}", attempt.name, answers[attempt.name], attempt.unconfined()))
        .collect();
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(disk.into())
}

/// A set-user-ID program of root's: what execve(2) could gain privileges by.
fn privileged(program: &str) -> String {
    format!("chown 0:0 {program} && chmod 4755 {program}")
}

/// Makes all attempts by a process that has exactly the service's privileges.
fn refused(guest: &mut Guest, name: &str, pid: u64, disk: &str) -> Result<()> {
    let calls = calls(guest, name)?;
    let lent = format!("/proc/{pid}/root{PROGRAM}");
    guest.host(&format!("cp {PROGRAM} {lent} && {}", privileged(&lent)))?;
    let text = guest.hull(&format!("exec {name} {PROGRAM} {} {disk}", inside::ATTEMPTS));
    guest.host(&format!("rm {lent}"))?;
    let text = text?;
    let answers = inside::answers(&text)?;
    let (mut refusals, mut faults) = (0, Vec::new());
    for attempt in attempts::all() {
        let (expected, is) = (attempt.expected(name, &calls), answers[attempt.name]);
        if !expected.contains(&is) {
            faults.push(format!("{}: error {is}, expected one of {expected:?}", attempt.name));
        } else if !attempt.may.contains(&name) {
            refusals += 1;
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    println!("       {refusals} of {} attempts refused", answers.len());
    Ok(())
}

/// The system calls that the service's filter lets through, as installed.
fn calls(guest: &mut Guest, name: &str) -> Result<Vec<String>> {
    let text = guest.host(&format!("cat /services/{name}/{CALLS_FILE}"))?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// `hull inspect --confinement` says what the installed files say.
fn reported(guest: &mut Guest, name: &str) -> Result<()> {
    let service = definition(guest, name)?;
    let calls = calls(guest, name)?;
    let is: ConfinementReport = serde_json::from_str(&guest.hull(&format!("inspect --confinement --json {name}"))?)?;
    let want = ConfinementReport::new(name, &service, &calls);
    ensure!(is == want, "reported {is:?}, installed {want:?}");
    ensure!(want.confinement.system_calls.allowed > 0, "no system call in {CALLS_FILE}");
    Ok(())
}
