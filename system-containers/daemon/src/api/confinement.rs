//! `GET /hull/confinement/{service}`: what a service can reach, from its installed definition and filter.

use super::containers::find;
use super::error::ApiError;
use crate::lifecycle::System;
use crate::paths::Paths;
use hull_service::Service;
use hull_service::confinement::{CALLS_FILE, Report};

/// The report on one service.
pub fn report(system: &System, id: &str) -> Result<Report, ApiError> {
    let name = find(system, id)?;
    let service = system
        .with(&name, |unit| unit.definition.clone())
        .flatten()
        .ok_or_else(|| ApiError::conflict(format!("the definition of {name} is broken; hull status says why")))?;
    of(&name, &service, &system.paths)
}

fn of(name: &str, service: &Service, paths: &Paths) -> Result<Report, ApiError> {
    if service.security.seccomp.is_empty() {
        return Ok(Report::new(name, service, &[]));
    }
    let file = paths.definition(name).join(CALLS_FILE);
    let text =
        std::fs::read_to_string(&file).map_err(|error| ApiError::internal(format!("{}: {error}", file.display())))?;
    let calls: Vec<String> = text.lines().map(str::to_owned).collect();
    Ok(Report::new(name, service, &calls))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n";

    #[test]
    fn the_installed_list_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { root: folder.path().into(), ..Paths::machine() };
        std::fs::create_dir_all(paths.definition("a")).unwrap();
        let service = hull_service::parse("a", &format!("{SERVICE}[security]\nseccomp = [\"@default\"]\n")).unwrap();
        let error = of("a", &service, &paths).unwrap_err();
        assert!(error.message.contains("seccomp.calls"), "{error}");
        std::fs::write(paths.definition("a").join(CALLS_FILE), "mount\nread\n").unwrap();
        let calls = of("a", &service, &paths).unwrap().confinement.system_calls;
        assert_eq!((calls.allowed, calls.dangerous), (2, vec!["mount".to_owned()]));
    }

    #[test]
    fn without_a_filter_there_is_no_list_to_read() {
        let service = hull_service::parse("a", SERVICE).unwrap();
        let report = of("a", &service, &Paths { root: "/nonexistent".into(), ..Paths::machine() }).unwrap();
        assert_eq!(report.confinement.system_calls, report.plain_root_daemon.system_calls);
    }
}
