//! A VM's description and the QEMU command line it means.

use crate::accel::Accel;
use crate::hardware::Hardware;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Firmware that starts the boot loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// OVMF, systemd-boot.
    Uefi,
    /// SeaBIOS, GRUB.
    Bios,
}

/// How far the guest's packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// No network card at all.
    None,
    /// Only the forwards; nothing leaves the machine.
    Isolated,
    /// Wherever the host gets.
    Open,
}

/// Where the system disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disk {
    /// A file; format by its name, see [`format_of`].
    File(PathBuf),
    /// The unix socket of an NBD server, such as [`crate::fault_disk::FaultDisk`].
    Nbd(PathBuf),
    /// There is none: a medium that cannot be written.
    Medium(PathBuf),
    /// There is none: a folder that is served by TFTP, with `boot.ipxe` for BIOS and `hull.efi` for UEFI.
    Network(PathBuf),
}

impl Disk {
    /// File, socket or folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Nbd(path) | Self::Medium(path) | Self::Network(path) => path,
        }
    }

    /// Options of `-drive`, if there is one. The NBD server must see the guest's flushes: the guest is shown a volatile write cache
    /// (writeback) and flushes are not dropped, as `cache=unsafe` would. QEMU flushes of itself only when it stops or ends
    /// in an orderly manner; when it is killed it does not.
    fn drive(&self) -> Option<String> {
        let drive = match self {
            Self::Network(_) => return None,
            Self::Medium(file) => format!("file={},format=raw,readonly=on", file.display()),
            Self::File(file) => format!("file={},format={},discard=unmap", file.display(), format_of(file)),
            Self::Nbd(socket) => format!(
                "file.driver=nbd,file.server.type=unix,file.server.path={},format=raw,cache.writeback=on,cache.no-flush=off,discard=unmap",
                socket.display()
            ),
        };
        Some(drive)
    }
}

/// Everything that makes a VM.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Accelerator.
    pub accel: Accel,
    /// Firmware.
    pub firmware: Firmware,
    /// What disk and network are attached to.
    pub hardware: Hardware,
    /// MiB.
    pub memory: u32,
    /// System disk.
    pub disk: Disk,
    /// A blank disk of the owner's, found by its serial number [`DATA_SERIAL`]; qcow2.
    pub data: Option<PathBuf>,
    /// NoCloud volume; `.iso` is attached as a CD-ROM.
    pub seed: Option<PathBuf>,
    /// Network.
    pub network: Network,
    /// Host to guest TCP ports, all bound to 127.0.0.1.
    pub ports: Vec<(u16, u16)>,
    /// Guest address to host loopback port: (`10.0.2.100:5000`, 5000).
    pub services: Vec<(String, u16)>,
    /// Further options of `-smbios`.
    pub smbios: Vec<String>,
    /// Host tap devices, each a network card with the MAC address `52:54:00:00:00:<number from 1>`.
    pub taps: Vec<String>,
    /// Options appended to the kernel command line for this boot.
    pub kernel_options: String,
    /// Copy of the firmware's variable store (UEFI).
    pub variables: PathBuf,
    /// What the machine's clock shows at its start (UTC, `2006-06-17T16:01:21`); else that of this machine.
    pub clock: Option<String>,
}

/// Serial number of [`Machine::data`].
pub const DATA_SERIAL: &str = "hulldata";
/// OVMF as Debian's `ovmf` package installs it.
pub const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
/// Its variable store template.
pub const OVMF_VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

impl Machine {
    /// Arguments without console, monitor and display, which depend on who watches.
    pub fn args(&self) -> Vec<String> {
        let mut args: Vec<String> = self.accel.args().map(str::to_owned).into();
        let mut add = |list: &[&str]| args.extend(list.iter().map(|arg| (*arg).to_owned()));
        add(&["-machine", "q35", "-smp", "2", "-m", &self.memory.to_string(), "-nodefaults", "-vga", "std"]);
        add(&["-device", "virtio-rng-pci", "-device", "i6300esb", "-watchdog-action", "reset"]);
        if let Some(clock) = &self.clock {
            add(&["-rtc", &format!("base={clock}")]);
        }
        if self.firmware == Firmware::Uefi {
            add(&["-drive", &format!("if=pflash,unit=0,format=raw,readonly=on,file={OVMF_CODE}")]);
            add(&["-drive", &format!("if=pflash,unit=1,format=raw,file={}", self.variables.display())]);
        }
        if let Some(drive) = self.disk.drive() {
            add(&["-drive", &format!("if=none,id=system,{drive}")]);
            add(&self.hardware.disk());
        }
        if let Some(seed) = &self.seed {
            let cdrom = seed.extension().is_some_and(|extension| extension == "iso");
            let media = if cdrom { ",media=cdrom" } else { "" };
            add(&["-drive", &format!("if=none,id=seed,file={},format=raw,readonly=on{media}", seed.display())]);
            add(&["-device", if cdrom { "ide-cd,bus=ide.1,drive=seed" } else { "virtio-blk-pci,drive=seed" }]);
        }
        if let Some(data) = &self.data {
            add(&["-drive", &format!("if=none,id=data,file={},format={}", data.display(), format_of(data))]);
            add(&["-device", &format!("virtio-blk-pci,drive=data,serial={DATA_SERIAL}")]);
        }
        if !self.kernel_options.is_empty() {
            add(&[
                "-smbios",
                &format!(
                    "type=11,value=io.systemd.stub.kernel-cmdline-extra={}",
                    self.kernel_options.replace(',', ",,")
                ),
            ]);
        }
        for option in &self.smbios {
            add(&["-smbios", option]);
        }
        for (index, tap) in self.taps.iter().enumerate() {
            let number = index + 1;
            add(&["-netdev", &format!("tap,id=tap{number},ifname={tap},script=no,downscript=no")]);
            add(&["-device", &format!("virtio-net-pci,netdev=tap{number},mac=52:54:00:00:00:{number:02x}")]);
        }
        if self.network == Network::None {
            if self.taps.is_empty() {
                add(&["-nic", "none"]);
            }
        } else {
            add(&[
                "-netdev",
                &self.netdev(),
                "-device",
                &format!("{},netdev=net0{}", self.hardware.card(), self.network_boot()),
            ]);
        }
        args
    }

    /// The card comes first in the boot order when there is nothing else to boot from; without QEMU's iPXE in its ROM the
    /// UEFI firmware loads the file itself.
    fn network_boot(&self) -> &'static str {
        match (&self.disk, self.firmware) {
            (Disk::Network(_), Firmware::Uefi) => ",bootindex=1,romfile=",
            (Disk::Network(_), Firmware::Bios) => ",bootindex=1",
            _ => "",
        }
    }

    fn netdev(&self) -> String {
        let mut text = String::from("user,id=net0");
        if self.network == Network::Isolated {
            text.push_str(",restrict=on");
        }
        if let Disk::Network(folder) = &self.disk {
            let file = if self.firmware == Firmware::Uefi { "hull.efi" } else { "boot.ipxe" };
            let _ok = write!(text, ",tftp={},bootfile={file}", folder.display());
        }
        for (host, guest) in &self.ports {
            // Writing to a String cannot fail.
            let _ok = write!(text, ",hostfwd=tcp:127.0.0.1:{host}-:{guest}");
        }
        // The form with a command makes a connection for each of the guest's; the one with an address makes one in all.
        for (guest, host) in &self.services {
            let _ok = write!(text, ",guestfwd=tcp:{guest}-cmd:socat STDIO TCP4:127.0.0.1:{host}");
        }
        text
    }
}

/// QEMU's driver for a disk of this name; what is no form of the image is qcow2.
pub fn format_of(disk: &Path) -> &'static str {
    match disk.extension().and_then(|extension| extension.to_str()) {
        Some("raw") => "raw",
        Some("vmdk") => "vmdk",
        Some("vhd") => "vpc",
        Some("vhdx") => "vhdx",
        _ => "qcow2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(network: Network) -> Machine {
        Machine {
            accel: Accel::Tcg,
            firmware: Firmware::Bios,
            hardware: Hardware::Virtio,
            memory: 512,
            disk: Disk::File("d.qcow2".into()),
            data: Some("data.qcow2".into()),
            seed: Some("s.iso".into()),
            network,
            ports: vec![(2222, 22)],
            services: vec![("10.0.2.100:5000".into(), 4000)],
            smbios: Vec::new(),
            taps: Vec::new(),
            kernel_options: "a=b,c".into(),
            variables: "v".into(),
            clock: Some("1970-01-01T00:00:00".into()),
        }
    }

    #[test]
    fn isolated_network_is_restricted_and_bound_to_loopback() {
        let args = machine(Network::Isolated).args().join(" ");
        assert!(args.contains(
            "user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22,guestfwd=tcp:10.0.2.100:5000-cmd:socat STDIO TCP4:127.0.0.1:4000"
        ));
        assert!(args.contains("-rtc base=1970-01-01T00:00:00"));
        assert!(args.contains("kernel-cmdline-extra=a=b,,c") && args.contains("ide-cd"));
        assert!(args.contains("file=data.qcow2,format=qcow2") && args.contains("drive=data,serial=hulldata"));
    }

    #[test]
    fn system_disk_is_a_file_or_served() {
        for (disk, want) in [
            (Disk::File("d.qcow2".into()), "if=none,id=system,file=d.qcow2,format=qcow2,discard=unmap"),
            (Disk::File("d.raw".into()), "if=none,id=system,file=d.raw,format=raw,discard=unmap"),
            (Disk::File("d.vhd".into()), "if=none,id=system,file=d.vhd,format=vpc,discard=unmap"),
            (
                Disk::Nbd("n.sock".into()),
                "if=none,id=system,file.driver=nbd,file.server.type=unix,file.server.path=n.sock,format=raw,cache.writeback=on,cache.no-flush=off,discard=unmap",
            ),
        ] {
            let args = Machine { disk, ..machine(Network::None) }.args();
            assert!(args.iter().any(|arg| arg == want), "{args:?}");
        }
    }

    #[test]
    fn hardware_is_the_platforms() {
        let hardware = Hardware::Vmware;
        let args = Machine { hardware, ..machine(Network::Isolated) }.args().join(" ");
        assert!(args.contains("-device pvscsi,id=scsi -device scsi-hd,bus=scsi.0,drive=system,bootindex=1"), "{args}");
        assert!(args.contains("-device vmxnet3,netdev=net0") && !args.contains("virtio-net"), "{args}");
    }

    #[test]
    fn no_network_means_no_card() {
        let args = machine(Network::None).args().join(" ");
        assert!(args.contains("-nic none") && !args.contains("netdev"));
    }
}
