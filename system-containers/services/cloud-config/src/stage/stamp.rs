//! Stamps: the instance id for which something was done, written after it was done.

use crate::store;
use std::path::{Path, PathBuf};

/// One stamp.
#[derive(Debug, Clone)]
pub struct Stamp {
    path: PathBuf,
}

impl Stamp {
    /// The stamp `name` below a directory.
    pub fn new(directory: &Path, name: &str) -> Self {
        Self { path: directory.join(format!("{name}.stamp")) }
    }

    /// Whether it was done for this instance.
    pub fn is_set(&self, instance_id: &str) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|text| text.strip_suffix('\n') == Some(instance_id))
    }

    /// Says that it was done.
    pub fn set(&self, instance_id: &str) -> anyhow::Result<()> {
        store::write(&self.path, format!("{instance_id}\n").as_bytes(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_for_one_instance() {
        let directory = tempfile::tempdir().unwrap();
        let stamp = Stamp::new(directory.path(), "users");
        assert!(!stamp.is_set("a"));
        stamp.set("a").unwrap();
        assert!(stamp.is_set("a") && !stamp.is_set("b") && !stamp.is_set(""));
    }
}
