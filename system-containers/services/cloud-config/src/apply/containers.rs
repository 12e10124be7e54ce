//! Runs the containers and projects of `hull: containers` by `docker compose`, at every boot: what is as it is wanted stays
//! as it is. What is no longer in the user data is left alone.

use super::program;
use crate::attempts::{Attempts, Patience};
use crate::paths::Paths;
use crate::report::Messages;
use crate::stage::stamp::Stamp;
use crate::store;
use crate::userdata::containers::Project;
use anyhow::Context;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Below it a project has its directory, which relative paths of its file mean.
const PROJECTS: &str = "/srv";
/// A registry may be out of reach for a while; pulling large images takes long.
const ATTEMPT: Duration = Duration::from_secs(1800);

/// Of a machine, for each project.
pub const PATIENCE: Patience =
    Patience { whole: Duration::from_secs(600), first: Duration::from_secs(5), longest: Duration::from_secs(300) };

/// Brings each project up; a failure is reported, and tried again at the next boot.
pub fn run(paths: &Paths, docker: &str, projects: &[Project], id: &str, patience: Patience, messages: &mut Messages) {
    for project in projects {
        if let Err(error) = one(paths, docker, project, id, patience) {
            messages.error(project.place, &format!("hull.containers.{}", project.name), format!("{error:#}"));
        }
    }
}

fn one(paths: &Paths, docker: &str, project: &Project, id: &str, patience: Patience) -> anyhow::Result<()> {
    let stamp = Stamp::new(&paths.cloud_state, &format!("archives-{}", project.name));
    if !project.archives.is_empty() && !stamp.is_set(id) {
        for archive in &project.archives {
            let mut load = client(docker);
            load.args(["load", "--quiet", "--input"]).arg(paths.below_root(archive));
            program::run(&mut load, Some(ATTEMPT)).with_context(|| format!("load {archive}"))?;
        }
        // dockerd keeps a record of an image before its files are durable.
        rustix::fs::sync();
        stamp.set(id)?;
    }
    let file = paths.cloud_state.join(format!("containers-{}.yaml", project.name));
    store::write(&file, project.file.as_bytes(), 0o600)?;
    let directory = paths.below_root(PROJECTS).join(&project.name);
    std::fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
    Attempts::new(patience).until(&project.name, || up(docker, project, &file, &directory))
}

/// Credentials for registries are root's, as `docker login` leaves them.
fn client(docker: &str) -> Command {
    let mut command = Command::new(docker);
    command.env("HOME", "/root");
    command
}

fn up(docker: &str, project: &Project, file: &Path, directory: &Path) -> anyhow::Result<()> {
    let mut command = client(docker);
    command
        .args(["compose", "--ansi", "never", "--project-name", &project.name])
        .arg("--project-directory")
        .arg(directory);
    command.arg("--file").arg(file).args(["up", "--detach", "--quiet-pull", "--remove-orphans"]);
    program::run(&mut command, Some(ATTEMPT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Place;
    use std::os::unix::fs::PermissionsExt;

    const PAUSE: Duration = Duration::from_millis(50);
    const SHORT: Patience = Patience { whole: Duration::from_millis(500), first: PAUSE, longest: PAUSE };

    fn project(name: &str, archives: &[&str]) -> Project {
        let archives = archives.iter().map(|archive| (*archive).to_owned()).collect();
        Project { place: Place::default(), name: name.into(), file: "services: {}".into(), archives }
    }

    /// A docker that notes its calls; compose works at the second call.
    fn docker(directory: &Path) -> String {
        let script = directory.join("docker");
        let text = format!(
            "#!/bin/sh\necho \"$@\" >> {0}/calls\ncase $1 in\nload) test -e $4 || {{ echo no file >&2; exit 1; }};;\n*) test -e {0}/again || {{ touch {0}/again; echo 'no route' >&2; exit 1; }};;\nesac\n",
            directory.display()
        );
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        script.display().to_string()
    }

    #[test]
    fn archives_are_loaded_once_and_projects_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let (paths, docker) = (Paths::below(directory.path()), docker(directory.path()));
        store::write(&paths.below_root("/a.tar"), b"", 0o644).unwrap();
        let mut messages = Messages::new("user-data");
        for _ in 0..2 {
            run(&paths, &docker, &[project("web", &["/a.tar"])], "i-1", SHORT, &mut messages);
        }
        assert_eq!(messages.list(), []);
        let calls = std::fs::read_to_string(directory.path().join("calls")).unwrap();
        let words = |word: &str| calls.lines().filter(|line| line.starts_with(word)).count();
        assert_eq!((words("load"), words("compose")), (1, 3), "{calls}");
        assert!(calls.contains("--project-name web --project-directory ") && calls.contains("up --detach"), "{calls}");
        assert!(paths.below_root("/srv/web").is_dir());
    }

    #[test]
    fn failures_name_their_project_and_reason() {
        let directory = tempfile::tempdir().unwrap();
        let (paths, docker) = (Paths::below(directory.path()), docker(directory.path()));
        let mut messages = Messages::new("user-data");
        run(&paths, &docker, &[project("a", &["/none.tar"])], "i-1", SHORT, &mut messages);
        let once = Patience { whole: Duration::ZERO, ..SHORT };
        run(&paths, &docker, &[project("b", &[])], "i-1", once, &mut messages);
        let texts: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["user-data hull.containers.a: load /none.tar: no file", "user-data hull.containers.b: no route"]
        );
    }
}
