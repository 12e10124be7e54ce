//! What is to be mounted, by its text and type. Pure.

use super::MountError;
use super::options::Options;
use super::place::{Map, Place};
use std::net::IpAddr;

/// What is to be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A block device by path or tag; without a type every one is tried.
    Device(Option<String>),
    /// A file system without a device: its type, and an option that has to be added.
    Named(String, Option<(String, String)>),
    /// Another path of the console.
    Place(Place),
}

/// File systems that need no device and no further rights of whoever asks for them.
const NAMED: [&str; 4] = ["tmpfs", "cifs", "9p", "virtiofs"];
/// Those of them over the network that need the server's address.
const NFS: [&str; 2] = ["nfs", "nfs4"];
/// What LABEL= and its like say a device by, and udev's folder of links.
pub const TAGS: [(&str, &str); 4] =
    [("LABEL", "by-label"), ("UUID", "by-uuid"), ("PARTUUID", "by-partuuid"), ("PARTLABEL", "by-partlabel")];

/// Tells them apart; `block` are the kernel's file systems for block devices.
///
/// # Errors
/// For file systems and sources that are none of an administrator's, with what would do.
pub fn classify(
    source: &str,
    kind: Option<&str>,
    options: &Options,
    map: &Map,
    block: &[String],
) -> Result<Source, MountError> {
    if options.bind.is_some() {
        return map.find(source).map(Source::Place);
    }
    let is_device = source.starts_with("/dev/") || tag(source).is_some();
    let kind = kind.filter(|kind| !matches!(*kind, "" | "auto" | "none"));
    match kind {
        None if is_device => Ok(Source::Device(None)),
        None if source == "tmpfs" => Ok(Source::Named("tmpfs".into(), None)),
        None if source.starts_with("//") => Ok(Source::Named("cifs".into(), None)),
        None if source.contains(":/") => nfs("nfs4", source, options),
        Some(kind) if NFS.contains(&kind) => nfs(kind, source, options),
        Some(kind) if NAMED.contains(&kind) => Ok(Source::Named(kind.into(), None)),
        Some(kind) if block.iter().any(|known| known == kind) && is_device => Ok(Source::Device(Some(kind.into()))),
        Some(kind) if !block.iter().any(|known| known == kind) => Err(MountError::Bad(format!(
            "type {kind}: there are {}, {} and {}",
            block.join(", "),
            NAMED.join(", "),
            NFS.join(", ")
        ))),
        _ => Err(MountError::Bad(format!(
            "{source:?} is neither a device below /dev, LABEL=, UUID=, PARTUUID= or PARTLABEL=, nor HOST:/PATH; \
             a directory or file is mounted elsewhere by the option bind"
        ))),
    }
}

/// Names of file systems in the text of `/proc/filesystems` that are for block devices.
pub fn block_kinds(text: &str) -> Vec<String> {
    // The one for block devices of FUSE needs a program that serves it.
    let kinds = text.lines().filter_map(|line| line.strip_prefix('\t')).filter(|kind| *kind != "fuseblk");
    kinds.map(str::to_owned).collect()
}

/// `LABEL=x` and the like: udev's folder and the value.
pub fn tag(source: &str) -> Option<(&'static str, &str)> {
    let (tag, value) = source.split_once('=')?;
    let (_, folder) = TAGS.iter().find(|(name, _)| *name == tag)?;
    Some((folder, value.trim_matches('"')))
}

/// The kernel resolves no names: it wants the address beside the source.
fn nfs(kind: &str, source: &str, options: &Options) -> Result<Source, MountError> {
    let (host, _) =
        source.split_once(":/").ok_or_else(|| MountError::Bad(format!("{source:?}: {kind} takes HOST:/PATH")))?;
    let named = |address: Option<(String, String)>| Source::Named(kind.to_owned(), address);
    if options.data.iter().any(|(key, _)| key == "addr") {
        return Ok(named(None));
    }
    let host = host.trim_matches(['[', ']']);
    if host.parse::<IpAddr>().is_ok() {
        return Ok(named(Some(("addr".into(), host.into()))));
    }
    Err(MountError::Bad(format!(
        "{source}: the kernel resolves no names; add the option addr=ADDRESS (nslookup {host} shows it)"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;

    fn found(source: &str, kind: Option<&str>, words: &str) -> Result<Source, MountError> {
        let text = "description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n\
            [[mount]]\nsource = \"/state/data/mnt\"\ntarget = \"/mnt\"\noptions = [\"shared\"]\n";
        let map = Map::new(&hull_service::parse("console", text).unwrap(), &Paths::machine());
        let options = Options::parse(&words.split(',').map(str::to_owned).collect::<Vec<_>>()).unwrap();
        let block = block_kinds("nodev\tsysfs\n\text4\n\tfuseblk\nnodev\tfuse\n\tvfat\n");
        classify(source, kind, &options, &map, &block)
    }

    #[test]
    fn sources() {
        let named = |kind: &str| Source::Named(kind.into(), None);
        let nfs = |kind: &str, address: &str| Source::Named(kind.into(), Some(("addr".into(), address.into())));
        for (source, kind, words, expected) in [
            ("/dev/vdb", None, "", Source::Device(None)),
            ("LABEL=data", Some("auto"), "", Source::Device(None)),
            ("UUID=\"1-2\"", Some("vfat"), "ro", Source::Device(Some("vfat".into()))),
            ("tmpfs", Some("tmpfs"), "size=1m", named("tmpfs")),
            ("none", Some("tmpfs"), "", named("tmpfs")),
            ("10.0.0.1:/x", None, "", nfs("nfs4", "10.0.0.1")),
            ("[fd00::1]:/x", Some("nfs"), "nolock", nfs("nfs", "fd00::1")),
            ("files:/x", Some("nfs4"), "addr=10.0.0.1", named("nfs4")),
            ("//10.0.0.1/share", None, "username=a", named("cifs")),
            ("tag", Some("virtiofs"), "", named("virtiofs")),
        ] {
            assert_eq!(found(source, kind, words), Ok(expected), "{source}");
        }
        assert!(matches!(found("/mnt/a", None, "bind"), Ok(Source::Place(_))));
    }

    #[test]
    fn refusals_say_what_would_do() {
        for (source, kind, words, part) in [
            ("proc", Some("proc"), "", "type proc: there are ext4, vfat, tmpfs"),
            ("overlay", Some("overlay"), "lowerdir=/etc", "type overlay"),
            ("/dev/vdb", Some("fuseblk"), "", "type fuseblk"),
            ("/srv/image", None, "", "option bind"),
            ("/srv/image", Some("ext4"), "", "option bind"),
            ("files:/x", None, "", "addr=ADDRESS"),
            ("files", Some("nfs"), "", "HOST:/PATH"),
            ("/etc", None, "bind", "/etc: mounts are made"),
        ] {
            let error = found(source, kind, words).unwrap_err().to_string();
            assert!(error.contains(part), "{source}: {error}");
        }
    }
}
