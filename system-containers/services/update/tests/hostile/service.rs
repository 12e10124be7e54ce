//! The service's jobs on files in place of slots and ESP, from the look for a release to the way back, on both loaders.

use crate::release::{BLOCKS, NOW, World, images};
use crate::server::{Lie, Server};
use hull_update::job::{Done, Firmware, Machine, Request, Work};
use hull_update::loader::{BootControl, BootFiles, Source, boot_control};
use hull_update::record::{self, Record};
use hull_update::service::{Places, run};
use hull_update::settings::Settings;
use hull_update::slot::{Slot, SlotState};
use hull_update::trust::Manifest;
use std::fs;

struct Computer {
    world: World,
    server: Server,
    places: Places,
    machine: Machine,
}

impl Computer {
    /// Runs 1.0.0 in slot A, as a fresh disk does.
    fn new(firmware: Firmware) -> Self {
        let world = World::new();
        let server = Server::new(world.folder.path().into(), None, |_| Lie::Honest);
        let at = |name: &str| world.host.folder.path().join(name);
        for folder in ["state", "esp", "trust"] {
            fs::create_dir(at(folder)).unwrap();
        }
        fs::write(at("trust/root.json"), &world.host.anchor).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&world.host.slot("a"), &images()[0].1, 0).unwrap();
        drop(world.host.slot("b"));
        let places = Places { state: at("state"), esp: at("esp"), trust: at("trust"), roots: at("ca.pem") };
        let manifest = manifest(&world, "1.0.0");
        let machine = Machine {
            firmware,
            slot: Slot::A,
            version: "1.0.0".into(),
            root_hash: manifest.root.root_hash.to_string(),
            data_blocks: BLOCKS.into(),
            running: at("a"),
            other: at("b"),
        };
        let computer = Self { world, server, places, machine };
        let loader = computer.loader();
        if firmware == Firmware::Bios {
            // Its memory is always there; a fresh one knows slot A.
            let environment = hull_update::loader::Environment { trial: None, left: 0, good: Slot::A };
            fs::create_dir_all(computer.places.esp.join("grub")).unwrap();
            let block = hull_update::loader::environment_block(environment);
            fs::write(computer.places.esp.join("grub/grubenv"), block).unwrap();
        }
        let kernel = || Source::new(&b"kernel of 1.0.0"[..]);
        let files = match firmware {
            Firmware::Uefi => BootFiles::Uefi { image: kernel() },
            Firmware::Bios => BootFiles::Bios { vmlinuz: kernel(), initrd: kernel(), command_line: "a" },
        };
        // On GRUB a slot with nothing in it that is good by name takes files as well.
        loader.install(Slot::A, files).unwrap();
        loader.restore(Slot::A, "1.0.0").unwrap();
        computer
    }

    fn loader(&self) -> Box<dyn BootControl> {
        boot_control(&self.places.esp, self.machine.firmware == Firmware::Uefi)
    }

    fn state(&self, slot: Slot) -> SlotState {
        self.loader().read().unwrap().state(slot)
    }

    fn record(&self) -> Record {
        record::load(&self.places.state.join("record.json"), NOW).unwrap().record
    }

    fn work(&self, work: Work) -> Result<Done, String> {
        let settings = Settings { url: Some(self.server.url.clone()), ..Settings::default() };
        let request = Request { work, machine: self.machine.clone(), settings };
        run(&self.places, &request, &|_| ()).map_err(|error| format!("{error:#}"))
    }

    /// Starts as the boot loader would; the loader's counting is the test's.
    fn boot(&mut self, version: &str) {
        let slot = self.loader().read().unwrap().next.unwrap();
        if slot != self.machine.slot {
            std::mem::swap(&mut self.machine.running, &mut self.machine.other);
        }
        (self.machine.slot, self.machine.version) = (slot, version.into());
        self.machine.root_hash = manifest(&self.world, version).root.root_hash.to_string();
    }

    fn update(&self) -> Result<(), String> {
        match self.work(Work::Fetch { force: false })? {
            Done::Written { version, .. } if version == "1.1.0" => {}
            other => panic!("{other:?}"),
        }
        self.work(Work::Activate).map(drop)
    }
}

fn manifest(world: &World, version: &str) -> Manifest {
    serde_json::from_slice(&fs::read(world.path(&format!("releases/{version}/manifest.json"))).unwrap()).unwrap()
}

#[test]
fn from_the_look_to_the_blessing_and_back() {
    for firmware in [Firmware::Uefi, Firmware::Bios] {
        let mut computer = Computer::new(firmware);
        let Ok(Done::Available { version, .. }) = computer.work(Work::Check { force: false }) else { panic!() };
        assert_eq!((version.as_str(), computer.record().available.unwrap().version), ("1.1.0", "1.1.0".into()));
        computer.update().unwrap();
        assert_eq!((computer.state(Slot::A), computer.state(Slot::B)), (SlotState::Good, SlotState::Trial(2)));
        computer.boot("1.1.0");
        assert_eq!(computer.machine.slot, Slot::B);
        computer.work(Work::Bless).unwrap();
        assert_eq!((computer.state(Slot::A), computer.state(Slot::B)), (SlotState::Good, SlotState::Good));
        let record = computer.record();
        assert_eq!((record.trial, record.highest_blessed.as_deref()), (None, Some("1.1.0")));
        assert_eq!(computer.work(Work::Check { force: false }), Ok(Done::UpToDate { newest: Some("1.1.0".into()) }));

        assert_eq!(computer.work(Work::Rollback), Ok(Done::RolledBack { version: "1.0.0".into() }));
        computer.boot("1.0.0");
        assert_eq!((computer.machine.slot, computer.state(Slot::B)), (Slot::A, SlotState::Bad));
        let error = computer.work(Work::Fetch { force: false }).unwrap_err();
        assert!(error.contains("1.1.0 failed here before: given up by an administrator"), "{error}");
        // By force it is tried again, without a byte over the network: it is still there.
        let there = Done::Written { version: "1.1.0".into(), fetched: 0, copied: 0 };
        assert_eq!(computer.work(Work::Fetch { force: true }), Ok(there));
    }
}

#[test]
fn a_version_that_never_comes_up_is_marked_and_left() {
    for firmware in [Firmware::Uefi, Firmware::Bios] {
        let mut computer = Computer::new(firmware);
        computer.update().unwrap();
        // What the loader does when the last try is used up.
        computer.loader().condemn(Slot::B).unwrap();
        computer.boot("1.0.0");
        let Ok(Done::Noted { failed: Some(failed) }) = computer.work(Work::Settle) else { panic!() };
        assert!(failed.version == "1.1.0" && failed.reason.contains("did not come up"), "{failed:?}");
        assert_eq!(computer.work(Work::Settle), Ok(Done::Noted { failed: None }));
        assert!(computer.work(Work::Check { force: false }).unwrap_err().contains("failed here before"));
    }
}

#[test]
fn the_reason_a_version_gave_itself_is_kept() {
    let mut computer = Computer::new(Firmware::Uefi);
    computer.update().unwrap();
    computer.boot("1.1.0");
    computer.work(Work::Condemn { reason: "web is not healthy".into() }).unwrap();
    computer.boot("1.0.0");
    assert_eq!(computer.machine.slot, Slot::A);
    let Ok(Done::Noted { failed: Some(failed) }) = computer.work(Work::Settle) else { panic!() };
    assert_eq!(failed.reason, "web is not healthy");
}

#[test]
fn two_updates_in_a_row_and_power_lost_between_loader_and_record() {
    let mut computer = Computer::new(Firmware::Uefi);
    computer.update().unwrap();
    computer.update().unwrap();
    assert_eq!(computer.state(Slot::B), SlotState::Trial(2));
    computer.boot("1.1.0");
    // Blessed by the loader's entry, but the record was not written.
    computer.loader().bless(Slot::B).unwrap();
    computer.work(Work::Settle).unwrap();
    assert!(computer.record().trial.is_none() && computer.record().is_good("1.1.0"));
}

#[test]
fn nothing_is_touched_without_a_release() {
    let computer = Computer::new(Firmware::Uefi);
    fs::remove_file(computer.places.trust.join("root.json")).unwrap();
    assert!(computer.work(Work::Fetch { force: true }).unwrap_err().contains("built without keys"));
    assert!(computer.work(Work::Activate).unwrap_err().contains("holds no whole image"));
    assert!(computer.work(Work::Rollback).unwrap_err().contains("no version to go back to"));
    assert_eq!((computer.state(Slot::A), computer.state(Slot::B)), (SlotState::Good, SlotState::Empty));
    assert!(computer.record().last.is_some_and(|last| last.what == "rollback"));
}
