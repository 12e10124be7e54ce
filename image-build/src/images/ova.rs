//! OVA (DMTF DSP0243, "Open Virtualization Format" 1.1): a machine for vSphere as one archive.
//!
//! ```text
//! <name>.ovf    descriptor: hardware, disk and network
//! <name>.mf     SHA-256 of the others
//! <name>.vmdk   stream-optimised disk
//! ```

use super::format::Format;
use super::{Source, archive, vmdk};
use crate::tools::run;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Words between `@` are replaced.
const DESCRIPTOR: &str = include_str!("hull.ovf");

/// Makes and checks the archive.
pub(super) fn make(source: &Source, target: &Path, work: &Path) -> Result<()> {
    let stem = target.file_stem().and_then(|stem| stem.to_str()).context("the archive has no name")?;
    // By itself: beside it may lie a disk of the same name.
    let folder = tempfile::tempdir_in(work)?;
    let [ovf, mf, disk] = ["ovf", "mf", "vmdk"].map(|ending| format!("{stem}.{ending}"));
    let disk_path = folder.path().join(&disk);
    vmdk::make(source, &disk_path, work)?;
    let capacity = Format::Ova.virtual_size(source.size);
    let text = descriptor(&disk, fs::metadata(&disk_path)?.len(), capacity, &source.facts.version);
    fs::write(folder.path().join(&ovf), text)?;
    let lines: Result<Vec<String>> = [&ovf, &disk]
        .into_iter()
        .map(|name| Ok(format!("SHA256({name})= {}\n", archive::digest_of(&folder.path().join(name))?)))
        .collect();
    fs::write(folder.path().join(&mf), lines?.concat())?;
    let mut pack = archive::tar(source.facts.time);
    pack.args(["--format=ustar", "--create", "--file"]).arg(target);
    run(pack.arg("--directory").arg(folder.path()).args([&ovf, &mf, &disk]))?;
    check(target, stem)
}

fn descriptor(disk: &str, file_size: u64, capacity: u64, version: &str) -> String {
    DESCRIPTOR
        .replace("@disk@", disk)
        .replace("@file-size@", &file_size.to_string())
        .replace("@capacity@", &capacity.to_string())
        .replace("@version@", version)
}

/// Reads the archive back: its order, the manifest's digests, a descriptor that an XML parser takes.
fn check(archive: &Path, stem: &str) -> Result<()> {
    let names = archive::members(archive)?;
    let wanted = ["ovf", "mf", "vmdk"].map(|ending| format!("{stem}.{ending}"));
    ensure!(names == wanted, "{}: holds {}", archive.display(), names.join(", "));
    let member = |name: &str| {
        let mut extract = Command::new("tar");
        extract.args(["--extract", "--to-stdout", "--file"]).args([archive, Path::new(name)]);
        extract
    };
    let manifest = String::from_utf8(run(&mut member(&wanted[1]))?)?;
    ensure!(manifest.lines().count() == 2, "{}: its manifest does not name two files", archive.display());
    for line in manifest.lines() {
        let named = line.strip_prefix("SHA256(").and_then(|rest| rest.split_once(")= "));
        let (name, digest) = named.with_context(|| format!("{}: {line:?} in its manifest", archive.display()))?;
        let found = archive::digest_of_output(&mut member(name))?;
        ensure!(found.to_string() == digest, "{}: {name} is not what its manifest says", archive.display());
    }
    let folder = tempfile::tempdir()?;
    let ovf = folder.path().join(&wanted[0]);
    fs::write(&ovf, run(&mut member(&wanted[0]))?)?;
    run(Command::new("xmllint").args(["--noout", "--nonet"]).arg(&ovf)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::convert::tests::source;

    fn evaluate(file: &Path, path: &str) -> String {
        let value = run(Command::new("xmllint").args(["--xpath", &format!("string({path})")]).arg(file)).unwrap();
        String::from_utf8(value).unwrap().trim().to_owned()
    }

    #[test]
    fn an_independent_parser_sees_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.ovf");
        fs::write(&file, descriptor("d.vmdk", 123, 456, "1.2.0")).unwrap();
        let item = |kind: u32, value: &str| {
            evaluate(
                &file,
                &format!("//*[local-name()='Item'][*[local-name()='ResourceType']={kind}]/*[local-name()='{value}']"),
            )
        };
        for (found, wanted) in [
            (evaluate(&file, "//*[local-name()='File']/@*[local-name()='href']"), "d.vmdk"),
            (evaluate(&file, "//*[local-name()='File']/@*[local-name()='size']"), "123"),
            (evaluate(&file, "//*[local-name()='Disk']/@*[local-name()='capacity']"), "456"),
            (evaluate(&file, "//*[local-name()='Version']"), "1.2.0"),
            (evaluate(&file, "//*[local-name()='Config']/@*[local-name()='value']"), "efi"),
            (item(6, "ResourceSubType"), "VirtualSCSI"),
            (item(10, "ResourceSubType"), "VmxNet3"),
            (item(17, "HostResource"), "ovf:/disk/disk"),
            (item(17, "Parent"), &item(6, "InstanceID")),
        ] {
            assert_eq!(found, wanted);
        }
        assert!(!fs::read_to_string(&file).unwrap().contains('@'));
    }

    #[test]
    fn twice_gives_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(dir.path());
        let archives = [1, 2].map(|number| {
            let folder = dir.path().join(number.to_string());
            fs::create_dir(&folder).unwrap();
            make(&source, &folder.join("hull.ova"), &folder).unwrap();
            fs::read(folder.join("hull.ova")).unwrap()
        });
        assert!(archives[0] == archives[1]);
        assert_eq!(&archives[0][257..265], b"ustar\x0000");
    }

    #[test]
    fn a_wrong_archive_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let digest = |text: &str| hull_update::digest::Digest::of(text.as_bytes());
        let of_both =
            |ovf: &str, disk: &str| format!("SHA256(x.ovf)= {}\nSHA256(x.vmdk)= {}\n", digest(ovf), digest(disk));
        let all = ["x.ovf", "x.mf", "x.vmdk"];
        let table = [
            ("good", "<a/>", of_both("<a/>", "disk"), all, ""),
            ("order", "<a/>", of_both("<a/>", "disk"), ["x.mf", "x.ovf", "x.vmdk"], "holds x.mf, x.ovf"),
            ("digest", "<a/>", of_both("<a/>", "other"), all, "x.vmdk is not what"),
            ("manifest", "<a/>", "SHA1(x.ovf)= 00\nSHA1(x.vmdk)= 00\n".into(), all, "in its manifest"),
            ("short manifest", "<a/>", String::new(), all, "does not name two"),
            ("descriptor", "<a>", of_both("<a>", "disk"), all, "xmllint"),
        ];
        for (name, ovf, manifest, order, wanted) in table {
            for (file, text) in [("x.ovf", ovf), ("x.mf", &manifest), ("x.vmdk", "disk")] {
                fs::write(dir.path().join(file), text).unwrap();
            }
            let file = dir.path().join("x.ova");
            run(archive::tar(0).args(["-cf"]).arg(&file).arg("-C").arg(dir.path()).args(order)).unwrap();
            match check(&file, "x") {
                Ok(()) => assert_eq!(wanted, "", "{name}"),
                Err(error) => assert!(!wanted.is_empty() && error.to_string().contains(wanted), "{name}: {error}"),
            }
        }
    }
}
