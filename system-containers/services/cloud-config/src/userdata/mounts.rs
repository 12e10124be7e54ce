//! `mounts`: fstab fields as lists, one to six of them, with cloud-init's defaults.

use super::names;
use crate::document::{Node, Value};
use crate::report::{Messages, Place};

/// Type of an area to swap to, which is mounted nowhere.
pub const SWAP: &str = "swap";
const NOWHERE: &str = "none";

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where the entry stands.
    pub place: Place,
    /// Number of the entry, for messages.
    pub index: usize,
    /// Device path, `LABEL=`, `UUID=`, or what the file system type takes.
    pub source: String,
    /// Absolute path.
    pub target: String,
    /// Type; `auto` tries all the kernel has.
    pub kind: String,
    /// Options, split at commas.
    pub options: Vec<String>,
}

impl Mount {
    /// A missing device is a remark, not an error.
    pub fn nofail(&self) -> bool {
        self.options.iter().any(|option| option == "nofail")
    }
}

/// Fields of entries that do not have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    kind: String,
    options: String,
}

impl Default for Defaults {
    /// As in cloud-init.
    fn default() -> Self {
        Self { kind: "auto".into(), options: "defaults,nofail".into() }
    }
}

/// `mount_default_fields`: six fields, of which type and options say something here.
pub fn defaults(node: &Node, messages: &mut Messages) -> Option<Defaults> {
    let found = node.list().filter(|values| values.len() <= 6).and_then(fields);
    if found.is_none() {
        let text = "expected a list of at most six fields such as [null, null, auto, \"defaults,nofail\"]";
        messages.error(node.place, "mount_default_fields", text);
    }
    let mut fields = found?;
    fields.resize(6, None);
    let lower = Defaults::default();
    let mut take = |position: usize| fields[position].take().filter(|text| !text.is_empty());
    Some(Defaults { kind: take(2).unwrap_or(lower.kind), options: take(3).unwrap_or(lower.options) })
}

/// Reads the list; an entry with a null target takes an earlier entry of the same source back.
pub fn read(node: &Node, defaults: &Defaults, messages: &mut Messages) -> Vec<Mount> {
    let Some(items) = node.list() else {
        messages.error(node.place, "mounts", format!("expected a list of lists, found {}", node.describe()));
        return Vec::new();
    };
    let mut mounts: Vec<Mount> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("mounts[{index}]");
        if item.is_null() {
            continue;
        }
        let Some(values) = item.list() else {
            let text =
                format!("expected a list such as [/dev/vdb, /mnt/data, ext4, defaults], found {}", item.describe());
            messages.error(item.place, &path, text);
            continue;
        };
        let Some(fields) = fields(values) else {
            messages.error(item.place, &path, "expected texts, numbers or null in one line each");
            continue;
        };
        let get = |position: usize| fields.get(position).and_then(Option::as_deref).filter(|text| !text.is_empty());
        let Some(source) = get(0) else {
            messages.error(item.place, &path, "expected a device, LABEL= or UUID= first");
            continue;
        };
        let kind = get(2).unwrap_or(&defaults.kind);
        if source == SWAP {
            messages.warning(item.place, &path, "ignored: name the device to swap to, or use swap");
            continue;
        }
        let source = device(source);
        let Some(target) = get(1) else {
            mounts.retain(|mount| mount.source != source);
            continue;
        };
        let target = if kind == SWAP { NOWHERE } else { target };
        if kind != SWAP && (!names::is_path(target) || target == "/") {
            messages.error(item.place, &path, "expected an absolute path below / as the mount point");
            continue;
        }
        let options = get(3).unwrap_or(&defaults.options).split(',').map(|option| option.trim().to_owned()).collect();
        let mount = Mount { place: item.place, index, source, target: target.into(), kind: kind.into(), options };
        mounts.retain(|other| other.target != mount.target || (mount.kind == SWAP && other.source != mount.source));
        mounts.push(mount);
    }
    mounts
}

fn fields(values: &[Node]) -> Option<Vec<Option<String>>> {
    values
        .iter()
        .map(|value| match &value.value {
            Value::Scalar(_) if value.is_null() => Some(None),
            Value::Scalar(scalar) if !scalar.text.contains(char::is_control) => Some(Some(scalar.text.clone())),
            _ => None,
        })
        .collect()
}

/// `vdb` is short for `/dev/vdb`, as in cloud-init.
pub(super) fn device(source: &str) -> String {
    let short = ["sd", "vd", "xvd", "hd", "nvme"].iter().any(|prefix| source.starts_with(prefix));
    if short && source.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        format!("/dev/{source}")
    } else {
        source.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn load(text: &str) -> (Vec<Mount>, String) {
        let mut messages = Messages::new("user-data");
        let node = yaml::parse(text, &mut messages).unwrap();
        let mounts = read(&node, &Defaults::default(), &mut messages);
        (mounts, messages.list().iter().map(|message| format!("{message}\n")).collect())
    }

    #[test]
    fn fields_have_defaults() {
        let (mounts, messages) = load(
            "- [vdb, /mnt/a]\n- [LABEL=data, /mnt/b, ext4, 'ro,noatime', '0', 2]\n- [vdc, /mnt/c]\n- [vdc, null]\n- ~\n",
        );
        assert_eq!(messages, "");
        assert_eq!(mounts.len(), 2);
        assert_eq!((mounts[0].source.as_str(), mounts[0].kind.as_str()), ("/dev/vdb", "auto"));
        assert!(mounts[0].nofail());
        assert_eq!(mounts[1].options, ["ro", "noatime"]);
    }

    #[test]
    fn swap_areas_are_mounted_nowhere() {
        let (mounts, messages) =
            load("- [vdb, none, swap, 'sw,pri=5']\n- [vdc, swap, swap]\n- [vdb, x, swap, sw]\n- [vdc, ~]\n");
        assert_eq!((mounts.len(), messages.as_str()), (1, ""));
        assert_eq!((mounts[0].source.as_str(), mounts[0].target.as_str()), ("/dev/vdb", "none"));
    }

    #[test]
    fn defaults_can_be_others() {
        let mut messages = Messages::new("user-data");
        let mut load = |text: &str| defaults(&yaml::parse(text, &mut messages).unwrap(), &mut messages);
        let found = load("[~, ~, ext4, 'ro,nofail', '0', '2']").unwrap();
        assert_eq!((found.kind.as_str(), found.options.as_str()), ("ext4", "ro,nofail"));
        assert_eq!(load("[]"), Some(Defaults::default()));
        for text in ["ext4", "[[a]]", "[1, 2, 3, 4, 5, 6, 7]"] {
            assert_eq!(load(text), None, "{text}");
        }
        assert_eq!(messages.errors(), 3);
    }

    #[test]
    fn mistakes_are_reported_one_by_one() {
        let (mounts, messages) =
            load("- /dev/vdb\n- [~, /a]\n- [vdb, a]\n- [vdb, /]\n- [swap, none, swap]\n- [[a], /b]\n- [vdb, /ok]\n");
        assert_eq!(mounts.len(), 1);
        for expected in [
            "mounts[0]: expected a list",
            "mounts[1]: expected a device",
            "mounts[2]: expected an absolute",
            "mounts[3]: expected an absolute",
            "mounts[4]: ignored: name the device",
            "mounts[5]: expected texts",
        ] {
            assert!(messages.contains(expected), "{expected}: {messages}");
        }
    }
}
