//! Every service has only what its service.toml says, read from `/proc` in the guest.

use crate::guest::Guest;
use crate::report::Report;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;

/// Capability names by bit number, from linux/capability.h.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];
/// Namespaces that are always the container's own.
const OWN: [&str; 5] = ["mnt", "pid", "ipc", "uts", "cgroup"];

/// Runs one case a service.
pub fn run(guest: &mut Guest, report: &mut Report) {
    let Some(services) = report.value("status_lists_every_service_and_all_required_run", || services(guest)) else {
        return;
    };
    for (name, pid) in services {
        report.case(&format!("{name}_is_confined_as_its_service_toml_says"), || confined(guest, &name, pid));
    }
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

fn confined(guest: &mut Guest, name: &str, pid: u64) -> Result<()> {
    let definition = guest.host(&format!("cat /services/{name}/service.toml"))?;
    let service = hull_service::parse(name, &definition)?;
    let status = guest.host(&format!("cat /proc/{pid}/status"))?;
    let field = |key: &str| -> Result<&str> {
        status
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .map(str::trim)
            .with_context(|| format!("no {key} in /proc/{pid}/status"))
    };
    let mut want = 0_u64;
    for capability in &service.security.capabilities {
        let bit = CAPABILITIES.iter().position(|known| known == capability).with_context(|| capability.clone())?;
        want |= 1 << bit;
    }
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
