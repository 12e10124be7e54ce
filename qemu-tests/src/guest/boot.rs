//! What a scenario asks of a VM, and what all of them share.

use crate::accel::Accel;
use crate::hardware::Hardware;
use crate::machine::{Disk, Firmware, Network};
use crate::seed::Seed;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// What a scenario asks for; the rest has defaults.
#[derive(Debug, Clone)]
pub struct Boot {
    /// Firmware.
    pub firmware: Firmware,
    /// What disk and network are attached to.
    pub hardware: Hardware,
    /// The image below the disk in place of the site's; format by its name.
    pub image: Option<PathBuf>,
    /// What the machine boots from in place of a disk.
    pub diskless: Option<Disk>,
    /// MiB.
    pub memory: u32,
    /// User data volume.
    pub seed: Option<Seed>,
    /// Network.
    pub network: Network,
    /// Guest TCP ports made reachable besides ssh.
    pub ports: Vec<u16>,
    /// Guest address to loopback port of this machine.
    pub services: Vec<(String, u16)>,
    /// Network namespace of this machine that QEMU runs in, and tap devices in there.
    pub taps: Option<(String, Vec<String>)>,
    /// Address that the machine has in that namespace, where ssh finds it; else by a forwarded port.
    pub address: Option<String>,
    /// Added kernel options, besides the debug shell's.
    pub kernel_options: String,
    /// Size of the disk in bytes; `None` leaves the image's.
    pub disk_size: Option<u64>,
    /// NBD socket of the system disk, in place of a copy of the image; `disk_size` is then the server's affair.
    pub served: Option<PathBuf>,
    /// Size in bytes of a second, blank disk: [`DATA_DISK`](super::DATA_DISK).
    pub data_size: Option<u64>,
}

impl Default for Boot {
    fn default() -> Self {
        Self {
            firmware: Firmware::Uefi,
            hardware: Hardware::Virtio,
            image: None,
            diskless: None,
            memory: 1024,
            seed: None,
            network: Network::Isolated,
            ports: Vec::new(),
            services: Vec::new(),
            taps: None,
            address: None,
            kernel_options: String::new(),
            disk_size: Some(8 << 30),
            served: None,
            data_size: None,
        }
    }
}

/// Where an image and an ssh key live, shared by all guests of a run.
#[derive(Debug, Clone)]
pub struct Site {
    /// The raw image under test; never written.
    pub image: PathBuf,
    /// Scenario directories are made here.
    pub work: PathBuf,
    /// Private key; the public one is beside it with `.pub`.
    pub key: PathBuf,
    /// Accelerator.
    pub accel: Accel,
}

impl Site {
    /// The public key, a line without its end.
    pub fn public_key(&self) -> Result<String> {
        let text = std::fs::read_to_string(self.key.with_extension("pub")).context("the run's public key")?;
        Ok(text.trim().to_owned())
    }
}
