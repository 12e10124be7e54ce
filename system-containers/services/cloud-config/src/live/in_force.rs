//! What the running system was rendered from: written by `compile` at boot and by every live change, on `/run`.

use crate::machine::MachineConfig;
use crate::machine::fragments::{self, Texts};
use crate::paths::Paths;
use crate::report::Messages;
use crate::store;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::Path;

const FILE_NAME: &str = "in-force.json";
/// More than all fragments of a machine.
const MAX_SIZE: u64 = 16 << 20;

/// The fragments in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Those of the OS.
    pub defaults: Texts,
    /// The owner's.
    pub owner: Texts,
}

impl InForce {
    /// Reads what this boot wrote.
    pub fn load(directory: &Path) -> anyhow::Result<Self> {
        let content = store::read_bounded(&directory.join(FILE_NAME), MAX_SIZE)?;
        let content = content.context("what is in force is not known: this is not a Hull machine, or cloud-config has not run; see hull logs cloud-config")?;
        serde_json::from_slice(&content).with_context(|| format!("{FILE_NAME} is broken; restart the machine"))
    }

    /// Writes it, for root alone.
    pub fn save(&self, directory: &Path) -> anyhow::Result<()> {
        store::write(&directory.join(FILE_NAME), &serde_json::to_vec(self)?, 0o600)
    }

    /// All of it together.
    pub fn config(&self, paths: &Paths) -> MachineConfig {
        let mut messages = Messages::default();
        // All of it was free of errors when it was put in force.
        fragments::merge(&self.defaults, &paths.state_config, &self.owner, &mut messages).unwrap_or_default()
    }
}
