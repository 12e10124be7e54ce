//! Life cycles with real containers: order, readiness, restarts, stop, and a broken definition.

use super::world::{World, client};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::os::unix::net::UnixDatagram;

const FOREVER: &str =
    "echo up; trap 'echo bye; exit 0' TERM; echo > /run/up; while :; do /bin/busybox sleep 0.05; done";
/// It has come as far as its loop, and hears its stop signal.
const IN_LOOP: &str = "[ready]\nprobe = { path = \"/run/up\" }\n";

fn micros(status: &serde_json::Value) -> u64 {
    status["ready_us"].as_u64().unwrap()
}

#[test]
fn root_services_start_in_order_and_the_boot_completes() {
    let mut world = World::new();
    world.service("first", &World::script("kind = \"oneshot\"", "/bin/busybox sleep 0.3; echo done", ""));
    world.service("second", &World::script("required = true\nafter = [\"first\"]", FOREVER, ""));
    world.service(
        "third",
        &World::script("requires = [\"second\"]", FOREVER, "[ready]\nprobe = { exec = [\"/bin/busybox\", \"true\"] }"),
    );
    let mark = format!("echo > /run/up; {FOREVER}");
    world.service("alone", &World::script("", &mark, "[ready]\nprobe = { path = \"/run/up\" }"));
    world.init.boot();
    let third = world.until_state("third", "ready");
    let status = world.status().unwrap();
    assert_eq!(status["boot"], "complete", "{status:#}");
    let [first, second, alone] = ["first", "second", "alone"].map(|name| world.service_status(name).unwrap());
    assert_eq!(first["state"], "ended");
    assert!(micros(&first) <= micros(&second) && micros(&second) <= micros(&third));
    assert!(micros(&alone) < micros(&first), "a service without dependencies waits for nobody");
    world.wait_log("first", &["done"]);
    world.wait("console", || world.console().contains("hull: boot complete in"));
    assert!(world.console().contains("hull: second ready ("), "{}", world.console());
    assert!(world.init.heard("READY=1"));
}

#[test]
fn root_a_killed_service_comes_back_and_a_stopped_one_does_not() {
    let mut world = World::new();
    world.service("a", &World::script("", FOREVER, IN_LOOP));
    world.init.boot();
    let before = world.until_state("a", "ready");
    let pid = i32::try_from(before["pid"].as_i64().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let after = world.until("a", "restarted", |service| service["restarts"] == 1 && service["state"] == "ready");
    assert_ne!(after["pid"], before["pid"]);
    assert_eq!(after["last_error"], "ended: killed by SIGKILL");

    let stopped = client::request(&world.socket(), "POST", "/v1.44/containers/a/stop", "").unwrap();
    assert_eq!(stopped.status, 204, "{}", stopped.body);
    let down = world.service_status("a").unwrap();
    assert_eq!((down["state"].as_str(), down["pid"].is_null()), (Some("stopped"), true));
    world.wait_log("a", &["up", "up", "bye"]);
    assert_eq!(client::request(&world.socket(), "POST", "/containers/a/stop", "").unwrap().status, 304);
    assert_eq!(client::request(&world.socket(), "POST", "/containers/a/start", "").unwrap().status, 204);
    world.until_state("a", "ready");
}

#[test]
fn root_a_service_that_ignores_its_stop_signal_is_killed() {
    let mut world = World::new();
    world.service(
        "deaf",
        &World::script("", "trap '' TERM; while :; do /bin/busybox sleep 1; done", "[run]\nstop-timeout = 1"),
    );
    world.init.boot();
    world.until_state("deaf", "ready");
    let begin = std::time::Instant::now();
    let answer = client::request(&world.socket(), "POST", "/containers/deaf/stop", "").unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
    let took = begin.elapsed().as_secs_f64();
    assert!((1.0..5.0).contains(&took), "{took}");
}

/// Runs in a container: the first process of `root_notifications_make_a_service_ready`.
#[test]
#[ignore = "runs in a container"]
fn container_notifies() {
    let socket = std::env::var("NOTIFY_SOCKET").unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(b"STATUS=warming up", &socket).unwrap();
    while !std::path::Path::new("/data/go").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    sender.send_to(b"READY=1\nSTATUS=at work", &socket).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(600));
}

#[test]
fn root_notifications_make_a_service_ready() {
    let mut world = World::new();
    let text = "[[process]]\nname = \"main\"\ncommand = [\"/bin/test\", \"--ignored\", \"--exact\", \"lifecycle::container_notifies\"]\n\
                [ready]\nnotify = true\n[[mount]]\nsource = \"/state/data\"\ntarget = \"/data\"\n";
    world.service("talker", text);
    let rootfs = world.root.join("services/talker/rootfs");
    std::fs::copy(std::env::current_exe().unwrap(), rootfs.join("bin/test")).unwrap();
    world.init.boot();
    let waiting = world.until("talker", "warm", |service| service["status"] == "warming up");
    assert_eq!(waiting["state"], "started");
    std::fs::File::create(world.root.join("state/data/go")).unwrap().flush().unwrap();
    let ready = world.until_state("talker", "ready");
    assert_eq!(ready["status"], "at work");
}

#[test]
fn root_broken_services_are_told_and_leave_the_others_alone() {
    let mut world = World::new();
    world.service("good", &World::script("required = true", FOREVER, ""));
    world.service("torn", "nonsense = ");
    world.service("x", &World::script("after = [\"y\"]", FOREVER, ""));
    world.service("y", &World::script("after = [\"x\"]", FOREVER, ""));
    world.service("needy", &World::script("requires = [\"crash\"]", FOREVER, ""));
    let never = "[ready]\nprobe = { path = \"/never\" }\n";
    world.service("crash", &World::script("", "echo '<3>no luck' >&2; exit 7", never));
    world.init.boot();
    world.until_state("good", "ready");
    let needy = world.until("needy", "blocked", |service| service["state"] == "failed");
    assert_eq!(needy["last_error"], "requires crash, which is not up");
    let status = world.status().unwrap();
    assert_eq!(status["boot"], "degraded", "{status:#}");
    let messages = status["messages"].to_string();
    assert!(messages.contains("torn/service.toml") && messages.contains("x → y → x"), "{messages}");
    let crash = world.service_status("crash").unwrap();
    assert_eq!(
        (&crash["last_error"], &crash["ready_us"]),
        (&"ended: status 7: no luck".into(), &serde_json::Value::Null)
    );
    world.wait("console", || world.console().contains("crash: no luck"));
    assert!(world.console().contains("hull: boot degraded: "), "{}", world.console());
}

#[test]
fn root_a_service_started_too_often_is_left_alone_until_somebody_asks() {
    let mut world = World::new();
    let limit = "[run]\nstart-limit-burst = 2\n";
    world.service("crash", &World::script("", "exit 7", &format!("{limit}[ready]\nprobe = {{ path = \"/never\" }}\n")));
    world.init.boot();
    let given_up = |service: &serde_json::Value| {
        service["last_error"] == "ended: status 7; started too often, not tried again" && service["state"] == "failed"
    };
    assert_eq!(world.until("crash", "given up", given_up)["restarts"], 1);
    let messages = world.status().unwrap()["messages"].to_string();
    assert!(messages.contains("hull start crash tries at once"), "{messages}");
    assert_eq!(client::request(&world.socket(), "POST", "/containers/crash/start", "").unwrap().status, 204);
    world.until("crash", "given up again", |service| given_up(service) && service["restarts"] == 3);
}

#[test]
fn root_an_unhealthy_service_is_started_again_when_it_says_so() {
    let mut world = World::new();
    let mark = format!("echo > /run/well; {FOREVER}");
    let health = "[health]\nprobe = { path = \"/run/well\" }\ninterval = 1\nretries = 1\nrestart = true\n";
    world.service("sick", &World::script("", &mark, health));
    world.init.boot();
    world.until("sick", "healthy", |service| service["health"] == "healthy");
    let exec = "{\"Cmd\": [\"/bin/busybox\", \"rm\", \"/run/well\"]}";
    let made = client::request(&world.socket(), "POST", "/containers/sick/exec", exec).unwrap();
    let id: serde_json::Value = serde_json::from_str(&made.body).unwrap();
    let start = format!("/exec/{}/start", id["Id"].as_str().unwrap());
    assert_eq!(client::request(&world.socket(), "POST", &start, "{\"Detach\": true}").unwrap().status, 200);
    let after = world.until("sick", "well again", |service| service["restarts"] == 1 && service["health"] == "healthy");
    assert!(after["last_error"].as_str().unwrap().starts_with("unhealthy: "), "{after}");
}

#[test]
fn root_a_run_that_was_missed_is_made_up_for_with_its_stamp_on_the_disk() {
    let mut world = World::new();
    let timer = "[timer]\ncalendar = \"@daily\"\npersistent = true\n";
    world.service("missed", &World::script("kind = \"oneshot\"", "echo ran", timer));
    let stamp = world.root.join("state/timers/missed");
    std::fs::create_dir_all(stamp.parent().unwrap()).unwrap();
    std::fs::write(&stamp, "1").unwrap();
    world.init.boot();
    world.wait_log("missed", &["ran"]);
    let stamp: i64 = std::fs::read_to_string(&stamp).unwrap().parse().unwrap();
    assert!(stamp > 1_700_000_000, "{stamp}");
}

#[test]
fn root_a_timer_runs_a_service_again_and_again() {
    let mut world = World::new();
    let timer = "[timer]\nafter-boot = 1\ninterval = 1\n";
    world.service("job", &World::script("kind = \"oneshot\"", "echo ran", timer));
    world.service("yearly", &World::script("kind = \"oneshot\"", "echo ran", "[timer]\ncalendar = \"@yearly\"\n"));
    world.service("up", &World::script("required = true\nafter = [\"yearly\"]", FOREVER, ""));
    world.init.boot();
    world.until_state("up", "ready");
    world.wait("three runs", || world.log("job").len() >= 3);
    let job = world.service_status("job").unwrap();
    assert_eq!(job["restarts"], 0, "{job}");
    let yearly = world.service_status("yearly").unwrap();
    assert_eq!(yearly["state"], "idle");
    assert!(yearly["next_run"].as_str().unwrap().ends_with("-01-01T00:00:00Z"), "{yearly}");
    let inspect = client::request(&world.socket(), "GET", "/containers/yearly/json", "").unwrap();
    assert!(inspect.body.contains("hull.next-run"), "{}", inspect.body);
    assert_eq!(client::request(&world.socket(), "POST", "/containers/job/stop", "").unwrap().status, 204);
    assert_eq!(world.until_state("job", "stopped")["next_run"], serde_json::Value::Null);
    assert_eq!(client::request(&world.socket(), "POST", "/containers/yearly/start", "").unwrap().status, 204);
    world.until_state("yearly", "ended");
}

#[test]
fn root_a_wanted_service_starts_with_the_one_that_wants_it() {
    let mut world = World::new();
    let asks = "while [ ! -e /data/go ]; do /bin/busybox sleep 0.05; done";
    let mount = "[[mount]]\nsource = \"/state/data\"\ntarget = \"/data\"\n";
    world.service("first", &World::script("kind = \"oneshot\"", asks, mount));
    world.service("engine", &World::script("after = [\"first\"]", FOREVER, ""));
    world.service("helper", &World::script("wanted-by = [\"engine\"]", FOREVER, ""));
    world.service("never", &World::script("wanted-by = [\"absent\"]", FOREVER, ""));
    world.service("pulled", &World::script("wanted-by = [\"absent\"]", FOREVER, ""));
    world.service("puller", &World::script("requires = [\"pulled\"]", FOREVER, ""));
    world.init.boot();
    world.until_state("puller", "ready");
    assert_eq!(world.service_status("helper").unwrap()["state"], "idle");
    std::fs::File::create(world.root.join("state/data/go")).unwrap().flush().unwrap();
    world.until_state("helper", "ready");
    assert_eq!(world.service_status("never").unwrap()["state"], "idle");
}

#[test]
fn root_the_machine_stops_in_reverse_order() {
    let mut world = World::new();
    let script = |name: &str| {
        format!(
            "trap 'echo {name} >> /data/order; exit 0' TERM; echo > /run/up; while :; do /bin/busybox sleep 0.05; done"
        )
    };
    let mount = "[[mount]]\nsource = \"/state/data\"\ntarget = \"/data\"\n";
    let mount = &format!("{mount}{IN_LOOP}");
    world.service("base", &World::script("", &script("base"), mount));
    world.service("middle", &World::script("after = [\"base\"]", &script("middle"), mount));
    world.service("top", &World::script("requires = [\"middle\"]", &script("top"), mount));
    world.init.boot();
    world.until_state("top", "ready");
    let answer = client::request(&world.socket(), "POST", "/hull/power", "{\"action\":\"poweroff\"}").unwrap();
    assert_eq!(answer.status, 204);
    world.wait("request to PID 1", || world.init.heard("SHUTDOWN=poweroff"));
    world.init.say("STOP=poweroff");
    world.wait("all stopped", || world.init.heard("STOPPED=1"));
    let order = std::fs::read_to_string(world.root.join("state/data/order")).unwrap();
    assert_eq!(order.lines().collect::<Vec<_>>(), ["top", "middle", "base"]);
}

#[test]
fn root_the_host_name_reaches_host_and_running_containers() {
    let mut world = World::new();
    let show = "while :; do /bin/busybox hostname; /bin/busybox sleep 0.1; done";
    world.service("early", &World::script("", show, ""));
    let write = "/bin/busybox sleep 0.3; echo hull-test-name > /data/hostname";
    let mount = "[[mount]]\nsource = \"/run/hull/config\"\ntarget = \"/data\"\n";
    world.service("config", &World::script("kind = \"oneshot\"\nafter = [\"early\"]", write, mount));
    world.service("late", &World::script("after = [\"config\"]", show, ""));
    world.init.boot();
    world.until_state("late", "ready");
    let named = |name: &str| world.log(name).last().is_some_and(|last| last == "hull-test-name");
    world.wait("the name", || named("early") && named("late"));
    assert_eq!(world.log("late")[0], "hull-test-name");
    assert_eq!(rustix::system::uname().nodename().to_str(), Ok("hull-test-name"));
}
