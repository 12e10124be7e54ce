//! Both back ends against models of their loaders: every change, cut after every step and in the middle of each.

mod model;

use super::*;
use model::{Machine, interrupted};
use proptest::prelude::*;

/// The states a machine can be found in: how it got there.
const STORIES: [(&str, &[&str]); 10] = [
    ("new", &[]),
    ("written", &["clear b", "install b"]),
    ("on trial", &["clear b", "install b", "try b"]),
    ("once tried", &["clear b", "install b", "try b", "boot"]),
    ("last try", &["clear b", "install b", "try b", "boot", "boot"]),
    ("updated", &["clear b", "install b", "try b", "boot", "bless b"]),
    ("rolled back", &["clear b", "install b", "try b", "boot", "bless b", "prefer a"]),
    ("failed", &["clear b", "install b", "try b", "boot", "condemn b"]),
    ("blessing cut, old end", &["clear b", "install b", "try b", "boot", "bless b", "environment b1b"]),
    ("blessing cut, old start", &["clear b", "install b", "try b", "boot", "environment -1a"]),
];
const CHANGES: [&str; 8] = ["clear a", "clear b", "install b", "try b", "bless b", "condemn b", "prefer a", "prefer b"];

#[test]
fn every_cut_boots_old_or_new() {
    let mut cuts = 0;
    for uefi in [true, false] {
        for (state, story) in STORIES {
            for change in CHANGES {
                let machine = Machine::new(uefi);
                machine.tell(story);
                let before = machine.would_boot();
                let done = machine.copy();
                if done.change(change).is_err() {
                    continue;
                }
                let known = [machine.control.read().unwrap(), done.control.read().unwrap()];
                let is_good = |slot: &Slot| known.iter().any(|known| known.state(*slot) == SlotState::Good);
                let good: Vec<_> = Slot::ALL.into_iter().filter(is_good).collect();
                // old, new, and what is good all along
                let mut allowed = vec![before, done.would_boot()];
                let stays = |slot: &Slot| known.iter().all(|known| known.state(*slot) == SlotState::Good);
                allowed.extend(Slot::ALL.into_iter().filter(stays).map(Some));
                let count = machine.steps(change).unwrap().len();
                for kept in 0..count {
                    for (kind, cut) in interrupted(&machine, change, kept).into_iter().enumerate() {
                        let what = format!("uefi {uefi}, {state}, {change}: step {kept} of {count}, cut {kind}");
                        assert!(allowed.contains(&cut.would_boot()), "{what}: {:?} of {allowed:?}", cut.would_boot());
                        // a trial nobody blesses ends
                        let last = (0..=MOST_TRIES).fold(None, |_, _| cut.boot()).unwrap();
                        assert!(good.contains(&last), "{what}: {last} in the end");
                        cuts += 1;
                    }
                }
            }
        }
    }
    assert!(cuts > 300, "{cuts}");
}

#[test]
fn a_cut_change_can_be_made_again() {
    for uefi in [true, false] {
        for (state, story) in STORIES {
            for change in ["clear b", "install b", "try b", "bless b", "condemn b", "prefer a"] {
                let machine = Machine::new(uefi);
                machine.tell(story);
                let done = machine.copy();
                if done.change(change).is_err() {
                    continue;
                }
                for kept in 0..machine.steps(change).unwrap().len() {
                    let cut = machine.copy();
                    cut.carry_out(change, kept);
                    if change == "install b" && cut.control.read().unwrap().b != SlotState::Empty {
                        continue;
                    }
                    cut.change(change).unwrap();
                    assert_eq!(
                        cut.control.read().unwrap(),
                        done.control.read().unwrap(),
                        "{uefi} {state} {change} {kept}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_life_of_updates() {
    for uefi in [true, false] {
        let machine = Machine::new(uefi);
        let read = || machine.control.read().unwrap();
        let is = |a, b, next| assert_eq!(read(), Selection { a, b, next: Some(next) }, "uefi {uefi}");
        use SlotState::{Bad, Empty, Good, Trial};
        is(Good, Empty, Slot::A);
        machine.tell(&["clear b", "install b"]);
        assert_eq!(machine.would_boot(), Some(Slot::A));
        machine.tell(&["try b"]);
        is(Good, Trial(2), Slot::B);
        assert_eq!(machine.boot(), Some(Slot::B));
        is(Good, Trial(1), Slot::B);
        assert_eq!(machine.boot(), Some(Slot::B));
        is(Good, Bad, Slot::A);
        assert_eq!(machine.boot(), Some(Slot::A));
        machine.tell(&["clear b", "install b", "try b", "boot", "bless b"]);
        is(Good, Good, Slot::B);
        machine.tell(&["prefer a"]);
        is(Good, Bad, Slot::A);
        machine.tell(&["prefer b"]);
        is(Bad, Good, Slot::B);
        machine.tell(&["clear a", "install a", "try a"]);
        is(Trial(2), Good, Slot::A);
        machine.tell(&["boot", "boot", "bless a"]);
        is(Good, Good, Slot::A);
    }
}

#[test]
fn the_last_good_slot_stays() {
    for uefi in [true, false] {
        let refused = |story: &[&str], change: &str| {
            let machine = Machine::new(uefi);
            machine.tell(story);
            let before = machine.control.read().unwrap();
            let error = machine.change(change).unwrap_err();
            assert_eq!(machine.control.read().unwrap(), before, "{change}");
            error
        };
        let trial = ["clear b", "install b", "try b"];
        assert!(matches!(refused(&[], "clear a"), LoaderError::LastGood { slot: Slot::A }));
        assert!(matches!(refused(&[], "condemn a"), LoaderError::LastGood { slot: Slot::A }));
        assert!(matches!(refused(&trial, "clear a"), LoaderError::LastGood { slot: Slot::A }));
        assert!(matches!(refused(&trial, "condemn a"), LoaderError::LastGood { slot: Slot::A }));
        assert!(matches!(refused(&trial, "install b"), LoaderError::State { state: SlotState::Trial(2), .. }));
        assert!(matches!(refused(&[], "install a"), LoaderError::State { state: SlotState::Good, .. }));
        assert!(matches!(refused(&[], "try a"), LoaderError::LastGood { .. }));
        assert!(matches!(refused(&["clear b"], "try b"), LoaderError::Incomplete { slot: Slot::B, .. }));
        assert!(matches!(refused(&[], "prefer b"), LoaderError::State { state: SlotState::Empty, .. }));
        assert!(matches!(refused(&[], "bless b"), LoaderError::State { .. }));
        assert!(matches!(refused(&trial, "prefer b"), LoaderError::State { .. }));
        assert!(matches!(refused(&[], "restore b"), LoaderError::Incomplete { .. }));
        for tries in [0, 10] {
            let error = Machine::new(uefi).control.try_slot(Slot::B, "2", tries).unwrap_err();
            assert!(matches!(error, LoaderError::Tries { .. }));
        }
    }
}

#[test]
fn a_lost_choice_is_restored() {
    for block in [&b""[..], b"# GRUB Environment Block\nx=1\n", &[0; 1024], &[b'#'; 2000]] {
        let machine = Machine::new(false);
        machine.tell(&["clear b", "install b", "try b"]);
        std::fs::write(machine.esp().join("grub/grubenv"), block).unwrap();
        assert!(matches!(machine.control.read(), Err(LoaderError::Unknown { .. })));
        assert!(matches!(machine.change("clear b"), Err(LoaderError::Unknown { .. })));
        assert_eq!(machine.would_boot(), Some(Slot::A));
        machine.change("restore b").unwrap();
        assert_eq!((machine.would_boot(), machine.control.read().unwrap().b), (Some(Slot::B), SlotState::Good));
    }
    let machine = Machine::new(true);
    let entry = machine.esp().join("loader/entries/hull-a.conf");
    std::fs::remove_file(&entry).unwrap();
    for _ in 0..2 {
        let selection = machine.control.read().unwrap();
        assert_eq!((selection.a, selection.next, machine.would_boot()), (SlotState::Empty, None, None));
        machine.change("restore a").unwrap();
        assert_eq!(machine.would_boot(), Some(Slot::A));
        std::fs::write(&entry, "").unwrap();
    }
}

#[test]
fn a_missing_file_is_no_choice() {
    for (uefi, file) in [(true, "hull.efi"), (false, "vmlinuz"), (false, "initrd"), (false, "boot.cfg")] {
        let machine = Machine::new(uefi);
        machine.tell(&["clear b", "install b", "try b"]);
        std::fs::remove_file(machine.esp().join("hull/b").join(file)).unwrap();
        assert_eq!(machine.control.read().unwrap().next, Some(Slot::A));
        assert_eq!(machine.boot(), Some(Slot::A));
        // GRUB has noted that the trial is over; systemd-boot never began it.
        std::fs::write(machine.esp().join("hull/b").join(file), "found again").unwrap();
        let left = if uefi { SlotState::Trial(2) } else { SlotState::Bad };
        assert_eq!(machine.control.read().unwrap().b, left);
    }
}

#[test]
fn content_is_compared() {
    let machine = Machine::new(true);
    let image = Source::expecting(&b"image"[..], [0; 32]);
    let error = machine.control.install(Slot::B, BootFiles::Uefi { image }).unwrap_err();
    assert!(matches!(error, LoaderError::Digest { .. }), "{error}");
    assert!(!machine.esp().join("hull/b/hull.efi").exists());
    let error = Machine::new(false).control.install(Slot::B, BootFiles::Uefi { image: Source::bytes("") }).unwrap_err();
    assert!(matches!(error, LoaderError::Firmware));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn no_order_of_changes_leaves_nothing_good(uefi: bool, orders in proptest::collection::vec(0usize..13, 1..25)) {
        let machine = Machine::new(uefi);
        for order in orders {
            let verbs = ["boot", "clear a", "clear b", "install a", "install b", "try a", "try b", "bless a", "bless b",
                "condemn a", "condemn b", "prefer a", "prefer b"];
            // refusals are part of it
            if verbs[order] == "boot" { machine.boot(); } else { drop(machine.change(verbs[order])); }
            let selection = machine.control.read().unwrap();
            prop_assert!(selection.a == SlotState::Good || selection.b == SlotState::Good, "{selection:?}");
            prop_assert_eq!(selection.next, machine.would_boot());
        }
    }
}
