//! Label, UUID and type of a file system from its first blocks: vfat, iso9660, udf, ext2/3/4, xfs.
//!
//! Layouts: Microsoft FAT specification, ECMA-119, the kernel's ext4 and xfs documentation.

use super::bytes::Bytes;
use super::volume::udf;

/// What the superblock says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Superblock {
    /// Type for mount(2).
    pub kind: &'static str,
    /// Every label found; vfat has one in the boot sector and one in the root directory.
    pub labels: Vec<String>,
    /// UUID as blkid(8) prints it; vfat's serial number as `XXXX-XXXX`.
    pub uuid: Option<String>,
}

/// Entries of a FAT root directory that are searched for the label; it is the first one in practice.
const FAT_ROOT_ENTRIES: usize = 512;

/// Recognises a file system; `None` for anything unknown.
pub fn probe(device: &(impl Bytes + ?Sized)) -> Option<Superblock> {
    iso9660(device).or_else(|| ext(device)).or_else(|| xfs(device)).or_else(|| vfat(device)).or_else(|| udf(device))
}

fn iso9660(device: &(impl Bytes + ?Sized)) -> Option<Superblock> {
    let primary = device.at(32768, 72).ok()?;
    (primary.get(..6)? == b"\x01CD001").then(|| Superblock {
        kind: "iso9660",
        labels: label(&primary[40..72]).into_iter().collect(),
        uuid: None,
    })
}

/// Without an ISO 9660 file system beside it, which holds the same files.
fn udf(device: &(impl Bytes + ?Sized)) -> Option<Superblock> {
    Some(Superblock { kind: "udf", labels: vec![udf::label(device)?], uuid: None })
}

fn ext(device: &(impl Bytes + ?Sized)) -> Option<Superblock> {
    let block = device.at(1024, 136).ok()?;
    (block.get(56..58)? == [0x53, 0xEF]).then(|| Superblock {
        kind: "ext4",
        labels: label(&block[120..136]).into_iter().collect(),
        uuid: Some(uuid(&block[104..120])),
    })
}

fn xfs(device: &(impl Bytes + ?Sized)) -> Option<Superblock> {
    let block = device.at(0, 120).ok()?;
    (block.get(..4)? == b"XFSB").then(|| Superblock {
        kind: "xfs",
        labels: label(&block[108..120]).into_iter().collect(),
        uuid: Some(uuid(&block[32..48])),
    })
}

fn vfat(device: &(impl Bytes + ?Sized)) -> Option<Superblock> {
    let boot = device.at(0, 512).ok()?;
    if boot.get(510..512)? != [0x55, 0xAA] {
        return None;
    }
    let half = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
    let word = |at: usize| u64::from(u32::from_le_bytes([boot[at], boot[at + 1], boot[at + 2], boot[at + 3]]));
    let (sector, cluster) = (half(11), u64::from(boot[13]));
    if !matches!(sector, 512 | 1024 | 2048 | 4096) || !cluster.is_power_of_two() {
        return None;
    }
    let reserved = half(14);
    let (root, label_at, serial_at) = if &boot[82..87] == b"FAT32" {
        let data = reserved + u64::from(boot[16]) * word(36);
        (data + word(44).checked_sub(2)? * cluster, 71, 67)
    } else if &boot[54..57] == b"FAT" {
        (reserved + u64::from(boot[16]) * half(22), 43, 39)
    } else {
        return None;
    };
    let mut labels = Vec::new();
    labels.extend(fat_root_label(device, root.checked_mul(sector)?));
    labels.extend(label(&boot[label_at..label_at + 11]).filter(|name| name != "NO NAME"));
    labels.dedup();
    let serial = word(serial_at);
    Some(Superblock { kind: "vfat", labels, uuid: Some(format!("{:04X}-{:04X}", serial >> 16, serial & 0xFFFF)) })
}

fn fat_root_label(device: &(impl Bytes + ?Sized), root: u64) -> Option<String> {
    for index in 0..FAT_ROOT_ENTRIES {
        let entry = device.at(root.checked_add(32 * u64::try_from(index).ok()?)?, 32).ok()?;
        match (entry[0], entry[11]) {
            (0, _) => return None,
            (0xE5, _) => {}
            // Attribute "volume label", and not the 0x0F that marks a piece of a long name.
            (_, attributes) if attributes & 0x18 == 0x08 && attributes & 0x0F != 0x0F => return label(&entry[..11]),
            _ => {}
        }
    }
    None
}

fn label(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\0', ' ']);
    (!text.is_empty()).then(|| text.to_owned())
}

fn uuid(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::process::Command;

    fn image(size: usize) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        std::fs::write(&path, vec![0; size]).unwrap();
        (directory, path)
    }

    fn run(program: &str, arguments: &[&str], path: &std::path::Path) -> Superblock {
        let output = Command::new(program).args(arguments).arg(path).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        probe(&File::open(path).unwrap()).unwrap()
    }

    #[test]
    fn real_file_systems_are_recognised() {
        for (bits, size) in [("12", 2 << 20), ("16", 16 << 20), ("32", 64 << 20)] {
            let (_keep, path) = image(size);
            let found = run("/usr/sbin/mkfs.vfat", &["-F", bits, "-n", "CIDATA", "-i", "1234abcd"], &path);
            assert_eq!(
                (found.kind, found.labels, found.uuid),
                ("vfat", vec!["CIDATA".into()], Some("1234-ABCD".into()))
            );
        }
        let (_keep, path) = image(4 << 20);
        let id = "11111111-2222-3333-4444-555555555555";
        let found = run("/usr/sbin/mkfs.ext4", &["-q", "-L", "data", "-U", id], &path);
        assert_eq!((found.kind, found.labels, found.uuid), ("ext4", vec!["data".into()], Some(id.into())));
    }

    #[test]
    fn iso_label_is_the_volume_id() {
        let mut bytes = vec![0; 34 * 1024];
        bytes[32768..32774].copy_from_slice(b"\x01CD001");
        bytes[32808..32840].copy_from_slice(b"cidata                          ");
        assert_eq!(probe(&bytes[..]).unwrap().labels, ["cidata"]);
    }

    #[test]
    fn fat_label_may_stand_in_the_root_directory_only() {
        let (_keep, path) = image(2 << 20);
        run("/usr/sbin/mkfs.vfat", &["-F", "12", "-n", "CIDATA"], &path);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[43..54].copy_from_slice(b"NO NAME    ");
        assert_eq!(probe(&bytes[..]).unwrap().labels, ["CIDATA"]);
    }

    #[test]
    fn short_and_foreign_devices_are_nothing() {
        let mut odd = vec![0xFF; 4096];
        odd[510..512].copy_from_slice(&[0x55, 0xAA]);
        for bytes in [vec![], vec![0; 100], vec![0; 100_000], odd] {
            assert_eq!(probe(&bytes[..]), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 512..2000)) {
            bytes[510..512].copy_from_slice(&[0x55, 0xAA]);
            bytes[11..13].copy_from_slice(&[0, 2]);
            bytes[54..57].copy_from_slice(b"FAT");
            drop(probe(&bytes[..]));
            bytes[82..87].copy_from_slice(b"FAT32");
            drop(probe(&bytes[..]));
        }
    }
}
