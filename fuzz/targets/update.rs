//! Metadata of releases and the superblock of a hash tree, as a server or a disk may have them. Of metadata also the documents
//! inside, signed by the fuzzer: what is behind a signature is parsed as strictly.
#![no_main]

use hull_update::digest::Digest;
use hull_update::trust::{
    Channel, Envelope, Kind, Pinned, Release, Root, Seen, SigningKey, anchor, channel, eligible_from, manifest, next, next_root,
    permitted, time,
};
use hull_update::verity::{Geometry, Superblock, Tree};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// PKCS#8 of a key that signs nothing else.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    SigningKey::parse(&format!("302e020100300506032b657004220420{seed}")).expect("a sound key")
});

fuzz_target!(|data: &[u8]| {
    let seen = Seen::default();
    let root = Root::new(0, u64::MAX, vec![KEY.public()], vec![KEY.public()]);
    drop(anchor("root.json", data));
    drop(channel(&root, "stable", data, time(None, &seen), &seen));
    if let Ok(superblock) = Superblock::parse(data) {
        assert_eq!(Superblock::parse(&superblock.to_block()).as_ref(), Ok(&superblock));
        let Superblock { data_blocks, salt, .. } = superblock;
        drop(Tree::check(data.to_vec(), &Geometry { data_blocks, salt, root_hash: Digest::of(b"") }));
    }
    let pinned = Pinned { sha256: Digest::of(data), size: data.len() as u64 };
    let version = "1.0.0".parse().expect("a version");
    let release =
        Release { version, published: 0, minimum_from: None, manifest: pinned, waves: vec![], notes: String::new() };
    if let Ok(manifest) = manifest(&release, data) {
        assert_eq!(manifest.files["root.erofs"].size, manifest.root.data_blocks * 4096);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let sign = |kind| serde_json::to_vec(&Envelope::sign(kind, text.to_owned(), &[&KEY])).expect("JSON");
    if let Ok(next) = next_root(&root, &sign(Kind::Root)) {
        assert_eq!(next.version, 2);
    }
    if let Ok(found) = channel(&root, "stable", &sign(Kind::Channel), time(Some(0), &seen), &seen) {
        choose(&found);
    }
});

/// Whatever is offered is permitted, newer, and has its time.
fn choose(channel: &Channel) {
    let running = "1.0.0".parse().expect("a version");
    if let Some(release) = next(channel, &running) {
        assert!(release.version > running);
        assert!(permitted(channel, &release.version, &running, &Seen::default(), false).is_ok());
    }
    for release in &channel.releases {
        assert!(eligible_from(release, b"seed").is_none_or(|from| from >= release.published));
    }
}
