//! What a partition holds, judged by its first bytes: nothing, our file system, or something of somebody else's that must
//! not be overwritten. And from that, what to do: a pure decision.

/// How much of the partition [`examine`] wants: btrfs keeps its superblock at 64 KiB.
pub(crate) const HEAD_BYTES: usize = 68 << 10;
/// Label of our file system.
pub(crate) const LABEL: &str = "HULL_STATE";

const SUPERBLOCK: usize = 1024;

/// Signatures by offset, after the libblkid superblock list; those of file systems and containers a disk may carry.
const SIGNATURES: [(usize, &[u8], &str); 17] = [
    (0, b"LUKS\xba\xbe", "LUKS encryption"),
    (0, b"XFSB", "an XFS file system"),
    (0, b"hsqs", "a squashfs image"),
    (0, b"bcachefs", "a bcachefs file system"),
    (3, b"NTFS    ", "an NTFS file system"),
    (3, b"EXFAT   ", "an exFAT file system"),
    (54, b"FAT1", "a FAT file system"),
    (82, b"FAT32   ", "a FAT file system"),
    (24, b"LVM2 001", "an LVM volume"),
    (536, b"LVM2 001", "an LVM volume"),
    (512, b"EFI PART", "a partition table"),
    (1024, &[0xe2, 0xe1, 0xf5, 0xe0], "an erofs image"),
    (1024, &[0x10, 0x20, 0xf5, 0xf2], "an F2FS file system"),
    (4096, &[0xfc, 0x4e, 0x2b, 0xa9], "a RAID member"),
    (4086, b"SWAPSPACE2", "a swap area"),
    (32769, b"CD001", "an ISO 9660 image"),
    (65600, b"_BHRfS_M", "a btrfs file system"),
];

/// What the partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// No known signature.
    Blank,
    /// ext4 labelled `HULL_STATE`.
    Ours {
        /// Size of the file system in bytes.
        bytes: u64,
        /// Its block size.
        block_bytes: u64,
        /// It was never mounted, so nothing but mke2fs wrote to it.
        unused: bool,
    },
    /// Somebody else's data, named for the message.
    Foreign(&'static str),
}

/// Judges the first [`HEAD_BYTES`] of a partition; fewer are taken as zeros.
pub(crate) fn examine(head: &[u8]) -> Content {
    if let Some(superblock) = head.get(SUPERBLOCK..SUPERBLOCK + 1024).filter(|block| block[56..58] == [0x53, 0xef]) {
        return ext4(superblock);
    }
    let carries = |&&(at, magic, _): &&(usize, &[u8], &str)| head.get(at..at + magic.len()) == Some(magic);
    SIGNATURES.iter().find(carries).map_or(Content::Blank, |&(_, _, name)| Content::Foreign(name))
}

/// Fields of `struct ext4_super_block` (kernel documentation `filesystems/ext4/super.rst`).
fn ext4(superblock: &[u8]) -> Content {
    let u32_at =
        |at: usize| u32::from_le_bytes([superblock[at], superblock[at + 1], superblock[at + 2], superblock[at + 3]]);
    let label = &superblock[0x78..0x88];
    let label = &label[..label.iter().position(|&byte| byte == 0).unwrap_or(label.len())];
    if label != LABEL.as_bytes() {
        return Content::Foreign("an ext file system of another label");
    }
    let blocks = u64::from(u32_at(0x150)) << 32 | u64::from(u32_at(4));
    let block_bytes = 1024_u64.checked_shl(u32_at(24)).unwrap_or(0);
    Content::Ours { bytes: blocks.saturating_mul(block_bytes), block_bytes, unused: u32_at(0x2c) == 0 }
}

/// What to do with the state partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Make the file system: nothing is lost by it.
    Format,
    /// Check, mount.
    Check {
        /// mke2fs was cut off here if the check fails: format then.
        format_if_broken: bool,
    },
    /// Leave it alone.
    Refuse(&'static str),
}

/// Decides by the content and by whether a file system was ever completed here; `start_over` is the owner's word that
/// what cannot be used may be formatted.
pub(crate) fn decide(content: Content, completed: bool, start_over: bool) -> Action {
    match (content, completed) {
        (Content::Foreign(_), _) if start_over => Action::Format,
        (Content::Ours { .. }, _) if start_over => Action::Check { format_if_broken: true },
        (Content::Blank, _) if start_over => Action::Format,
        (Content::Foreign(what), _) => Action::Refuse(what),
        (Content::Blank, false) => Action::Format,
        // e2fsck looks for backup superblocks.
        (Content::Blank, true) | (Content::Ours { .. }, true) => Action::Check { format_if_broken: false },
        (Content::Ours { unused, .. }, false) => Action::Check { format_if_broken: unused },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ext4_head(label: &[u8], mounted: u32) -> Vec<u8> {
        let mut head = vec![0; HEAD_BYTES];
        let superblock = &mut head[SUPERBLOCK..];
        superblock[4..8].copy_from_slice(&25_600_u32.to_le_bytes());
        superblock[24] = 2;
        superblock[0x2c..0x30].copy_from_slice(&mounted.to_le_bytes());
        superblock[56..58].copy_from_slice(&[0x53, 0xef]);
        superblock[0x78..0x78 + label.len()].copy_from_slice(label);
        head
    }

    #[test]
    fn contents() {
        let ours = |unused| Content::Ours { bytes: 100 << 20, block_bytes: 4096, unused };
        assert_eq!(examine(&[]), Content::Blank);
        assert_eq!(examine(&vec![0xa5; HEAD_BYTES]), Content::Blank);
        assert_eq!(examine(&ext4_head(b"HULL_STATE", 0)), ours(true));
        assert_eq!(examine(&ext4_head(b"HULL_STATE", 7)), ours(false));
        assert!(matches!(examine(&ext4_head(b"data", 0)), Content::Foreign(_)));
        assert!(matches!(examine(&ext4_head(b"HULL_STATE_2", 0)), Content::Foreign(_)));
        for (at, magic, name) in SIGNATURES {
            let mut head = vec![0; HEAD_BYTES];
            head[at..at + magic.len()].copy_from_slice(magic);
            assert_eq!(examine(&head), Content::Foreign(name));
        }
    }

    #[test]
    fn a_real_file_system_is_recognised() {
        let file = tempfile::NamedTempFile::new().expect("file");
        file.as_file().set_len(64 << 20).expect("length");
        let made =
            std::process::Command::new("mke2fs").args(["-q", "-t", "ext4", "-L", LABEL]).arg(file.path()).status();
        assert!(made.expect("mke2fs of e2fsprogs").success());
        let image = std::fs::read(file.path()).expect("image");
        assert!(matches!(examine(&image[..HEAD_BYTES]), Content::Ours { bytes: 0x400_0000, unused: true, .. }));
    }

    #[test]
    fn nothing_completed_or_foreign_is_ever_formatted() {
        let check = |format_if_broken| Action::Check { format_if_broken };
        let ours = |unused| Content::Ours { bytes: 1, block_bytes: 4096, unused };
        for (content, completed, action) in [
            (Content::Blank, false, Action::Format),
            (Content::Blank, true, check(false)),
            (ours(true), false, check(true)),
            (ours(false), false, check(false)),
            (ours(true), true, check(false)),
            (ours(false), true, check(false)),
            (Content::Foreign("x"), false, Action::Refuse("x")),
            (Content::Foreign("x"), true, Action::Refuse("x")),
        ] {
            assert_eq!(decide(content, completed, false), action, "{content:?} {completed}");
        }
    }

    #[test]
    fn starting_over_keeps_a_sound_file_system() {
        let ours = Content::Ours { bytes: 1, block_bytes: 4096, unused: false };
        for completed in [false, true] {
            assert_eq!(decide(ours, completed, true), Action::Check { format_if_broken: true });
            assert_eq!(decide(Content::Blank, completed, true), Action::Format);
            assert_eq!(decide(Content::Foreign("x"), completed, true), Action::Format);
        }
    }
}
