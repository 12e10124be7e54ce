//! Limits of services the owner adds: what their `service.toml` may never ask for, and what it may not hold.
//!
//! They run beside the OS's own services, so they get what an owner can decide about and nothing that would let them
//! change the OS, its disk or its other services: the same bounds the container engine has.

use crate::schema::{Api, Image, MountType, Service, Setuid};
use crate::validate::Problem;

/// Capabilities that reach the kernel itself, its clock, or other services' confinement.
const NEVER: [&str; 10] = [
    "AUDIT_CONTROL",
    "BPF",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "PERFMON",
    "SYS_BOOT",
    "SYS_MODULE",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_TIME",
];
/// Host paths that may be mounted, with everything below. `/state/services/` is followed by the service's own name.
const SOURCES: [&str; 4] = ["/state/data", "/run/engine", "/run/syslog", "/run/systemd/resolve"];
/// Persistent data of one service each.
const OWN_DATA: &str = "/state/services";
/// Options of a mount that reach beyond the container: what is mounted inside would appear on the machine.
const SHARING: &str = "shared";
/// Lower than that of the OS's own services nobody may go.
const LOWEST_OOM_SCORE: i32 = -500;

/// Everything the definition of the added service `name` may not say; empty when it may be added.
pub fn problems(name: &str, service: &Service) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |key: &str, text: &str| problems.push(Problem { key: key.into(), text: text.into() });

    if !is_name(name) {
        report("name", "a service's name is a-z, 0-9 and -, at most 40 of them, and begins with a letter");
    }
    let image = &service.image;
    let own = Image { reference: image.reference.clone(), setuid: image.setuid, ..Image::default() };
    if *image != own {
        report("image", "an added service has an image already: only reference and setuid are understood");
    }
    if service.required {
        report("required", "a boot cannot depend on an added service");
    }
    if service.api != Api::None {
        report("api", "the system API is for the OS's own services");
    }
    if service.processes.len() > 1 {
        report("process", "one process: an added image has no service-init");
    }
    if service.processes.iter().any(|process| process.tty.is_some()) {
        report("process.tty", "terminals are the console's");
    }
    if !service.run.read_ahead.is_empty() {
        report("run.read-ahead", "is for files of the system's image");
    }
    let security = &service.security;
    for capability in security.capabilities.iter().filter(|held| NEVER.contains(&held.as_str())) {
        report("security.capabilities", &format!("{capability} is never given to an added service"));
    }
    if security.seccomp.is_empty() || security.seccomp.iter().any(|item| item == "@known") {
        report("security.seccomp", "a list without @known is needed; start from [\"@default\"]");
    }
    for (key, asked) in [
        ("security.no-new-privs", !security.no_new_privs),
        ("security.writable-sys", security.writable_sys),
        ("security.writable-proc-sys", security.writable_proc_sys),
        ("security.unmasked-paths", !security.unmasked_paths.is_empty()),
        ("security.delegate", security.delegate),
        ("security.devices.host-dev", security.devices.host_dev),
        ("security.devices.allow-all", security.devices.allow_all),
        ("security.devices.slots", security.devices.slots),
        ("security.devices.esp", security.devices.esp),
    ] {
        if asked {
            report(key, "is never given to an added service");
        }
    }
    // Disks are the engine's and the owner's, by way of the console; major 1 has the machine's memory.
    let is_raw = |rule: &crate::DeviceRule| rule.kind == "block" || matches!(rule.major, None | Some(1));
    if security.devices.allow.iter().any(is_raw) {
        report("security.devices.allow", "character devices only, each with its major number, and none of major 1");
    }
    if security.oom_score_adj < LOWEST_OOM_SCORE {
        report("security.oom-score-adj", "not below -500, the OS's own services");
    }
    for mount in &service.mounts {
        let key = format!("mount.{}", mount.target);
        if mount.kind != MountType::Tmpfs && !mount.source.as_deref().is_some_and(|source| is_source(name, source)) {
            let text = format!("the source must be below {}, or {OWN_DATA}/{name}", SOURCES.join(", "));
            report(&key, &text);
        }
        if mount.options.iter().any(|option| option.ends_with(SHARING)) {
            report(&key, "\"shared\" would let its mounts appear on the machine");
        }
        if mount.target.split('/').any(|part| matches!(part, "." | "..")) {
            report(&key, "the target is a path without . and ..");
        }
    }
    problems
}

/// Whether a text names an added service: it becomes a directory, a cgroup and a part of request paths.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 40 && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase()) && name.bytes().all(plain)
}

fn is_source(name: &str, source: &str) -> bool {
    if source.split('/').any(|part| matches!(part, "." | "..")) {
        return false;
    }
    let below = |top: &str| source.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    SOURCES.iter().any(|top| below(top)) || below(&format!("{OWN_DATA}/{name}"))
}

/// Whether a definition has keys that only added services may have.
pub fn only_for_added(service: &Service) -> bool {
    service.image.reference.is_some() || service.image.setuid != Setuid::Refuse
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "description = \"x\"\nafter = [\"network\"]\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n";

    fn of(more: &str) -> String {
        let seccomp = if more.contains("[security]") { "" } else { "[security]\nseccomp = [\"@default\"]\n" };
        let more = more.replace("[security]", "[security]\nseccomp = [\"@default\"]");
        let service = crate::parse("t", &format!("{SOUND}{more}\n{seccomp}")).unwrap();
        problems("web", &service).iter().map(|problem| format!("{problem}\n")).collect()
    }

    #[test]
    fn what_an_owner_can_decide_about_is_allowed() {
        let text = "[image]\nreference = \"r/x\"\nsetuid = \"strip\"\n[namespaces]\nnetwork = \"host\"\n\
            [security]\ncapabilities = [\"NET_ADMIN\", \"SYS_ADMIN\"]\n\
            [security.devices]\nallow = [{ type = \"char\", major = 188, access = \"rw\" }]\n\
            [[mount]]\nsource = \"/state/services/web\"\ntarget = \"/data\"\n\
            [[mount]]\nsource = \"/run/engine\"\ntarget = \"/run/engine\"\n[[mount]]\ntype = \"tmpfs\"\ntarget = \"/x\"\n";
        assert_eq!(of(text), "");
    }

    #[test]
    fn what_would_reach_the_os_is_not() {
        for (text, key) in [
            ("[image]\npackages = [\"x\"]", "image:"),
            ("[security]\ncapabilities = [\"SYS_MODULE\"]", "SYS_MODULE"),
            ("[security]\ncapabilities = [\"SYS_BOOT\"]", "SYS_BOOT"),
            ("[security]\nno-new-privs = false", "no-new-privs"),
            ("[security]\nwritable-sys = true", "writable-sys"),
            ("[security]\nunmasked-paths = [\"/proc/kcore\"]", "unmasked-paths"),
            ("[security]\noom-score-adj = -1000", "oom-score-adj"),
            ("[security.devices]\nhost-dev = true", "host-dev"),
            ("[security.devices]\nallow-all = true", "allow-all"),
            ("[security.devices]\nslots = true", "slots"),
            ("[security.devices]\nesp = true", "esp"),
            ("[security.devices]\nallow = [{ type = \"block\", major = 8, access = \"r\" }]", "devices.allow"),
            ("[security.devices]\nallow = [{ type = \"char\", major = 1, access = \"r\" }]", "devices.allow"),
            ("[security.devices]\nallow = [{ type = \"char\", access = \"r\" }]", "devices.allow"),
            ("[run]\nread-ahead = [\"x\"]", "read-ahead"),
            ("[[process]]\nname = \"b\"\ncommand = [\"/b\"]", "process:"),
            ("[[mount]]\nsource = \"/\"\ntarget = \"/x\"", "mount./x"),
            ("[[mount]]\nsource = \"/state/services/docker\"\ntarget = \"/x\"", "mount./x"),
            ("[[mount]]\nsource = \"/state/services/web2\"\ntarget = \"/x\"", "mount./x"),
            ("[[mount]]\nsource = \"/state/data/../config\"\ntarget = \"/x\"", "mount./x"),
            ("[[mount]]\nsource = \"/state/datax\"\ntarget = \"/x\"", "mount./x"),
            ("[[mount]]\nsource = \"/state/data\"\ntarget = \"/x\"\noptions = [\"rshared\"]", "shared"),
            ("[[mount]]\nsource = \"/state/data\"\ntarget = \"/x/../y\"", "target"),
        ] {
            assert!(of(text).contains(key), "{text}: {}", of(text));
        }
        for (key, value) in [("required", "true"), ("api", "\"admin\""), ("api", "\"power\"")] {
            let service = crate::parse("t", &format!("{key} = {value}\n{SOUND}")).unwrap();
            assert!(problems("web", &service).iter().any(|problem| problem.key == key), "{key}");
        }
        let service = crate::parse("t", SOUND).unwrap();
        assert!(problems("web", &service).iter().any(|problem| problem.key == "security.seccomp"));
    }

    #[test]
    fn names() {
        for (name, sound) in [
            ("web", true),
            ("web-2", true),
            ("", false),
            ("2web", false),
            ("../x", false),
            ("Web", false),
            ("a b", false),
        ] {
            assert_eq!(is_name(name), sound, "{name}");
        }
        assert!(!is_name(&"x".repeat(41)));
    }
}
