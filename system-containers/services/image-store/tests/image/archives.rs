//! Archives as tools write them, and what becomes of them.

use super::fixture::layer::Layer;
use super::fixture::{DEFINITION, Image, World};
use flate2::Compression;
use flate2::write::GzEncoder;
use hull_image_store::{Digest, inventory};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// A base, changes to it, and a long name.
fn layers() -> [Layer; 3] {
    [
        Layer::new()
            .folder("bin/")
            .file("./bin/app", 0o755, b"old")
            .file("etc/gone", 0o644, b"x")
            .file("etc/kept", 0o600, b"kept")
            .file("data/a", 0o644, b"a")
            .file("data/sub/b", 0o644, b"b")
            .folder("run")
            .symlink("run-link", "/run"),
        Layer::new()
            .file("bin/app", 0o755, b"new")
            .hard_link("bin/alias", "bin/app")
            .file("etc/.wh.gone", 0o644, b"")
            .file("data/c", 0o644, b"c")
            .file("data/sub/d", 0o644, b"d")
            .file("data/.wh..wh..opq", 0o644, b"")
            .file("run-link/pid", 0o644, b"below the link"),
        Layer::new().extended("path", &format!("long/{}", "n".repeat(200))).file("short", 0o644, b"long"),
    ]
}

fn check(archive: &[u8]) {
    let world = World::new();
    let (staging, origin) = world.archive(archive).unwrap();
    let root = staging.path().join("rootfs");
    let text = |path: &str| fs::read_to_string(root.join(path)).ok();
    assert_eq!(text("bin/app").as_deref(), Some("new"));
    assert_eq!(text("etc/gone"), None);
    assert_eq!(text("etc/kept").as_deref(), Some("kept"));
    assert_eq!((text("data/a"), text("data/sub/b"), text("data/c").as_deref()), (None, None, Some("c")));
    assert_eq!(text("data/sub/d").as_deref(), Some("d"));
    assert_eq!(text("run/pid").as_deref(), Some("below the link"));
    assert_eq!(text(&format!("long/{}", "n".repeat(200))).as_deref(), Some("long"));
    let stat = |path: &str| root.join(path).symlink_metadata().unwrap();
    assert_eq!(stat("bin/alias").ino(), stat("bin/app").ino());
    assert_eq!((stat("etc/kept").permissions().mode() & 0o7777, stat("etc/kept").mtime()), (0o600, 1_000_000_000));
    for folder in ["proc", "dev", "sys", "tmp", "var/data"] {
        assert!(stat(folder).is_dir(), "{folder}");
    }
    let origin = &origin;
    assert_eq!(origin.definition, Digest::of(DEFINITION.as_bytes()));
    inventory::verify(&root, &staging.path().join("inventory"), origin.inventory).unwrap();
    assert_eq!(
        serde_json::from_slice::<hull_image_store::Origin>(&fs::read(staging.path().join("origin.json")).unwrap())
            .unwrap(),
        *origin
    );
    fs::write(root.join("bin/app"), "bad").unwrap();
    let error = inventory::verify(&root, &staging.path().join("inventory"), origin.inventory).unwrap_err();
    assert!(error.to_string().contains("bin/a"), "{error}");
    let place = staging.path().to_owned();
    drop(staging);
    assert!(!place.exists());
}

#[test]
fn oci_layout() {
    check(&Image::of(layers()).oci());
}

#[test]
fn docker_save_of_old() {
    check(&Image::of(layers()).docker());
}

#[test]
fn compressed_layers() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let stored = layers().into_iter().map(Layer::finish).map(|bytes| (gzip(&bytes), Digest::of(&bytes))).collect();
    check(&Image::stored(stored).oci());
    let stored = layers().into_iter().map(Layer::finish).map(|bytes| (zstd(&bytes), Digest::of(&bytes))).collect();
    check(&Image::stored(stored).oci());
}

/// Two frames of one raw block each, written by hand (RFC 8878): decoders must take several frames.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let half = bytes.len() / 2;
    [&bytes[..half], &bytes[half..]].into_iter().flat_map(frame).collect()
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    // Magic number; single segment with a content size of 4 bytes.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1010_0000];
    frame.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    let last = bytes.chunks(100_000).count() - 1;
    for (index, chunk) in bytes.chunks(100_000).enumerate() {
        let header = u32::try_from(chunk.len()).unwrap() << 3 | u32::from(index == last);
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(chunk);
    }
    frame
}

#[test]
fn a_definition_that_names_its_image() {
    let image = Image::of(layers());
    let named = |digest: Digest| format!("{DEFINITION}[image]\nreference = \"reg.example/t@{digest}\"\n");
    let mut world = World::new();
    world.definition = named(image.digest());
    world.archive(&image.oci()).unwrap();
    assert!(world.refusal(&image.docker()).contains("no digest to compare"));
    world.definition = named(Digest::of(b""));
    assert!(world.refusal(&image.oci()).contains("the archive holds"));
}

#[test]
fn privileges_are_stripped_where_the_owner_says_so() {
    let mut world = World::new();
    world.definition = format!("{DEFINITION}[image]\nsetuid = \"strip\"\n");
    let image = Image::with_program(|layer| layer.file("bin/su", 0o6755, b"su"));
    let (staging, _) = world.archive(&image.oci()).unwrap();
    let mode = staging.path().join("rootfs/bin/su").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}
