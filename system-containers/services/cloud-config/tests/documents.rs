//! Documents of all kinds, and what the machine says and makes of them.
//!
//! `testdata/documents/<case>.yaml` gives `<case>.report`, one line a message, and `<case>.result`: the fragment of the
//! machine configuration, then everything else that was read. A file that is not there is an empty one. Whatever a
//! document calls `s3cret` is a value that no message may repeat. `UPDATE_GOLDEN=1` writes the files, to be looked at.

use hull_cloud_config::document::yaml;
use hull_cloud_config::machine::MachineConfig;
use hull_cloud_config::report::Messages;
use hull_cloud_config::seed::exchange::Includes;
use hull_cloud_config::userdata::keys;
use hull_cloud_config::userdata::layer::{self, Blob, Layer};
use hull_cloud_config::userdata::template::Facts;
use std::collections::BTreeSet;
use std::fmt::{Debug, Write};
use std::path::{Path, PathBuf};

const SECRET: &str = "s3cret";

fn documents() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/documents");
    let paths = std::fs::read_dir(&directory).expect("the documents are there").flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    found.sort();
    found
}

fn load(path: &Path) -> (Layer, String) {
    let mut messages = Messages::new("user-data");
    let blob = std::fs::read(path).expect("the document was found");
    let blob = Blob { content: &blob, source: "user-data", vendor: false, includes: &Includes::new() };
    let layer = layer::read(blob, &Facts::default(), &mut messages);
    let lines = messages.list().iter().map(|message| format!("{}: {message}\n", message.severity.word()));
    (layer, lines.collect())
}

/// What is there of the configuration, one line a key.
fn result(layer: &Layer) -> String {
    let mut text = fragment(&layer.config.machine);
    let mut add = |name: &str, value: Option<&dyn Debug>| {
        if let Some(value) = value {
            // Writing to a string does not fail.
            writeln!(text, "{name}: {value:?}").ok();
        }
    };
    macro_rules! add {
        ($($field:ident)*) => { $(add(stringify!($field), layer.config.$field.as_ref().map(|value| value as &dyn Debug));)* };
    }
    add!(preserve_hostname vendor_data vendor_data2 users default_user keys password passwords ssh_passwords groups
        disable_root datasource_keys renew_host_keys host_key_types host_keys seed aliases disks file_systems swap mounts
        files bootcmd output runcmd trust_kept disable_metadata phone final_message power services containers);
    let scripts: Vec<&str> = layer.scripts.iter().map(|script| script.name.as_str()).collect();
    add("scripts", (!scripts.is_empty()).then_some(&scripts as &dyn Debug));
    text
}

/// As it is kept, without the tables that have nothing in them.
fn fragment(machine: &MachineConfig) -> String {
    let text = toml::to_string(machine).expect("every configuration has a text");
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let is_table = |line: &str| line.starts_with('[') && line.ends_with(']');
    let is_empty = |at: usize| is_table(lines[at]) && lines.get(at + 1).is_none_or(|next| is_table(next));
    (0..lines.len()).filter(|at| !is_empty(*at)).map(|at| format!("{}\n", lines[at])).collect()
}

#[test]
fn golden() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for path in documents() {
        let (layer, report) = load(&path);
        for (extension, found) in [("report", report), ("result", result(&layer))] {
            let golden = path.with_extension(extension);
            if update && found.is_empty() {
                std::fs::remove_file(&golden).ok();
            } else if update {
                std::fs::write(&golden, &found).unwrap();
            }
            let expected = std::fs::read_to_string(&golden).unwrap_or_default();
            assert_eq!(found, expected, "{}", golden.display());
        }
    }
}

#[test]
fn no_message_repeats_a_secret() {
    let mut with_secrets = 0;
    for path in documents() {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let (_, report) = load(&path);
        with_secrets += usize::from(text.contains(SECRET));
        let values = report.replace(&format!(".{SECRET}"), "");
        assert!(!values.contains(SECRET), "{}: {report}", path.display());
    }
    assert!(with_secrets >= 20, "{with_secrets} documents have secrets");
}

#[test]
fn every_key_is_in_a_document_and_there_are_enough_of_them() {
    let mut seen = BTreeSet::new();
    let documents = documents();
    for path in &documents {
        let is_one_value = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("every-key-with-"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let Ok(root) = yaml::parse(&text, &mut Messages::new("t")) else { continue };
        let names: BTreeSet<String> = root.map().unwrap_or_default().iter().map(|entry| entry.key.clone()).collect();
        if is_one_value {
            // A mistake in how to merge costs the whole document.
            let wanted = keys::all().map(|key| key.name).filter(|name| !name.starts_with("merge_"));
            let missing: Vec<&str> = wanted.filter(|name| !names.contains(*name)).collect();
            assert!(missing.is_empty(), "{}: {missing:?}", path.display());
        } else {
            seen.extend(names);
        }
    }
    let missing: Vec<&str> = keys::all().map(|key| key.name).filter(|name| !seen.contains(*name)).collect();
    assert!(missing.is_empty(), "in no document of their own: {missing:?}");
    assert!(documents.len() >= 150, "{} documents", documents.len());
}

/// The page of the keys says what the table says.
#[test]
fn the_page_shows_the_table() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/cloud-config-keys.md");
    let text = std::fs::read_to_string(&page).unwrap_or_default();
    let (mark, end) = ("<!-- keys -->\n", "<!-- end -->\n");
    let (before, rest) = text.split_once(mark).expect("the page has a mark for the table");
    let (_, after) = rest.split_once(end).expect("the page has a mark for the end of the table");
    let mut keys: Vec<&keys::Key> = keys::all().collect();
    keys.sort_by_key(|key| key.name);
    let rows: String =
        keys.iter().map(|key| format!("| `{}` | {} | {} |\n", key.name, key.word(), key.phrase)).collect();
    let expected = format!("{before}{mark}| key | | |\n|---|---|---|\n{rows}{end}{after}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&page, &expected).unwrap();
    } else {
        assert_eq!(text, expected, "UPDATE_GOLDEN=1 writes it");
    }
}
