//! Writes `random_seed`.

use crate::report::Messages;
use crate::userdata::entropy::Seed;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes the bytes behind what the file has: a device mixes them in, a file is for a program of the owner's.
pub fn write(root: &Path, seed: &Seed, messages: &mut Messages) {
    let path = root.join(seed.file.trim_start_matches('/'));
    let directory = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let opened = directory.and_then(|()| OpenOptions::new().append(true).create(true).mode(0o600).open(&path));
    let written = opened.and_then(|mut file| {
        file.write_all(&seed.data)?;
        // A device has nothing to make durable.
        if file.metadata()?.is_file() { file.sync_all() } else { Ok(()) }
    });
    if let Err(error) = written {
        messages.error(seed.place, "random_seed", format!("{}: {error}", seed.file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Place;

    #[test]
    fn seeds_are_added_and_failures_are_reported() {
        let root = tempfile::tempdir().unwrap();
        let seed = |file: &str| Seed { place: Place::new(2, 1), file: file.into(), data: b"ab".to_vec() };
        let mut messages = Messages::new("user-data");
        write(root.path(), &seed("/var/seed"), &mut messages);
        write(root.path(), &seed("/var/seed"), &mut messages);
        assert_eq!(std::fs::read(root.path().join("var/seed")).unwrap(), b"abab");
        assert_eq!(messages.list().len(), 0);
        write(root.path(), &seed("/var"), &mut messages);
        assert!(messages.list()[0].to_string().starts_with("user-data line 2 column 1 random_seed: /var: "));
    }
}
