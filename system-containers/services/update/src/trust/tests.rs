//! One lie after the other.

use super::*;
use crate::digest::Digest;
use crate::verity::Geometry;
use crate::version::Version;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

struct World {
    root_key: SigningKey,
    release_key: SigningKey,
    root: Root,
    manifest: Vec<u8>,
}

fn key() -> SigningKey {
    SigningKey::generate().unwrap().0
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn manifest_of(text: &str) -> Manifest {
    let root = Geometry { data_blocks: 2, salt: vec![1], root_hash: Digest::of(b"root") };
    let size = |name: &str| match name {
        "root.erofs" | "root.verity" => 8192,
        _ => 1,
    };
    let entry = |name: &str| (name.to_owned(), FileEntry { size: size(name), sha256: Digest::of(name.as_bytes()) });
    Manifest::new(version(text), root, FILES.map(entry).into_iter().collect::<BTreeMap<_, _>>())
}

fn release(text: &str) -> Release {
    let bytes = serde_json::to_vec(&manifest_of(text)).unwrap();
    Release {
        version: version(text),
        published: NOW - DAY,
        minimum_from: None,
        manifest: Pinned { sha256: Digest::of(&bytes), size: bytes.len() as u64 },
        waves: Vec::new(),
        notes: String::new(),
    }
}

impl World {
    fn new() -> Self {
        let (root_key, release_key) = (key(), key());
        let root = Root::new(NOW - DAY, NOW + 100 * DAY, vec![root_key.public()], vec![release_key.public()]);
        Self { root_key, release_key, root, manifest: serde_json::to_vec(&manifest_of("1.2.0")).unwrap() }
    }

    fn channel(&self) -> Channel {
        let releases = vec![release("1.1.0"), release("1.2.0")];
        Channel { version: 5, signed: NOW - DAY, expires: NOW + DAY, releases, ..Channel::new("stable") }
    }

    fn take(&self, text: &str, now: Option<u64>, seen: &Seen) -> Result<Channel, TrustError> {
        channel(&self.root, "stable", text.as_bytes(), time(now, seen), seen)
    }

    fn sign(&self, channel: &Channel) -> String {
        sign(Kind::Channel, channel, &[&self.release_key]).unwrap()
    }

    fn try_channel(&self, change: impl FnOnce(&mut Channel)) -> Result<Channel, TrustError> {
        let mut channel = self.channel();
        change(&mut channel);
        self.take(&self.sign(&channel), Some(NOW), &Seen::default())
    }
}

#[test]
fn an_honest_channel_is_taken() {
    let world = World::new();
    let found = world.try_channel(|_| ()).unwrap();
    assert_eq!(found, world.channel());
    assert_eq!(manifest(found.newest().unwrap(), &world.manifest).unwrap(), manifest_of("1.2.0"));
    let mut seen = Seen::default();
    seen.note(&world.root, Some(&found));
    assert_eq!((seen.root_version, seen.channel_version, seen.last_signed_time), (1, 5, NOW - DAY));
}

#[test]
fn fields_of_later_releases_are_passed_over() {
    let world = World::new();
    let payload = serde_json::to_string(&world.channel()).unwrap().replacen('{', "{\"later\":[1],", 1);
    let text = serde_json::to_string(&Envelope::sign(Kind::Channel, payload, &[&world.release_key])).unwrap();
    assert_eq!(world.take(&text, Some(NOW), &Seen::default()), Ok(world.channel()));
}

#[test]
fn signatures_of_others_and_other_kinds_do_not_count() {
    let world = World::new();
    let channel = world.channel();
    let payload = || serde_json::to_string(&channel).unwrap();
    let mut stolen = Envelope::sign(Kind::Channel, payload(), &[&world.release_key]);
    stolen.payload = stolen.payload.replace("\"version\":5", "\"version\":6");
    let mut renamed = Envelope::sign(Kind::Channel, payload(), &[&key()]);
    renamed.signatures[0].key = world.release_key.public().id();
    for (name, envelope) in [
        ("nobody", Envelope::sign(Kind::Channel, payload(), &[])),
        ("a stranger", Envelope::sign(Kind::Channel, payload(), &[&key()])),
        ("a stranger under a known name", renamed),
        ("the root key", Envelope::sign(Kind::Channel, payload(), &[&world.root_key])),
        ("as a root", Envelope::sign(Kind::Root, payload(), &[&world.release_key])),
        ("another payload", stolen),
    ] {
        let error = world.take(&serde_json::to_string(&envelope).unwrap(), Some(NOW), &Seen::default()).unwrap_err();
        assert!(matches!(error, TrustError::Signatures { found: 0, needed: 1, .. }), "{name}: {error}");
        assert!(error.to_string().starts_with("channels/stable.json has 0 of 1 signatures"), "{error}");
    }
}

#[test]
fn a_threshold_needs_different_keys() {
    let mut world = World::new();
    let second = key();
    world.root.release_keys = vec![world.release_key.public(), second.public(), world.release_key.public()];
    world.root.release_threshold = 2;
    let taken = |keys: &[&SigningKey]| {
        let text = sign(Kind::Channel, &world.channel(), keys).unwrap();
        world.take(&text, Some(NOW), &Seen::default()).is_ok()
    };
    assert!(!taken(&[&world.release_key]));
    assert!(!taken(&[&world.release_key, &world.release_key]));
    assert!(taken(&[&world.release_key, &second]));
}

#[test]
fn what_expired_is_refused_with_the_clock_named() {
    let world = World::new();
    let error = world.try_channel(|channel| channel.expires = NOW).unwrap_err();
    assert!(matches!(error, TrustError::Expired { .. }), "{error}");
    let text = error.to_string();
    for part in ["channels/stable.json expired at 2027-01-15", "the clock of this host says 2027-01-15", "set it"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let root = Root { expires: NOW, ..world.root.clone() };
    let error = check_root(&root, time(Some(NOW), &Seen::default()), &Seen::default()).unwrap_err();
    assert!(error.to_string().starts_with("1.root.json expired"), "{error}");
}

#[test]
fn a_clock_that_fell_back_counts_as_the_last_signature() {
    let world = World::new();
    let text = world.sign(&world.channel());
    let seen = Seen { last_signed_time: NOW, ..Seen::default() };
    for now in [None, Some(0), Some(NOW)] {
        assert!(world.take(&text, now, &seen).is_ok(), "{now:?}");
        assert_eq!(time(now, &seen).seconds(), NOW);
    }
    // Without anything seen a host in 1970 takes what is signed.
    assert!(world.take(&text, Some(0), &Seen::default()).is_ok());
    // What expired before the last signature stays expired, whatever the clock says.
    let late = Seen { last_signed_time: NOW + DAY, ..Seen::default() };
    let error = world.take(&text, Some(0), &late).unwrap_err().to_string();
    assert!(error.contains("says 1970-01-01 00:00 UTC, but metadata seen before"), "{error}");
}

#[test]
fn replays_are_refused() {
    let world = World::new();
    let text = world.sign(&world.channel());
    let seen = |channel_version| Seen { channel_version, ..Seen::default() };
    assert!(world.take(&text, Some(NOW), &seen(5)).is_ok());
    let error = world.take(&text, Some(NOW), &seen(6)).unwrap_err();
    assert!(matches!(error, TrustError::Replayed { found: 5, seen: 6, .. }), "{error}");
    let seen = Seen { root_version: 2, ..Seen::default() };
    let error = check_root(&world.root, time(Some(NOW), &seen), &seen).unwrap_err();
    assert!(matches!(error, TrustError::Replayed { found: 1, seen: 2, .. }), "{error}");
}

#[test]
fn another_channel_and_other_formats_are_refused() {
    let world = World::new();
    let error = world.try_channel(|channel| channel.name = "beta".into()).unwrap_err();
    assert!(matches!(error, TrustError::ChannelName { .. }), "{error}");
    for (error, part) in [
        (world.try_channel(|channel| channel.format = 2), "format is 2"),
        (world.try_channel(|channel| channel.kind = "root".into()), "it is a \"root\""),
        (world.try_channel(|channel| channel.releases.push(release("1.1"))), "1.1 is in it twice"),
        (world.take("{", Some(NOW), &Seen::default()), "EOF"),
        (channel(&world.root, "../x", b"", time(None, &Seen::default()), &Seen::default()), "no name of a channel"),
    ] {
        let error = error.unwrap_err();
        assert!(matches!(error, TrustError::Malformed { .. }) && error.to_string().contains(part), "{error}");
    }
}

#[test]
fn oversized_documents_are_refused_unread() {
    let world = World::new();
    let big = |limit: u64| vec![b' '; usize::try_from(limit).unwrap() + 1];
    let seen = Seen::default();
    for error in [
        next_root(&world.root, &big(MAX_ROOT)).unwrap_err(),
        anchor("root.json", &big(MAX_ROOT)).unwrap_err(),
        channel(&world.root, "stable", &big(MAX_CHANNEL), time(None, &seen), &seen).unwrap_err(),
        manifest(&release("1.2.0"), &big(MAX_MANIFEST)).unwrap_err(),
    ] {
        assert!(matches!(error, TrustError::Oversized { .. }), "{error}");
    }
}

#[test]
fn manifests_of_other_releases_are_refused() {
    let other = serde_json::to_vec(&manifest_of("1.1.0")).unwrap();
    let mut altered = World::new().manifest;
    let last = altered.len() - 2;
    altered[last] ^= 1;
    let relabelled = Release { version: version("1.2.0"), ..release("1.1.0") };
    for (release, bytes, part) in [
        (release("1.2.0"), &other, "digest"),
        (release("1.2.0"), &altered, "digest"),
        (release("1.2.0"), &altered[1..].to_vec(), "bytes"),
        (relabelled, &other, "is that of 1.1.0"),
    ] {
        let error = manifest(&release, bytes).unwrap_err();
        assert!(matches!(error, TrustError::Mixed { .. }) && error.to_string().contains(part), "{part}: {error}");
    }
}

#[test]
fn manifests_have_all_files_in_their_sizes() {
    let change = |change: &dyn Fn(&mut Manifest)| {
        let mut changed = manifest_of("1.2.0");
        change(&mut changed);
        let bytes = serde_json::to_vec(&changed).unwrap();
        let pinned = Pinned { sha256: Digest::of(&bytes), size: bytes.len() as u64 };
        manifest(&Release { manifest: pinned, ..release("1.2.0") }, &bytes).unwrap_err().to_string()
    };
    let entry = FileEntry { sha256: Digest::of(b""), size: 0 };
    for (error, part) in [
        (change(&|manifest| assert!(manifest.files.remove("hull.efi").is_some())), "no file hull.efi"),
        (change(&|manifest| assert!(manifest.files.insert("../evil".into(), entry).is_none())), "../evil"),
        (change(&|manifest| manifest.root.data_blocks = 3), "root.erofs 8192 bytes"),
        (change(&|manifest| manifest.root.data_blocks = 0), "blocks is not possible"),
        (change(&|manifest| manifest.root.data_blocks = u64::MAX), "blocks is not possible"),
        (change(&|manifest| manifest.root.salt = vec![0; 300]), "salt"),
        (change(&|manifest| manifest.format = 7), "format is 7"),
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn roots_follow_one_another() {
    let world = World::new();
    let first = sign(Kind::Root, &world.root, &[&world.root_key]).unwrap();
    assert_eq!(anchor("root.json", first.as_bytes()).as_ref(), Ok(&world.root));
    let new = key();
    let second = Root { version: 2, keys: vec![new.public()], ..world.root.clone() };
    let try_next =
        |root: &Root, keys: &[&SigningKey]| next_root(&world.root, sign(Kind::Root, root, keys).unwrap().as_bytes());
    assert_eq!(try_next(&second, &[&world.root_key, &new]).as_ref(), Ok(&second));
    for (root, keys, part) in [
        (&second, vec![&new], "0 of 1 signatures needed from the root keys"),
        (&second, vec![&world.root_key], "0 of 1 signatures needed from the root keys it names itself"),
        (&Root { version: 3, ..second.clone() }, vec![&world.root_key, &new], "version 3 where 2 follows"),
        (&Root { version: 1, ..second.clone() }, vec![&world.root_key, &new], "version 1 where 2 follows"),
        (&Root { threshold: 0, ..second.clone() }, vec![&world.root_key, &new], "0 of 1 root keys"),
        (&Root { release_threshold: 2, ..second.clone() }, vec![&world.root_key, &new], "2 of 1 release keys"),
    ] {
        let error = try_next(root, &keys).unwrap_err().to_string();
        assert!(error.starts_with("2.root.json") && error.contains(part), "{part}: {error}");
    }
    // The keys of the first root are good for nothing behind the second.
    let third = Root { version: 3, ..world.root.clone() };
    let text = sign(Kind::Root, &third, &[&world.root_key]).unwrap();
    assert!(next_root(&second, text.as_bytes()).is_err());
    let text = sign(Kind::Root, &third, &[&world.root_key, &new]).unwrap();
    assert!(next_root(&second, text.as_bytes()).is_ok());
}

#[test]
fn downgrades_need_force() {
    let channel = World::new().channel();
    let mut seen = Seen::default();
    seen.bless(&version("1.2.0"));
    seen.bless(&version("1.0.0"));
    let permitted = |text: &str, force| permitted(&channel, &version(text), &version("1.2.0"), &seen, force);
    let error = permitted("1.1.0", false).unwrap_err();
    assert!(matches!(error, TrustError::Downgrade { .. }) && error.to_string().contains("--force"), "{error}");
    assert_eq!(permitted("1.1.0", true).unwrap().version, version("1.1.0"));
    assert_eq!(permitted("1.2.0", false).unwrap().version, version("1.2.0"));
    assert!(permitted("1.3.0", true).unwrap_err().to_string().ends_with("it has 1.2.0, 1.1.0"));
}

#[test]
fn steps_that_cannot_be_left_out_are_named() {
    let from = |text: &str, minimum: &str| Release { minimum_from: Some(version(minimum)), ..release(text) };
    let channel = Channel {
        releases: vec![from("3.0", "2.0"), release("1.9"), from("2.1", "1.5"), release("1.6")],
        ..Channel::new("stable")
    };
    let next_of = |running: &str| next(&channel, &version(running)).map(|release| release.version.to_string());
    for (running, expected) in [("1.0", "1.9"), ("1.9", "2.1"), ("2.1", "3.0")] {
        assert_eq!(next_of(running).as_deref(), Some(expected), "{running}");
    }
    assert_eq!(next_of("3.0"), None);
    // A host ahead of its channel stays.
    assert_eq!(next_of("4.0"), None);
    let error = permitted(&channel, &version("3.0"), &version("1.0"), &Seen::default(), true).unwrap_err();
    let expected = "release 3.0 can be taken from 2.0 on, and 1.0 runs: update to 1.9 first";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn waves_reach_the_shares_they_say() {
    let wave = |after_seconds, percent| Wave { after_seconds, percent };
    let release = Release { waves: vec![wave(0, 1), wave(3600, 10), wave(DAY, 100)], ..release("1.2.0") };
    let from = |host: u32| eligible_from(&release, &host.to_le_bytes()).unwrap() - release.published;
    let times: Vec<u64> = (0..20_000).map(from).collect();
    let share = |time: u64| times.iter().filter(|found| **found <= time).count();
    assert!((130..270).contains(&share(0)), "{}", share(0));
    assert!((1800..2200).contains(&share(3600)), "{}", share(3600));
    assert_eq!(share(DAY), 20_000);
    let stopped = Release { waves: vec![wave(0, 0)], ..release.clone() };
    assert_eq!(eligible_from(&stopped, b"x"), None);
    assert_eq!(eligible_from(&Release { waves: vec![], ..release.clone() }, b"x"), Some(release.published));
    // Another release, another order.
    let next = Release { version: version("1.3.0"), ..release.clone() };
    assert!(
        (0u32..100)
            .any(|host| eligible_from(&next, &host.to_le_bytes()) != eligible_from(&release, &host.to_le_bytes()))
    );
}

#[test]
fn a_publisher_s_folder() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read_channel(folder.path(), "stable").unwrap(), Channel::new("stable"));
    write_channel(folder.path(), &world.channel(), &[&world.release_key]).unwrap();
    write_root(folder.path(), &world.root, &[&world.root_key]).unwrap();
    assert_eq!(read_channel(folder.path(), "stable").unwrap(), world.channel());
    let text = std::fs::read(folder.path().join("1.root.json")).unwrap();
    assert_eq!(anchor("1.root.json", &text), Ok(world.root));
}

proptest! {
    /// A server sends what it likes.
    #[test]
    fn any_bytes_have_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let root = Root::new(0, 0, vec![], vec![]);
        let seen = Seen::default();
        prop_assert!(anchor("x", &bytes).is_err());
        prop_assert!(next_root(&root, &bytes).is_err());
        prop_assert!(channel(&root, "stable", &bytes, time(None, &seen), &seen).is_err());
        prop_assert!(manifest(&release("1.0"), &bytes).is_err());
    }
}
