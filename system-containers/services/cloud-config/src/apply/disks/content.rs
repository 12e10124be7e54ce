//! What a device holds, by blkid(8): everything that libblkid knows is reason enough to leave it alone.

use crate::apply::program;
use anyhow::ensure;
use std::path::Path;
use std::process::Command;

/// Of util-linux; asks the device itself and no cache.
const BLKID: &str = "/usr/sbin/blkid";
/// Exit status: nothing was found.
const NOTHING: i32 = 2;
/// Exit status: several things were found that exclude each other.
const SEVERAL: i32 = 8;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// Type of the file system or of another content.
    pub(super) kind: Option<String>,
    /// Its label.
    pub(super) label: Option<String>,
    /// Type of the partition table.
    pub(super) table: Option<String>,
}

impl Content {
    /// For messages.
    pub(super) fn describe(&self) -> String {
        match (&self.table, &self.kind) {
            (Some(table), _) => format!("a partition table ({table})"),
            (None, Some(kind)) => format!("{kind} data"),
            (None, None) => "data of several kinds".into(),
        }
    }
}

/// Looks at a device; `None` when there is nothing that anybody knows.
///
/// # Errors
/// The device cannot be read.
pub(super) fn of(device: &Path) -> anyhow::Result<Option<Content>> {
    // blkid's status does not tell a device that it cannot open from an empty one.
    std::fs::File::open(device).map_err(super::refused)?;
    let mut command = Command::new(BLKID);
    let output = program::output(command.args(["-p", "-o", "export", "--"]).arg(device), Some(program::SHORT))?;
    match output.status.code() {
        Some(NOTHING) => return Ok(None),
        Some(SEVERAL) => return Ok(Some(Content::default())),
        _ => {}
    }
    ensure!(output.status.success(), "blkid: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// `None`: of a partition its entry in the table is told as well, which is nothing that it holds.
fn parse(text: &str) -> Option<Content> {
    let get = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        // Blanks and such are escaped for a shell.
        line.map(|value| value.replace('\\', ""))
    };
    let found = Content { kind: get("TYPE"), label: get("LABEL"), table: get("PTTYPE") };
    (found.kind.is_some() || found.table.is_some()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        std::fs::write(&path, vec![0; 4 << 20]).unwrap();
        assert_eq!(of(&path).unwrap(), None);
        let status = Command::new("/usr/sbin/mke2fs").args(["-q", "-t", "ext4", "-L", "my data"]).arg(&path).status();
        assert!(status.unwrap().success());
        let found = of(&path).unwrap().unwrap();
        assert_eq!((found.kind.as_deref(), found.label.as_deref()), (Some("ext4"), Some("my data")));
        assert_eq!(found.describe(), "ext4 data");
        let mut table = vec![0; 4 << 20];
        table[450..462].copy_from_slice(&[0x83, 0xfe, 0xff, 0xff, 0, 8, 0, 0, 0, 8, 0, 0]);
        table[510..512].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(&path, table).unwrap();
        assert_eq!(of(&path).unwrap().unwrap().describe(), "a partition table (dos)");
        assert!(of(Path::new("/no/such")).is_err());
        assert_eq!(parse("DEVNAME=/dev/vdc1\nPART_ENTRY_SCHEME=gpt\nPART_ENTRY_TYPE=x\nPART_ENTRY_NUMBER=1\n"), None);
    }
}
