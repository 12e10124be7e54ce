//! Disk controller and network card: what platforms offer, as far as QEMU has it.

/// The hardware of one kind of platform.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hardware {
    /// virtio disk and card: QEMU, libvirt, most clouds.
    #[default]
    Virtio,
    /// Disk on a virtio SCSI controller: Google, Proxmox, Hetzner.
    VirtioScsi,
    /// VMware's own controller and card.
    Vmware,
    /// NVMe and an Intel card: servers; EC2's disks.
    Nvme,
    /// A CD-ROM in place of the disk.
    CdRom,
    /// A stick, and an Intel card.
    Usb,
    /// SATA and an older Intel card: servers, VirtualBox.
    Sata,
}

impl Hardware {
    /// Arguments for the disk that is QEMU's drive `system`, first in the boot order.
    pub fn disk(self) -> Vec<&'static str> {
        let devices: &[&str] = match self {
            Self::Virtio => &["virtio-blk-pci,drive=system,bootindex=1"],
            Self::VirtioScsi => &["virtio-scsi-pci,id=scsi", "scsi-hd,bus=scsi.0,drive=system,bootindex=1"],
            Self::Vmware => &["pvscsi,id=scsi", "scsi-hd,bus=scsi.0,drive=system,bootindex=1"],
            Self::Nvme => &["nvme,serial=system,drive=system,bootindex=1"],
            Self::CdRom => &["ide-cd,bus=ide.0,drive=system,bootindex=1"],
            Self::Usb => &["qemu-xhci", "usb-storage,drive=system,bootindex=1"],
            Self::Sata => &["ide-hd,bus=ide.0,drive=system,bootindex=1"],
        };
        devices.iter().flat_map(|device| ["-device", device]).collect()
    }

    /// The network card's model.
    pub fn card(self) -> &'static str {
        match self {
            Self::Virtio | Self::VirtioScsi | Self::CdRom => "virtio-net-pci",
            Self::Vmware => "vmxnet3",
            Self::Nvme | Self::Usb => "e1000e",
            Self::Sata => "e1000",
        }
    }
}
