//! The log store under a flood, and what `hull logs` asks of it.

use super::world::World;
use super::world::client::request;
use hull_daemon::clock::{WallTime, boot_micros};
use hull_daemon::log_store::rate::RATE;
use hull_daemon::log_store::{FILE_SIZE, OLD_FILES};
use serde_json::Value;
use std::time::{Duration, Instant};

const FLOOD: Duration = Duration::from_secs(8);

fn micros(time: WallTime) -> i64 {
    time.seconds * 1_000_000 + i64::from(time.nanoseconds / 1000)
}

/// Bytes a process has written so far.
fn written(pid: &Value) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
}

#[test]
fn root_a_flood_delays_nobody_and_fills_no_disk() {
    let mut world = World::new();
    world.service("flood", &World::script("", "exec /bin/busybox seq 1 1000000000", ""));
    let quiet = "while :; do read up rest < /proc/uptime; echo $up; /bin/busybox usleep 50000; done";
    world.service("quiet", &World::script("", quiet, ""));
    world.init.boot();
    world.until_state("quiet", "ready");
    let before = world.until_state("flood", "ready");
    world.wait("the flood is told to be slowed down", || {
        world.log("flood").iter().any(|line| line.contains("slowed down"))
    });
    let (begin, first) = (Instant::now(), written(&before["pid"]));
    let cpu = cpu_ticks(world.init.daemon);
    std::thread::sleep(FLOOD);
    let (elapsed, last) = (begin.elapsed().as_secs_f64(), written(&before["pid"]));
    let cpu = (cpu_ticks(world.init.daemon) - cpu) as f64 / 100.0 / elapsed;
    let rate = (last - first) / elapsed;

    let boot = micros(WallTime::now()) - i64::try_from(boot_micros()).unwrap();
    let delays = world.records("quiet").into_iter().map(|record| {
        let up: f64 = record["log"].as_str().unwrap().trim_end().parse().unwrap();
        let time = WallTime::parse_rfc3339(record["time"].as_str().unwrap()).unwrap();
        (micros(time) - boot) as f64 / 1e6 - up
    });
    let (worst, count) = delays.fold((0.0_f64, 0), |(worst, count), delay| (worst.max(delay), count + 1));
    let sizes: u64 = std::fs::read_dir(world.root.join("state/log/flood"))
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    println!(
        "flood: {:.2} MB/s taken, daemon {:.0} % of a CPU; quiet: {count} lines, worst delay {worst:.3} s; store {sizes} bytes",
        rate / 1e6,
        cpu * 100.0
    );
    assert!(count > 20 && worst < 1.0, "{count} lines of the quiet service, worst delay {worst} s");
    assert!(sizes <= FILE_SIZE * u64::from(OLD_FILES + 1), "{sizes}");
    assert!(rate <= 1.2 * RATE as f64, "{rate} bytes a second");
    assert!(last > first, "the flood goes on");
    let after = world.service_status("flood").unwrap();
    assert_eq!((&after["pid"], &after["restarts"]), (&before["pid"], &0.into()), "it is slowed down, not stopped");
    // Files that are rotated while they are read would seem to have gaps.
    assert_eq!(request(&world.socket(), "POST", "/containers/flood/stop?t=0", "").unwrap().status, 204);
    let mut numbers: Vec<u64> = world.log("flood").iter().filter_map(|line| line.parse().ok()).collect();
    // It was killed in the middle of a line.
    numbers.pop();
    let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
    assert!(numbers.len() > 1000 && gap.is_none(), "{} lines, {gap:?}", numbers.len());
}

/// User and system time of a process in ticks of 10 ms.
fn cpu_ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn lines(world: &World, query: &str) -> Vec<String> {
    let answer = request(&world.socket(), "GET", &format!("/hull/logs?{query}"), "").unwrap();
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    let line = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        format!("{} {}", record["service"].as_str().unwrap(), record["log"].as_str().unwrap().trim_end())
    };
    answer.body.lines().map(line).collect()
}

#[test]
fn root_logs_are_found_by_service_time_priority_and_boot() {
    let mut world = World::new();
    let speak = "echo '<3>bad'; echo fine; while [ ! -e /data/go ]; do /bin/busybox usleep 20000; done; \
                 echo again; exec /bin/busybox sleep 1000";
    let mount = "[[mount]]\nsource = \"/state/data\"\ntarget = \"/data\"\n";
    world.service("a", &World::script("", speak, mount));
    world.service("b", &World::script("kind = \"oneshot\"\nafter = [\"a\"]", "/bin/busybox sleep 0.2; echo later", ""));
    world.init.boot();
    world.wait("three lines", || world.log("a").len() == 2 && world.log("b").len() == 1);
    assert_eq!(lines(&world, ""), ["a bad", "a fine", "b later"]);
    assert_eq!(lines(&world, "services=b"), ["b later"]);
    assert_eq!(lines(&world, "services=a,b&tail=2"), ["a fine", "b later"]);
    assert_eq!(lines(&world, "priority=3"), ["a bad"]);
    let time = world.records("b")[0]["time"].as_str().unwrap().to_owned();
    assert_eq!(lines(&world, &format!("since={time}")), ["b later"]);
    assert_eq!(lines(&world, &format!("after=b@{time}")), ["a bad", "a fine"]);
    assert_eq!(lines(&world, "until=1000"), [""; 0]);

    world.init.kill_daemon();
    let boot = "01234567-89ab-cdef-0123-456789abcdef";
    std::fs::write(world.root.join("proc/sys/kernel/random/boot_id"), boot).unwrap();
    world.init.boot();
    world.wait("an answer", || world.status().is_some());
    std::fs::write(world.root.join("state/data/go"), "").unwrap();
    world.wait("another line", || world.log("a").len() == 3);
    assert_eq!(lines(&world, "boot=0"), ["a again"]);
    assert_eq!(lines(&world, &format!("boot={boot}")), ["a again"]);
    assert_eq!(lines(&world, "boot=-1"), ["a bad", "a fine", "b later"]);
    assert_eq!(lines(&world, "").len(), 4);
    for (query, status) in [("boot=-7", 400), ("priority=9", 400), ("services=none", 404)] {
        let answer = request(&world.socket(), "GET", &format!("/hull/logs?{query}"), "").unwrap();
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
    }
}
