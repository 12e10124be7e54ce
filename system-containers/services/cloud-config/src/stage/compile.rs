//! `compile`: user data to machine configuration, machine configuration to the services' files.

use super::decide::{Decision, decide};
use super::services;
use super::sources::{self, Sources};
use crate::live::{self, InForce};
use crate::machine::fragments::{self, Loaded};
use crate::paths::{PANICKED, Paths};
use crate::render;
use crate::report::{Final, Messages, Place, Report};
use crate::store;

const FRAGMENT_HEADER: &str = "# Made from user data at every boot; put your own settings into other files.\n";

/// Runs the stage.
pub fn run(paths: &Paths) -> anyhow::Result<()> {
    let mut messages = Messages::new("cloud-config");
    let sources = if paths.recovering {
        let mut own = Messages::new("user-data");
        own.error(Place::default(), "", PANICKED);
        messages.append(own);
        Sources::default()
    } else {
        sources::gather(paths, &mut messages)
    };
    let decision = decide(&sources, &mut messages);
    let mut report = Report {
        datasource: decision.datasource.clone(),
        instance_id: decision.instance.id.clone(),
        messages: Vec::new(),
        final_stage: Final::Pending,
    };
    carry_out(paths, &decision, &mut messages);
    report.take(&messages);
    let leave = match decision.wanted.is_empty() || sources.fetched.is_some() {
        true => Ok(()),
        false => decision.wanted.save(&paths.metadata),
    };
    // `final` waits for the instance when the stage runs again, and then adds to the report: it has to be the new one.
    let reported = report.save(&paths.report);
    decision.instance.save(&paths.report)?;
    reported.and(leave)
}

/// Writes fragment, cache and rendered files; whatever fails is reported and the rest is done.
fn carry_out(paths: &Paths, decision: &Decision, messages: &mut Messages) {
    let mut stored = true;
    if decision.usable && decision.datasource != "none" {
        let fragment = toml::to_string(&decision.config.machine).map_err(anyhow::Error::from).and_then(|text| {
            let path = paths.state_config.join(fragments::USER_DATA_FRAGMENT);
            store::write(&path, format!("{FRAGMENT_HEADER}{text}").as_bytes(), 0o600)
        });
        let cache = decision.instance.save(&paths.cloud_state);
        for result in [&fragment, &cache] {
            if let Err(error) = result {
                messages.error(Place::default(), "", format!("user data is not kept for the next boot: {error:#}"));
            }
        }
        stored = fragment.is_ok();
    }
    live::boot::settle(paths, messages);
    let last_good = paths.cloud_state.join("last-good");
    let Loaded { mut config, defaults, owner } =
        fragments::load(&paths.default_config, &paths.state_config, &last_good, messages);
    if !stored {
        config = config.overlaid_with(decision.config.machine.clone());
    }
    let plan = services::plan(paths, config, decision.network.as_ref(), messages);
    if let Err(error) = render::write(&paths.config, &plan) {
        messages.error(Place::default(), "", format!("the configuration of the services is incomplete: {error:#}"));
    }
    if let Err(error) = (InForce { defaults, owner }).save(&paths.report) {
        messages.error(Place::default(), "", format!("hull config cannot compare or apply: {error:#}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::network::kernel;
    use crate::seed::command_line::CommandLine;
    use crate::seed::instance::Instance;
    use crate::stage::decide::tests::{GOOD, medium, on, texts};

    #[test]
    fn the_network_of_the_command_line_is_for_this_boot() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let mut seed = medium(GOOD, "");
        seed.network_config = Some(b"version: 2\nethernets: {eth1: {dhcp4: true}}\n".to_vec());
        let words = kernel::Words { ip: vec!["eth0:dhcp".into()], ..kernel::Words::default() };
        let command_line = CommandLine { network: words, ..CommandLine::default() };
        let (decision, _) = on(&Sources { medium: Some(seed), command_line, ..Sources::default() });
        let mut messages = Messages::new("cloud-config");
        carry_out(&paths, &decision, &mut messages);
        assert!(texts(&messages).contains("the network of the kernel command line wins"), "{messages:?}");
        assert!(paths.config.join("network/10-eth0.network").exists());
        assert!(!paths.config.join("network/10-eth1.network").exists());
        let kept = std::fs::read_to_string(paths.state_config.join("50-user-data.toml")).unwrap();
        assert!(kept.contains("eth1") && !kept.contains("eth0"), "{kept}");
    }

    #[test]
    fn who_sees_the_instance_sees_its_report() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths { recovering: true, ..Paths::below(directory.path()) };
        Report { instance_id: "before".into(), ..Report::default() }.save(&paths.report).unwrap();
        let instance = paths.report.join("instance.json");
        std::fs::create_dir_all(instance.join("in the way")).unwrap();
        run(&paths).unwrap_err();
        assert_eq!(Report::load(&paths.report).datasource, "none");

        std::fs::remove_dir_all(&instance).unwrap();
        let report = paths.report.join("report.json");
        std::fs::remove_file(&report).unwrap();
        std::fs::create_dir_all(report.join("in the way")).unwrap();
        run(&paths).unwrap_err();
        assert!(Instance::load(&paths.report).unwrap().is_some());
    }

    #[test]
    fn files_are_written_and_an_unwritable_state_is_survived() {
        let directory = tempfile::tempdir().unwrap();
        let mut paths = Paths::below(directory.path());
        let (decision, _) = on(&Sources { medium: Some(medium(GOOD, "")), ..Sources::default() });
        let mut messages = Messages::new("cloud-config");
        carry_out(&paths, &decision, &mut messages);
        assert_eq!(texts(&messages), "");
        assert_eq!(std::fs::read_to_string(paths.config.join("hostname")).unwrap(), "web\n");
        assert!(
            std::fs::read_to_string(paths.state_config.join("50-user-data.toml"))
                .unwrap()
                .contains("hostname = \"web\"")
        );
        assert!(Instance::load(&paths.cloud_state).unwrap().is_some());

        std::fs::write(directory.path().join("file"), "").unwrap();
        paths.state_config = directory.path().join("file/config");
        paths.cloud_state = directory.path().join("file/cloud");
        std::fs::remove_file(paths.config.join("hostname")).unwrap();
        carry_out(&paths, &decision, &mut messages);
        assert_eq!(std::fs::read_to_string(paths.config.join("hostname")).unwrap(), "web\n");
        assert!(texts(&messages).contains("not kept for the next boot"));
    }
}
