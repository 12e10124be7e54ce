//! A report as lines of a table. Service and plain daemon go through the same words, so that columns compare.

use super::{CAPABILITIES, Confinement, DANGEROUS, Report, Writable};
use crate::schema::{Api, DeviceRule, Network};

/// One line: the same question asked of both. Several answers are several entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What is asked.
    pub aspect: &'static str,
    /// The service's answer.
    pub service: Vec<String>,
    /// A plain root daemon's.
    pub plain: Vec<String>,
}

type Answer = fn(&Confinement) -> Vec<String>;

/// The questions, in the order of reports.
const QUESTIONS: [(&str, Answer); 14] = [
    ("own namespaces", |it| list(&it.own_namespaces)),
    ("the machine's namespaces", |it| list(&it.shared_namespaces)),
    ("user:group", |it| vec![if it.user == "0:0" { "0:0 (root)".into() } else { it.user.clone() }]),
    ("capabilities", capabilities),
    ("system calls", system_calls),
    ("dangerous ones among them", dangerous),
    ("gains privileges by execve(2)", |it| vec![if it.no_new_privs { "no" } else { "yes" }.into()]),
    ("devices", devices),
    ("writable on the machine", |it| paths(it, |one| one.source.is_some())),
    ("writable in its own memory", |it| paths(it, |one| one.source.is_none())),
    ("kernel settings", kernel),
    ("network", network),
    ("limits", limits),
    ("system API", api),
];

impl Report {
    /// The table.
    pub fn rows(&self) -> Vec<Row> {
        let row = |(aspect, answer): (&'static str, Answer)| Row {
            aspect,
            service: answer(&self.confinement),
            plain: answer(&self.plain_root_daemon),
        };
        QUESTIONS.into_iter().map(row).collect()
    }
}

/// Names in one entry; of nothing, "none".
fn list(names: &[String]) -> Vec<String> {
    vec![if names.is_empty() { "none".into() } else { names.join(", ") }]
}

fn capabilities(it: &Confinement) -> Vec<String> {
    let held = it.capabilities.len();
    let all = CAPABILITIES.len();
    match held {
        0 => vec!["none".into()],
        _ if held == all => vec![format!("all {all}")],
        _ => vec![format!("{held} of {all}: {}", it.capabilities.join(", "))],
    }
}

fn system_calls(it: &Confinement) -> Vec<String> {
    let calls = &it.system_calls;
    let abis = if calls.other_abis { ", and those of 32-bit programs" } else { "" };
    vec![if calls.allowed == calls.known {
        format!("all {}{abis}", calls.known)
    } else {
        format!("{} of {}{abis}", calls.allowed, calls.known)
    }]
}

fn dangerous(it: &Confinement) -> Vec<String> {
    let found = &it.system_calls.dangerous;
    if found.len() == DANGEROUS.len() { vec![format!("all {}", found.len())] } else { list(found) }
}

fn devices(it: &Confinement) -> Vec<String> {
    let devices = &it.devices;
    let place = if devices.host_dev { "the machine's /dev" } else { "a /dev of its own with the standard nodes" };
    let mut text = vec![place.to_owned()];
    if devices.all {
        text.push("all allowed".into());
    }
    text.extend(devices.allow.iter().map(rule));
    if devices.slots && !devices.all {
        text.push("slots of the system disk: read the running one, write the other one".into());
    }
    if devices.esp && !devices.all {
        text.push("the EFI system partition: read".into());
    }
    if !devices.deny.is_empty() {
        text.push(format!("never: {}", devices.deny.join(", ")));
    }
    text
}

fn rule(rule: &DeviceRule) -> String {
    let kind = if rule.kind == "block" { "block" } else { "character" };
    let numbers = match (rule.major, rule.minor) {
        (None, None) => "any".to_owned(),
        (Some(major), None) => format!("{major}:*"),
        (None, Some(minor)) => format!("*:{minor}"),
        (Some(major), Some(minor)) => format!("{major}:{minor}"),
    };
    let words = rule.access.chars().map(|access| match access {
        'r' => "read",
        'w' => "write",
        _ => "make nodes",
    });
    format!("{kind} devices {numbers}: {}", words.collect::<Vec<_>>().join(", "))
}

fn paths(it: &Confinement, wanted: fn(&Writable) -> bool) -> Vec<String> {
    let paths = it.writable.iter().filter(|one| wanted(one)).map(|one| match &one.source {
        Some(source) if *source != one.path => format!("{} (the machine's {source})", one.path),
        Some(_) if it.root_writable => "everything".into(),
        _ => one.path.clone(),
    });
    let paths: Vec<String> = paths.collect();
    if paths.is_empty() { vec![if it.root_writable { "everything" } else { "none" }.into()] } else { paths }
}

fn kernel(it: &Confinement) -> Vec<String> {
    let word = |writable| if writable { "writable" } else { "read-only" };
    let [sys, proc_sys, cgroup] = [it.sys_writable, it.proc_sys_writable, it.cgroup_writable].map(word);
    vec![format!("/sys {sys}"), format!("/proc/sys {proc_sys}"), format!("cgroups {cgroup}")]
}

fn network(it: &Confinement) -> Vec<String> {
    vec![match it.network {
        Network::Host => "whatever the machine reaches".into(),
        Network::Private => "a loopback interface of its own, nothing else".into(),
    }]
}

fn limits(it: &Confinement) -> Vec<String> {
    let memory = match (it.memory_max, it.memory_spare) {
        (Some(bytes), _) => format!("memory: {} MiB", bytes >> 20),
        (None, Some(bytes)) => format!("memory: all but {} MiB", bytes >> 20),
        (None, None) => "memory: none".into(),
    };
    let pids = match (it.pids_max, it.pids_spare) {
        (Some(count), _) => format!("processes: {count}"),
        (None, Some(count)) => format!("processes: all but {count}"),
        (None, None) => "processes: none".into(),
    };
    vec![memory, pids]
}

fn api(it: &Confinement) -> Vec<String> {
    vec![match it.api {
        Api::None => "none".into(),
        Api::Power => "power off, reboot, halt".into(),
        Api::Admin => "everything: equal to root on the machine".into(),
    }]
}

#[cfg(test)]
mod tests {
    use crate::confinement::Report;

    #[test]
    fn columns_compare() {
        let text = "description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n[security]\n\
            capabilities = [\"KILL\"]\nseccomp = [\"read\"]\n[security.devices]\ndeny = [\"kmsg\"]\n\
            allow = [{ type = \"char\", major = 4, access = \"rw\" }]\n[limits]\nmemory-max = \"16M\"\n";
        let report = Report::new("t", &crate::parse("t", text).unwrap(), &["read".into()]);
        let rows = report.rows();
        for (aspect, service, plain) in [
            ("own namespaces", "mount, pid, ipc, uts, cgroup, network", "none"),
            ("capabilities", "1 of 41: KILL", "all 41"),
            ("system calls", "1 of 375", "all 375, and those of 32-bit programs"),
            ("dangerous ones among them", "none", "all 36"),
            (
                "devices",
                "a /dev of its own with the standard nodes|character devices 4:*: read, write|never: kmsg",
                "the machine's /dev|all allowed",
            ),
            ("writable on the machine", "none", "everything"),
            ("writable in its own memory", "/dev|/dev/mqueue|/dev/shm|/run|/tmp", "everything"),
            ("limits", "memory: 16 MiB|processes: none", "memory: none|processes: none"),
        ] {
            let row = rows.iter().find(|row| row.aspect == aspect).unwrap();
            assert_eq!((row.service.join("|").as_str(), row.plain.join("|").as_str()), (service, plain), "{aspect}");
        }
    }
}
