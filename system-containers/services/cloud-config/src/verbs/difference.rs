//! `diff`: what the fragments on the disk say against what is in force.

use super::complain;
use crate::live::{InForce, boot, record};
use crate::machine::{difference, fragments};
use crate::paths::Paths;
use crate::report::Messages;
use anyhow::Context;

/// One line a key: `key: old → new`. Empty: nothing differs.
pub fn diff(paths: &Paths) -> anyhow::Result<String> {
    let in_force = InForce::load(&paths.report)?;
    let mut messages = Messages::new("machine configuration");
    let new = fragments::texts(&paths.state_config, &mut messages)
        .and_then(|owner| fragments::merge(&in_force.defaults, &paths.state_config, &owner, &mut messages));
    complain(&messages);
    let new = new.context("a fragment cannot be used")?;
    if let Some(change) = record::pending(paths)?.filter(|change| change.boot_id == boot::id()) {
        let names: Vec<&String> = change.before.keys().collect();
        eprintln!("hull: a change of {} waits to be confirmed", crate::report::quote(&format!("{names:?}")));
    }
    difference::lines(&in_force.config(paths), &new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    #[test]
    fn fragments_against_what_is_in_force() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        assert!(diff(&paths).unwrap_err().to_string().contains("not a Hull machine"));
        let in_force =
            InForce { owner: [("60-a.toml".to_owned(), "hostname = 'a'\n".to_owned())].into(), ..InForce::default() };
        in_force.save(&paths.report).unwrap();
        let file = paths.state_config.join("60-a.toml");
        store::write(&file, b"hostname = 'a' # the same\n", 0o600).unwrap();
        assert_eq!(diff(&paths).unwrap(), "");
        store::write(&file, b"hostname = 'b'\n", 0o600).unwrap();
        assert_eq!(diff(&paths).unwrap(), "hostname: \"a\" → \"b\"\n");
        store::write(&file, b"hostnam = 'b'\n", 0o600).unwrap();
        assert!(diff(&paths).is_err());
    }
}
