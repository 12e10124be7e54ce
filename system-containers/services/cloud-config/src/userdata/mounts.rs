//! `mounts`: fstab fields as lists, one to six of them, with cloud-init's defaults.

use super::names;
use crate::document::{Node, Value};
use crate::report::{Messages, Place};

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

/// Type where none is given.
const DEFAULT_KIND: &str = "auto";
/// Options where none are given, as in cloud-init.
const DEFAULT_OPTIONS: &str = "defaults,nofail";

/// Reads the list; an entry with a null target takes an earlier entry of the same source back.
pub fn read(node: &Node, messages: &mut Messages) -> Vec<Mount> {
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
        let kind = get(2).unwrap_or(DEFAULT_KIND);
        if source == "swap" || kind == "swap" {
            messages.warning(item.place, &path, "ignored: swap is not supported");
            continue;
        }
        let source = device(source);
        let Some(target) = get(1) else {
            mounts.retain(|mount| mount.source != source);
            continue;
        };
        if !names::is_path(target) || target == "/" {
            messages.error(item.place, &path, "expected an absolute path below / as the mount point");
            continue;
        }
        let options = get(3).unwrap_or(DEFAULT_OPTIONS).split(',').map(|option| option.trim().to_owned()).collect();
        let mount = Mount { place: item.place, index, source, target: target.into(), kind: kind.into(), options };
        mounts.retain(|other| other.target != mount.target);
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
fn device(source: &str) -> String {
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
        let mounts = read(&node, &mut messages);
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
    fn mistakes_are_reported_one_by_one() {
        let (mounts, messages) =
            load("- /dev/vdb\n- [~, /a]\n- [vdb, a]\n- [vdb, /]\n- [swap, none, swap]\n- [[a], /b]\n- [vdb, /ok]\n");
        assert_eq!(mounts.len(), 1);
        for expected in [
            "mounts[0]: expected a list",
            "mounts[1]: expected a device",
            "mounts[2]: expected an absolute",
            "mounts[3]: expected an absolute",
            "mounts[4]: ignored: swap",
            "mounts[5]: expected texts",
        ] {
            assert!(messages.contains(expected), "{expected}: {messages}");
        }
    }
}
