//! Which instance this is, what the later stages of this boot need, and the copy kept for boots without the medium.
//!
//! ```text
//! instance id = i= of the command line, else of SMBIOS, else instance-id of meta-data,
//!               else <DMI product UUID | nocloud>-<first 12 hex digits of the SHA-256 of the user data>
//! ```
//! The hash makes changed user data a new instance where nobody chose an id. With a chosen id the owner has to change
//! it; user data that changed without that is reported.

use super::base::Base;
use super::medium::Medium;
use crate::store;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// File name in the report directory (hand-over) and in the state directory (cache).
const FILE_NAME: &str = "instance.json";
/// Five files of 1 MiB as JSON arrays of numbers, and room.
const MAX_FILE: u64 = 32 << 20;
/// Hex digits of the hash in an instance id: enough against accidents.
const HASH_DIGITS: usize = 12;

/// The instance of this boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The identity.
    pub id: String,
    /// The medium's files, from the medium or from the cache.
    pub medium: Medium,
    /// `cc:` of the kernel command line.
    pub command_line: Option<String>,
    /// Base configuration, as far as it was fetched.
    #[serde(default)]
    pub base: Option<Base>,
    /// Name given by the datasource, not by user data.
    pub hostname: Option<String>,
    /// Keys of the datasource for the default user.
    pub public_keys: Vec<String>,
    /// How much of its user data is here.
    #[serde(default)]
    pub progress: Progress,
    /// The machine this is, as its firmware tells: a copy of the disk elsewhere is another instance.
    #[serde(default)]
    pub machine: Option<String>,
    /// The user data asks for it to be kept, whatever is found later: `manual_cache_clean`.
    #[serde(default)]
    pub trusted: bool,
}

/// How much of the user data is here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// All of it.
    #[default]
    Whole,
    /// The rest is being fetched.
    Awaited,
    /// The rest could not be fetched.
    Partial,
}

impl Instance {
    /// Reads the file of a directory; a missing one is `None`.
    pub fn load(directory: &Path) -> anyhow::Result<Option<Self>> {
        let path = directory.join(FILE_NAME);
        let Some(content) = store::read_bounded(&path, MAX_FILE)? else { return Ok(None) };
        serde_json::from_slice(&content).map(Some).with_context(|| format!("read {}", path.display()))
    }

    /// Writes the file, readable by root only: user data holds secrets.
    pub fn save(&self, directory: &Path) -> anyhow::Result<()> {
        store::write(&directory.join(FILE_NAME), &serde_json::to_vec(self)?, 0o600)
    }
}

/// Chooses the identity.
pub fn identity(chosen: [Option<&str>; 3], product_uuid: &str, user_data: &[u8]) -> String {
    if let Some(id) = chosen.into_iter().flatten().find(|id| !id.is_empty()) {
        return id.chars().filter(|character| !character.is_control()).take(255).collect();
    }
    let hash: String = Sha256::digest(user_data).iter().map(|byte| format!("{byte:02x}")).collect();
    let machine = if product_uuid.is_empty() { "nocloud" } else { product_uuid };
    format!("{}-{}", machine.to_ascii_lowercase(), &hash[..HASH_DIGITS])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::medium::Form;

    #[test]
    fn a_chosen_id_wins_in_order() {
        assert_eq!(identity([Some("a"), Some("b"), Some("c")], "u", b""), "a");
        assert_eq!(identity([None, Some(""), Some("c")], "u", b""), "c");
    }

    #[test]
    fn without_a_chosen_id_changed_data_is_a_new_instance() {
        let one = identity([None; 3], "ABC", b"x");
        assert!(one.starts_with("abc-") && one.len() == 16, "{one}");
        assert_ne!(one, identity([None; 3], "abc", b"y"));
        assert!(identity([None; 3], "", b"").starts_with("nocloud-e3b0c44298fc"));
    }

    #[test]
    fn the_file_of_an_earlier_version_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let text = r#"{"id": "i", "medium": {"device": "/dev/vdb", "user_data": [35], "meta_data": null,
            "network_config": null}, "command_line": null, "hostname": "web", "public_keys": []}"#;
        std::fs::write(directory.path().join(FILE_NAME), text).unwrap();
        let instance = Instance::load(directory.path()).unwrap().unwrap();
        assert_eq!(instance.medium.form, Form::NoCloud);
        assert_eq!((instance.medium.user_data, instance.medium.vendor_data), (Some(vec![35]), None));
        assert_eq!(instance.medium.vendor_data2, None);
    }

    #[test]
    fn the_file_is_for_root_only_and_round_trips() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Instance::load(directory.path()).unwrap(), None);
        let medium = Medium { form: Form::ConfigDrive, user_data: Some(vec![0, 255]), ..Medium::default() };
        let instance = Instance { id: "i".into(), medium, ..Instance::default() };
        instance.save(directory.path()).unwrap();
        assert_eq!(Instance::load(directory.path()).unwrap(), Some(instance));
        let mode = std::fs::metadata(directory.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(directory.path().join(FILE_NAME), "{").unwrap();
        assert!(Instance::load(directory.path()).is_err());
    }
}
