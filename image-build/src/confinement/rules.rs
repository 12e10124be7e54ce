//! Who may hold what: rules over all services, on top of what the schema checks in one.

use super::reasons;
use crate::services::Definition;
use anyhow::{Result, bail};

/// Half of what the kernel guards is behind this one.
const WIDEST: &str = "SYS_ADMIN";
/// Services that may hold it for whatever they do: the engine for its applications, udev for the devices.
const MAY_HOLD_WIDEST: [&str; 2] = ["docker", "udev"];

/// Every broken rule, in one error.
pub(super) fn check(services: &[Definition]) -> Result<()> {
    let faults: Vec<String> = services.iter().flat_map(faults).collect();
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

fn faults(definition: &Definition) -> Vec<String> {
    let name = &definition.name;
    let mut faults = Vec::new();
    for capability in &definition.service.security.capabilities {
        if reasons::of(&definition.readme, capability).is_none() {
            faults.push(format!("{name}: README.md gives no reason for {capability} in a table row of its own"));
        }
        if capability == WIDEST && !MAY_HOLD_WIDEST.contains(&name.as_str()) {
            faults.push(format!("{name}: {WIDEST} is for {} only", MAY_HOLD_WIDEST.join(" and ")));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use hull_seccomp::Filter;

    fn definition(name: &str, capability: &str, readme: &str) -> Definition {
        let text = format!(
            "description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n[security]\n\
             capabilities = [\"{capability}\"]\n"
        );
        Definition {
            name: name.into(),
            service: hull_service::parse(name, &text).unwrap(),
            text,
            overlay: vec![],
            filter: Filter { program: vec![], calls: vec![], listed: vec![] },
            readme: readme.into(),
        }
    }

    #[test]
    fn capabilities_have_reasons_and_the_widest_two_holders() {
        for (name, capability, readme, fault) in [
            ("a", "SYS_ADMIN", "| `SYS_ADMIN` | mount(2) of the disk |", Some("docker and udev only")),
            ("a", "KILL", "`KILL` is for children", Some("no reason")),
            ("udev", "SYS_ADMIN", "| `SYS_ADMIN` | devices |", None),
            ("docker", "SYS_ADMIN", "| all capabilities but `SYS_BOOT` | applications |", None),
            (
                "docker",
                "SYS_BOOT",
                "| all capabilities but `SYS_BOOT` | applications |",
                Some("no reason for SYS_BOOT"),
            ),
            ("a", "KILL", "| `KILL` | ends children |", None),
            ("a", "KILL", "", Some("no reason for KILL")),
        ] {
            let result = check(&[definition(name, capability, readme)]).map_err(|error| error.to_string());
            match fault {
                None => assert_eq!(result, Ok(()), "{name} {readme}"),
                Some(part) => assert!(result.as_ref().is_err_and(|text| text.contains(part)), "{readme}: {result:?}"),
            }
        }
    }
}
