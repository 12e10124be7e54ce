//! `GET /hull/confinement/{service}`: what a service can reach, from its installed definition and filter.

use super::containers::find;
use super::error::ApiError;
use super::query::Query;
use crate::added::store;
use crate::lifecycle::System;
use hull_service::Service;
use hull_service::confinement::{CALLS_FILE, Report};
use std::path::Path;

/// The report on one service; on an added one also while it is not enabled, or on its staged version.
pub fn report(system: &System, id: &str, query: &Query) -> Result<Report, ApiError> {
    let (store, is_name) = (&system.store, hull_service::added::is_name(id));
    if query.flag("staged") && is_name {
        return of_added(id, &store.staged(id));
    }
    if is_name && !system.units.borrow().contains_key(id) && store.installed(id).exists() {
        return of_added(id, &store.installed(id));
    }
    let name = find(system, id)?;
    let service = system
        .with(&name, |unit| unit.definition.clone())
        .flatten()
        .ok_or_else(|| ApiError::conflict(format!("the definition of {name} is broken; hull status says why")))?;
    of(&name, &service, &system.paths.definition(&name))
}

fn of_added(name: &str, folder: &Path) -> Result<Report, ApiError> {
    let definition = store::definition(name, folder).map_err(|error| ApiError::missing(error.to_string()))?;
    of(name, &definition.service.map_err(ApiError::conflict)?, folder)
}

fn of(name: &str, service: &Service, folder: &Path) -> Result<Report, ApiError> {
    if service.security.seccomp.is_empty() {
        return Ok(Report::new(name, service, &[]));
    }
    let file = folder.join(CALLS_FILE);
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
        let service = hull_service::parse("a", &format!("{SERVICE}[security]\nseccomp = [\"@default\"]\n")).unwrap();
        let error = of("a", &service, folder.path()).unwrap_err();
        assert!(error.message.contains("seccomp.calls"), "{error}");
        std::fs::write(folder.path().join(CALLS_FILE), "mount\nread\n").unwrap();
        let calls = of("a", &service, folder.path()).unwrap().confinement.system_calls;
        assert_eq!((calls.allowed, calls.dangerous), (2, vec!["mount".to_owned()]));
    }

    #[test]
    fn without_a_filter_there_is_no_list_to_read() {
        let service = hull_service::parse("a", SERVICE).unwrap();
        let report = of("a", &service, Path::new("/nonexistent")).unwrap();
        assert_eq!(report.confinement.system_calls, report.plain_root_daemon.system_calls);
    }
}
