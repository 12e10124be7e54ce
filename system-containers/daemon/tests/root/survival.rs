//! What a SIGKILL of the daemon must not disturb, and what a full disk must not.

use super::world::{World, client};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

const COUNTER: &str = "i=0; while [ $i -lt 100000 ]; do echo line $i; i=$((i+1)); /bin/busybox usleep 2000; done";
const FOREVER: &str = "while :; do /bin/busybox sleep 0.1; done";

/// Numbers of the counter's log.
fn numbers(world: &World) -> Vec<u32> {
    world.log("counter").iter().map(|line| line.strip_prefix("line ").unwrap().parse().unwrap()).collect()
}

#[test]
fn root_a_killed_daemon_restarts_nothing_and_loses_no_line() {
    let mut world = World::new();
    world.service("counter", &World::script("required = true", COUNTER, ""));
    world.service("once", &World::script("kind = \"oneshot\"", "echo ran", ""));
    world.service("down", &World::script("", FOREVER, ""));
    world.init.boot();
    let before = world.until_state("counter", "ready");
    world.until_state("once", "ended");
    world.until_state("down", "ready");
    assert_eq!(client::request(&world.socket(), "POST", "/containers/down/stop?t=0", "").unwrap().status, 204);
    for _ in 0..5 {
        let reached = numbers(&world).last().copied().unwrap_or(0);
        world.wait("more lines", || numbers(&world).last().copied().unwrap_or(0) > reached + 20);
        world.init.kill_daemon();
        std::thread::sleep(Duration::from_millis(60));
        world.init.boot();
        world.wait("an answer", || world.status().is_some());
    }
    let reached = numbers(&world).last().copied().unwrap_or(0);
    world.wait("more lines", || numbers(&world).last().copied().unwrap_or(0) > reached + 20);
    let after = world.service_status("counter").unwrap();
    assert_eq!((&after["pid"], &after["restarts"], &after["state"]), (&before["pid"], &0.into(), &"ready".into()));
    assert_eq!(world.service_status("down").unwrap()["state"], "stopped");
    world.wait_log("once", &["ran"]);
    let numbers = numbers(&world);
    let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
    assert_eq!((numbers[0], gap), (0, None));
    assert_eq!(world.console().matches("boot complete").count(), 1, "{}", world.console());
}

#[test]
fn root_a_client_waits_for_the_next_daemon() {
    let mut world = World::new();
    world.service("a", &World::script("", FOREVER, ""));
    world.init.boot();
    world.until_state("a", "ready");
    let socket = world.socket();
    for _ in 0..3 {
        world.init.kill_daemon();
        let asked = std::thread::spawn({
            let socket = socket.clone();
            move || client::request(&socket, "GET", "/_ping", "").map(|answer| answer.status)
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(!asked.is_finished(), "{:?}", asked.join());
        world.init.boot();
        assert_eq!(asked.join().unwrap().unwrap(), 200);
    }
    std::fs::remove_file(&socket).unwrap();
    world.init.kill_daemon();
    world.init.boot();
    world.wait("a socket that was taken away", || world.status().is_some());
}

#[test]
fn root_a_service_that_ended_meanwhile_is_started_again() {
    let mut world = World::new();
    world.service("a", &World::script("", FOREVER, ""));
    world.init.boot();
    let pid = i32::try_from(world.until_state("a", "ready")["pid"].as_i64().unwrap()).unwrap();
    world.init.kill_daemon();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    world.init.boot();
    let after = world.until("a", "restarted", |service| service["restarts"] == 1 && service["state"] == "ready");
    assert_eq!(after["last_error"], "ended: killed by SIGKILL");
    assert_ne!(after["pid"], pid);
}

#[test]
fn root_a_full_disk_stops_no_service() {
    let mut world = World::new();
    let logs = world.root.join("state/log");
    std::fs::create_dir_all(&logs).unwrap();
    let none = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("tmpfs"), &logs, Some("tmpfs"), none, Some("size=16k")).unwrap();
    world.service("counter", &World::script("", COUNTER, ""));
    world.init.boot();
    let before = world.until_state("counter", "ready");
    world.wait("a message", || {
        world.status().is_some_and(|status| status["messages"].to_string().contains("log lines are lost"))
    });
    let after = world.service_status("counter").unwrap();
    assert_eq!((&after["pid"], &after["state"]), (&before["pid"], &"ready".into()));
    assert!(numbers(&world).len() > 10, "what fitted is kept");
    nix::mount::umount2(&logs, nix::mount::MntFlags::MNT_DETACH).unwrap();
    world.wait("logging again", || world.log("counter").iter().any(|line| line.contains("could not be written")));
}
