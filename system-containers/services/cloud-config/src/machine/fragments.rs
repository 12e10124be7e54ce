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
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Texts of the fragments of one directory, by file name.
pub type Texts = BTreeMap<String, String>;

/// What a boot uses.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// All of it together.
    pub config: MachineConfig,
    /// Fragments of the OS.
    pub defaults: Texts,
    /// Fragments of the owner; of a broken one the last good copy, if there is any.
    pub owner: Texts,
}

/// The fragment written from user data.
pub const USER_DATA_FRAGMENT: &str = "50-user-data.toml";
/// Larger than any sensible configuration.
const MAX_FRAGMENT: u64 = 256 << 10;

/// Reads and merges all fragments; `last_good` is the directory of the copies, which are brought up to date.
pub fn load(defaults: &Path, owner: &Path, last_good: &Path, messages: &mut Messages) -> Loaded {
    look(defaults, owner, last_good, &mut keep, messages)
}

/// The same without touching the copies.
pub fn peek(defaults: &Path, owner: &Path, last_good: &Path, messages: &mut Messages) -> Loaded {
    look(defaults, owner, last_good, &mut |_, _, _| {}, messages)
}

fn look(
    defaults: &Path,
    owner: &Path,
    last_good: &Path,
    keep: &mut dyn FnMut(&Path, &str, &mut Messages),
    messages: &mut Messages,
) -> Loaded {
    let mut loaded = Loaded::default();
    for path in list(defaults, messages) {
        let fragment = read(&path, messages);
        add(&mut loaded.config, &mut loaded.defaults, &path, fragment);
    }
    for path in list(owner, messages) {
        let copy = last_good.join(path.file_name().unwrap_or_default());
        let fragment = match read(&path, messages) {
            Some((fragment, text)) => {
                keep(&copy, &text, messages);
                Some((fragment, text))
            }
            None => read_copy(&path, &copy, messages),
        };
        add(&mut loaded.config, &mut loaded.owner, &path, fragment);
    }
    loaded
}

fn add(config: &mut MachineConfig, texts: &mut Texts, path: &Path, fragment: Option<(MachineConfig, String)>) {
    if let Some((fragment, text)) = fragment {
        *config = std::mem::take(config).overlaid_with(fragment);
        texts.insert(file_name(path), text);
    }
}

/// The fragments of a directory as they are, whatever they say. None: one cannot be read, which is reported.
pub fn texts(directory: &Path, messages: &mut Messages) -> Option<Texts> {
    let before = messages.errors();
    let mut texts = Texts::new();
    for path in list(directory, messages) {
        let mut own = Messages::new(path.display().to_string());
        if let Some(text) = read_text(&path, &mut own) {
            texts.insert(file_name(&path), text);
        }
        messages.append(own);
    }
    (messages.errors() == before).then_some(texts)
}

/// Merges fragments that are already read, `directory` standing in the messages. None: one has an error.
pub fn merge(defaults: &Texts, directory: &Path, owner: &Texts, messages: &mut Messages) -> Option<MachineConfig> {
    let before = messages.errors();
    let mut config = MachineConfig::default();
    for (name, text) in defaults.iter().chain(owner) {
        let fragment = checked(&directory.join(name), Some(text.clone()), messages);
        config = config.overlaid_with(fragment.map(|(fragment, _)| fragment).unwrap_or_default());
    }
    (messages.errors() == before).then_some(config)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
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
    let text = read_text(path, &mut own);
    messages.append(own);
    checked(path, text, messages)
}

fn checked(path: &Path, text: Option<String>, messages: &mut Messages) -> Option<(MachineConfig, String)> {
    let mut own = Messages::new(path.display().to_string());
    let result = parse(text?.into_bytes(), &mut own);
    let errors = own.errors();
    // What there is to say of user data was said where it was read.
    if errors > 0 || path.file_name().is_none_or(|name| name != USER_DATA_FRAGMENT) {
        messages.append(own);
    }
    result.filter(|_| errors == 0)
}

fn read_text(path: &Path, messages: &mut Messages) -> Option<String> {
    let content = match store::read_bounded(path, MAX_FRAGMENT) {
        Ok(content) => content?,
        Err(error) => {
            messages.error(Place::default(), "", format!("{error:#}"));
            return None;
        }
    };
    as_text(content, messages)
}

fn as_text(content: Vec<u8>, messages: &mut Messages) -> Option<String> {
    let text = String::from_utf8(content).ok();
    if text.is_none() {
        messages.error(Place::default(), "", "not UTF-8");
    }
    text
}

/// Reads the content of a fragment, and gives its text back; wrong parts are reported and left out.
pub fn parse(content: Vec<u8>, messages: &mut Messages) -> Option<(MachineConfig, String)> {
    let text = as_text(content, messages)?;
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

fn read_copy(path: &Path, copy: &Path, messages: &mut Messages) -> Option<(MachineConfig, String)> {
    let mut own = Messages::new(path.display().to_string());
    let fragment = if copy.exists() { read(copy, &mut own) } else { None };
    let text = match fragment {
        Some(_) => "not used because of its errors; the last good copy of it is",
        None => "not used because of its errors, and there is no good copy of it",
    };
    own.warning(Place::default(), "", text);
    messages.append(own);
    fragment
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
            (config.config, messages.list().iter().map(|message| format!("{message}\n")).collect::<String>())
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
