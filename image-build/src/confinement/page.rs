//! The page's text. Nothing of this machine is in it: neither its libseccomp nor paths nor times.

use super::reasons;
use crate::services::Definition;
use hull_service::Network;
use hull_service::confinement::{DANGEROUS, Report, SYSTEM_CALLS, capabilities};

const HEAD: &str = "\
# Confinement of the services

What each service can reach, beside what the same program has as root's daemon on a usual Linux machine that restricts
nothing. `hull inspect --confinement SERVICE` shows the same for an installed system.

This page is generated from the definitions and READMEs in `system-containers/services/` by `image-build
confinement-page`; `image-build check-config` and a host test fail when it is out of date, when a capability has no
reason in the service's README, or when a service other than `docker` and `udev` holds `SYS_ADMIN`.

";

const NOTES: &str = "\
Capabilities reach as far as the namespaces do: the machine's own things where a namespace is the machine's. A system
call that is allowed may need a capability besides. A node in the machine's `/dev` opens nothing by itself: access to
devices is decided by number. Permissions count as everywhere: a path that is mounted writable is written by whom its
owner and mode allow. Of what is writable on the machine, only what is below `/state` survives a reboot.

";

/// All services, in the order given.
pub(super) fn text(services: &[Definition]) -> String {
    let reports: Vec<Report> = services
        .iter()
        .map(|definition| Report::new(&definition.name, &definition.service, &definition.filter.listed))
        .collect();
    let mut text = HEAD.to_owned() + &overview(&reports) + NOTES;
    for (definition, report) in services.iter().zip(&reports) {
        text += &section(definition, report);
    }
    text + &glossary()
}

fn overview(reports: &[Report]) -> String {
    let mut text = "| service | capabilities | system calls | dangerous ones | network | root file system |\n\
        |---|---|---|---|---|---|\n"
        .to_owned();
    let plain = reports.first().map(|report| ("*plain root daemon*".to_owned(), &report.plain_root_daemon));
    let each = reports.iter().map(|report| (format!("[{0}](#{0})", report.service), &report.confinement));
    for (name, it) in each.chain(plain) {
        let network = if it.network == Network::Host { "the machine's" } else { "loopback only" };
        let root = if it.root_writable { "writable" } else { "read-only" };
        let calls = &it.system_calls;
        text += &row(&[
            &name,
            &it.capabilities.len().to_string(),
            &calls.allowed.to_string(),
            &calls.dangerous.len().to_string(),
            network,
            root,
        ]);
    }
    text + &format!("\nOf {} system calls of the kernel.\n\n", SYSTEM_CALLS.len())
}

fn section(definition: &Definition, report: &Report) -> String {
    let name = &definition.name;
    let mut text = format!("## {name}\n\n{}; definition and reasons: ", capitalized(&definition.service.description));
    text += &format!("[system-containers/services/{name}](../system-containers/services/{name}/README.md)\n\n");
    text += &row(&["", name, "plain root daemon"]);
    text += "|---|---|---|\n";
    for line in report.rows() {
        text += &row(&[line.aspect, &line.service.join("<br>"), &line.plain.join("<br>")]);
    }
    text += "\n";
    if !report.confinement.capabilities.is_empty() {
        text += "| capability | lets it | why |\n|---|---|---|\n";
        for capability in &report.confinement.capabilities {
            let meaning = capabilities::meaning(capability).unwrap_or_default();
            let reason = reasons::of(&definition.readme, capability).unwrap_or_default();
            text += &row(&[&format!("`{capability}`"), meaning, &reason]);
        }
        text += "\n";
    }
    text
}

fn glossary() -> String {
    let mut text = "## System calls called dangerous\n\n| call | does |\n|---|---|\n".to_owned();
    for (name, meaning) in DANGEROUS {
        text += &row(&[&format!("`{name}`"), meaning]);
    }
    text
}

fn row(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}
