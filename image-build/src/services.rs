//! Reads the services' folders: definition, overlay and system call filter of each.

use crate::root::plan::{Entry, FILE_MODE, FOLDER_MODE, PROGRAM_MODE};
use anyhow::{Context, Result, ensure};
use hull_seccomp::{Filter, Groups};
use hull_service::{Service, added};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// One service, ready for [`crate::root::image`].
#[derive(Debug)]
pub(crate) struct Definition {
    /// Name: the folder's.
    pub(crate) name: String,
    /// The parsed definition.
    pub(crate) service: Service,
    /// The definition as written.
    pub(crate) text: String,
    /// Content of the folder's `rootfs/`.
    pub(crate) overlay: Vec<(String, Entry)>,
    /// Compiled system call filter.
    pub(crate) filter: Filter,
    /// The folder's `README.md`.
    pub(crate) readme: String,
}

/// All services below `folder`, sorted by name; folders without `service.toml` are crates or notes, not services.
pub(crate) fn load(folder: &Path) -> Result<Vec<Definition>> {
    let groups_file = folder.join("seccomp-groups.toml");
    let text = fs::read_to_string(&groups_file).with_context(|| format!("{}", groups_file.display()))?;
    let groups = Groups::parse(&text).with_context(|| format!("{}", groups_file.display()))?;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let entry = entry?;
        if entry.path().join("service.toml").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    names.into_iter().map(|name| load_one(folder, name, &groups)).collect()
}

fn load_one(folder: &Path, name: String, groups: &Groups) -> Result<Definition> {
    let folder = folder.join(&name);
    let file = folder.join("service.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    let service = hull_service::parse(&file.display().to_string(), &text)?;
    ensure!(
        !added::only_for_added(&service),
        "{}: image.reference and image.setuid are for added services",
        file.display()
    );
    let filter = hull_seccomp::compile(groups, &service.security.seccomp)
        .with_context(|| format!("{}: security.seccomp", file.display()))?;
    let overlay = overlay(&folder.join("rootfs"))?;
    let readme = folder.join("README.md");
    let readme = fs::read_to_string(&readme).with_context(|| format!("{}", readme.display()))?;
    Ok(Definition { name, service, text, overlay, filter, readme })
}

/// Content of an overlay folder, sorted; modes are those git keeps. Empty where there is no such folder.
pub(crate) fn overlay(folder: &Path) -> Result<Vec<(String, Entry)>> {
    let mut entries = Vec::new();
    if folder.exists() {
        read_overlay(folder, "", &mut entries)?;
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

fn read_overlay(folder: &Path, prefix: &str, entries: &mut Vec<(String, Entry)>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            entries.push((path.clone(), Entry::Directory { mode: FOLDER_MODE }));
            read_overlay(&entry.path(), &format!("{path}/"), entries)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path())?.to_string_lossy().into_owned();
            entries.push((path, Entry::Symlink { target }));
        } else {
            let is_program = entry.metadata()?.permissions().mode() & 0o100 != 0;
            let mode = if is_program { PROGRAM_MODE } else { FILE_MODE };
            entries.push((path, Entry::File { origin: entry.path(), mode }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlays_keep_links_and_the_executable_bit() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        for (path, mode) in [("etc/conf", 0o600), ("run.sh", 0o700)] {
            fs::write(dir.path().join(path), "").unwrap();
            fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        std::os::unix::fs::symlink("conf", dir.path().join("etc/link")).unwrap();
        let file = |path: &str, mode| (path.to_owned(), Entry::File { origin: dir.path().join(path), mode });
        assert_eq!(
            overlay(dir.path()).unwrap(),
            [
                ("etc".into(), Entry::Directory { mode: 0o755 }),
                file("etc/conf", 0o644),
                ("etc/link".into(), Entry::Symlink { target: "conf".into() }),
                file("run.sh", 0o755),
            ]
        );
        assert_eq!(overlay(&dir.path().join("none")).unwrap(), []);
    }

    #[test]
    fn the_services_of_this_checkout_are_sound() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../system-containers/services");
        load(&folder).unwrap();
    }
}
