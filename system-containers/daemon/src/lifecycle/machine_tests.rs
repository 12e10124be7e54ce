//! Tables and properties of the state machine.

use super::*;
use proptest::prelude::*;

const DAEMON: Policy = Policy { oneshot: false, restart: Restart::Always, limit: Limit::Within };
const NEVER: Policy = Policy { oneshot: false, restart: Restart::Never, limit: Limit::Within };
const ONESHOT: Policy = Policy { oneshot: true, restart: Restart::OnFailure, limit: Limit::Within };

fn exited(status: i32) -> Event {
    Event::Exited { status: Some(status), ran: 1, cause: None }
}

fn run(policy: Policy, events: impl IntoIterator<Item = Event>) -> (Machine, Vec<Action>) {
    let mut machine = Machine::default();
    let mut last = vec![];
    for event in events {
        last = machine.apply(policy, event);
    }
    (machine, last)
}

#[test]
fn paths_through_the_picture() {
    use Event::{Admit, BackOffOver, Launched, Ready as IsReady, Restart, Start, Stop, StopTimeout};
    let slow = || Event::ReadyTimeout("slow".into());
    let fault = || Event::Failing("fault".into());
    let table = vec![
        ("start", DAEMON, vec![Admit], Phase::Starting, vec![Action::Launch]),
        ("up", DAEMON, vec![Admit, Launched], Phase::Started, vec![Action::AwaitReady]),
        ("ready", DAEMON, vec![Admit, Launched, IsReady], Phase::Ready, vec![Action::BecameReady]),
        ("crash", DAEMON, vec![Admit, Launched, IsReady, exited(9)], Phase::BackOff, vec![Action::Delay(FIRST_DELAY)]),
        ("again", DAEMON, vec![Admit, Launched, exited(0), BackOffOver], Phase::Starting, vec![Action::Launch]),
        ("oneshot ends", ONESHOT, vec![Admit, Launched, exited(0)], Phase::Ended, vec![]),
        (
            "oneshot fails",
            ONESHOT,
            vec![Admit, Launched, exited(256)],
            Phase::BackOff,
            vec![Action::Delay(FIRST_DELAY)],
        ),
        ("stop", DAEMON, vec![Admit, Launched, Stop], Phase::Stopping, vec![Action::SignalStop]),
        ("stop hangs", DAEMON, vec![Admit, Launched, Stop, StopTimeout], Phase::Stopping, vec![Action::Kill]),
        ("stopped", DAEMON, vec![Admit, Launched, Stop, exited(15)], Phase::Stopped, vec![]),
        ("stop while starting", DAEMON, vec![Admit, Stop, Launched], Phase::Stopping, vec![Action::SignalStop]),
        ("restart", DAEMON, vec![Admit, Launched, Restart, exited(15)], Phase::Starting, vec![Action::Launch]),
        ("start a stopped one", DAEMON, vec![Stop, Start], Phase::Starting, vec![Action::Launch]),
        ("admit does not revive", DAEMON, vec![Stop, Admit], Phase::Stopped, vec![]),
        ("slow", DAEMON, vec![Admit, Launched, slow()], Phase::Stopping, vec![Action::SignalStop]),
        (
            "slow retried",
            DAEMON,
            vec![Admit, Launched, slow(), exited(15)],
            Phase::BackOff,
            vec![Action::Delay(FIRST_DELAY)],
        ),
        ("fault", DAEMON, vec![Admit, Launched, IsReady, fault()], Phase::Stopping, vec![Action::SignalStop]),
        (
            "fault retried",
            DAEMON,
            vec![Admit, Launched, IsReady, fault(), exited(15)],
            Phase::BackOff,
            vec![Action::Delay(FIRST_DELAY)],
        ),
        ("fault, not retried", NEVER, vec![Admit, Launched, IsReady, fault(), exited(15)], Phase::Failed, vec![]),
        ("fault, stopped", DAEMON, vec![Admit, Launched, IsReady, fault(), Stop, exited(15)], Phase::Stopped, vec![]),
        ("late fault", DAEMON, vec![Admit, fault()], Phase::Starting, vec![]),
    ];
    for (name, policy, events, phase, actions) in table {
        let (machine, last) = run(policy, events);
        assert_eq!((machine.phase, last), (phase, actions), "{name}");
    }
}

#[test]
fn delays_double_up_to_the_longest() {
    let seconds: Vec<f64> = (1..=11).map(|failures| delay(failures).as_secs_f64()).collect();
    assert_eq!(seconds, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]);
    assert_eq!(delay(u32::MAX), LAST_DELAY);
}

#[test]
fn a_crash_loop_settles_is_shown_failed_and_is_forgotten_after_a_stable_run() {
    let mut machine = Machine::default();
    machine.apply(DAEMON, Event::Admit);
    for failure in 1..=SHOWN_FAILED {
        machine.apply(DAEMON, Event::Launched);
        machine.apply(DAEMON, exited(256));
        assert_eq!(machine.settled(), failure >= SETTLED_FAILURES, "{failure}");
        assert_eq!(machine.failed(), failure >= SHOWN_FAILED, "{failure}");
        machine.apply(DAEMON, Event::BackOffOver);
    }
    assert_eq!(machine.phase, Phase::Starting);
    assert_eq!(machine.last_error.as_deref(), Some("ended: status 1"));
    machine.apply(DAEMON, Event::Launched);
    machine.apply(DAEMON, Event::Ready);
    assert!(!machine.failed());
    let actions =
        machine.apply(DAEMON, Event::Exited { status: Some(9), ran: STABLE_SECONDS, cause: Some("why".into()) });
    assert_eq!(actions, [Action::Delay(FIRST_DELAY)]);
    assert_eq!(machine.last_error.as_deref(), Some("ended: killed by SIGKILL, why"));
}

#[test]
fn a_start_limit_ends_the_restarts_or_delays_them() {
    let rest = Duration::from_secs(300);
    for (limit, phase, actions, text) in [
        (Limit::GiveUp, Phase::Failed, vec![], "ended: status 1; started too often, not tried again"),
        (
            Limit::Rest(rest),
            Phase::BackOff,
            vec![Action::Delay(rest)],
            "ended: status 1; started too often, tried again in 300 s",
        ),
    ] {
        let mut machine = Machine::default();
        machine.apply(DAEMON, Event::Admit);
        machine.apply(DAEMON, Event::Launched);
        assert_eq!(machine.apply(Policy { limit, ..DAEMON }, exited(256)), actions);
        assert_eq!((machine.phase, machine.last_error.as_deref()), (phase, Some(text)));
        assert!(machine.failed() && machine.settled());
        assert_eq!(machine.apply(DAEMON, Event::Start), [Action::Launch]);
        assert!(!machine.failed());
    }
}

#[test]
fn a_timed_service_is_run_again_and_again_but_not_while_it_runs_or_after_a_stop() {
    let mut machine = Machine { phase: Phase::Idle, ..Machine::default() };
    assert!(machine.settled() && !machine.satisfied());
    assert_eq!(machine.apply(ONESHOT, Event::Admit), []);
    for _ in 0..2 {
        machine.apply(ONESHOT, Event::Wanted);
        assert_eq!(machine.apply(ONESHOT, Event::Admit), [Action::Launch]);
        machine.apply(ONESHOT, Event::Launched);
        let before = machine.clone();
        assert_eq!((machine.apply(ONESHOT, Event::Wanted), &machine), (vec![], &before));
        machine.apply(ONESHOT, exited(0));
        assert_eq!((machine.phase, machine.restarts), (Phase::Ended, 0));
    }
    machine.apply(ONESHOT, Event::Stop);
    machine.apply(ONESHOT, Event::Wanted);
    assert_eq!(machine.phase, Phase::Stopped);
}

#[test]
fn exit_codes_are_dockers() {
    for (status, code) in [(Some(0), 0), (Some(256), 1), (Some(9), 137), (None, 255)] {
        assert_eq!(exit_code(status), code);
    }
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Wanted),
        Just(Event::Admit),
        Just(Event::Blocked("x".into())),
        Just(Event::Launched),
        Just(Event::LaunchFailed("x".into())),
        Just(Event::Ready),
        Just(Event::ReadyTimeout("x".into())),
        Just(Event::Failing("x".into())),
        (any::<Option<i32>>(), 0_u64..100).prop_map(|(status, ran)| Event::Exited { status, ran, cause: None }),
        Just(Event::Slow),
        Just(Event::BackOffOver),
        Just(Event::StopTimeout),
        Just(Event::Start),
        Just(Event::Stop),
        Just(Event::Restart),
    ]
}

proptest! {
    /// With a world that behaves (a launch answers, a process that was signalled ends, a delay passes), every service
    /// reaches rest or keeps running, a service told to stop last is down, and no container is made twice.
    #[test]
    fn never_two_containers_and_a_stop_is_final(list in proptest::collection::vec(events(), 0..60), oneshot: bool) {
        let policy = Policy { oneshot, restart: Restart::Always, limit: Limit::Within };
        let mut machine = Machine::default();
        let mut containers = 0_i32;
        let mut launching = false;
        let mut feed = |machine: &mut Machine, event: Event| {
            // Only what such a world can send reaches the machine.
            let possible = match &event {
                Event::Launched | Event::LaunchFailed(_) => launching,
                Event::Exited { .. } => containers == 1,
                _ => true,
            };
            if !possible {
                return;
            }
            match &event {
                Event::Launched => { launching = false; containers += 1 }
                Event::LaunchFailed(_) => launching = false,
                Event::Exited { .. } => containers -= 1,
                _ => {}
            }
            for action in machine.apply(policy, event) {
                if action == Action::Launch {
                    assert!(!launching && containers == 0, "a second container");
                    launching = true;
                }
            }
            assert_eq!(launching, machine.phase == Phase::Starting);
            assert_eq!(containers == 1, matches!(machine.phase, Phase::Started | Phase::Ready | Phase::Stopping));
        };
        for event in list {
            feed(&mut machine, event);
        }
        feed(&mut machine, Event::Stop);
        feed(&mut machine, Event::Launched);
        feed(&mut machine, Event::StopTimeout);
        feed(&mut machine, Event::Exited { status: Some(9), ran: 0, cause: None });
        feed(&mut machine, Event::BackOffOver);
        feed(&mut machine, Event::Admit);
        prop_assert!(matches!(machine.phase, Phase::Stopped | Phase::Ended | Phase::Failed), "{:?}", machine);
    }
}
