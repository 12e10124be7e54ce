//! The image in the forms that platforms take: each boots on the hardware of its platform, as far as QEMU has it, is
//! reached by its network card and keeps its state on its disk. `FORMATS` chooses: words with commas, `all`; unset, the
//! two that differ most from the raw image's own boots.
//!
//! The files are those of `make images` beside the image under test; what is packed is unpacked first.

use crate::guest::{Boot, Guest, Site, USER};
use crate::hardware::Hardware;
use crate::machine::{Disk, Firmware};
use crate::report::Report;
use crate::seed::{Seed, run as command};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A form of the image and the machine that it boots on.
#[derive(Debug, Clone, Copy)]
struct Form {
    word: &'static str,
    /// Behind the image's own name without `.raw`.
    ending: &'static str,
    firmware: Firmware,
    hardware: Hardware,
}

const fn form(word: &'static str, ending: &'static str, firmware: Firmware, hardware: Hardware) -> Form {
    Form { word, ending, firmware, hardware }
}

/// Both firmwares and every kind of hardware are among them. OVMF of Debian does not boot from VMware's controller.
const FORMS: [Form; 11] = [
    form("raw.zst", "raw.zst", Firmware::Uefi, Hardware::Usb),
    form("qcow2", "qcow2", Firmware::Uefi, Hardware::Nvme),
    form("vmdk", "vmdk", Firmware::Uefi, Hardware::Sata),
    form("ova", "ova", Firmware::Bios, Hardware::Vmware),
    form("vhd", "vhd", Firmware::Bios, Hardware::Sata),
    form("vhdx", "vhdx", Firmware::Uefi, Hardware::Sata),
    form("gce", "gce.tar.gz", Firmware::Uefi, Hardware::VirtioScsi),
    form("iso", "iso", Firmware::Bios, Hardware::CdRom),
    form("iso-uefi", "iso", Firmware::Uefi, Hardware::CdRom),
    form("pxe", "pxe.tar", Firmware::Bios, Hardware::Virtio),
    form("pxe-uefi", "pxe.tar", Firmware::Uefi, Hardware::Virtio),
];
/// MiB: the root is in there, and once more in the page cache.
pub(super) const LIVE_MEMORY: u32 = 2048;
/// Those of every run.
const USUAL: [&str; 3] = ["ova", "gce", "iso"];

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let wanted = std::env::var("FORMATS").ok().filter(|text| !text.is_empty());
    let Some(chosen) = report.value("formats_are_chosen", || choose(wanted.as_deref())) else { return };
    for form in chosen {
        let name = format!("{}_boots", form.word.replace(['.', '-'], "_"));
        report.case(&name, || boots(site, form));
    }
}

fn choose(wanted: Option<&str>) -> Result<Vec<Form>> {
    let words: Vec<&str> = match wanted {
        Some("all") => return Ok(FORMS.into()),
        Some(text) => text.split(',').map(str::trim).collect(),
        None => USUAL.into(),
    };
    for word in &words {
        let known = FORMS.map(|form| form.word);
        ensure!(known.contains(word), "FORMATS: there is no {word}; there are {}, and all", known.join(", "));
    }
    Ok(FORMS.into_iter().filter(|form| words.contains(&form.word)).collect())
}

fn boots(site: &Site, form: Form) -> Result<()> {
    let folder = site.work.join("images");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let key = site.public_key()?;
    let user_data = format!(
        "#cloud-config\nusers: [{{name: {USER}, sudo: 'ALL=(ALL) NOPASSWD:ALL', ssh_authorized_keys: ['{key}']}}]\n"
    );
    let disk = disk_of(site, form, &folder)?;
    let live = match form.ending {
        "iso" => Some(Disk::Medium(disk.clone())),
        "pxe.tar" => Some(Disk::Network(disk.clone())),
        _ => None,
    };
    let wanted = if live.is_some() { "in memory" } else { "/dev/" };
    let boot = Boot {
        firmware: form.firmware,
        hardware: form.hardware,
        memory: if live.is_some() { LIVE_MEMORY } else { Boot::default().memory },
        image: Some(disk),
        diskless: live,
        seed: Some(Seed::iso(user_data, form.word)),
        ..Boot::default()
    };
    let mut guest = Guest::boot(site, &format!("images-{}", form.word), &boot)?;
    guest.wait_complete()?;
    guest.retry(30, "true").context("ssh over this network card")?;
    // Loaders of live media pass nothing on from SMBIOS, so there is no debug shell: the machine is asked as a user asks.
    let status = guest.root("hull status")?;
    let state = status.lines().find_map(|line| line.strip_prefix("state")).context("no state in hull status")?.trim();
    ensure!(state.starts_with(wanted), "{wanted} is not the state's place: {state}");
    drop(guest);
    Ok(std::fs::remove_dir_all(&folder)?)
}

/// The form as a disk that QEMU reads: itself, or what is in it, unpacked to `folder`.
fn disk_of(site: &Site, form: Form, folder: &Path) -> Result<PathBuf> {
    let file = site.image.with_extension(form.ending);
    ensure!(file.exists(), "{} is not there: make images", file.display());
    let unpacked = |name: &str, unpack: &mut Command| {
        command(unpack)?;
        let disk = folder.join(name);
        ensure!(disk.exists(), "{} holds no {name}", file.display());
        Ok(disk)
    };
    let name = site.image.file_stem().and_then(|stem| stem.to_str()).context("the image has no name")?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--file"]).arg(&file).arg("--directory").arg(folder);
    match form.word {
        "ova" => unpacked(&format!("{name}.vmdk"), &mut tar),
        "gce" => unpacked("disk.raw", &mut tar),
        "raw.zst" => {
            let disk = folder.join("disk.raw");
            unpacked("disk.raw", Command::new("zstd").args(["-q", "-d", "--sparse", "-o"]).arg(disk).arg(&file))
        }
        "pxe" | "pxe-uefi" => command(&mut tar).map(|_| folder.to_owned()),
        "qcow2" | "vmdk" | "vhd" | "vhdx" | "iso" | "iso-uefi" => Ok(file),
        other => bail!("nobody knows how to unpack {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_chosen_by_word() {
        let words = |text| choose(text).map(|forms| forms.iter().map(|form| form.word).collect::<Vec<_>>());
        assert_eq!(words(None).unwrap(), USUAL);
        assert_eq!(words(Some("all")).unwrap().len(), FORMS.len());
        assert_eq!(words(Some("vhd, qcow2")).unwrap(), ["qcow2", "vhd"]);
        assert!(words(Some("iso9660")).unwrap_err().to_string().contains("there are raw.zst"));
    }
}
