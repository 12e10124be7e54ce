//! `disable_ec2_metadata`: no way to the metadata service of a cloud, whose answers hold the machine's credentials. The
//! machine itself has asked what it wants to know before.

use super::program;
use crate::report::{Messages, Place};
use std::process::Command;

/// Link-local address that all clouds use which have such a service.
const ADDRESS: &str = "169.254.169.254";

/// Adds a route that refuses the address to everybody, containers included; until the next boot.
pub fn close(ip: &str, messages: &mut Messages) {
    let arguments = ["route", "replace", "prohibit", ADDRESS];
    if let Err(error) = program::run(Command::new(ip).args(arguments), Some(program::SHORT)) {
        let text = format!("ip {}: {error:#}", arguments.join(" "));
        messages.error(Place::default(), "disable_ec2_metadata", text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_route_is_asked_for_and_a_failure_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("ip");
        for (script, expected) in [
            ("test \"$*\" = 'route replace prohibit 169.254.169.254'", ""),
            ("echo 'RTNETLINK answers: no' >&2; exit 2", "169.254.169.254: RTNETLINK answers: no"),
        ] {
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            let mut messages = Messages::new("user-data");
            close(&program.display().to_string(), &mut messages);
            let said: String = messages.list().iter().map(ToString::to_string).collect();
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{said}");
        }
    }
}
