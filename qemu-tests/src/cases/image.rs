//! Images, pushed into the registry from outside the guest (OCI distribution specification, "Push").

use super::registry::Registry;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The smallest program that waits for ever: an ELF header, one segment, and `loop: pause()` (x86-64).
pub fn pause() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const CODE: [u8; 9] = [0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + CODE.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // Executable, x86-64, version 1.
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    elf.extend([BASE + HEADERS, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    // No flags; sizes of the headers; one segment, no sections.
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // PT_LOAD, readable and executable.
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    elf.extend([0, BASE, BASE, size, size, 4096].iter().flat_map(|word| word.to_le_bytes()));
    elf.extend(CODE);
    elf
}

/// `/bin/busybox`, for [`push`].
pub fn busybox() -> Result<Vec<u8>> {
    std::fs::read("/bin/busybox").context("/bin/busybox of busybox-static")
}

/// Pushes an image of these files, all executable, as `repository`, and returns the digest of its manifest.
pub fn push(registry: &Registry, work: &Path, repository: &str, files: &[(&str, &[u8])]) -> Result<String> {
    let folder = tempfile::tempdir_in(work)?;
    for (path, content) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().context("a file of a folder")?)?;
        std::fs::write(&path, content)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    }
    let mut tar = Command::new("tar");
    let packed =
        tar.args(["--create", "--owner=0", "--group=0", "--directory"]).arg(folder.path()).arg(".").output()?;
    ensure!(packed.status.success(), "tar: {}", String::from_utf8_lossy(&packed.stderr));
    let layer = packed.stdout;
    let configuration = json!({ "architecture": "amd64", "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] } })
    .to_string()
    .into_bytes();
    let descriptor =
        |kind: &str, bytes: &[u8]| json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len() });
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": kind,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &configuration),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)] })
    .to_string()
    .into_bytes();
    for blob in [&layer, &configuration] {
        let begun = ask(registry, "POST", &format!("/v2/{repository}/blobs/uploads/"), "application/json", b"")?;
        let location = begun.lines().find_map(|line| line.strip_prefix("Location: ")).context("no upload")?.trim();
        let path = location.split_once(&format!(":{}", registry.port)).map_or(location, |(_, path)| path);
        ask(registry, "PUT", &format!("{path}&digest={}", digest(blob)), "application/octet-stream", blob)?;
    }
    ask(registry, "PUT", &format!("/v2/{repository}/manifests/latest"), kind, &manifest)?;
    Ok(digest(&manifest))
}

fn digest(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

fn ask(registry: &Registry, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", registry.port))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        registry.port,
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
    Ok(answer)
}
