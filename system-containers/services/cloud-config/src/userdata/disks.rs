//! `device_aliases`, `disk_setup`, `fs_setup`: what data disks are to hold.

use super::{mounts, names};
use crate::document::{Fields, Node};
use crate::report::{Messages, Place};
use std::collections::BTreeMap;

/// Form of a partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// GUID partition table.
    Gpt,
    /// DOS partition table: four partitions, 2 TiB.
    Mbr,
}

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A Linux file system.
    Data,
    /// An area to swap to.
    Swap,
}

/// A partition: percents of the disk and purpose. The last one goes to the end of the disk.
pub type Share = (u32, Purpose);

/// What a disk is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// A table with these partitions.
    Partitions(Table, Vec<Share>),
    /// Without a table: the one that is there is removed.
    Bare,
}

/// One disk of `disk_setup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Where the entry stands.
    pub place: Place,
    /// Path, or an alias.
    pub device: String,
    /// What is wanted.
    pub layout: Layout,
    /// Whatever is there may be lost.
    pub overwrite: bool,
}

/// Which part of a device a file system is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The device itself.
    Device,
    /// Its first partition, or itself when it has none.
    First,
    /// One partition.
    Partition(u32),
}

/// One file system of `fs_setup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Where the entry stands.
    pub place: Place,
    /// Number of the entry, for messages.
    pub index: usize,
    /// Path, or an alias.
    pub device: String,
    /// Part of it.
    pub target: Target,
    /// `ext2`, `ext3`, `ext4`, `vfat` or `swap`.
    pub kind: String,
    /// Label.
    pub label: Option<String>,
    /// Whatever is there may be lost.
    pub overwrite: bool,
    /// A file system of this type may be lost.
    pub replace: Option<String>,
    /// Options of the program that makes it.
    pub options: Vec<String>,
}

/// Other names for devices.
pub type Aliases = BTreeMap<String, String>;

const DEVICE: &str = "a device such as /dev/vdb";

/// `device_aliases`.
pub fn aliases(node: &Node, messages: &mut Messages) -> Aliases {
    let Some(fields) = Fields::new(node, "device_aliases", messages) else { return Aliases::new() };
    let mut found = Aliases::new();
    for entry in fields.rest() {
        match entry.node.text().map(mounts::device).filter(|device| names::is_path(device)) {
            Some(device) => drop(found.insert(entry.key.clone(), device)),
            None => messages.error(entry.node.place, "device_aliases", format!("expected {DEVICE}")),
        }
    }
    found
}

/// `disk_setup`; a disk with a mistake is left alone.
pub fn disks(node: &Node, messages: &mut Messages) -> Vec<Disk> {
    let Some(fields) = Fields::new(node, "disk_setup", messages) else { return Vec::new() };
    fields.rest().filter_map(|entry| disk(&entry.key, &entry.node, messages)).collect()
}

fn disk(device: &str, node: &Node, messages: &mut Messages) -> Option<Disk> {
    let before = messages.errors();
    let path = format!("disk_setup.{}", crate::report::quote(device));
    let mut fields = Fields::new(node, &path, messages)?;
    let is_table = |text: &str| matches!(text, "mbr" | "gpt");
    let table = fields.checked("table_type", is_table, "mbr or gpt", messages);
    let table = if table.as_deref() == Some("gpt") { Table::Gpt } else { Table::Mbr };
    let overwrite = fields.boolean("overwrite", messages).unwrap_or(false);
    let layout = fields.take("layout").and_then(|node| layout(node, table, &fields.path("layout"), messages));
    fields.ignore_rest(messages);
    if messages.errors() > before {
        return None;
    }
    Some(Disk { place: node.place, device: mounts::device(device), layout: layout?, overwrite })
}

/// `true`, `false` (nothing), `remove`, or a list of percents, each alone or with a type.
fn layout(node: &Node, table: Table, path: &str, messages: &mut Messages) -> Option<Layout> {
    match (node.boolean(), node.text(), node.list()) {
        (Some(true), ..) => return Some(Layout::Partitions(table, vec![(100, Purpose::Data)])),
        (Some(false), ..) => return None,
        (_, Some("remove"), _) => return Some(Layout::Bare),
        _ => {}
    }
    let shares: Option<Vec<Share>> =
        node.list().filter(|items| !items.is_empty()).and_then(|items| items.iter().map(share).collect());
    let most = if table == Table::Mbr { 4 } else { 128 };
    let is_good =
        |shares: &Vec<Share>| shares.len() <= most && shares.iter().map(|(percent, _)| percent).sum::<u32>() <= 100;
    let Some(shares) = shares.filter(is_good) else {
        let text = format!(
            "expected true, false, remove, or at most {most} percents that are 100 or less together, each a number or \
             [percent, 82 for swap or 83 for data]"
        );
        messages.error(node.place, path, text);
        return None;
    };
    Some(Layout::Partitions(table, shares))
}

fn share(node: &Node) -> Option<Share> {
    let percent =
        |node: &Node| node.integer().and_then(|number| u32::try_from(number).ok()).filter(|n| (1..=100).contains(n));
    match node.list() {
        None => Some((percent(node)?, Purpose::Data)),
        Some([size, kind]) => {
            let purpose = match kind.text()? {
                "82" | "8200" => Purpose::Swap,
                "83" | "8300" => Purpose::Data,
                _ => return None,
            };
            Some((percent(size)?, purpose))
        }
        Some(_) => None,
    }
}

/// `fs_setup`; an entry with a mistake is left out.
pub fn file_systems(node: &Node, messages: &mut Messages) -> Vec<FileSystem> {
    let Some(items) = node.list() else {
        messages.error(node.place, "fs_setup", format!("expected a list of file systems, found {}", node.describe()));
        return Vec::new();
    };
    items.iter().enumerate().filter_map(|(index, item)| file_system(item, index, messages)).collect()
}

/// Types that can be made here.
const KINDS: [&str; 5] = ["ext2", "ext3", "ext4", "vfat", "swap"];

fn file_system(node: &Node, index: usize, messages: &mut Messages) -> Option<FileSystem> {
    let before = messages.errors();
    let path = format!("fs_setup[{index}]");
    let mut fields = Fields::new(node, &path, messages)?;
    for key in ["device", "filesystem"] {
        if node.get(key).is_none_or(Node::is_null) {
            messages.error(node.place, &path, format!("expected the key {key}"));
        }
    }
    let device = fields.checked("device", |text| names::is_line(text) && !text.starts_with('-'), DEVICE, messages);
    let kinds = "ext2, ext3, ext4, vfat or swap; a container with its programs makes others";
    let kind = fields.checked("filesystem", |text| KINDS.contains(&text), kinds, messages);
    let label = fields.checked("label", |text| names::is_line(text) && !text.starts_with('-'), "a label", messages);
    let target = fields.take("partition").map_or(Some(Target::First), target);
    if target.is_none() {
        messages.error(node.place, &fields.path("partition"), "expected auto, any, none or a number from 1");
    }
    let overwrite = fields.boolean("overwrite", messages).unwrap_or(false);
    let replace = fields.text("replace_fs", messages);
    let options = fields.texts("extra_opts", true, |text| !text.contains('\0'), "an option", messages);
    if let Some(node) = fields.take("cmd") {
        messages.warning(node.place, &fields.path("cmd"), "ignored: run the command in bootcmd");
    }
    fields.ignore_rest(messages);
    if messages.errors() > before {
        return None;
    }
    let options = options.unwrap_or_default();
    let options = options.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect();
    let device = mounts::device(&device?);
    Some(FileSystem {
        place: node.place,
        index,
        device,
        target: target?,
        kind: kind?,
        label,
        overwrite,
        replace,
        options,
    })
}

fn target(node: &Node) -> Option<Target> {
    match node.text()? {
        "auto" | "any" => Some(Target::First),
        "none" => Some(Target::Device),
        _ => node.integer().and_then(|number| u32::try_from(number).ok()).filter(|n| *n > 0).map(Target::Partition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::userdata::testing::parsed;

    #[test]
    fn layouts() {
        use Purpose::{Data, Swap};
        for (text, expected) in [
            ("{layout: true}", Some(Layout::Partitions(Table::Mbr, vec![(100, Data)]))),
            (
                "{table_type: gpt, layout: [33, [33, 82], 33]}",
                Some(Layout::Partitions(Table::Gpt, vec![(33, Data), (33, Swap), (33, Data)])),
            ),
            (
                "{table_type: mbr, layout: [[100, 83]], overwrite: yes}",
                Some(Layout::Partitions(Table::Mbr, vec![(100, Data)])),
            ),
            ("{layout: remove}", Some(Layout::Bare)),
            ("{layout: false}", None),
            ("{table_type: gpt}", None),
        ] {
            let (found, said) = parsed(&format!("vdb: {text}"), disks);
            assert_eq!(found.first().map(|disk| disk.layout.clone()), expected, "{text}");
            assert!(said.is_empty() && found.iter().all(|disk| disk.device == "/dev/vdb"), "{said}");
        }
        for (text, part) in [
            ("{layout: [60, 60]}", "disk_setup.vdb.layout: expected true"),
            ("{layout: []}", "expected true"),
            ("{layout: [20, 20, 20, 20, 20]}", "at most 4"),
            ("{layout: [[50, ee]]}", "82 for swap"),
            ("{layout: [0]}", "expected true"),
            ("{table_type: apm, layout: true}", "table_type: expected mbr or gpt"),
            ("true", "disk_setup.vdb: expected a mapping"),
        ] {
            let (found, said) = parsed(&format!("vdb: {text}"), disks);
            assert!(found.is_empty() && said.contains(part), "{text}: {said}");
        }
    }

    #[test]
    fn file_systems_and_their_mistakes() {
        let (found, said) = parsed(
            "- {label: data, filesystem: ext4, device: /dev/vdb, partition: auto, overwrite: false, extra_opts: ['-E', 'lazy_itable_init=1']}\n\
             - {filesystem: swap, device: vdc, partition: 2, replace_fs: ntfs}\n- {filesystem: vfat, device: ephemeral0, partition: none}\n",
            file_systems,
        );
        assert_eq!(said, "");
        let short: Vec<(&str, Target)> = found.iter().map(|fs| (fs.device.as_str(), fs.target)).collect();
        assert_eq!(
            short,
            [("/dev/vdb", Target::First), ("/dev/vdc", Target::Partition(2)), ("ephemeral0", Target::Device)]
        );
        assert_eq!((found[0].options.len(), found[1].replace.as_deref()), (2, Some("ntfs")));
        for (text, part) in [
            ("{filesystem: ext4}", "fs_setup[0]: expected the key device"),
            ("{device: /dev/vdb}", "fs_setup[0]: expected the key filesystem"),
            ("{device: /dev/vdb, filesystem: xfs}", "filesystem: expected ext2"),
            ("{device: -x, filesystem: ext4}", "device: expected a device"),
            ("{device: /dev/vdb, filesystem: ext4, partition: 0}", "partition: expected auto"),
            ("{device: /dev/vdb, filesystem: ext4, label: --x}", "label: expected a label"),
        ] {
            let (found, said) = parsed(&format!("- {text}\n"), file_systems);
            assert!(found.is_empty() && said.contains(part), "{text}: {said}");
        }
        assert!(parsed("[{device: vdb, filesystem: ext4, cmd: mkfs}]", file_systems).1.contains("cmd: ignored: run"));
        assert!(parsed("x", file_systems).1.contains("expected a list of file systems"));
    }

    #[test]
    fn aliases_are_paths() {
        let (found, said) = parsed("{data: vdb, log: /dev/disk/by-id/x, bad: [a], far: ../x}", aliases);
        assert_eq!(found.len(), 2);
        assert_eq!((found["data"].as_str(), said.lines().count()), ("/dev/vdb", 2));
    }
}
