//! Our own binaries, built by cargo: only those that recipes name, only their crates.

use crate::layout::Layout;
use crate::tools::{run, run_visibly};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The part of `cargo metadata` that is used.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Builds the wanted binaries that the workspace has; asking for others is the recipe's fault, reported there.
pub(crate) fn build(layout: &Layout, wanted: &BTreeSet<String>) -> Result<BTreeMap<String, PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut query = Command::new(&cargo);
    query.args(["metadata", "--no-deps", "--format-version=1"]).current_dir(&layout.repo);
    let metadata: Metadata = serde_json::from_slice(&run(&mut query)?).context("cargo metadata")?;
    let owners = owners(&metadata, wanted);

    let mut command = Command::new(&cargo);
    command.args(["build", "--release", "--target", TARGET]).current_dir(&layout.repo);
    command.arg("--config").arg(path_setting(&layout.repo));
    for (binary, package) in &owners {
        command.args(["--package", package, "--bin", binary]);
    }
    run_visibly(&mut command)?;
    let folder = metadata.target_directory.join(TARGET).join("release");
    Ok(owners.into_keys().map(|binary| (binary.to_owned(), folder.join(binary))).collect())
}

/// Wanted binary to the crate that has it.
fn owners<'a>(metadata: &'a Metadata, wanted: &BTreeSet<String>) -> BTreeMap<&'a str, &'a str> {
    let mut owners = BTreeMap::new();
    for package in &metadata.packages {
        for target in &package.targets {
            if wanted.contains(&target.name) && target.kind.iter().any(|kind| kind == "bin") {
                owners.insert(target.name.as_str(), package.name.as_str());
            }
        }
    }
    owners
}

/// Panic messages carry source paths: without this a binary would depend on where it was built.
fn path_setting(repo: &Path) -> String {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))
        .unwrap_or_default();
    let flags =
        [(repo, "/hull"), (&home, "/cargo")].map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    format!("target.{TARGET}.rustflags={flags:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_are_found_by_kind_and_name() {
        let text = r#"{"target_directory": "/t", "packages": [
            {"name": "hull-init", "targets": [{"name": "init", "kind": ["bin"]}, {"name": "x", "kind": ["bin"]}]},
            {"name": "hull-sys", "targets": [{"name": "init", "kind": ["lib"]}]}]}"#;
        let metadata: Metadata = serde_json::from_str(text).unwrap();
        let wanted = BTreeSet::from(["init".to_owned(), "gone".to_owned()]);
        assert_eq!(owners(&metadata, &wanted), BTreeMap::from([("init", "hull-init")]));
    }

    #[test]
    fn the_path_setting_is_toml() {
        let table: toml::Table = path_setting(Path::new("/a b")).parse().unwrap();
        assert!(table["target"][TARGET]["rustflags"][0].as_str().unwrap().ends_with("=/a b=/hull"));
    }
}
