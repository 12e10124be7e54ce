//! Layers: changesets over the layers below (OCI image specification, "Image Layer Filesystem Changeset").
//!
//! | module | what |
//! |---|---|
//! | [`header`] | members of the tar archive |
//! | [`decode`] | gzip, zstd, plain |

mod decode;
pub(crate) mod header;

use crate::digest::{Digest, Hashing};
use crate::error::ImageError;
use crate::limits::{Budget, Limits};
use crate::section::Section;
use crate::tree::{Owner, Tree};
use decode::Capped;
use header::{Member, Tar};
use hull_service::Setuid;
use std::collections::HashSet;
use std::io::{ErrorKind, Read};
use tar::EntryType;

/// What precedes the name of a file taken out again.
const WHITEOUT: &str = ".wh.";
/// Takes out everything the layers below have in its directory.
const OPAQUE: &str = ".wh..wh..opq";
/// Set-user-ID and set-group-ID.
const SET_ID: u32 = 0o6000;

/// One layer.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    /// The blob, its digest checked already.
    pub(crate) blob: Section,
    /// For messages.
    pub(crate) name: String,
    /// Digest of the tar archive inside.
    pub(crate) diff_id: Digest,
}

/// Lays one layer over the tree.
pub(crate) fn apply(layer: &Layer, tree: &Tree, setuid: Setuid, budget: &mut Budget) -> Result<(), ImageError> {
    let reader = open(layer, budget.stream())?;
    let mut changes = Changes { tree, setuid, budget, written: HashSet::new() };
    let mut tar = Tar::new(reader);
    while let Some(member) = tar.next()? {
        changes.apply(&member, &mut tar)?;
    }
    let reader = tar.finish().map_err(|error| ImageError::refused(layer.name.clone(), error.to_string()))?;
    compare(layer, reader.finish().0)
}

/// Checks what is inside a layer against the image's configuration, and unpacks nothing.
pub(crate) fn check(layer: &Layer, limits: &Limits) -> Result<(), ImageError> {
    let mut reader = open(layer, Budget::new(*limits).stream())?;
    std::io::copy(&mut reader, &mut std::io::sink())
        .map_err(|error| ImageError::refused(layer.name.clone(), error.to_string()))?;
    compare(layer, reader.finish().0)
}

fn open(layer: &Layer, longest: u64) -> Result<Hashing<Capped<Box<dyn Read>>>, ImageError> {
    let decoder = decode::decode(layer.blob.clone()).map_err(ImageError::io(layer.name.clone()))?;
    Ok(Hashing::new(Capped { inner: decoder, left: longest }))
}

fn compare(layer: &Layer, found: Digest) -> Result<(), ImageError> {
    if found == layer.diff_id {
        Ok(())
    } else {
        Err(ImageError::refused(
            layer.name.clone(),
            format!("its content has the digest {found}, the image's configuration says {}", layer.diff_id),
        ))
    }
}

struct Changes<'a> {
    tree: &'a Tree,
    setuid: Setuid,
    budget: &'a mut Budget,
    /// What this layer made: an opaque directory keeps it, wherever the mark stands in the archive.
    written: HashSet<String>,
}

impl Changes<'_> {
    fn apply(&mut self, member: &Member, content: &mut impl Read) -> Result<(), ImageError> {
        let path = clean("path", &member.path, &self.budget.limits)?;
        if path.is_empty() {
            return Ok(());
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        self.reach(folder)?;
        if name == OPAQUE {
            return self.tree.empty(folder, &|path| self.written.contains(path));
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            if matches!(hidden, "" | "." | "..") {
                return Err(ImageError::refused(path.clone(), "a whiteout of nothing"));
            }
            return self.tree.remove(&if folder.is_empty() { hidden.into() } else { format!("{folder}/{hidden}") });
        }
        self.budget.take(&path, member.size)?;
        self.make(member, &path, content)?;
        self.written.insert(path);
        Ok(())
    }

    /// Accounts for the directories above an entry, which are made where they are missing.
    fn reach(&mut self, folder: &str) -> Result<(), ImageError> {
        let mut folder = folder;
        while !folder.is_empty() && !self.written.contains(folder) {
            self.budget.take(folder, 0)?;
            self.written.insert(folder.to_owned());
            folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
        }
        Ok(())
    }

    fn make(&self, member: &Member, path: &str, content: &mut impl Read) -> Result<(), ImageError> {
        let owner = Owner { uid: id(path, member.uid)?, gid: id(path, member.gid)? };
        match member.kind {
            EntryType::Regular | EntryType::Continuous => {
                self.check_privileges(member, path)?;
                let mode = member.mode & 0o777;
                self.tree.file(path, mode, owner, member.mtime, content).map_err(|error| match error {
                    ImageError::Io { source, .. }
                        if matches!(
                            source.kind(),
                            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::Other
                        ) =>
                    {
                        let cut = source.kind() == ErrorKind::UnexpectedEof;
                        ImageError::refused(
                            path,
                            if cut { "the archive is cut off".into() } else { source.to_string() },
                        )
                    }
                    other => other,
                })
            }
            // Set-group-ID of a directory only chooses the group of new files, of which a read-only root has none.
            EntryType::Directory => self.tree.directory(path, member.mode & 0o3777, owner),
            EntryType::Symlink => {
                // An absolute target or one with .. is resolved below the container's root, here and when it runs.
                let target = text("link target", &member.link, self.budget.limits.path)?;
                self.tree.symlink(path, target, owner)
            }
            EntryType::Link => {
                let target = clean("hard link target", &member.link, &self.budget.limits)?;
                self.tree.link(path, &target)
            }
            EntryType::Char | EntryType::Block => Err(ImageError::refused(path, "device nodes are not taken")),
            EntryType::Fifo => Err(ImageError::refused(path, "named pipes are not taken")),
            other => {
                Err(ImageError::refused(path, format!("members of type {:?} are not taken", other.as_byte() as char)))
            }
        }
    }

    fn check_privileges(&self, member: &Member, path: &str) -> Result<(), ImageError> {
        let what = match (member.mode & SET_ID != 0, member.has_capabilities) {
            (true, _) => "a set-user-ID or set-group-ID program",
            (_, true) => "a program with file capabilities",
            _ => return Ok(()),
        };
        match self.setuid {
            // Neither bits nor capabilities are ever written.
            Setuid::Strip => Ok(()),
            Setuid::Refuse => Err(ImageError::refused(
                path,
                format!("{what}; set image.setuid = \"strip\" to take the image without such privileges"),
            )),
        }
    }
}

fn id(path: &str, id: u64) -> Result<u32, ImageError> {
    // The last number means "none" to chown(2).
    u32::try_from(id)
        .ok()
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| ImageError::refused(path, format!("{id} is no user or group")))
}

/// A member's path as relative components joined by `/`; empty for the root itself.
fn clean(what: &str, bytes: &[u8], limits: &Limits) -> Result<String, ImageError> {
    let path = text(what, bytes, limits.path)?;
    let refuse = |reason: &str| Err(ImageError::refused(path, format!("{what}: {reason}")));
    if path.starts_with('/') {
        return refuse("it is absolute");
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return refuse("it leaves the image by \"..\"");
    }
    if parts.len() > limits.depth {
        return refuse(&format!("more than {} directories deep", limits.depth));
    }
    if parts.iter().any(|part| part.len() > 255) {
        return refuse("a name is longer than 255 bytes");
    }
    Ok(parts.join("/"))
}

/// Printable UTF-8 of bounded length: a list of files holds it on a line.
fn text<'a>(what: &str, bytes: &'a [u8], longest: usize) -> Result<&'a str, ImageError> {
    let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).escape_debug().to_string();
    let refuse = |reason: &str| Err(ImageError::refused(shown(), format!("{what}: {reason}")));
    if bytes.is_empty() {
        return refuse("it is empty");
    }
    if bytes.len() > longest {
        return refuse(&format!("it is longer than {longest} bytes"));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().any(char::is_control) => refuse("it has control characters"),
        Ok(text) => Ok(text),
        Err(_) => refuse("it is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_or_refused() {
        let limits = Limits::default();
        let deep = "a/".repeat(65);
        for (path, expected) in [
            ("./", Ok("")),
            ("./a//b/./c/", Ok("a/b/c")),
            ("..a/b..", Ok("..a/b..")),
            ("/etc/shadow", Err("absolute")),
            ("a/../../b", Err("..")),
            ("..", Err("..")),
            ("a\nb", Err("control")),
            (&deep, Err("deep")),
            (&"x".repeat(256), Err("255")),
            (&"x/".repeat(1000), Err("1024")),
            ("", Err("empty")),
        ] {
            match (clean("path", path.as_bytes(), &limits), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{path}: {error}"),
                (found, _) => panic!("{path}: {found:?}"),
            }
        }
        assert!(clean("path", b"\xff", &limits).is_err());
    }
}
