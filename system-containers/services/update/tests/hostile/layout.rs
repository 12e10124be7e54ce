//! Machines as the oldest release made and left them (`testdata/layout-1`, never edited), updated by today's code, and
//! booted by its boot loaders, which an update does not replace: [`Loader`] reads the bare files as those do.

use crate::release::{World, image};
use crate::server::{Lie, Server};
use hull_update::job::{Done, Firmware, Machine, Request, Work};
use hull_update::record;
use hull_update::service::{Places, run};
use hull_update::settings::Settings;
use hull_update::slot::Slot;
use hull_update::trust::{Manifest, Release, Seen, anchor, channel, manifest, time};
use hull_update::verity::{BLOCK_BYTES, MAGIC};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Every story of the fixture with the firmware it is one of.
const STORIES: [(&str, Firmware); 4] =
    [("new", Firmware::Uefi), ("new", Firmware::Bios), ("back-uefi", Firmware::Uefi), ("back-bios", Firmware::Bios)];
const TRIALS: [(&str, Firmware); 2] = [("trial-uefi", Firmware::Uefi), ("trial-bios", Firmware::Bios)];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/layout-1").join(name)
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// Content by path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

/// Partitions by name: where, and how many bytes.
fn partitions() -> BTreeMap<String, u64> {
    let table = fs::read_to_string(fixture("partitions.sfdisk")).unwrap();
    let field = |line: &str, key: &str| {
        let value = line.split(['=', ',']).map(str::trim).skip_while(|word| !word.ends_with(key)).nth(1);
        value.map(|value| value.trim_matches('"').to_owned())
    };
    let named = |line: &str| Some((field(line, "name")?, field(line, "size")?.parse::<u64>().ok()? * 512));
    table.lines().filter_map(named).collect()
}

/// The boot loaders of the layout.
struct Loader<'a> {
    esp: &'a Path,
    firmware: Firmware,
}

impl Loader<'_> {
    /// Boots: the slot, and whether it is on trial; counts as the loader does.
    fn boot(&self) -> (Slot, bool) {
        match self.firmware {
            Firmware::Uefi => self.systemd_boot(),
            Firmware::Bios => self.grub(),
        }
    }

    fn has(&self, slot: Slot, name: &str) -> bool {
        self.esp.join(format!("hull/{slot}/{name}")).is_file()
    }

    fn systemd_boot(&self) -> (Slot, bool) {
        let folder = self.esp.join("loader/entries");
        let mut found = Vec::new();
        for (path, text) in files(&folder) {
            let text = String::from_utf8(text).unwrap();
            let keys: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once(' ')).collect();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let Some(stem) = name.strip_suffix(".conf").map(str::to_owned) else { continue };
            let slot = Slot::ALL.into_iter().find(|slot| keys["efi"] == format!("/hull/{slot}/hull.efi")).unwrap();
            assert_eq!(keys["sort-key"], "hull");
            let tries = stem.split_once('+').map(|(id, tries)| (id.to_owned(), tries.to_owned()));
            let is_used_up = tries.as_ref().is_some_and(|(_, tries)| tries.split('-').next() == Some("0"));
            let version: u64 = keys["version"].parse().unwrap();
            if self.has(slot, "hull.efi") {
                found.push((is_used_up, std::cmp::Reverse(version), path, slot, tries));
            }
        }
        let (_, _, path, slot, tries) = found.into_iter().min_by_key(|entry| (entry.0, entry.1)).unwrap();
        let Some((id, tries)) = tries else { return (slot, false) };
        let (left, done) = tries.split_once('-').unwrap_or((&tries, "0"));
        let (left, done): (u32, u32) = (left.parse().unwrap(), done.parse().unwrap());
        fs::rename(path, folder.join(format!("{id}+{}-{}.conf", left.saturating_sub(1), done + 1))).unwrap();
        (slot, true)
    }

    fn grub(&self) -> (Slot, bool) {
        let path = self.esp.join("grub/grubenv");
        let mut block = fs::read(&path).unwrap();
        let text = String::from_utf8(block.clone()).unwrap();
        assert!(text.starts_with("# GRUB Environment Block\n") && text.len() == 1024);
        let variable = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
        let good = Slot::from_letter(variable("hull_good")).unwrap();
        let trial = Slot::from_letter(variable("hull_trial")).filter(|trial| *trial != good);
        let left: u8 = variable("hull_left").parse().unwrap();
        if let (Some(slot), 1..) = (trial, left) {
            block[text.find("hull_left=").unwrap() + "hull_left=".len()] -= 1;
            fs::write(&path, block).unwrap();
            assert!(self.grub_starts(slot));
            return (slot, true);
        }
        assert!(self.grub_starts(good));
        (good, false)
    }

    /// What `grub.cfg` of the layout asks of a slot.
    fn grub_starts(&self, slot: Slot) -> bool {
        let options = fs::read_to_string(self.esp.join(format!("hull/{slot}/boot.cfg"))).unwrap_or_default();
        let is_set = options.starts_with("set hull_options=\"") && options.ends_with("\"\n");
        is_set && self.has(slot, "vmlinuz") && self.has(slot, "initrd")
    }
}

/// A machine of the oldest release.
struct Old {
    world: World,
    /// A release after the first that is offered.
    later: Release,
    server: Server,
    places: Places,
    machine: Machine,
    settings: Settings,
}

impl Old {
    fn new(story: &str, firmware: Firmware) -> Self {
        let mut world = World::new();
        let later = world.channel.releases.pop().unwrap();
        world.publish();
        let server = Server::new(world.folder.path().into(), None, |_| Lie::Honest);
        let at = |name: &str| world.host.folder.path().join(name);
        let places = Places { state: at("state"), esp: at("esp"), trust: at("trust"), roots: at("ca.pem") };
        for folder in [&places.state, &places.trust] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(places.trust.join("root.json"), &world.host.anchor).unwrap();
        copy(&fixture(story).join("esp"), &places.esp);
        let record = fixture(story).join("record.json");
        if record.exists() {
            copy(&record, &places.state.join("record.json"));
        }
        let machine = machine(firmware, world.host.folder.path());
        File::create(&machine.running).unwrap().write_all_at(&image(5, &[]), 0).unwrap();
        // What an older image left in the other slot.
        let other = File::create(&machine.other).unwrap();
        other.write_all_at(MAGIC, machine.data_blocks * BLOCK_BYTES).unwrap();
        for (slot, file) in [(machine.slot, &machine.running), (machine.slot.other(), &machine.other)] {
            File::options().write(true).open(file).unwrap().set_len(partitions()[slot.partition()]).unwrap();
        }
        let settings: Settings = serde_json::from_slice(&fs::read(fixture("update.json")).unwrap()).unwrap();
        let settings = Settings { url: Some(server.url.clone()), ..settings };
        Self { world, later, server, places, machine, settings }
    }

    fn loader(&self) -> Loader<'_> {
        Loader { esp: &self.places.esp, firmware: self.machine.firmware }
    }

    /// Nothing of an old machine is found damaged.
    fn work(&self, work: Work) -> Done {
        let request = Request { work, machine: self.machine.clone(), settings: self.settings.clone() };
        let tell = |text: String| assert!(!text.contains("damaged") && !text.contains("set aside"), "{text}");
        run(&self.places, &request, &tell).unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn update(&self, version: &str) {
        let done = self.work(Work::Fetch { force: false });
        assert!(matches!(&done, Done::Written { version: written, .. } if written == version), "{done:?}");
        assert_eq!(self.work(Work::Activate), Done::Activated { version: version.into() });
    }

    fn offer_later(&mut self) {
        self.world.channel.releases.push(self.later.clone());
        self.world.channel.version += 1;
        self.world.publish();
    }

    /// Everything the running version is booted from, and what it runs on.
    fn running(&self) -> (Vec<u8>, BTreeMap<PathBuf, Vec<u8>>) {
        let mut slot = vec![0; 4 << 20];
        File::open(&self.machine.running).unwrap().read_exact_at(&mut slot, 0).unwrap();
        let other = self.machine.slot.other();
        let is_other = |path: &Path| {
            let path = path.to_str().unwrap();
            path.contains(&format!("/hull/{other}/")) || path.contains(&format!("/hull-{other}"))
        };
        // GRUB's memory is one file for both; what it says is seen by booting.
        let kept = |path: &Path| !is_other(path) && !path.ends_with("grubenv");
        (slot, files(&self.places.esp).into_iter().filter(|(path, _)| kept(path)).collect())
    }

    /// Runs the other slot's version.
    fn go_on_in_the_other(&mut self, version: &str, root_hash: String) {
        let Machine { slot, running, other, .. } = &mut self.machine;
        std::mem::swap(running, other);
        *slot = slot.other();
        (self.machine.version, self.machine.root_hash) = (version.into(), root_hash);
    }
}

/// As the daemon makes it of `boot.json`; devices are files in `folder`.
fn machine(firmware: Firmware, folder: &Path) -> Machine {
    let report: Value = serde_json::from_slice(&fs::read(fixture("boot.json")).unwrap()).unwrap();
    let text = |key: &str| report[key].as_str().unwrap().to_owned();
    let slot = Slot::from_letter(&text("slot")).unwrap();
    let device = |slot: Slot| {
        let path = Path::new(report["partitions"][slot.partition()].as_str().unwrap());
        folder.join(path.file_name().unwrap())
    };
    Machine {
        firmware,
        slot,
        version: text("version"),
        root_hash: text("root_hash"),
        data_blocks: report["data_blocks"].as_u64().unwrap(),
        running: device(slot),
        other: device(slot.other()),
    }
}

#[test]
fn two_updates_in_a_row_replace_the_other_slot_only() {
    for (story, firmware) in STORIES {
        let mut old = Old::new(story, firmware);
        assert_eq!(old.loader().boot(), (Slot::A, false), "{story}");
        let before = old.running();
        assert_eq!(old.work(Work::Settle), Done::Noted { failed: None });
        old.update("1.0.0");
        old.offer_later();
        old.update("1.1.0");
        assert!(old.running() == before, "{story} {firmware:?}: what runs was touched");

        let whole =
            ["root.erofs", "root.verity"].map(|name| fs::read(old.world.path(&format!("releases/1.1.0/{name}"))));
        let whole = whole.map(Result::unwrap).concat();
        let mut found = vec![0; whole.len()];
        File::open(&old.machine.other).unwrap().read_exact_at(&mut found, 0).unwrap();
        assert!(found == whole, "{story} {firmware:?}");
        let kernel = if firmware == Firmware::Uefi { "hull.efi" } else { "vmlinuz" };
        let installed = fs::read(old.places.esp.join("hull/b").join(kernel)).unwrap();
        assert!(installed == fs::read(old.world.path(&format!("releases/1.1.0/{kernel}"))).unwrap());
        assert!(old.server.requests().iter().any(|path| path == "releases/1.0.0/root.erofs"));

        assert_eq!(old.loader().boot(), (Slot::B, true), "{story}");
        let manifest = fs::read(old.world.path("releases/1.1.0/manifest.json")).unwrap();
        let manifest: Manifest = serde_json::from_slice(&manifest).unwrap();
        old.go_on_in_the_other("1.1.0", manifest.root.root_hash.to_string());
        old.work(Work::Bless);
        assert_eq!([(); 4].map(|()| old.loader().boot()), [(Slot::B, false); 4], "{story}");
        assert_eq!(old.work(Work::Rollback), Done::RolledBack { version: "0.1.0".into() });
        assert_eq!(old.loader().boot().0, Slot::A, "{story}");
    }
}

#[test]
fn a_version_that_does_not_come_up_is_left() {
    for (story, firmware) in STORIES {
        let old = Old::new(story, firmware);
        old.update("1.0.0");
        let boots = [(); 3].map(|()| old.loader().boot());
        assert_eq!(boots, [(Slot::B, true), (Slot::B, true), (Slot::A, false)], "{story} {firmware:?}");
        let Done::Noted { failed: Some(failed) } = old.work(Work::Settle) else { panic!("{story}") };
        assert_eq!(failed.version, "1.0.0");
    }
}

/// The version on trial is today's; who put it on trial was the oldest.
#[test]
fn a_trial_that_the_oldest_version_began_is_ended() {
    for (story, firmware) in TRIALS {
        for is_good in [true, false] {
            let mut old = Old::new(story, firmware);
            assert_eq!(old.loader().boot(), (Slot::B, true), "{story}");
            let record = record::load(&old.places.state.join("record.json"), 0).unwrap().record;
            let image = record.slots.b.unwrap();
            old.go_on_in_the_other(&image.version, image.root_hash);
            let work = if is_good { Work::Bless } else { Work::Condemn { reason: "x".into() } };
            old.work(work);
            let slot = if is_good { Slot::B } else { Slot::A };
            assert_eq!([(); 3].map(|()| old.loader().boot().0), [slot; 3], "{story}");
        }
    }
}

#[test]
fn what_the_oldest_version_remembered_is_known() {
    for (story, firmware) in &STORIES[2..] {
        let old = Old::new(story, *firmware);
        let path = old.places.state.join("record.json");
        let text: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let loaded = record::load(&path, 0).unwrap();
        assert!(loaded.set_aside.is_none(), "{:?}", loaded.set_aside);
        let mut record = loaded.record;
        assert!(record.is_bad("0.2.0") && record.is_good("0.1.0"));
        assert_eq!(record.image(Slot::A).unwrap().root_hash, old.machine.root_hash);
        assert_eq!((record.highest_blessed.as_deref(), record.seen.channel_version), (Some("0.2.0"), 1));
        record::save(&path, &mut record).unwrap();
        let again: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for (key, value) in text.as_object().unwrap() {
            assert_eq!(again[key], *value, "{key}: an old version could not go back to reading it");
        }
    }
}

#[test]
fn slots_are_found_by_the_names_of_their_partitions() {
    let report: Value = serde_json::from_slice(&fs::read(fixture("boot.json")).unwrap()).unwrap();
    let known: Vec<_> = report["partitions"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(known, partitions().into_keys().collect::<Vec<_>>());
    assert!(Slot::ALL.iter().all(|slot| partitions()[slot.partition()] == 1 << 30));
}

/// What the oldest version was offered is taken by today's verification, signatures included; so what today's takes of a
/// release of today, the oldest one's does.
#[test]
fn releases_are_signed_and_said_as_they_were() {
    let then = |name: &str| fs::read(fixture("release").join(name)).unwrap();
    let (root, seen) = (anchor("1.root.json", &then("1.root.json")).unwrap(), Seen::default());
    let now = time(Some(1_795_307_618), &seen);
    let offered = channel(&root, "stable", &then("channels/stable.json"), now, &seen).unwrap();
    manifest(&offered.releases[0], &then("releases/0.2.0/manifest.json")).unwrap();

    let world = World::new();
    let payload = |bytes: Vec<u8>| -> Value {
        let envelope: Value = serde_json::from_slice(&bytes).unwrap();
        serde_json::from_str(envelope["payload"].as_str().unwrap()).unwrap()
    };
    let plain = |bytes: Vec<u8>| -> Value { serde_json::from_slice(&bytes).unwrap() };
    let today = |name: &str| fs::read(world.path(name)).unwrap();
    for (then, today) in [
        (payload(then("1.root.json")), payload(today("1.root.json"))),
        (payload(then("channels/stable.json")), payload(today("channels/stable.json"))),
        (plain(then("releases/0.2.0/manifest.json")), plain(today("releases/1.0.0/manifest.json"))),
    ] {
        has_all(&today, &then);
    }
}

/// Fails where `today` lacks a key of `then`, or has another format or kind. No version reads the list of components.
#[track_caller]
fn has_all(today: &Value, then: &Value) {
    for (key, value) in then.as_object().into_iter().flatten().filter(|(key, _)| *key != "sbom.spdx.json") {
        assert!(today.get(key).is_some(), "{key} is missing: {today}");
        assert!(!["format", "kind"].contains(&key.as_str()) || today[key] == *value, "{key}: {}", today[key]);
        has_all(&today[key], value);
    }
    for value in then.as_array().into_iter().flatten() {
        has_all(&today[0], value);
    }
}
