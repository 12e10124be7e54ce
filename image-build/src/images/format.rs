//! The list of forms.

use anyhow::{Context, Result, bail};
use std::path::Path;

const GIB: u64 = 1 << 30;
/// Disk of a machine made of a form whose importer asks for no size: room for both slots and some containers. It takes no
/// room in the file.
const MACHINE_SIZE: u64 = 8 * GIB;

/// A form of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// To be written to a disk as it is.
    RawZst,
    /// QEMU, and clouds made of it.
    Qcow2,
    /// VMware, stream-optimised.
    Vmdk,
    /// VMware, a whole machine.
    Ova,
    /// Azure: fixed size, a whole number of MiB.
    Vhd,
    /// Hyper-V.
    Vhdx,
    /// Live medium.
    Iso,
    /// Network boot.
    Pxe,
    /// Google: `disk.raw` of whole GiB in an archive.
    Gce,
}

impl Format {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 9] =
        [Self::RawZst, Self::Qcow2, Self::Vmdk, Self::Ova, Self::Vhd, Self::Vhdx, Self::Gce, Self::Iso, Self::Pxe];

    /// The word on the command line and in `images.json`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::RawZst => "raw.zst",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Ova => "ova",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Gce => "gce",
            Self::Iso => "iso",
            Self::Pxe => "pxe",
        }
    }

    /// Who takes it.
    pub(crate) fn platforms(self) -> &'static str {
        match self {
            Self::RawZst => "disks of machines and rescue systems",
            Self::Qcow2 => "QEMU, libvirt, Proxmox, OpenStack, Oracle, Scaleway, Alibaba",
            Self::Vmdk => "vSphere, ESXi",
            Self::Ova => "vSphere, ESXi: a machine",
            Self::Vhd => "Azure",
            Self::Vhdx => "Hyper-V",
            Self::Gce => "Google Compute Engine",
            Self::Iso => "CD-ROMs and sticks: runs live, installs",
            Self::Pxe => "network boot: runs live, installs",
        }
    }

    /// The driver of qemu-img for the file, where it is a disk.
    pub(crate) fn driver(self) -> Option<&'static str> {
        match self {
            Self::Qcow2 => Some("qcow2"),
            Self::Vmdk => Some("vmdk"),
            Self::Vhd => Some("vpc"),
            Self::Vhdx => Some("vhdx"),
            Self::RawZst | Self::Ova | Self::Gce | Self::Iso | Self::Pxe => None,
        }
    }

    /// Size of the disk a machine sees, for a raw image of `raw` bytes; 0 where there is none.
    pub(crate) fn virtual_size(self, raw: u64) -> u64 {
        match self {
            Self::RawZst | Self::Qcow2 | Self::Vhd => raw,
            Self::Vmdk | Self::Ova | Self::Vhdx => raw.max(MACHINE_SIZE),
            Self::Gce => raw.next_multiple_of(GIB),
            Self::Iso | Self::Pxe => 0,
        }
    }

    /// Name of the file for the raw image `raw`.
    pub(crate) fn file_name(self, raw: &Path) -> Result<String> {
        let stem = raw.file_stem().and_then(|stem| stem.to_str()).context("the raw image has no name")?;
        // Google takes nothing that does not end in .tar.gz.
        let ending = match self {
            Self::Gce => "gce.tar.gz",
            Self::Pxe => "pxe.tar",
            _ => self.word(),
        };
        Ok(format!("{stem}.{ending}"))
    }
}

/// Forms by their words, separated by commas; each once, in the table's order.
pub(crate) fn parse(text: &str) -> Result<Vec<Format>> {
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    for word in &words {
        if !Format::ALL.iter().any(|format| format.word() == *word) {
            bail!("--formats: there is no \"{word}\"; there are {}", Format::ALL.map(Format::word).join(", "));
        }
    }
    Ok(Format::ALL.into_iter().filter(|format| words.contains(&format.word())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_formats() {
        assert_eq!(parse("gce, raw.zst,gce").unwrap(), [Format::RawZst, Format::Gce]);
        assert_eq!(parse(&Format::ALL.map(Format::word).join(",")).unwrap(), Format::ALL);
        for wrong in ["", "iso9660", "vhd,", "VHD"] {
            assert!(parse(wrong).unwrap_err().to_string().contains("there are raw.zst, qcow2"), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_those_platforms_take() {
        let raw = 1539 << 20;
        for (format, size) in [
            (Format::RawZst, raw),
            (Format::Qcow2, raw),
            (Format::Vhd, raw),
            (Format::Gce, 2 << 30),
            (Format::Iso, 0),
            (Format::Vmdk, 8 << 30),
            (Format::Ova, 8 << 30),
            (Format::Vhdx, 8 << 30),
        ] {
            assert_eq!(format.virtual_size(raw), size, "{format:?}");
        }
        assert_eq!(Format::Vmdk.virtual_size(9 << 30), 9 << 30);
        assert_eq!(Format::Gce.virtual_size(2 << 30), 2 << 30);
    }

    #[test]
    fn names_follow_the_raw_image() {
        let name = |format: Format| format.file_name(Path::new("/b/hull-x86_64.raw")).unwrap();
        assert_eq!(name(Format::RawZst), "hull-x86_64.raw.zst");
        assert_eq!(name(Format::Gce), "hull-x86_64.gce.tar.gz");
        assert_eq!(name(Format::Vhd), "hull-x86_64.vhd");
    }
}
