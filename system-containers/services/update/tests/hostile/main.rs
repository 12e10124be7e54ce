//! Updates from servers that lie: one test a lie. What is not the release never becomes a slot.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod layout;
mod release;
mod server;
mod service;

use hull_http::{Limits, Rate};
use hull_update::trust::{Kind, Root, sign, write_channel, write_root};
use hull_update::verity::{BLOCK, BLOCK_BYTES, MAGIC};
use release::{BLOCKS, NOW, World, image, key};
use server::{Lie, Server, Tls};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CHANNEL: &str = "channels/stable.json";
const IMAGE: &str = "releases/1.1.0/root.erofs";

fn honest(world: &World) -> Server {
    Server::new(world.folder.path().into(), None, |_| Lie::Honest)
}

/// Lies on one path.
fn liar(world: &World, about: &'static str, lie: Lie) -> Server {
    Server::new(world.folder.path().into(), None, move |path| if path == about { lie.clone() } else { Lie::Honest })
}

/// The error of an update; nothing of what came is a slot.
fn refused(world: &World, server: &Server) -> String {
    let error = world.host.update(&server.url).map(drop).unwrap_err();
    let target = fs::read(world.host.folder.path().join("target")).unwrap_or_default();
    assert!(target.chunks(BLOCK).all(|block| !block.starts_with(MAGIC)), "a superblock after: {error}");
    error
}

#[track_caller]
fn says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn an_honest_server_is_asked_for_little() {
    let world = World::new();
    let server = honest(&world);
    let (progress, _) = world.host.update(&server.url).unwrap();
    assert!(world.host.is_updated(&world));
    // Block 5; block 8; 200 and 201; the end, whose blocks shifted out of the image.
    let requests = server.requests().iter().filter(|path| *path == IMAGE).count();
    assert_eq!((requests, progress.fetched), (4, (1 + 1 + 2 + 3) * BLOCK_BYTES));
    assert_eq!(progress.copied, u64::from(BLOCKS - 7) * BLOCK_BYTES);
    // Again: nothing is missing.
    server.sent();
    let (progress, _) = world.host.update(&server.url).unwrap();
    assert_eq!(progress.in_place, progress.total);
    assert!(server.sent() < 10_000);
}

#[test]
fn a_wrong_signature() {
    let world = World::new();
    write_channel(world.folder.path(), &world.channel, &[&key()]).unwrap();
    says(&refused(&world, &honest(&world)), &[CHANNEL, "0 of 1 signatures", "forged"]);
}

#[test]
fn an_expired_channel() {
    let mut world = World::new();
    world.host.now = Some(NOW + 10_000_000);
    world.root.expires = NOW + 20_000_000;
    world.host.anchor = sign(Kind::Root, &world.root, &[&world.root_key]).unwrap().into();
    says(
        &refused(&world, &honest(&world)),
        &[CHANNEL, "expired at 2027-01-16", "the clock of this host says 2027-05-"],
    );
    // A clock that fell back to 1970 does not keep a host from updating.
    world.host.now = Some(0);
    world.host.update(&honest(&world).url).unwrap();
}

#[test]
fn a_replayed_channel() {
    let mut world = World::new();
    world.host.seen.channel_version = 4;
    says(&refused(&world, &honest(&world)), &[CHANNEL, "version 3", "seen 4"]);
}

#[test]
fn a_downgrade() {
    let mut world = World::new();
    world.host.seen.bless(&"1.1.0".parse().unwrap());
    world.host.wanted = "1.0.0";
    says(&refused(&world, &honest(&world)), &["1.0.0 is older than 1.1.0", "--force"]);
}

#[test]
fn parts_of_different_releases() {
    for (name, parts) in [
        ("manifest.json", ["releases/1.1.0/manifest.json", "the channel says"]),
        ("root.verity", ["root.verity", "the manifest says"]),
        ("hull.efi", ["hull.efi", "the manifest says"]),
        ("root.erofs", ["block 5", "other bytes"]),
    ] {
        let world = World::new();
        fs::copy(world.path(&format!("releases/1.0.0/{name}")), world.path(&format!("releases/1.1.0/{name}"))).unwrap();
        says(&refused(&world, &honest(&world)), &parts);
    }
}

#[test]
fn a_tree_of_another_image_behind_an_honest_manifest() {
    // The publisher's own mistake: manifest and tree do not belong together.
    let world = World::new();
    let tree = fs::read(world.path("releases/1.0.0/root.verity")).unwrap();
    let manifest = world.host.manifest(&world.host.client(&honest(&world).url)).unwrap();
    let error = hull_update::verity::Tree::check(tree, &manifest.root).unwrap_err().to_string();
    says(&error, &["different releases"]);
}

#[test]
fn documents_without_end() {
    for (path, limit) in
        [("2.root.json", "65536"), (CHANNEL, "1048576"), ("releases/1.1.0/manifest.json", "bytes it may")]
    {
        let world = World::new();
        let server = liar(&world, path, Lie::Endless);
        says(&refused(&world, &server), &[path, "more than the", limit]);
        assert!(server.sent() < 32 << 20);
    }
    // One that says so beforehand is not read.
    let world = World::new();
    let server = liar(&world, CHANNEL, Lie::Body(vec![b' '; 2 << 20]));
    says(&refused(&world, &server), &[CHANNEL, "more than the 1048576"]);
}

#[test]
fn files_that_are_too_long() {
    let world = World::new();
    let server = liar(&world, "releases/1.1.0/hull.efi", Lie::Endless);
    says(&refused(&world, &server), &["hull.efi", "more than the"]);
    assert!(!world.host.folder.path().join("hull.efi").exists());
}

#[test]
fn a_slow_drip() {
    for path in [CHANNEL, "releases/1.1.0/hull.efi", IMAGE] {
        let mut world = World::new();
        let rate = Some(Rate { bytes: 60 << 10, window: Duration::from_millis(60) });
        world.host.limits = Limits { rate, ..world.host.limits };
        let start = Instant::now();
        says(&refused(&world, &liar(&world, path, Lie::Drip)), &["too slow"]);
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn redirects() {
    let world = World::new();
    let other = honest(&world);
    let server = liar(&world, CHANNEL, Lie::Redirect(format!("{}/{CHANNEL}", other.url)));
    world.host.update(&server.url).unwrap();
    for (to, part) in [
        ("ftp://127.0.0.1/x", "is no http or https URL"),
        ("file:///etc/shadow", "is no http or https URL"),
        ("/hull/channels/stable.json", "more than 3 redirects"),
    ] {
        let world = World::new();
        let server = liar(&world, CHANNEL, Lie::Redirect(to.into()));
        says(&refused(&world, &server), &[CHANNEL, part]);
    }
}

#[test]
fn a_redirect_from_tls_to_none() {
    let (world, tls) = (World::new(), Tls::new());
    fs::write(world.host.folder.path().join("ca.pem"), &tls.authority).unwrap();
    let plain = honest(&world);
    let server = Server::new(world.folder.path().into(), Some(&tls), |_| Lie::Honest);
    world.host.manifest(&world.host.client(&server.url)).unwrap();
    let to = format!("{}/{CHANNEL}", plain.url);
    let server = Server::new(world.folder.path().into(), Some(&tls), move |path| {
        if path == CHANNEL { Lie::Redirect(to.clone()) } else { Lie::Honest }
    });
    says(&refused(&world, &server), &["redirects from TLS to http://"]);
    assert_eq!(plain.requests(), Vec::<String>::new());
}

#[test]
fn truncated_bodies() {
    for path in [CHANNEL, "releases/1.1.0/manifest.json", "releases/1.1.0/hull.efi", IMAGE] {
        let world = World::new();
        let error = refused(&world, &liar(&world, path, Lie::Cut(0)));
        says(&error, &["cut off"]);
    }
}

#[test]
fn a_block_with_the_bytes_of_another() {
    let world = World::new();
    let mut forged = fs::read(world.path(IMAGE)).unwrap();
    forged.copy_within(7 * BLOCK..8 * BLOCK, 200 * BLOCK);
    says(&refused(&world, &liar(&world, IMAGE, Lie::Body(forged))), &["block 200", "other bytes"]);
    // What came before is kept; another server has the rest.
    let (progress, _) = world.host.update(&honest(&world).url).unwrap();
    assert!(world.host.is_updated(&world));
    assert_eq!(progress.fetched, (2 + 3) * BLOCK_BYTES);
}

#[test]
fn ranges_ignored() {
    let world = World::new();
    let server = liar(&world, IMAGE, Lie::NoRanges);
    world.host.update(&server.url).unwrap();
    assert!(world.host.is_updated(&world));
    assert_eq!(server.requests().iter().filter(|path| *path == IMAGE).count(), 1);
}

#[test]
fn another_range_than_asked_for() {
    let world = World::new();
    says(&refused(&world, &liar(&world, IMAGE, Lie::OtherRange)), &["another range"]);
}

#[test]
fn a_server_that_refuses() {
    for (status, requests) in [(403, 1), (404, 1), (503, 4)] {
        let world = World::new();
        let server = liar(&world, IMAGE, Lie::Status(status));
        says(&refused(&world, &server), &[IMAGE, &status.to_string()]);
        assert_eq!(server.requests().iter().filter(|path| *path == IMAGE).count(), requests, "{status}");
    }
}

/// The running slot has nothing in common with the release, so that all of it is fetched; the connection breaks off after
/// so many bytes, and then the server is gone. The next run fetches what is missing and no more.
#[test]
fn a_connection_that_breaks_anywhere_is_gone_on_with() {
    let whole = u64::from(BLOCKS) * BLOCK_BYTES;
    for cut in [0, 1, 4095, 4096, 4097, 100_000, 819_200, 1_000_001, 1_638_399] {
        let mut world = World::new();
        fs::write(world.path(IMAGE), image(50_000, &[])).unwrap();
        world = republished(world);
        let requests = AtomicUsize::new(0);
        let server = Server::new(world.folder.path().into(), None, move |path| match path {
            IMAGE if requests.fetch_add(1, Ordering::SeqCst) == 0 => Lie::Cut(cut),
            IMAGE => Lie::Status(503),
            _ => Lie::Honest,
        });
        refused(&world, &server);
        let (progress, _) = world.host.update(&honest(&world).url).unwrap();
        assert!(world.host.is_updated(&world), "{cut}");
        let kept = cut as u64 / BLOCK_BYTES * BLOCK_BYTES;
        assert_eq!((progress.fetched, progress.in_place), (whole - kept, kept), "{cut}");
    }
}

/// A file that broke off is gone on with too.
#[test]
fn files_are_gone_on_with() {
    let world = World::new();
    let requests = AtomicUsize::new(0);
    let server = Server::new(world.folder.path().into(), None, move |path| match path {
        "releases/1.1.0/hull.efi" if requests.fetch_add(1, Ordering::SeqCst) == 0 => Lie::Cut(50_000),
        _ => Lie::Honest,
    });
    world.host.update(&server.url).unwrap();
    let found = fs::read(world.host.folder.path().join("hull.efi")).unwrap();
    assert_eq!(found, fs::read(world.path("releases/1.1.0/hull.efi")).unwrap());
    // A server that does not know ranges sends all of it anew.
    fs::write(world.host.folder.path().join("hull.efi"), &found[..1000]).unwrap();
    world.host.update(&liar(&world, "releases/1.1.0/hull.efi", Lie::NoRanges).url).unwrap();
    assert_eq!(fs::read(world.host.folder.path().join("hull.efi")).unwrap(), found);
}

#[test]
fn keys_that_change() {
    let mut world = World::new();
    let (root_key, release_key) = (key(), key());
    let second = Root { version: 2, keys: vec![root_key.public()], ..world.root.clone() };
    let third = Root { version: 3, release_keys: vec![release_key.public()], ..second.clone() };
    write_root(world.folder.path(), &second, &[&world.root_key, &root_key]).unwrap();
    write_root(world.folder.path(), &third, &[&root_key]).unwrap();
    says(&refused(&world, &honest(&world)), &[CHANNEL, "0 of 1 signatures"]);
    world.release_key = release_key;
    world.publish();
    world.host.update(&honest(&world).url).unwrap();
    // A third root that only the keys of the first signed.
    write_root(world.folder.path(), &third, &[&world.root_key]).unwrap();
    world.host.folder = tempfile::tempdir().unwrap();
    says(&refused(&world, &honest(&world)), &["3.root.json", "0 of 1 signatures"]);
}

#[test]
fn roots_held_back() {
    let mut world = World::new();
    world.host.seen.root_version = 2;
    says(&refused(&world, &honest(&world)), &["1.root.json", "seen 2"]);
}

/// The release 1.1.0 made anew of the image that lies in its folder.
fn republished(mut world: World) -> World {
    let image = fs::read(world.path(IMAGE)).unwrap();
    world.channel.releases[1] = release::release(&world.folder, "1.1.0", &image);
    world.publish();
    world
}
