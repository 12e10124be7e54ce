//! Reads all definitions. A broken one is reported and left out, never fatal: the machine must come up to a login.

use hull_service::{Network, Probe, Service};
use std::collections::BTreeMap;
use std::path::Path;

/// A service that cannot be started because of its file or its place in the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Name of the service.
    pub service: String,
    /// What is wrong, naming file and key.
    pub reason: String,
}

/// All definitions found.
#[derive(Debug, Default)]
pub struct Definitions {
    /// Valid ones by name.
    pub services: BTreeMap<String, Service>,
    /// The others.
    pub broken: Vec<Broken>,
}

/// Loads every `<folder>/<name>/service.toml`; a folder without that file is no service.
pub fn load(folder: &Path) -> std::io::Result<Definitions> {
    let mut definitions = Definitions::default();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.path().join("service.toml");
        let name = entry.file_name().to_string_lossy().into_owned();
        let parsed = match std::fs::read_to_string(&file) {
            Ok(text) => read(&name, &file.to_string_lossy(), &text),
            Err(error) if is_absent(&error) => continue,
            Err(error) => Err(format!("{}: {error}", file.display())),
        };
        match parsed {
            Ok(service) => drop(definitions.services.insert(name, service)),
            Err(reason) => definitions.broken.push(Broken { service: name, reason }),
        }
    }
    definitions.broken.sort_by(|one, other| one.service.cmp(&other.service));
    Ok(definitions)
}

/// The definition of the service `name` in a text; `place` is for messages.
///
/// # Errors
/// What is wrong, in one line.
pub fn read(name: &str, place: &str, text: &str) -> Result<Service, String> {
    let parsed = hull_service::parse(place, text).map_err(|error| one_line(&error.to_string()));
    parsed.and_then(|service| check(name, service))
}

/// No such file, or a plain file where a service's folder would be.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// A TOML error is a picture of several lines: place first, reason last.
fn one_line(text: &str) -> String {
    match (text.lines().next(), text.lines().last()) {
        (Some(place), Some(reason)) if place != reason => format!("{place}: {reason}"),
        _ => text.to_owned(),
    }
}

/// Rules of this daemon beyond the schema's own.
fn check(name: &str, service: Service) -> Result<Service, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!("\"{name}\": a service's folder is named with a-z, 0-9 and -"));
    }
    if service.processes.len() == 1 && service.processes.iter().any(|process| process.tty.is_some()) {
        return Err(format!("{name}: process.tty: only service-init opens terminals; list more than one [[process]]"));
    }
    let probes = service.ready.iter().filter_map(|ready| ready.probe.as_ref());
    let mut probes = probes.chain(service.health.iter().filter_map(|health| health.probe.as_ref()));
    if service.namespaces.network == Network::Private
        && probes.any(|probe| matches!(probe, Probe::Tcp(_) | Probe::Http(_)))
    {
        return Err(format!(
            "{name}: a tcp or http probe needs namespaces.network = \"host\"; use exec, unix or http-unix"
        ));
    }
    let unknown = |name: &&String| crate::plan::process::capability(name).is_none();
    if let Some(capability) = service.security.capabilities.iter().find(unknown) {
        return Err(format!("{name}: security.capabilities: \"{capability}\" is no capability"));
    }
    if nix_signal(&service.run.stop_signal).is_none() {
        return Err(format!("{name}: run.stop-signal: \"{}\" is no signal", service.run.stop_signal));
    }
    Ok(service)
}

/// A signal by name, with or without `SIG`, or by number.
pub fn nix_signal(text: &str) -> Option<nix::sys::signal::Signal> {
    if let Ok(number) = text.parse::<i32>() {
        return nix::sys::signal::Signal::try_from(number).ok();
    }
    let name = text.to_ascii_uppercase();
    if name.starts_with("SIG") { name.parse().ok() } else { format!("SIG{name}").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join("service.toml"), text).unwrap();
    }

    const GOOD: &str = "description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/bin/a\"]\n";

    #[test]
    fn one_broken_file_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "good", GOOD);
        write(folder.path(), "bad", "descripton = 1");
        write(folder.path(), "Upper", GOOD);
        write(folder.path(), "probe", &format!("{GOOD}[ready]\nprobe = {{ tcp = \"127.0.0.1:1\" }}\n"));
        write(folder.path(), "signal", &format!("{GOOD}[run]\nstop-signal = \"SIGNOPE\"\n"));
        write(folder.path(), "cap", &format!("{GOOD}[security]\ncapabilities = [\"NOPE\"]\n"));
        write(folder.path(), "tty", &format!("{GOOD}tty = \"/dev/tty1\"\n"));
        std::fs::create_dir(folder.path().join("not-a-service")).unwrap();
        std::fs::write(folder.path().join("README"), "").unwrap();
        let found = load(folder.path()).unwrap();
        assert_eq!(found.services.keys().collect::<Vec<_>>(), ["good"]);
        let broken: Vec<_> = found.broken.iter().map(|broken| broken.service.as_str()).collect();
        assert_eq!(broken, ["Upper", "bad", "cap", "probe", "signal", "tty"]);
        let reason = &found.broken[1].reason;
        assert!(reason.contains("bad/service.toml") && reason.contains("descripton"), "{reason}");
        assert!(!reason.contains('\n'), "{reason}");
    }

    #[test]
    fn the_services_of_this_system_are_valid() {
        let found = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../services")).unwrap();
        assert_eq!(found.broken, []);
        let edges = found.services.iter().map(|(name, service)| {
            let (after, requires) = (service.after.clone(), service.requires.clone());
            (name.clone(), crate::definition::graph::Edges { after, requires })
        });
        assert_eq!(crate::definition::graph::build(&edges.collect()).1, []);
    }

    #[test]
    fn signals() {
        use nix::sys::signal::Signal;
        for (text, signal) in [
            ("SIGTERM", Some(Signal::SIGTERM)),
            ("kill", Some(Signal::SIGKILL)),
            ("9", Some(Signal::SIGKILL)),
            ("x", None),
        ] {
            assert_eq!(nix_signal(text), signal, "{text}");
        }
    }
}
