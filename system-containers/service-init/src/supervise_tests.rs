//! Order, readiness, restart and stop, with a clock of the test's own.

use super::*;

fn processes(text: &str) -> Vec<Process> {
    hull_service::parse("test", &format!("description = \"x\"\n{text}")).unwrap().processes
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const CHAIN: &str = r#"
    [[process]]
    name = "keys"
    command = ["/k"]
    oneshot = true
    [[process]]
    name = "server"
    command = ["/s"]
    after = ["keys"]
    ready = { path = "/run/x" }
    [[process]]
    name = "client"
    command = ["/c"]
    after = ["server"]
"#;

#[test]
fn a_process_waits_for_the_end_of_a_run_once_one_and_for_readiness() {
    let mut supervisor = Supervisor::new(processes(CHAIN));
    assert_eq!(supervisor.due(ms(0)), [Action::Start(0)]);
    supervisor.started(0, 10, ms(0));
    assert_eq!(supervisor.due(ms(1)), [], "server waits for the end, not the start, of keys");
    assert_eq!(supervisor.exited(10, Outcome::Status(3), ms(2)), Some((0, None)));
    assert_eq!(supervisor.due(ms(2)), [Action::Start(1)], "a failed run-once process does not block");
    supervisor.started(1, 11, ms(2));
    let probe = || Action::Probe(1, Probe::Path("/run/x".into()));
    assert_eq!(supervisor.due(ms(2)), [probe()]);
    assert_eq!(supervisor.due(ms(3)), [], "one try at a time");
    assert!(!supervisor.probed(1, false, ms(3)));
    assert_eq!(supervisor.deadline(), Some(ms(53)));
    assert_eq!(supervisor.due(ms(53)), [probe()]);
    assert!(supervisor.probed(1, true, ms(54)));
    assert_eq!(supervisor.due(ms(54)), [Action::Start(2), Action::Ready]);
    supervisor.started(2, 12, ms(54));
    assert_eq!((supervisor.due(ms(60)), supervisor.deadline()), (vec![], None), "idle: no timer runs");
}

#[test]
fn the_delay_doubles_up_to_ten_seconds_and_a_healthy_run_resets_it() {
    let mut supervisor = Supervisor::new(processes("[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n"));
    let mut now = ms(0);
    let mut delays = Vec::new();
    for pid in 1..10 {
        assert_eq!(supervisor.due(now).first(), Some(&Action::Start(0)));
        supervisor.started(0, pid, now);
        let (_, delay) = supervisor.exited(pid, Outcome::Signal(11), now).unwrap();
        delays.push(delay.unwrap().as_millis());
        now += delay.unwrap();
    }
    assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000]);
    supervisor.due(now);
    supervisor.started(0, 99, now);
    assert_eq!(supervisor.exited(99, Outcome::Status(0), now + HEALTHY_RUN), Some((0, Some(ms(100)))));
}

#[test]
fn restart_policy() {
    for (policy, outcome, again) in [
        ("always", Outcome::Status(0), true),
        ("on-failure", Outcome::Status(0), false),
        ("on-failure", Outcome::Status(1), true),
        ("on-failure", Outcome::Signal(9), true),
        ("never", Outcome::Status(1), false),
    ] {
        let text = format!("[[process]]\nname = \"a\"\ncommand = [\"/a\"]\nrestart = \"{policy}\"\n");
        let mut supervisor = Supervisor::new(processes(&text));
        supervisor.due(ms(0));
        supervisor.started(0, 1, ms(0));
        let (_, delay) = supervisor.exited(1, outcome, ms(0)).unwrap();
        assert_eq!(delay.is_some(), again, "{policy} {outcome:?}");
        let exit = Action::Exit(u8::from(outcome != Outcome::Status(0)));
        assert_eq!(supervisor.due(ms(0)).contains(&exit), !again, "{policy} {outcome:?}");
    }
}

#[test]
fn stop_goes_against_the_order_and_forgets_restarts() {
    let mut supervisor = Supervisor::new(processes(CHAIN));
    supervisor.due(ms(0));
    supervisor.started(0, 10, ms(0));
    supervisor.exited(10, Outcome::Status(0), ms(0));
    supervisor.due(ms(0));
    supervisor.started(1, 11, ms(0));
    supervisor.probed(1, true, ms(0));
    supervisor.due(ms(0));
    supervisor.started(2, 12, ms(0));
    supervisor.stop();
    assert_eq!(supervisor.due(ms(1)), [Action::Stop(12)]);
    assert_eq!(supervisor.due(ms(1)), [], "signalled once");
    assert_eq!(supervisor.exited(12, Outcome::Signal(15), ms(2)), Some((2, None)));
    assert_eq!(supervisor.due(ms(2)), [Action::Stop(11)]);
    supervisor.exited(11, Outcome::Status(1), ms(3));
    assert_eq!(supervisor.due(ms(3)), [Action::Exit(0)]);
}

#[test]
fn a_missing_terminal_is_no_failure_and_holds_nothing_up() {
    let text = "[[process]]\nname = \"getty\"\ncommand = [\"/g\"]\ntty = \"/dev/ttyS9\"\n\
                [[process]]\nname = \"b\"\ncommand = [\"/b\"]\n";
    let mut supervisor = Supervisor::new(processes(text));
    assert_eq!(supervisor.due(ms(0)), [Action::Start(0), Action::Start(1)]);
    assert!(supervisor.tty_missing(0, ms(0)));
    supervisor.started(1, 5, ms(0));
    assert_eq!(supervisor.due(ms(0)), [Action::Ready]);
    assert_eq!(supervisor.deadline(), Some(TTY_INTERVAL));
    assert_eq!(supervisor.due(TTY_INTERVAL), [Action::Start(0)]);
    assert!(!supervisor.tty_missing(0, TTY_INTERVAL), "said once");
}

#[test]
fn an_adopted_orphan_is_nobody() {
    let mut supervisor = Supervisor::new(processes("[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n"));
    assert_eq!(supervisor.exited(4711, Outcome::Status(0), ms(0)), None);
}

#[test]
fn a_restarted_process_is_probed_again() {
    let mut supervisor =
        Supervisor::new(processes("[[process]]\nname = \"a\"\ncommand = [\"/a\"]\nready = { path = \"/x\" }\n"));
    supervisor.due(ms(0));
    supervisor.started(0, 1, ms(0));
    supervisor.due(ms(0));
    supervisor.probed(0, true, ms(1));
    assert_eq!(supervisor.due(ms(1)), [Action::Ready]);
    supervisor.exited(1, Outcome::Signal(9), ms(2));
    supervisor.due(ms(200));
    supervisor.started(0, 2, ms(200));
    assert_eq!(supervisor.due(ms(200)), [Action::Probe(0, Probe::Path("/x".into()))]);
    supervisor.probed(0, true, ms(201));
    assert_eq!(supervisor.due(ms(201)), [], "the daemon hears of readiness once");
}
