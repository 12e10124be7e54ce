//! The whole of a live change on a tree of its own, with the power cut after every change of the disk.

use super::boot::settle_in;
use super::durable::LEFT;
use super::effect::Step;
use super::in_force::InForce;
use super::job::{Job, ThisBoot};
use super::machine::Machine;
use super::record;
use super::server::serve;
use crate::machine::fragments::{self, Loaded};
use crate::paths::Paths;
use crate::render;
use crate::report::Messages;
use crate::stage::services;
use crate::store;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(100) };
}

/// Does nothing, fails where it is told to, and knows what was asked of it.
#[derive(Default)]
struct Fake {
    done: Vec<Step>,
    fails: BTreeSet<Step>,
}

impl Machine for Fake {
    fn carry_out(&mut self, step: Step) -> anyhow::Result<()> {
        self.done.push(step);
        if self.fails.contains(&step) { anyhow::bail!("does not come up") } else { Ok(()) }
    }
}

/// A machine that can be booted.
struct World {
    directory: tempfile::TempDir,
    paths: Paths,
    boots: u32,
    fake: Fake,
}

impl World {
    /// Booted, with two fragments.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        NOW.set(100);
        let mut world = Self { directory, paths, boots: 0, fake: Fake::default() };
        world.write("60-a.toml", "hostname = 'old'\n");
        world.write("70-b.toml", "time.servers = ['old']\n");
        world.boot();
        world
    }

    fn write(&self, name: &str, text: &str) {
        store::write(&self.paths.state_config.join(name), text.as_bytes(), 0o600).unwrap();
    }

    fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.paths.state_config.join(name)).ok()
    }

    /// Two fragments changed, one new.
    fn edit(&self) {
        self.write("60-a.toml", "hostname = 'new'\n");
        self.write("70-b.toml", "time.servers = ['new']\n");
        self.write("80-c.toml", "timezone = 'UTC'\n");
    }

    /// A restart, with or without an orderly end: what `compile` does with the fragments. What it says.
    fn boot(&mut self) -> String {
        self.boots += 1;
        std::fs::remove_dir_all(self.directory.path().join("run")).ok();
        let mut messages = Messages::new("compile");
        settle_in(&self.paths, &self.boots.to_string(), &mut messages);
        let paths = &self.paths;
        let Loaded { config, defaults, owner } = fragments::load(
            &paths.default_config,
            &paths.state_config,
            &paths.cloud_state.join("last-good"),
            &mut messages,
        );
        render::write(&paths.config, &services::plan(paths, config, None, &mut messages)).unwrap();
        InForce { defaults, owner }.save(&paths.report).unwrap();
        messages.list().iter().map(|message| format!("{message}\n")).collect()
    }

    fn job<T>(&mut self, act: impl FnOnce(&mut Job<'_, Fake>, &mut dyn FnMut(String)) -> T) -> (T, String) {
        let mut said = String::new();
        let boot = ThisBoot { id: self.boots.to_string(), now: || NOW.get() };
        let mut job = Job { paths: &self.paths, machine: &mut self.fake, boot };
        let done = act(&mut job, &mut |text| said += &(text + "\n"));
        (done, said)
    }

    fn apply(&mut self, window: Option<u32>) -> Result<String, String> {
        let (done, said) = self.job(|job, say| job.apply(window, say));
        done.map(|()| said.clone()).map_err(|error| format!("{said}{error:#}"))
    }

    fn confirm(&mut self) -> Result<(), String> {
        self.job(|job, say| job.confirm(say)).0.map_err(|error| format!("{error:#}"))
    }

    fn revert(&mut self) -> Result<String, String> {
        let (done, said) = self.job(|job, say| job.revert(say));
        done.map(|()| said).map_err(|error| format!("{error:#}"))
    }

    fn tend(&mut self) -> (Option<u64>, String) {
        self.job(|job, say| job.tend(say))
    }

    /// Host name and time server that the services see: both old, or both new, or the test has failed.
    fn in_force(&self) -> &'static str {
        let files = render::read(&self.paths.config);
        let found = (files["hostname"].trim(), files["time/hull.sources"].trim(), files.get("console/timezone"));
        let name = match found {
            ("old", "server old iburst", None) => "old",
            ("new", "server new iburst", Some(_)) => "new",
            mixed => panic!("{mixed:?}"),
        };
        let of_disk = InForce::load(&self.paths.report).unwrap().config(&self.paths);
        assert_eq!(of_disk.hostname.as_deref(), Some(name));
        name
    }
}

/// Runs something with so many changes of the disk left; whether the power went off.
fn with_power_for<T>(changes: usize, act: impl FnOnce() -> T) -> bool {
    LEFT.set(Some(changes));
    act();
    LEFT.replace(None) == Some(0)
}

#[test]
fn a_change_is_applied_and_taken_back() {
    let mut world = World::new();
    assert!(world.apply(None).unwrap().contains("nothing to apply"));
    assert_eq!(world.revert().unwrap_err(), "there is no change to take back");
    assert_eq!(world.confirm().unwrap_err(), "no change waits to be confirmed");

    world.edit();
    assert!(world.apply(None).unwrap().ends_with("applied\n"));
    assert_eq!(world.in_force(), "new");
    assert_eq!(world.fake.done, [Step::HostName, Step::Identity, Step::Time]);
    assert!(world.apply(None).unwrap().contains("nothing to apply"));
    assert_eq!(world.confirm().unwrap_err(), "no change waits to be confirmed");
    world.boot();
    assert_eq!(world.in_force(), "new");

    world.fake.done.clear();
    assert!(world.revert().unwrap().contains("kept in 60-a.toml.reverted, 70-b.toml.reverted, 80-c.toml.reverted"));
    assert_eq!(world.in_force(), "old");
    assert_eq!(world.fake.done, [Step::HostName, Step::Identity, Step::Time]);
    assert_eq!(world.text("60-a.toml.reverted").as_deref(), Some("hostname = 'new'\n"));
    assert_eq!(world.text("80-c.toml"), None);
    assert_eq!(world.revert().unwrap_err(), "there is no change to take back");
    world.boot();
    assert_eq!(world.in_force(), "old");
}

#[test]
fn what_is_confirmed_stays_and_what_is_not_goes() {
    let mut world = World::new();
    world.edit();
    assert!(world.apply(Some(20)).unwrap().contains("taken back in 20 s"));
    assert!(world.apply(None).unwrap_err().contains("waits to be confirmed"));
    NOW.set(119);
    assert_eq!(world.tend(), (Some(1), String::new()));
    assert_eq!(world.in_force(), "new");
    NOW.set(120);
    let (left, said) = world.tend();
    assert!(left.is_none() && said.contains("not confirmed in time"), "{said}");
    assert_eq!(world.in_force(), "old");
    assert_eq!(world.confirm().unwrap_err(), "no change waits to be confirmed");

    world.edit();
    world.apply(Some(20)).unwrap();
    world.confirm().unwrap();
    NOW.set(1000);
    assert_eq!(world.tend(), (None, String::new()));
    assert_eq!(world.boot(), "");
    assert_eq!(world.in_force(), "new");
    world.revert().unwrap();
    assert_eq!(world.in_force(), "old");

    // A restart within the time.
    world.edit();
    world.apply(Some(86_400)).unwrap();
    let said = world.boot();
    assert!(
        said.contains("not confirmed before the machine restarted") && said.contains("60-a.toml.reverted"),
        "{said}"
    );
    assert_eq!(world.in_force(), "old");
    assert_eq!(world.boot(), "");
}

/// Who asks may be gone before the answer, or say nothing sensible.
#[test]
fn requests_are_answered_on_a_socket() {
    let mut world = World::new();
    let mut ask = |text: &str, reads: bool| {
        let (client, server) = UnixStream::pair().unwrap();
        (&client).write_all(text.as_bytes()).unwrap();
        let client = reads.then_some(client);
        let served = world.job(|job, _| serve(job, server)).0.is_ok();
        let mut answer = String::new();
        // What was not read resets the connection.
        client.map(|mut client| client.read_to_string(&mut answer).ok());
        (served, answer)
    };
    assert_eq!(
        ask("{\"verb\":\"confirm\"}\n", true),
        (true, "{\"say\":\"no change waits to be confirmed\"}\n{\"end\":1}\n".into())
    );
    let (_, answer) = ask("{\"verb\":\"apply\",\"confirm_within\":20}\n", true);
    assert!(answer.contains("nothing to apply") && answer.ends_with("{\"end\":0}\n"), "{answer}");
    assert!(ask("{\"verb\":\"apply\",\"confirm_within\":null}\n", false).0);
    assert!(!ask("apply\n", true).0);
    assert!(!ask(&format!("{{\"verb\":\"{}", "x".repeat(5000)), true).0);
}

#[test]
fn compile_run_again_in_the_same_boot_leaves_a_pending_change_alone() {
    let mut world = World::new();
    world.edit();
    world.apply(Some(20)).unwrap();
    let mut messages = Messages::new("compile");
    settle_in(&world.paths, &world.boots.to_string(), &mut messages);
    assert_eq!(messages.list(), []);
    let change = record::pending(&world.paths).unwrap().expect("a change");
    // Read by `hull status`.
    assert_eq!((change.deadline, change.keys.join(" ").as_str()), (Some(120), "hostname time.servers timezone"));
}

#[test]
fn what_is_broken_is_refused_before_anything_is_touched() {
    let mut world = World::new();
    world.edit();
    world.write("99-x.toml", "hostnam = 'x'\n");
    let error = world.apply(Some(20)).unwrap_err();
    assert!(error.contains("99-x.toml line 1 column 1 hostnam: unknown key"), "{error}");
    assert_eq!(world.in_force(), "old");
    std::fs::remove_file(world.paths.state_config.join("99-x.toml")).unwrap();

    // A state partition that takes nothing, or cannot be read.
    with_power_for(0, || assert!(world.apply(Some(20)).is_err()));
    assert_eq!((world.in_force(), world.fake.done.len()), ("old", 0));
    std::fs::create_dir_all(&world.paths.cloud_state).unwrap();
    std::fs::write(world.paths.cloud_state.join("live"), "in the way").unwrap();
    assert!(world.apply(Some(20)).is_err());
    assert_eq!((world.in_force(), world.fake.done.len()), ("old", 0));
    std::fs::remove_file(world.paths.cloud_state.join("live")).unwrap();

    store::write(&world.paths.cloud_state.join("live/pending.json"), b"{\"boot_id\":", 0o600).unwrap();
    assert!(world.apply(Some(20)).unwrap_err().contains("put aside"));
    world.apply(Some(20)).unwrap();
    assert_eq!(world.in_force(), "new");
}

#[test]
fn a_service_that_does_not_come_up_takes_the_change_back_if_it_was_to_be_confirmed() {
    let mut world = World::new();
    world.edit();
    world.fake.fails.insert(Step::Time);
    let error = world.apply(Some(20)).unwrap_err();
    assert!(error.contains("time: does not come up"), "{error}");
    assert_eq!(world.in_force(), "old");
    assert!(record::pending(&world.paths).unwrap().is_none());

    world.edit();
    let error = world.apply(None).unwrap_err();
    assert!(error.contains("hull config revert") && error.contains("time: does not come up"), "{error}");
    assert_eq!(world.in_force(), "new");
    world.fake.fails.clear();
    world.revert().unwrap();
    assert_eq!(world.in_force(), "old");
}

/// What was lost comes back although the disk takes nothing; the disk is tried again.
#[test]
fn the_running_system_is_taken_back_without_the_disk() {
    let mut world = World::new();
    world.edit();
    world.apply(Some(20)).unwrap();
    NOW.set(120);
    let in_the_way = world.paths.state_config.join("60-a.toml.reverted");
    std::fs::create_dir_all(in_the_way.join("x")).unwrap();
    let tended = world.tend();
    assert!(tended.0.is_some() && tended.1.contains("not all of it is taken back"), "{tended:?}");
    assert_eq!((world.in_force(), world.text("60-a.toml").as_deref()), ("old", Some("hostname = 'new'\n")));
    std::fs::remove_dir_all(in_the_way).unwrap();
    assert_eq!(world.tend().0, None);
    assert_eq!(world.text("60-a.toml").as_deref(), Some("hostname = 'old'\n"));
}

#[test]
fn steps_that_were_begun_are_done_by_the_next_run() {
    let mut world = World::new();
    let unfinished = world.paths.report.join("unfinished.json");
    store::write(&unfinished, b"[\"syslog\",\"network\"]", 0o600).unwrap();
    assert_eq!(world.tend().0, None);
    assert_eq!(world.fake.done, [Step::Syslog, Step::Network]);
    assert_eq!(std::fs::read_to_string(unfinished).unwrap(), "[]");
}

/// The oracle: after a boot everything is old or everything is new; old as soon as the way back is known, new once the
/// confirmation is.
#[test]
fn the_power_may_fail_between_any_two_steps() {
    type Act = fn(&mut World);
    let applied: Act = |world| {
        world.edit();
        world.apply(Some(20)).unwrap();
    };
    let confirmed: Act = |world| {
        world.edit();
        world.apply(Some(20)).unwrap();
        world.confirm().unwrap();
    };
    let act_apply: Act = |world| drop(world.apply(Some(20)));
    let act_confirm: Act = |world| drop(world.confirm());
    let act_revert: Act = |world| drop(world.revert());
    let act_tend: Act = |world| {
        NOW.set(1000);
        world.tend();
    };
    // Before it, what is cut, in force after a cut before its first change, and after one behind that.
    for (name, before, act, first, later) in [
        ("apply", (|world| world.edit()) as Act, act_apply, "new", "old"),
        ("confirm", applied, act_confirm, "old", "new"),
        ("revert of a pending change", applied, act_revert, "old", "old"),
        ("revert of the last change", confirmed, act_revert, "new", "old"),
        ("time over", applied, act_tend, "old", "old"),
        ("boot", applied, (|world| drop(world.boot())) as Act, "old", "old"),
    ] {
        let mut cuts = 0;
        while {
            let mut world = World::new();
            before(&mut world);
            let cut = with_power_for(cuts, || act(&mut world));
            world.boot();
            assert_eq!(world.in_force(), if cuts == 0 { first } else { later }, "{name}, cut after {cuts} changes");
            world.boot();
            assert_eq!(world.in_force(), if cuts == 0 { first } else { later }, "{name}, booted twice");
            cuts += 1;
            cut
        } {}
        assert!(cuts > 1, "{name}: nothing was cut");
    }
}
