//! `swap`: a file to swap to, of a given size.

use super::names;
use crate::document::{Fields, Node};
use crate::report::{Messages, Place};

/// Where the file is when the document does not say, or names a place where it cannot be.
const DIRECTORY: &str = "/root";
const DEFAULT_NAME: &str = "swap.img";
/// Below these the system daemon takes swap files: what console and engine share on the state partition.
const PLACES: [&str; 8] = ["/home", "/root", "/opt", "/srv", "/mnt", "/media", "/usr/local", "/var/lib/docker"];

/// A swap file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// Where the entry stands.
    pub place: Place,
    /// Absolute path below one of the shared directories.
    pub file: String,
    /// Bytes; `None`: by the size of memory and the free space.
    pub size: Option<u64>,
    /// The most for a size that is not given.
    pub max: Option<u64>,
}

/// Reads the mapping; nothing without a size, as in cloud-init.
pub fn read(node: &Node, messages: &mut Messages) -> Option<Swap> {
    let mut fields = Fields::new(node, "swap", messages)?;
    let is_given = node.get("filename").is_some_and(|name| !name.is_null());
    let name = fields.checked("filename", names::is_path, "an absolute path without ..", messages);
    let size = fields.take("size");
    let max = fields.take("maxsize").map(|node| bytes(node, "swap.maxsize", messages));
    fields.ignore_rest(messages);
    let size = match size?.text() {
        Some("auto") => None,
        _ => Some(bytes(size?, "swap.size", messages)?),
    };
    let file = if is_given { name? } else { format!("{DIRECTORY}/{DEFAULT_NAME}") };
    let file = placed(file, node.place, messages);
    let is_wanted = size != Some(0);
    is_wanted.then_some(Swap { place: node.place, file, size, max: max.flatten() })
}

/// The same file name where it can be: the root of the system is read-only.
fn placed(file: String, place: Place, messages: &mut Messages) -> String {
    let is_below = |top: &&str| file.strip_prefix(*top).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1);
    if PLACES.iter().any(is_below) {
        return file;
    }
    let name = file.rsplit('/').find(|part| !part.is_empty()).unwrap_or(DEFAULT_NAME);
    messages.info(place, "swap.filename", format!("swap files are on the state partition: it is in {DIRECTORY}"));
    format!("{DIRECTORY}/{name}")
}

/// A number of bytes, or one with K, M, G or T.
fn bytes(node: &Node, key: &str, messages: &mut Messages) -> Option<u64> {
    let found = node.text().and_then(|text| {
        let text = text.trim().to_ascii_uppercase();
        let text = text.strip_suffix('B').unwrap_or(&text);
        let unit = |suffix: char| text.strip_suffix(suffix);
        let (number, shift) = [('K', 10), ('M', 20), ('G', 30), ('T', 40)]
            .into_iter()
            .find_map(|(suffix, shift)| Some((unit(suffix)?, shift)))
            .unwrap_or((text, 0));
        number.parse::<u64>().ok()?.checked_mul(1 << shift)
    });
    if found.is_none() {
        let text = format!("expected bytes, or a size such as 512M or 2G, found {}", node.describe());
        messages.error(node.place, key, text);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn load(text: &str) -> (Option<Swap>, String) {
        let mut messages = Messages::new("user-data");
        let swap = read(&yaml::parse(text, &mut messages).unwrap(), &mut messages);
        let said = messages.list().iter().map(|message| format!("{message}\n")).collect();
        (swap, said)
    }

    #[test]
    fn sizes_and_places() {
        for (text, file, size, max, message) in [
            ("{size: 1073741824}", "/root/swap.img", Some(1 << 30), None, ""),
            ("{size: 2G, filename: /srv/swap}", "/srv/swap", Some(2 << 30), None, ""),
            ("{size: auto, maxsize: 512MB}", "/root/swap.img", None, Some(512 << 20), ""),
            ("{size: 4k, filename: /var/swapfile}", "/root/swapfile", Some(4096), None, "it is in /root"),
            ("{size: 1M, filename: /srvx/a}", "/root/a", Some(1 << 20), None, "it is in /root"),
            ("{size: 1M, filename: /srv/}", "/root/srv", Some(1 << 20), None, "it is in /root"),
        ] {
            let (found, said) = load(text);
            let found = found.unwrap();
            assert_eq!((found.file.as_str(), found.size, found.max), (file, size, max), "{text}");
            assert!(said.contains(message) && said.is_empty() == message.is_empty(), "{text}: {said}");
        }
        for (text, message) in [
            ("{filename: /swap.img}", ""),
            ("{size: 0}", ""),
            ("{size: big}", "swap.size: expected bytes"),
            ("{size: 99999999999T}", "swap.size: expected bytes"),
            ("{size: 1G, filename: swap}", "swap.filename: expected an absolute path"),
            ("2G", "swap: expected a mapping"),
        ] {
            let (found, said) = load(text);
            assert!(
                found.is_none() && said.contains(message) && said.is_empty() == message.is_empty(),
                "{text}: {said}"
            );
        }
    }
}
