//! Volumes with user data. NoCloud: a vfat or ISO 9660 file system labelled `cidata` with `user-data` and `meta-data`;
//! OpenStack: ISO 9660 labelled `config-2` with the same below `openstack/latest`; Azure: UDF with `ovf-env.xml`.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `CD001` is: ECMA-119, 8.4.
const ISO9660_MARK: u64 = 16 * 2048 + 1;

/// File system of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As a disk.
    Vfat,
    /// As a CD-ROM.
    Iso9660,
    /// As a CD-ROM with OpenStack's names for the files.
    ConfigDrive,
    /// As a CD-ROM with the file that Azure writes.
    Azure,
}

/// Content of a volume.
#[derive(Debug, Clone)]
pub struct Seed {
    /// File system.
    pub format: Format,
    /// `user-data`, byte for byte.
    pub user_data: Vec<u8>,
    /// `meta-data`.
    pub meta_data: String,
    /// `network-config`, when there is one.
    pub network_config: Option<String>,
}

impl Seed {
    /// User data on a vfat volume with the instance id `instance`.
    pub fn vfat(user_data: impl Into<Vec<u8>>, instance: &str) -> Self {
        Self {
            format: Format::Vfat,
            user_data: user_data.into(),
            meta_data: format!("instance-id: {instance}\n"),
            network_config: None,
        }
    }

    /// The same on an ISO 9660 volume.
    pub fn iso(user_data: impl Into<Vec<u8>>, instance: &str) -> Self {
        Self { format: Format::Iso9660, ..Self::vfat(user_data, instance) }
    }

    /// A configuration drive; `meta_data` is JSON.
    pub fn drive(user_data: impl Into<Vec<u8>>, meta_data: &str) -> Self {
        Self { format: Format::ConfigDrive, meta_data: meta_data.into(), ..Self::vfat(user_data, "") }
    }

    /// Azure's provisioning medium, with custom data.
    pub fn azure(custom_data: &str) -> Self {
        let custom_data = BASE64_STANDARD.encode(custom_data);
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Environment xmlns=\"http://schemas.dmtf.org/ovf/environment/1\" \
             xmlns:wa=\"http://schemas.microsoft.com/windowsazure\"><wa:ProvisioningSection><wa:Version>1.0</wa:Version>\
             <LinuxProvisioningConfigurationSet><HostName>azure</HostName><UserName>azureuser</UserName>\
             <CustomData>{custom_data}</CustomData></LinuxProvisioningConfigurationSet></wa:ProvisioningSection></Environment>"
        );
        Self { format: Format::Azure, meta_data: document, ..Self::vfat("", "") }
    }

    /// Writes the volume to `directory` and returns its path.
    pub fn write(&self, directory: &Path) -> Result<PathBuf> {
        let files = directory.join("seed");
        if files.exists() {
            std::fs::remove_dir_all(&files)?;
        }
        let (folder, [user, meta, network]) = match self.format {
            Format::Vfat | Format::Iso9660 => (files.clone(), ["user-data", "meta-data", "network-config"]),
            Format::ConfigDrive => {
                (files.join("openstack/latest"), ["user_data", "meta_data.json", "network_data.json"])
            }
            // Nobody looks at the first.
            Format::Azure => (files.clone(), ["none", "ovf-env.xml", "network-config"]),
        };
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(user), &self.user_data)?;
        std::fs::write(folder.join(meta), &self.meta_data)?;
        if let Some(text) = &self.network_config {
            std::fs::write(folder.join(network), text)?;
        }
        match self.format {
            Format::Vfat => self.write_vfat(&files, directory.join("seed.img")),
            Format::Iso9660 => write_iso("cidata", &files, directory.join("seed.iso")),
            Format::ConfigDrive => write_iso("config-2", &files, directory.join("seed.iso")),
            Format::Azure => {
                let volume = directory.join("seed.iso");
                let mut make = Command::new("genisoimage");
                run(make.args(["-quiet", "-udf", "-V", "rd_rdfe_stable.1", "-o"]).arg(&volume).arg(&files))?;
                // Azure's has no ISO 9660 file system beside it: without its mark that is none.
                File::options().write(true).open(&volume)?.write_all_at(&[0; 5], ISO9660_MARK)?;
                Ok(volume)
            }
        }
    }

    fn write_vfat(&self, files: &Path, volume: PathBuf) -> Result<PathBuf> {
        /// Room for the file system's own tables.
        const SLACK: u64 = 4 << 20;
        let size = u64::try_from(self.user_data.len())? + SLACK;
        File::create(&volume)?.set_len(size.next_multiple_of(1 << 20))?;
        run(Command::new("mkfs.vfat").args(["-n", "CIDATA"]).arg(&volume))?;
        let mut copy = Command::new("mcopy");
        copy.arg("-i").arg(&volume);
        for entry in std::fs::read_dir(files)? {
            copy.arg(entry?.path());
        }
        run(copy.arg("::/"))?;
        Ok(volume)
    }
}

fn write_iso(label: &str, files: &Path, volume: PathBuf) -> Result<PathBuf> {
    run(Command::new("xorriso")
        .args(["-as", "mkisofs", "-quiet", "-V", label, "-J", "-r", "-o"])
        .arg(&volume)
        .arg(files))?;
    Ok(volume)
}

/// Runs a command to its end; its output is in the error when it fails.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{:?} ended with {}: {}{}",
        command,
        output.status,
        text,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}
