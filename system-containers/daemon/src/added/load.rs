//! The services that are enabled, at the daemon's start. A broken one is reported and left out, like any other.

use super::store::{self, Store};
use crate::definition::{Broken, Definitions};

/// Loads all enabled services. A name that the system image has too is the system image's.
pub fn load(store: &Store, own: &Definitions) -> Definitions {
    let mut found = Definitions::default();
    let names = store.names().unwrap_or_else(|error| {
        log::error!("services of the owner: {error}");
        Vec::new()
    });
    for name in names {
        let Some(allowed) = store.allowed(&name) else { continue };
        if own.services.contains_key(&name) || own.broken.iter().any(|broken| broken.service == name) {
            log::error!("the added service {name} is not started: this version of the OS has a service of that name");
            continue;
        }
        let service = match store::definition(&name, &store.installed(&name)) {
            Ok(definition) if definition.digest == allowed => definition.service,
            Ok(_) => Err(format!("its definition is not the one that was allowed; see hull service enable {name}")),
            Err(error) => Err(error.to_string()),
        };
        match service {
            Ok(service) => drop(found.services.insert(name, service)),
            Err(reason) => found.broken.push(Broken { service: name, reason }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use hull_image_store::Digest;
    use std::fs;

    const TEXT: &str = "description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n\
        [security]\nseccomp = [\"@default\"]\n";

    #[test]
    fn only_what_was_allowed_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().into());
        for (name, allowed) in [
            ("off", None),
            ("web", Some(TEXT)),
            ("changed", Some("before")),
            ("time", Some(TEXT)),
            ("gone", Some(TEXT)),
        ] {
            fs::create_dir_all(store.installed(name)).unwrap();
            fs::write(store.installed(name).join("service.toml"), TEXT).unwrap();
            if let Some(allowed) = allowed {
                store.allow(name, Digest::of(allowed.as_bytes())).unwrap();
            }
        }
        fs::remove_file(store.installed("gone").join("service.toml")).unwrap();
        let own = Definitions {
            services: [("time".to_owned(), hull_service::parse("t", TEXT).unwrap())].into(),
            broken: Vec::new(),
        };
        let found = load(&store, &own);
        assert_eq!(found.services.keys().collect::<Vec<_>>(), ["web"]);
        let broken: Vec<_> = found.broken.iter().map(|broken| (broken.service.as_str(), &broken.reason)).collect();
        assert_eq!(broken.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["changed", "gone"]);
        assert!(broken[0].1.contains("hull service enable changed"), "{broken:?}");
    }
}
