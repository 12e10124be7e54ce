//! The initrd: a cpio archive ("newc", kernel's Documentation/driver-api/early-userspace/buffer-format.rst) that holds
//! `/init` and the folders it mounts on, compressed with zstd.

use crate::tools::{Tools, run};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Mount points of the first phase.
const FOLDERS: [&str; 5] = ["dev", "proc", "root", "run", "sys"];
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const READ_ONLY: u32 = 0o100_444;
const TRAILER: &str = "TRAILER!!!";
/// Some seconds for a smaller file that every boot reads; the content is one program.
const LEVEL: &str = "-19";

/// Writes the compressed initrd with `init` to `output`.
pub(crate) fn make(tools: &Tools, init: &Path, output: &Path) -> Result<()> {
    let plain = output.with_extension("cpio");
    let program = fs::read(init).with_context(|| format!("{}", init.display()))?;
    fs::write(&plain, archive(&program)?)?;
    run(tools.command("usr/bin/zstd").args(["--quiet", "--force", LEVEL, "--check", "-o"]).args([output, &plain]))?;
    fs::remove_file(&plain)?;
    Ok(())
}

fn archive(init: &[u8]) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    for (number, name) in (1..).zip(FOLDERS) {
        member(&mut archive, number, name, FOLDER, &[])?;
    }
    member(&mut archive, 100, "init", PROGRAM, init)?;
    member(&mut archive, 0, TRAILER, 0, &[])?;
    Ok(archive)
}

/// What is before the content of an archive of one file.
pub(crate) fn head(name: &str, size: u32) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    member_head(&mut archive, 1, name, READ_ONLY, size)?;
    Ok(archive)
}

/// What is behind its `size` bytes.
pub(crate) fn tail(size: u64) -> Result<Vec<u8>> {
    let mut end = Vec::new();
    member(&mut end, 0, TRAILER, 0, &[])?;
    let padding = usize::try_from(size.next_multiple_of(4) - size)?;
    Ok([vec![0; padding], end].concat())
}

/// One member: 13 numbers of 8 hexadecimal digits, name, content, each padded to 4 bytes. Owner and time are zero.
fn member(archive: &mut Vec<u8>, inode: u32, name: &str, mode: u32, content: &[u8]) -> Result<()> {
    let size = u32::try_from(content.len()).context("a cpio member holds at most 4 GiB")?;
    member_head(archive, inode, name, mode, size)?;
    archive.extend(content);
    pad(archive);
    Ok(())
}

fn member_head(archive: &mut Vec<u8>, inode: u32, name: &str, mode: u32, size: u32) -> Result<()> {
    let name_size = u32::try_from(name.len() + 1)?;
    let links = 1;
    archive.extend(b"070701");
    for number in [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0] {
        archive.extend(format!("{number:08x}").bytes());
    }
    archive.extend(name.bytes());
    archive.push(0);
    pad(archive);
    Ok(())
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn cpio_reads_it() {
        let archive = archive(b"#!program").unwrap();
        let mut child = Command::new("cpio")
            .args(["--list", "--verbose", "--quiet", "--numeric-uid-gid"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&archive).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), FOLDERS.len() + 1, "{text}");
        assert!(
            text.lines().any(|line| line.starts_with("-rwxr-xr-x") && line.contains(" 9 ") && line.ends_with(" init"))
        );
        assert!(text.lines().any(|line| line.starts_with("drwxr-xr-x") && line.ends_with(" dev")));
    }

    #[test]
    fn cpio_reads_a_file_whose_content_is_written_by_others() {
        for size in [0, 1, 2, 3, 4] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("a.cpio");
            let content = vec![7; size];
            let archive = [
                head("root.img", u32::try_from(size).unwrap()).unwrap(),
                content.clone(),
                tail(u64::try_from(size).unwrap()).unwrap(),
            ]
            .concat();
            fs::write(&file, archive).unwrap();
            let mut cpio = Command::new("cpio");
            cpio.args(["--extract", "--quiet", "--to-stdout", "--file"]).arg(&file).arg("root.img");
            let output = cpio.output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{size}: {output:?}");
            assert_eq!(output.stdout, content);
        }
    }
}
