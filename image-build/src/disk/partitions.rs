//! Partitions of the shipped image; first boot adds slot B and state behind them.
//!
//! ```text
//! 1  bios       1 MiB   GRUB core image
//! 2  esp      512 MiB   FAT32
//! 3  root-a     1 GiB   erofs and its hash tree
//! ```

use crate::guid::Guid;

/// Sector size of the image; disks with larger logical sectors need another table.
pub(crate) const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;
/// First partition and alignment: one MiB, as partitioning tools do.
const ALIGNMENT: u64 = MIB;
/// Room behind the last partition for the backup table.
const TAIL: u64 = MIB;

/// UEFI and Discoverable Partitions Specification (UAPI.2) types.
const TYPE_BIOS_BOOT: &str = "2168614864496e6f744e656564454649";
const TYPE_ESP: &str = "c12a7328f81f11d2ba4b00a0c93ec93b";
const TYPE_ROOT_X86_64: &str = "4f68bce3e8cd4db196e7fbcaf984b709";

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partition {
    /// GPT name.
    pub(crate) name: &'static str,
    /// Type.
    pub(crate) kind: Guid,
    /// Identity.
    pub(crate) id: Guid,
    /// Offset in bytes.
    pub(crate) start: u64,
    /// Size in bytes.
    pub(crate) size: u64,
}

/// The whole disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Identity.
    pub(crate) id: Guid,
    /// Bytes.
    pub(crate) size: u64,
    /// BIOS boot partition.
    pub(crate) bios: Partition,
    /// EFI system partition.
    pub(crate) esp: Partition,
    /// Root of slot A.
    pub(crate) root: Partition,
}

impl Disk {
    /// The layout for the image with this root hash: identities follow from it.
    pub(crate) fn new(root_hash: &str) -> Self {
        let mut next = ALIGNMENT;
        let mut partition = |name, kind: &str, id, size| {
            let start = next;
            next += size;
            Partition { name, kind: Guid::from_hex(kind), id, start, size }
        };
        let derived = |purpose| Guid::derived(root_hash, purpose);
        let bios = partition("bios", TYPE_BIOS_BOOT, derived("bios"), MIB);
        let esp = partition("esp", TYPE_ESP, derived("esp"), 512 * MIB);
        let root = partition("root-a", TYPE_ROOT_X86_64, Guid::from_hex(root_hash), 1024 * MIB);
        Self { id: derived("disk"), size: next + TAIL, bios, esp, root }
    }

    /// In the order of their numbers.
    pub(crate) fn partitions(&self) -> [&Partition; 3] {
        [&self.bios, &self.esp, &self.root]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_follow_each_other() {
        let disk = Disk::new(&"ab".repeat(32));
        let mut end = ALIGNMENT;
        for partition in disk.partitions() {
            assert_eq!((partition.start, partition.start % ALIGNMENT), (end, 0), "{}", partition.name);
            end = partition.start + partition.size;
        }
        assert_eq!(disk.size, end + TAIL);
        assert_eq!(disk.root.id.to_string(), "abababab-abab-abab-abab-abababababab");
        assert_eq!(disk.bios.kind.to_string(), "21686148-6449-6e6f-744e-656564454649");
    }
}
