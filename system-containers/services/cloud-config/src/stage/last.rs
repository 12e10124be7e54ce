//! `final`: services of the owner's, and deferred files, runcmd and the user's script, once per instance, when the user engine answers.
//!
//! The stamp is written after the work, so a power failure in between makes the work start over. A machine that
//! reboots out of its own runcmd would do so for ever; after `MAX_ATTEMPTS` beginnings the work counts as done.

use super::apply::{instance, set, user_data, write_files};
use super::stamp::Stamp;
use crate::apply::commands::{self, Setting};
use crate::apply::{HULL, engine, services};
use crate::paths::{PANICKED, Paths};
use crate::report::{Final, Messages, Place, Report};
use crate::store;
use std::path::Path;
use std::time::Duration;

/// How long commands wait for the engine; they run without it after that.
const ENGINE_LIMIT: Duration = Duration::from_secs(120);
/// Beginnings without an end.
const MAX_ATTEMPTS: u32 = 3;

/// Runs the stage.
pub fn run(paths: &Paths) -> anyhow::Result<()> {
    run_within(paths, ENGINE_LIMIT)
}

fn run_within(paths: &Paths, engine_limit: Duration) -> anyhow::Result<()> {
    let mut report = Report::load(&paths.report);
    report.final_stage = Final::Running;
    report.save(&paths.report)?;
    let mut messages = Messages::new("user-data");
    let good = carry_out(paths, report.datasource != "none", engine_limit, &mut messages);
    // Other stages may have added to it meanwhile.
    let mut report = Report::load(&paths.report);
    report.final_stage = if good { Final::Done } else { Final::Failed };
    report.take(&messages);
    report.save(&paths.report)
}

fn carry_out(paths: &Paths, has_data: bool, engine_limit: Duration, messages: &mut Messages) -> bool {
    let instance = match instance(paths) {
        Ok(instance) => instance,
        Err(error) => {
            messages.error(Place::default(), "final", format!("{error:#}"));
            return false;
        }
    };
    if paths.recovering {
        messages.error(Place::default(), "final", PANICKED);
        return false;
    }
    let id = instance.id.as_str();
    let stamp = Stamp::new(&paths.cloud_state, "scripts");
    if !has_data {
        return true;
    }
    let before = messages.errors();
    let data = user_data(&instance);
    services::add(paths, Path::new(HULL), data.config.services.as_deref().unwrap_or_default(), id, messages);
    if stamp.is_set(id) {
        return messages.errors() == before;
    }
    let runcmd = data.config.runcmd.as_deref().unwrap_or_default();
    if begin(&paths.cloud_state, id) > MAX_ATTEMPTS {
        let text = format!("begun {MAX_ATTEMPTS} times and never finished; not tried again for this instance");
        messages.error(Place::default(), "runcmd", text);
        set(&stamp, id, messages);
        return false;
    }
    write_files(paths, &data.config, true, messages);
    if !runcmd.is_empty() || data.script.is_some() {
        if !engine::wait(&paths.engine_socket, engine_limit) {
            let text = format!("the engine did not answer within {} s; run without it", engine_limit.as_secs());
            messages.warning(Place::default(), "runcmd", text);
        }
        let setting = Setting { directory: &paths.cloud_state, instance_id: id, deadline: None };
        commands::run_list("runcmd", runcmd, setting, messages);
        if let Some(script) = &data.script {
            commands::run_user_script(script, setting, messages);
        }
    }
    set(&stamp, id, messages);
    messages.errors() == before
}

/// Counts this beginning for the instance. A state that cannot be written counts as the first one.
fn begin(directory: &Path, id: &str) -> u32 {
    let path = directory.join("scripts.attempts");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let before =
        text.split_once('\n').filter(|(_, of)| *of == id).and_then(|(count, _)| count.parse().ok()).unwrap_or(0);
    let count = before + 1;
    match store::write(&path, format!("{count}\n{id}").as_bytes(), 0o600) {
        Ok(()) => count,
        Err(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::instance::Instance;
    use crate::seed::medium::Medium;

    fn prepare(paths: &Paths, user_data: &str) {
        let medium = Medium { device: "/dev/vdb".into(), user_data: Some(user_data.into()), ..Medium::default() };
        Instance { id: "i-1".into(), medium, ..Instance::default() }.save(&paths.report).unwrap();
        Report { datasource: "nocloud:/dev/vdb".into(), ..Report::default() }.save(&paths.report).unwrap();
    }

    #[test]
    fn commands_run_once_and_faults_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let counter = directory.path().join("count");
        prepare(&paths, &format!("#cloud-config\nruncmd:\n- echo x >> {}\n- no-such-command-x\n", counter.display()));
        run_within(&paths, Duration::ZERO).unwrap();
        let report = Report::load(&paths.report);
        let texts: Vec<String> = report.messages.iter().map(ToString::to_string).collect();
        assert_eq!(report.final_stage, Final::Failed);
        assert!(
            texts[0].contains("engine did not answer")
                && texts[1] == "user-data line 4 column 3 runcmd[1]: exited with status 127",
            "{texts:?}"
        );
        run_within(&paths, Duration::ZERO).unwrap();
        assert_eq!(std::fs::read_to_string(&counter).unwrap(), "x\n");
    }

    #[test]
    fn scripts_and_empty_data_end_well() {
        for text in ["#!/bin/sh\ntest \"$INSTANCE_ID\" = i-1\n", "#cloud-config\n", ""] {
            let directory = tempfile::tempdir().unwrap();
            let paths = Paths::below(directory.path());
            prepare(&paths, text);
            run_within(&paths, Duration::ZERO).unwrap();
            assert_eq!(Report::load(&paths.report).final_stage, Final::Done, "{text}");
        }
    }

    #[test]
    fn work_that_never_ends_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        for expected in 1..=5 {
            assert_eq!(begin(directory.path(), "i-1"), expected);
        }
        assert_eq!(begin(directory.path(), "i-2"), 1);
        let paths = Paths::below(directory.path());
        prepare(&paths, "#cloud-config\nruncmd: ['exit 1']\n");
        store::write(&paths.cloud_state.join("scripts.attempts"), b"3\ni-1", 0o600).unwrap();
        run_within(&paths, Duration::ZERO).unwrap();
        let report = Report::load(&paths.report);
        assert!(report.messages[0].text.contains("never finished") && report.messages.len() == 1, "{report:?}");
    }
}
