//! tar archives and compressed forms, each read back before it counts.

use super::Source;
use super::convert::{self, Grown};
use super::format::Format;
use crate::tools::run;
use anyhow::{Context, Result, ensure};
use hull_update::digest::Digest;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// The name Google wants.
const GCE_DISK: &str = "disk.raw";
/// As `image.json` measures it: the window spans the kernel's two copies, and is the largest that zstd unpacks unasked.
const ZSTD: [&str; 4] = ["--quiet", "-9", "--long=27", "-T0"];
/// Sparse files are told from their bytes, not from where the file system keeps holes.
const GCE_TAR: [&str; 3] = ["--format=oldgnu", "--sparse", "--hole-detection=raw"];

/// The raw image, compressed.
pub(super) fn zstd(source: &Source, target: &Path) -> Result<()> {
    zstd_file(&source.raw, target)?;
    unpacks_to(Command::new("zstd").args(["--quiet", "--decompress", "--stdout"]).arg(target), &source.raw)
}

/// Any file, compressed.
pub(super) fn zstd_file(from: &Path, target: &Path) -> Result<()> {
    run(Command::new("zstd").args(ZSTD).arg("-o").args([target, from])).map(drop)
}

/// `disk.raw` in an archive, as Google describes it: GNU tar's older format, sparse, compressed by gzip.
pub(super) fn gce(source: &Source, target: &Path, work: &Path) -> Result<()> {
    let grown = Grown::new(source, Format::Gce.virtual_size(source.size), work)?;
    let disk = work.join(GCE_DISK);
    convert::convert(&grown, "raw", "", &disk)?;
    let mut pack = tar(source.facts.time);
    pack.args(GCE_TAR).args(["--use-compress-program=gzip --no-name", "--create", "--file"]).arg(target);
    run(pack.arg("--directory").args([work, Path::new(GCE_DISK)]))?;
    ensure!(members(target)? == [GCE_DISK], "{}: more than {GCE_DISK} in it", target.display());
    unpacks_to(Command::new("tar").args(["--extract", "--gzip", "--to-stdout", "--file"]).arg(target), &disk)?;
    std::fs::remove_file(&disk).with_context(|| format!("{}", disk.display()))
}

/// `tar` that takes from files nothing but name, content and `time`.
pub(super) fn tar(time: u64) -> Command {
    let mut tar = Command::new("tar");
    tar.args(["--owner=0", "--group=0", "--numeric-owner", "--mode=0644", "--sort=none"]);
    tar.arg(format!("--mtime=@{time}"));
    tar
}

/// Names in an archive, in order.
pub(super) fn members(archive: &Path) -> Result<Vec<String>> {
    let listed = run(Command::new("tar").args(["--list", "--file"]).arg(archive))?;
    Ok(String::from_utf8_lossy(&listed).lines().map(str::to_owned).collect())
}

/// Digest and length of what `command` writes.
pub(super) fn digest_of_output(command: &mut Command) -> Result<Digest> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| name.clone())?;
    let digest = Digest::of_reader(child.stdout.take().context("no output")?);
    let status = child.wait()?;
    ensure!(status.success(), "{name}: {status}");
    Ok(digest?)
}

/// Digest of a file.
pub(super) fn digest_of(file: &Path) -> Result<Digest> {
    let open = File::open(file).with_context(|| format!("{}", file.display()))?;
    Ok(Digest::of_reader(open)?)
}

fn unpacks_to(unpack: &mut Command, file: &Path) -> Result<()> {
    ensure!(
        digest_of_output(unpack)? == digest_of(file)?,
        "what was packed is not {} when it is unpacked",
        file.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::convert::tests::source;
    use std::fs;

    #[test]
    fn google_gets_one_sparse_file_of_whole_gigabytes() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(dir.path());
        let archives = ["a.tar.gz", "b.tar.gz"].map(|name| {
            gce(&source, &dir.path().join(name), dir.path()).unwrap();
            fs::read(dir.path().join(name)).unwrap()
        });
        assert!(archives[0] == archives[1]);
        assert!(!dir.path().join(GCE_DISK).exists());
        let listed = run(Command::new("tar").args(["-tvzf"]).arg(dir.path().join("a.tar.gz"))).unwrap();
        let listed = String::from_utf8(listed).unwrap();
        assert!(listed.starts_with("-rw-r--r-- 0/0") && listed.contains(" 1073741824 "), "{listed}");
        let plain = Command::new("gzip").args(["-dc"]).arg(dir.path().join("a.tar.gz")).output().unwrap().stdout;
        // GNU's magic, and the type that means a sparse file.
        assert_eq!((&plain[257..265], plain[156]), (&b"ustar  \0"[..], b'S'));
        assert!(plain.len() < 4 << 20, "{} bytes", plain.len());
    }

    #[test]
    fn what_unpacks_to_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(dir.path());
        let packed = dir.path().join("x.zst");
        zstd(&source, &packed).unwrap();
        let mut unpack = Command::new("zstd");
        unpack.args(["-q", "-dc"]).arg(&packed);
        unpacks_to(&mut unpack, &source.raw).unwrap();
        fs::write(&source.raw, "other").unwrap();
        assert!(unpacks_to(&mut unpack, &source.raw).unwrap_err().to_string().contains("is not"));
        fs::write(&packed, "no archive").unwrap();
        assert!(unpacks_to(&mut unpack, &source.raw).unwrap_err().to_string().contains("status"));
    }
}
