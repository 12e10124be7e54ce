//! `validate`: what the machine would say of a file, on a workstation as on the host.

use crate::machine::{MachineConfig, fragments};
use crate::paths::{PANICKED, Paths};
use crate::render;
use crate::report::{Message, Messages, Place, Severity};
use crate::seed::medium::Medium;
use crate::stage::decide::decide;
use crate::stage::sources::Sources;
use anyhow::Context;
use std::fmt::Write;
use std::path::Path;

/// The verdict on one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// One line a message, as compilers write them, and one that sums up.
    pub text: String,
    /// Nothing of it would be refused.
    pub good: bool,
}

/// Reads a file as the machine would at its next boot: a fragment of the machine configuration if its name ends in
/// `.toml`, else user data. An error means that the file cannot be read.
pub fn validate(file: &Path, paths: &Paths) -> anyhow::Result<Verdict> {
    let content = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let is_fragment = file.extension().is_some_and(|extension| extension == "toml");
    let (kind, source) = if is_fragment { ("machine configuration", "fragment") } else { ("user data", USER_DATA) };
    let mut messages = Messages::new(source);
    if paths.recovering {
        messages.error(Place::default(), "", PANICKED);
    } else {
        let config = match is_fragment {
            true => fragments::parse(content, &mut messages).map(|(config, _)| config),
            false => Some(user_data(content, &mut messages)),
        };
        render::plan(&config.unwrap_or_default(), None, &mut messages);
    }
    Ok(verdict(&file.display().to_string(), kind, source, messages.list()))
}

/// How messages about the document itself name their source.
const USER_DATA: &str = "user-data";

fn user_data(content: Vec<u8>, messages: &mut Messages) -> MachineConfig {
    let medium = Medium { user_data: Some(content), ..Medium::default() };
    let sources = Sources { medium: Some(medium), ..Sources::default() };
    decide(&sources, messages).config.machine
}

fn verdict(file: &str, kind: &str, source: &str, messages: &[Message]) -> Verdict {
    let mut text = String::new();
    let mut in_order: Vec<&Message> = messages.iter().collect();
    in_order.sort_by_key(|message| (message.line, message.column));
    for message in in_order {
        let place =
            [message.line, message.column].into_iter().flatten().fold(String::new(), |all, n| format!("{all}:{n}"));
        let from = if message.source == source { String::new() } else { format!(" {}:", message.source) };
        let key = message.key.as_ref().map(|key| format!(" {key}:")).unwrap_or_default();
        // Writing to a string does not fail.
        writeln!(text, "{file}{place}: {}:{from}{key} {}", message.severity.word(), message.text).ok();
    }
    let count = |severity| messages.iter().filter(|message| message.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    writeln!(text, "{file}: {kind}, {}, {}", number(errors, "error"), number(warnings, "warning")).ok();
    Verdict { text, good: errors == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, content: &[u8]) -> Verdict {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(name);
        std::fs::write(&file, content).unwrap();
        let verdict = validate(&file, &Paths::below(directory.path())).unwrap();
        Verdict { text: verdict.text.replace(&file.display().to_string(), name), ..verdict }
    }

    #[test]
    fn the_verdict_names_place_key_and_count() {
        for (name, content, good, parts) in [
            (
                "a.yaml",
                &b"#cloud-config\nhostname: web\n"[..],
                true,
                &["a.yaml: user data, 0 errors, 0 warnings\n"][..],
            ),
            (
                "a.yaml",
                b"#cloud-config\nhostname: web\npackages: [git]\nusers:\n  - name: -x\n",
                false,
                &["a.yaml:3:1: warning: packages:", "a.yaml:5:11: error: users[0].name:", ", 1 error, 1 warning\n"],
            ),
            ("x", b"hostname: web\n", false, &["x:1:1: error: not used: the first line must be #cloud-config"]),
            (
                "b.toml",
                b"hostname = 'web'\n[time]\nserver = []\n",
                false,
                &["b.toml:3:1: error: time.server: unknown key"],
            ),
            ("b.toml", b"hostname = 'web'\n", true, &["b.toml: machine configuration, 0 errors, 0 warnings\n"]),
            ("b.toml", b"\xff", false, &["b.toml: error: not UTF-8"]),
        ] {
            let verdict = of(name, content);
            assert_eq!(verdict.good, good, "{}", verdict.text);
            for part in parts {
                assert!(verdict.text.contains(part), "{part}: {}", verdict.text);
            }
        }
        assert!(validate(Path::new("/no/such"), &Paths::below(Path::new("/"))).is_err());
    }
}
