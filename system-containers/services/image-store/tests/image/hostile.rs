//! Every class of broken or hostile image: refused with a reason, and nothing is left.

use super::fixture::layer::Layer;
use super::fixture::{Image, World, pack};
use flate2::Compression;
use flate2::write::GzEncoder;
use hull_image_store::Digest;
use hull_image_store::limits::Limits;
use serde_json::json;
use std::fs;
use std::io::Write;
use tar::EntryType;

fn program() -> Layer {
    Layer::new().file("bin/app", 0o755, b"app")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn paths_that_leave_the_image() {
    for path in ["../evil", "a/../../evil", "./../evil", ".."] {
        let world = World::new();
        let reason = world.layer_refusal(program().file(path, 0o644, b"x"));
        assert!(reason.contains(path) && reason.contains(".."), "{reason}");
        assert!(!world.folder.path().join("evil").exists());
    }
}

#[test]
fn absolute_paths() {
    let reason = World::new().layer_refusal(program().file("/etc/evil", 0o644, b"x"));
    assert!(reason.contains("/etc/evil") && reason.contains("absolute"), "{reason}");
}

#[test]
fn links_lead_nowhere_but_into_the_image() {
    for target in ["..", "/", "../../../..", "/proc/self/root"] {
        let world = World::new();
        let outside = world.folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let path = format!("link{}/written", outside.display());
        let layer = program().symlink("link", target).file(&path, 0o644, b"x");
        // Where the link leads to a directory of the image, the file is made there; else the image is refused.
        if let Ok((staging, _)) = world.archive(&Image::of([layer]).oci()) {
            let inside = staging.path().join("rootfs").join(outside.strip_prefix("/").unwrap()).join("written");
            assert!(inside.exists(), "{target}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{target}");
    }
}

#[test]
fn links_in_place_of_the_file_written_are_not_followed() {
    let world = World::new();
    let victim = world.folder.path().join("victim");
    fs::write(&victim, "before").unwrap();
    let target = victim.display().to_string();
    let layer = program().symlink("link", &target).file("link", 0o644, b"after");
    let (staging, _) = world.archive(&Image::of([layer]).oci()).unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"before");
    assert_eq!(fs::read(staging.path().join("rootfs/link")).unwrap(), b"after");
}

#[test]
fn hard_links_out_of_the_image() {
    for (target, part) in [
        ("/etc/passwd", "absolute"),
        ("../../etc/passwd", ".."),
        ("etc/passwd", "no file of the image"),
        ("bin", "no file of the image"),
        ("to-passwd", "no file of the image"),
        ("self", "no file of the image"),
    ] {
        let layer = program().symlink("to-passwd", "/etc/passwd").hard_link("self", target);
        let reason = World::new().layer_refusal(layer);
        assert!(reason.contains(part), "{target}: {reason}");
    }
}

#[test]
fn device_nodes_and_pipes() {
    for (kind, part) in [
        (EntryType::Block, "device nodes"),
        (EntryType::Char, "device nodes"),
        (EntryType::Fifo, "named pipes"),
        (EntryType::new(b'Q'), "type 'Q'"),
    ] {
        let reason = World::new().layer_refusal(program().entry(kind, "dev/sda", "", 0o666, b""));
        assert!(reason.contains("dev/sda") && reason.contains(part), "{reason}");
    }
}

#[test]
fn programs_that_give_privileges() {
    for mode in [0o4755, 0o2755, 0o6755] {
        let reason = World::new().layer_refusal(program().file("bin/su", mode, b"x"));
        assert!(reason.contains("bin/su") && reason.contains("image.setuid"), "{reason}");
    }
    let capable = program().extended("SCHILY.xattr.security.capability", "x").file("bin/ping", 0o755, b"x");
    let reason = World::new().layer_refusal(capable);
    assert!(reason.contains("bin/ping") && reason.contains("file capabilities"), "{reason}");
}

#[test]
fn ten_gibibytes_of_zeros() {
    let ten = 10 << 30;
    // Said by the header; caught before a byte is written.
    let reason = World::new().layer_refusal(program().header(EntryType::Regular, "zeros", "", 0o644, ten));
    assert!(reason.contains("zeros") && reason.contains("4294967296 bytes"), "{reason}");
    // In many files, and behind the end of the archive where no file accounts for them.
    let world = World { limits: Limits { bytes: 1 << 20, entries: 100, ..Limits::default() }, ..World::new() };
    let zeros = vec![0; 300 << 10];
    let files = (0..5).fold(program(), |layer, index| layer.file(&format!("zeros{index}"), 0o644, &zeros));
    let reason = world.layer_refusal(files);
    assert!(reason.contains("1048576 bytes"), "{reason}");
    let mut hidden = program().finish();
    hidden.resize(8 << 20, 0);
    let bomb = Image::stored(vec![(gzip(&hidden), Digest::of(&hidden))]);
    let reason = world.refusal(&bomb.oci());
    assert!(reason.contains("more bytes than an image may have"), "{reason}");
}

#[test]
fn a_million_files() {
    let world = World { limits: Limits { entries: 1000, ..Limits::default() }, ..World::new() };
    let layer = (0..1001).fold(Layer::new(), |layer, index| layer.file(&format!("f{index}"), 0o644, b""));
    let reason = world.layer_refusal(layer);
    assert!(reason.contains("f1000") && reason.contains("more than 1000 entries"), "{reason}");
    // Directories nobody lists are made too, and so are those above a whiteout.
    for name in ["f", ".wh.f"] {
        let file = |layer: Layer, index: u32| layer.file(&format!("a{index}/b/c/d/{name}"), 0o644, b"");
        let reason = world.layer_refusal((0..300).fold(Layer::new(), file));
        assert!(reason.contains("more than 1000 entries"), "{reason}");
    }
}

#[test]
fn directories_without_end() {
    let reason = World::new().layer_refusal(program().extended("path", &"d/".repeat(70)).folder("d"));
    assert!(reason.contains("64 directories deep"), "{reason}");
    // By way of links, each path short.
    let chain = "d/".repeat(50);
    let mut layer = program();
    for link in 0..4 {
        let base = if link == 0 { String::new() } else { format!("l{}/", link - 1) };
        layer = layer.extended("path", &format!("{base}{chain}")).folder("d");
        layer = layer.extended("linkpath", &format!("{base}{chain}")).symlink(&format!("l{link}"), "x");
    }
    let reason = World::new().layer_refusal(layer);
    assert!(reason.contains("128 directories deep"), "{reason}");
}

#[test]
fn names_that_are_none() {
    for (name, part) in
        [("a\u{1}b", "control characters"), (&*"n".repeat(300), "255 bytes"), (&*"p/".repeat(600), "1024")]
    {
        let reason = World::new().layer_refusal(program().extended("path", name).file("x", 0o644, b""));
        assert!(reason.contains(part), "{name}: {reason}");
    }
    let long = program().header(EntryType::GNULongName, "././@LongLink", "", 0o644, 1 << 30);
    assert!(World::new().layer_refusal(long).contains("longer than 64 KiB"));
    let chain = (0..20).fold(program(), |layer, _| layer.extended("a", "b"));
    assert!(World::new().layer_refusal(chain).contains("too many extended headers"));
}

#[test]
fn owners_that_are_none() {
    let reason = World::new().layer_refusal(program().extended("uid", "4294967295").file("x", 0o644, b""));
    assert!(reason.contains("no user or group"), "{reason}");
}

#[test]
fn archives_that_are_cut_off() {
    let whole = Image::with_program(|layer| layer.file("data", 0o644, &[7; 5000])).oci();
    for length in [0, 100, 512, 1000, whole.len() / 2, whole.len() - 2000] {
        let reason = World::new().refusal(&whole[..length]);
        assert!(
            ["cut off", "not in the archive", "neither an OCI"].iter().any(|part| reason.contains(part)),
            "{reason}"
        );
    }
}

#[test]
fn layers_that_are_cut_off() {
    let layer = program().header(EntryType::Regular, "data", "", 0o644, 5000).unfinished();
    let cut = Image::stored(vec![(layer.clone(), Digest::of(&layer))]);
    let reason = World::new().refusal(&cut.oci());
    assert!(reason.contains("data") && reason.contains("cut off"), "{reason}");
    let whole = program().file("data", 0o644, &[7; 5000]).finish();
    let packed = gzip(&whole);
    let cut = Image::stored(vec![(packed[..packed.len() - 10].to_vec(), Digest::of(&whole))]);
    let reason = World::new().refusal(&cut.oci());
    assert!(reason.contains("incomplete deflate stream"), "{reason}");
}

#[test]
fn blobs_with_another_digest() {
    for victim in 0..3 {
        let image = Image::with_program(|layer| layer);
        let mut members = image.layout();
        let (name, bytes) = members.iter_mut().filter(|(name, _)| name.starts_with("blobs")).nth(victim).unwrap();
        let last = bytes.last_mut().unwrap();
        *last ^= 1;
        let digest = name.rsplit('/').next().unwrap().to_owned();
        let reason = World::new().refusal(&pack(&members));
        assert!(reason.contains(&digest) && reason.contains("its content has the digest"), "{reason}");
    }
}

#[test]
fn blobs_that_are_missing_or_of_another_size() {
    let image = Image::with_program(|layer| layer);
    let mut members = image.layout();
    members.remove(&format!("blobs/sha256/{}", image.layers[0].1.hex()));
    assert!(World::new().refusal(&pack(&members)).contains("not in the archive"));
    let mut members = image.layout();
    let index = String::from_utf8(members["index.json"].clone()).unwrap().replace("\"size\":", "\"size\":1");
    members.insert("index.json".into(), index.into_bytes());
    assert!(World::new().refusal(&pack(&members)).contains("its descriptor says"));
}

#[test]
fn layers_that_are_not_those_of_the_configuration() {
    let layer = program().finish();
    let swapped = Image::stored(vec![(layer, Digest::of(b"another"))]);
    for archive in [swapped.oci(), swapped.docker()] {
        let reason = World::new().refusal(&archive);
        assert!(reason.contains("the image's configuration says"), "{reason}");
    }
    let mut fewer = Image::with_program(|layer| layer);
    fewer.configuration["rootfs"]["diff_ids"] = json!([]);
    assert!(World::new().refusal(&fewer.oci()).contains("names 0 layers"));
}

#[test]
fn images_for_other_machines() {
    let mut image = Image::with_program(|layer| layer);
    image.configuration["architecture"] = json!("arm64");
    assert!(World::new().refusal(&image.oci()).contains("linux/arm64"));
}

#[test]
fn archives_without_or_with_several_images() {
    let world = World::new();
    assert!(world.refusal(&pack(&[("README".into(), b"x".to_vec())].into())).contains("neither"));
    let (one, other) = (Image::with_program(|layer| layer), Image::with_program(|layer| layer.folder("other")));
    let mut members = one.layout();
    members.extend(other.blobs());
    let manifests: Vec<_> =
        [&one, &other].iter().map(|it| super::fixture::descriptor(it.manifest().to_string().as_bytes())).collect();
    members.insert("index.json".into(), json!({ "manifests": manifests }).to_string().into_bytes());
    assert!(world.refusal(&pack(&members)).contains("2 images"));
    members.insert("index.json".into(), b"{\"manifests\": 3}".to_vec());
    assert!(world.refusal(&pack(&members)).contains("not the expected document"));
    members.insert("index.json".into(), vec![b' '; 5 << 20]);
    assert!(world.refusal(&pack(&members)).contains("longer than"));
}

#[test]
fn more_than_the_disk_has() {
    // The archive fits the file system it is on; what it says it holds does not.
    let world = World { limits: Limits { bytes: u64::MAX, ..Limits::default() }, ..World::new() };
    let layer = program().header(EntryType::Regular, "data", "", 0o644, 1 << 50);
    let reason = world.refusal(&Image::of([layer]).oci());
    assert!(reason.contains("not enough space") || reason.contains("impossible"), "{reason}");
}

#[test]
fn a_program_that_is_not_there() {
    let reason = World::new().layer_refusal(Layer::new().file("bin/app", 0o644, b"not executable"));
    assert!(reason.contains("process.a.command"), "{reason}");
    assert!(World::new().layer_refusal(Layer::new().folder("bin/app")).contains("process.a.command"));
}
