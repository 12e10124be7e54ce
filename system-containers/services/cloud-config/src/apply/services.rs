//! Adds the services of `hull: services` by the command `hull`, once per instance each: what the owner does with one
//! later stays.

use super::program;
use crate::paths::Paths;
use crate::report::Messages;
use crate::stage::stamp::Stamp;
use crate::store;
use crate::userdata::services::{AddedService, Image};
use anyhow::Context;
use std::path::Path;
use std::process::Command;

/// Adds what is not yet there for this instance; a failure is reported and tried again at the next boot.
pub fn add(paths: &Paths, program: &Path, services: &[AddedService], instance_id: &str, messages: &mut Messages) {
    for service in services {
        let stamp = Stamp::new(&paths.cloud_state, &format!("service-{}", service.name));
        if stamp.is_set(instance_id) {
            continue;
        }
        let added = one(paths, program, service).and_then(|()| stamp.set(instance_id));
        if let Err(error) = added {
            messages.error(service.place, &format!("hull.services.{}", service.name), format!("{error:#}"));
        }
    }
}

fn one(paths: &Paths, program: &Path, service: &AddedService) -> anyhow::Result<()> {
    let file = paths.cloud_state.join(format!("service-{}.toml", service.name));
    store::write(&file, service.definition.as_bytes(), 0o600)?;
    let mut command = Command::new(program);
    command.args(["service", "add", &service.name, "--definition"]).arg(&file);
    match &service.image {
        Some(Image::Reference(reference)) => drop(command.arg(reference)),
        Some(Image::Archive(archive)) => drop(command.args(["--archive", archive])),
        None => {}
    }
    for mirror in &service.mirrors {
        command.args(["--mirror", mirror]);
    }
    command.arg(if service.enabled { "--yes" } else { "--disabled" });
    let result = program::run(&mut command, None).context("not added");
    std::fs::remove_file(&file).ok();
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_is_added_once_and_a_failure_is_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let program = directory.path().join("hull");
        let calls = directory.path().join("calls");
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {}\ncat \"$5\" >> {0}\n[ \"$3\" = web ] || {{ echo 'x: fetched' >&2; echo 'hull: no such image' >&2; exit 1; }}\n",
            calls.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let service = |name: &str, image| AddedService {
            place: Default::default(),
            name: name.into(),
            definition: format!("text of {name}\n"),
            image,
            mirrors: vec!["http://m".into()],
            enabled: true,
        };
        let services = [service("web", Some(Image::Reference("r/x@sha256:0".into()))), service("bad", None)];
        let mut texts = Vec::new();
        for _ in 0..2 {
            let mut messages = Messages::new("user-data");
            add(&paths, &program, &services, "i-1", &mut messages);
            texts.extend(messages.list().iter().map(ToString::to_string));
        }
        assert_eq!(texts, ["user-data hull.services.bad: not added: no such image"; 2]);
        let calls = std::fs::read_to_string(calls).unwrap();
        assert_eq!(calls.matches("service add web").count(), 1, "{calls}");
        assert!(calls.contains("r/x@sha256:0 --mirror http://m --yes\ntext of web\n"), "{calls}");
    }
}
