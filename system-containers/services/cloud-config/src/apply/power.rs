//! `power_state`, at the end of everything.

use super::commands::{Setting, run_list};
use crate::report::{Messages, Place};
use crate::userdata::power::PowerState;
use std::path::Path;
use std::process::Command;

/// Waits, and ends the machine with the `hull` command `program` if the condition holds.
pub fn end(program: &Path, power: &PowerState, setting: Setting<'_>, messages: &mut Messages) {
    let mut own = Messages::default();
    if !run_list("power_state.condition", power.condition.as_slice(), setting, &mut own) {
        messages.info(power.place, "power_state", "the condition does not hold: the machine goes on");
        return;
    }
    let (mode, seconds) = (&power.mode, power.delay.as_secs());
    let said = power.message.as_deref().unwrap_or("everything in the user data is done");
    // 4 reaches the console, where whoever waits for it looks.
    println!("<4>cloud-config: {}: {mode} in {seconds} s", said.replace(char::is_control, " "));
    std::thread::sleep(power.delay);
    let failed = match Command::new(program).arg(mode).status() {
        Ok(status) if status.success() => return,
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    messages.error(Place::default(), "power_state", format!("hull {mode}: {failed}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::userdata::commands;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    #[test]
    fn the_machine_ends_when_the_condition_holds() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("hull");
        let said = directory.path().join("said");
        std::fs::write(&program, format!("#!/bin/sh\necho $1 >> {}\n", said.display())).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let condition = |text: &str| Some(commands::Command { place: Place::default(), index: 0, text: text.into() });
        let setting = Setting { directory: directory.path(), instance_id: "i", deadline: None, output: None };
        for (condition, expected) in [(condition("false"), ""), (condition("true"), "halt\n"), (None, "halt\nhalt\n")] {
            let power = PowerState {
                place: Place::default(),
                mode: "halt".into(),
                delay: Duration::ZERO,
                message: None,
                condition,
            };
            let mut messages = Messages::new("user-data");
            end(&program, &power, setting, &mut messages);
            assert_eq!(messages.errors(), 0, "{messages:?}");
            assert_eq!(std::fs::read_to_string(&said).unwrap_or_default(), expected);
        }
    }
}
