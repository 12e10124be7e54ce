//! Image archives: bytes as they come, and bytes as the layer of an image whose digests are right.
#![no_main]

use hull_image_store::Digest;
use hull_image_store::import::{Definition, Source, import};
use hull_image_store::incoming::Incoming;
use hull_image_store::limits::Limits;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const DEFINITION: &str =
    "description = \"t\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n[security]\nseccomp = [\"read\", \"exit\"]\n";
/// Small, so that a run is short.
const LIMITS: Limits =
    Limits { bytes: 1 << 20, entries: 64, path: 256, paths: 4096, depth: 8, layers: 4, document: 64 << 10 };

/// In memory where there is such a place.
static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory"));

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        for set in [tar::Header::set_uid, tar::Header::set_gid, tar::Header::set_mtime] {
            set(&mut header, 0);
        }
        archive.append_data(&mut header, name, *content).expect("memory");
    }
    archive.into_inner().expect("memory")
}

fn image(layer: &[u8]) -> Vec<u8> {
    let id = Digest::of(layer);
    let configuration =
        format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{id}"]}}}}"#);
    let name = format!("{}.json", Digest::of(configuration.as_bytes()).hex());
    let manifest = format!(r#"[{{"Config":"{name}","RepoTags":["a:b"],"Layers":["l"]}}]"#);
    tar(&[("manifest.json", manifest.as_bytes()), (&name, configuration.as_bytes()), ("l", layer)])
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    let archive = if kind % 2 == 0 { bytes.to_vec() } else { image(bytes) };
    let path = FOLDER.path().join("image.tar");
    std::fs::write(&path, archive).expect("a file");
    let service = hull_service::parse("t", DEFINITION).expect("a definition");
    let incoming = Incoming::open(&FOLDER.path().join("incoming")).expect("a store");
    let definition = Definition { text: DEFINITION, service: &service };
    match import(&incoming, &Source::Archive(path), &definition, LIMITS, &|_| ()) {
        Ok((staging, origin)) => {
            let folder = staging.path();
            hull_image_store::inventory::verify(&folder.join("rootfs"), &folder.join("inventory"), origin.inventory)
                .expect("what was just imported");
        }
        // Nothing but the lock is left.
        Err(_) => assert_eq!(std::fs::read_dir(FOLDER.path().join("incoming")).expect("a store").count(), 1),
    }
});
