//! Fragments of the machine configuration: `*.toml` of several directories, later ones win.
//!
//! ```text
//! /usr/share/hull/config.d/*.toml   defaults of the OS
//! /state/config/*.toml              the owner's, by name; 50-user-data.toml comes from user data
//! /state/cloud/last-good/*.toml     copies of the owner's fragments that were free of errors
//! ```

use super::schema::{self, MachineConfig};
use crate::document::toml_tree;
use crate::report::{Messages, Place};
use crate::store;
use std::path::{Path, PathBuf};

/// The fragment written from user data.
pub const USER_DATA_FRAGMENT: &str = "50-user-data.toml";
/// Larger than any sensible configuration.
const MAX_FRAGMENT: u64 = 256 << 10;

/// Reads and merges all fragments; `last_good` is the directory of the copies.
pub fn load(defaults: &Path, owner: &Path, last_good: &Path, messages: &mut Messages) -> MachineConfig {
    let mut config = MachineConfig::default();
    for path in list(defaults, messages) {
        config = config.overlaid_with(read(&path, messages).map(|(config, _)| config).unwrap_or_default());
    }
    for path in list(owner, messages) {
        let copy = last_good.join(path.file_name().unwrap_or_default());
        let fragment = match read(&path, messages) {
            Some((fragment, text)) => {
                keep(&copy, &text, messages);
                fragment
            }
            None => read_copy(&path, &copy, messages),
        };
        config = config.overlaid_with(fragment);
    }
    config
}

fn list(directory: &Path, messages: &mut Messages) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            messages.error(Place::default(), "", format!("{}: {error}", directory.display()));
            return Vec::new();
        }
    };
    let is_fragment = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        !hidden && path.extension().is_some_and(|extension| extension == "toml")
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_fragment).collect();
    paths.sort();
    paths
}

/// A fragment free of errors and its text. Half a fragment is not used: its keys may depend on each other.
fn read(path: &Path, messages: &mut Messages) -> Option<(MachineConfig, String)> {
    let mut own = Messages::new(path.display().to_string());
    let result = read_text(path, &mut own);
    let errors = own.errors();
    messages.append(own);
    result.filter(|_| errors == 0)
}

fn read_text(path: &Path, messages: &mut Messages) -> Option<(MachineConfig, String)> {
    let content = match store::read_bounded(path, MAX_FRAGMENT) {
        Ok(content) => content?,
        Err(error) => {
            messages.error(Place::default(), "", format!("{error:#}"));
            return None;
        }
    };
    let Ok(text) = String::from_utf8(content) else {
        messages.error(Place::default(), "", "not UTF-8");
        return None;
    };
    match toml_tree::parse(&text) {
        Ok(root) => Some((schema::read(&root, "", messages)?, text)),
        Err(error) => {
            messages.error(error.place, "", error.to_string());
            None
        }
    }
}

fn keep(copy: &Path, text: &str, messages: &mut Messages) {
    if std::fs::read(copy).is_ok_and(|old| old == text.as_bytes()) {
        return;
    }
    if let Err(error) = store::write(copy, text.as_bytes(), 0o600) {
        messages.warning(Place::default(), "", format!("no copy of the last good configuration: {error:#}"));
    }
}

fn read_copy(path: &Path, copy: &Path, messages: &mut Messages) -> MachineConfig {
    let mut own = Messages::new(path.display().to_string());
    let config = if copy.exists() { read(copy, &mut own).map(|(config, _)| config) } else { None };
    let text = match config {
        Some(_) => "not used because of its errors; the last good copy of it is",
        None => "not used because of its errors, and there is no good copy of it",
    };
    own.warning(Place::default(), "", text);
    messages.append(own);
    config.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_fragments_win_and_a_broken_one_falls_back_to_its_copy() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let write = |name: &str, text: &str| store::write(&path(name), text.as_bytes(), 0o644).unwrap();
        let run = || {
            let mut messages = Messages::new("machine configuration");
            let config = load(&path("usr"), &path("state"), &path("good"), &mut messages);
            (config, messages.list().iter().map(|message| format!("{message}\n")).collect::<String>())
        };
        write("usr/00-hull.toml", "hostname = 'default'\ntimezone = 'UTC'\n");
        write("state/10-a.toml", "hostname = 'ten'\n");
        write("state/50-user-data.toml", "hostname = 'fifty'\n");
        write("state/notes.txt", "x");
        let (config, messages) = run();
        assert_eq!(messages, "");
        assert_eq!((config.hostname.as_deref(), config.timezone.as_deref()), (Some("fifty"), Some("UTC")));

        write("state/50-user-data.toml", "hostname = 'new'\nnope = 1\n");
        write("state/60-b.toml", "[engine\n");
        let (config, messages) = run();
        assert_eq!(config.hostname.as_deref(), Some("fifty"));
        for expected in [
            "50-user-data.toml line 2 column 1 nope: unknown key",
            "last good copy",
            "60-b.toml line 1",
            "no good copy",
        ] {
            assert!(messages.contains(expected), "{expected}: {messages}");
        }
    }
}
