//! What `hull logs` asks of the log store.

use super::world::World;
use super::world::client::request;
use serde_json::Value;

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
