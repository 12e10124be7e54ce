//! SIGKILL of the daemon at a hundred random moments under load: containers go on, no line is lost or doubled, exit codes
//! are reported, and clients that come back miss nothing.

use super::world::client::request;
use super::world::{DEADLINE, World};
use hull_daemon::clock::WallTime;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const KILLS: u32 = 100;
/// For all kills together.
const BUDGET: Duration = Duration::from_secs(45);
/// Longest life of a daemon: long enough to be ready, to serve clients and to collect exits.
const LONGEST: Duration = Duration::from_millis(400);
/// The daemon's program is replaced at these kills.
const REPLACED: [u32; 3] = [20, 50, 80];

/// Three numbered lines a stream and turn; the last ones say that they are the last.
const COUNTER: &str = "trap 'echo o end; echo e end >&2; exit 0' TERM; i=0; while :; do \
    for k in 1 2 3; do echo o $i; echo e $i >&2; i=$((i+1)); done; /bin/busybox usleep 15000; done";

/// xorshift64; what matters is that the moments differ and can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % u64::try_from(limit.as_micros()).unwrap().max(1))
    }
}

#[test]
fn root_a_hundred_kills_disturb_nothing() {
    let mut world = World::new();
    world.service("counter", &World::script("", COUNTER, ""));
    for code in 20..24 {
        let script = format!("/bin/busybox usleep {}; echo ran; exit {code}", (code - 19) * 60_000);
        world.service(
            &format!("short{code}"),
            &World::script("kind = \"oneshot\"", &script, "[run]\nrestart = \"never\""),
        );
    }
    world.init.program = world.root.join("daemon");
    install(&world.init.program);
    world.init.boot();
    let before = world.until_state("counter", "ready");
    (20..24).for_each(|code| drop(world.until_state(&format!("short{code}"), "failed")));
    let done = Arc::new(AtomicBool::new(false));
    let follower = std::thread::spawn({
        let (socket, done) = (world.socket(), Arc::clone(&done));
        move || follow(&socket, &done)
    });
    let runners: Vec<_> = (20..24)
        .map(|code| {
            let (socket, done) = (world.socket(), Arc::clone(&done));
            std::thread::spawn(move || run_again_and_again(&socket, code, &done))
        })
        .collect();

    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    println!("seed {seed}");
    let (mut random, begin) = (Random(u64::try_from(seed).unwrap()), Instant::now());
    for kill in 0..KILLS {
        let left = BUDGET.saturating_sub(begin.elapsed()) / (KILLS - kill);
        std::thread::sleep(random.below(LONGEST.min(left * 2)));
        if REPLACED.contains(&kill) {
            install(&world.init.program);
        }
        world.init.kill_daemon();
        std::thread::sleep(random.below(Duration::from_millis(20)));
        world.init.boot();
    }
    println!("{KILLS} kills in {:.1} s", begin.elapsed().as_secs_f64());
    let exe = std::fs::read_link(format!("/proc/{}/exe", world.init.daemon)).unwrap();
    assert_eq!(exe, world.init.program, "the new program runs");

    world.wait("an answer", || world.status().is_some());
    let after = world.service_status("counter").unwrap();
    assert_eq!((&after["pid"], &after["restarts"], &after["state"]), (&before["pid"], &0.into(), &"ready".into()));
    assert_eq!(request(&world.socket(), "POST", "/containers/counter/stop?t=20", "").unwrap().status, 204);
    done.store(true, Ordering::Relaxed);
    let runs: Vec<u32> = runners.into_iter().map(|runner| runner.join().unwrap()).collect();
    println!("exit codes seen: {runs:?}");
    assert!(runs.iter().all(|runs| *runs > 0));

    for prefix in ["o", "e"] {
        let stream = if prefix == "o" { "stdout" } else { "stderr" };
        let lines: Vec<String> = world
            .records("counter")
            .iter()
            .filter(|record| record["stream"] == stream)
            .map(|record| record["log"].as_str().unwrap().trim_end().to_owned())
            .collect();
        check(&lines, prefix, "the files");
        println!("{stream}: {} lines", lines.len());
    }
    let seen = follower.join().unwrap();
    for (stream, prefix) in [(1, "o"), (2, "e")] {
        check(&seen[&stream], prefix, "the client");
    }
    for code in 20..24 {
        let inspect = request(&world.socket(), "GET", &format!("/containers/short{code}/json"), "").unwrap();
        let state = serde_json::from_str::<Value>(&inspect.body).unwrap()["State"].clone();
        assert_eq!(state["ExitCode"], code, "{state}");
        assert!(world.log(&format!("short{code}")).iter().all(|line| line == "ran"));
    }
}

fn install(program: &Path) {
    let new = program.with_extension("new");
    std::fs::copy(env!("CARGO_BIN_EXE_system-daemon"), &new).unwrap();
    std::fs::rename(&new, program).unwrap();
}

/// Every number once and in order, then the end.
fn check(lines: &[String], prefix: &str, whose: &str) {
    let (last, numbers) = lines.split_last().unwrap();
    for (number, line) in numbers.iter().enumerate() {
        let near = &lines[number.saturating_sub(3)..(number + 4).min(lines.len())];
        assert_eq!(*line, format!("{prefix} {number}"), "{whose}: {near:?}");
    }
    assert_eq!(*last, format!("{prefix} end"), "{whose}");
}

/// Starts a service, waits for it, and expects its exit code; how often it was seen.
fn run_again_and_again(socket: &Path, code: i32, done: &AtomicBool) -> u32 {
    let path = |verb: &str| format!("/containers/short{code}/{verb}");
    let (mut runs, begin) = (0, Instant::now());
    while !done.load(Ordering::Relaxed) || runs == 0 {
        assert!(begin.elapsed() < BUDGET + 2 * DEADLINE, "short{code} was never seen to end");
        // A daemon that is killed meanwhile gives no answer, or half of one.
        if let Ok(answer) = request(socket, "POST", &path("wait"), "") {
            if let Ok(result) = serde_json::from_str::<Value>(&answer.body) {
                assert_eq!(result["StatusCode"], code, "short{code}: {}", answer.body);
                runs += 1;
                request(socket, "POST", &path("start"), "").ok();
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    runs
}

/// `docker logs --follow --timestamps` of a client that comes back with the time of the last line it has.
fn follow(socket: &Path, done: &AtomicBool) -> BTreeMap<u8, Vec<String>> {
    let mut seen: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    let (mut since, mut connections) = (String::from("0"), 0);
    loop {
        let at_end = done.load(Ordering::Relaxed);
        let path = format!("/containers/counter/logs?stdout=1&stderr=1&follow=1&timestamps=1&since={since}");
        let bytes = stream(socket, &path).unwrap_or_default();
        connections += u32::from(!bytes.is_empty());
        let mut frames = bytes.as_slice();
        while let Some((stream, text, rest)) = frame(frames) {
            let (time, line) = text.trim_end().split_once(' ').unwrap();
            let next = WallTime::parse_rfc3339(time).unwrap().plus_nanos(1);
            since = format!("{}.{:09}", next.seconds, next.nanoseconds);
            seen.entry(stream).or_default().push(line.to_owned());
            frames = rest;
        }
        if at_end {
            println!("the client came back {connections} times");
            return seen;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One whole frame and what is behind it.
fn frame(bytes: &[u8]) -> Option<(u8, String, &[u8])> {
    let length = usize::try_from(u32::from_be_bytes(bytes.get(4..8)?.try_into().unwrap())).unwrap();
    let text = bytes.get(8..8 + length)?;
    Some((bytes[0], String::from_utf8(text.to_vec()).unwrap(), &bytes[8 + length..]))
}

/// What comes of a chunked body until the connection ends, however it ends.
fn stream(socket: &Path, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(BUDGET + DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        bytes.extend(&buffer[..length]);
    }
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(Vec::new()) };
    let (mut rest, mut body) = (&bytes[head + 4..], Vec::new());
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        let chunk = &rest[end + 2..];
        body.extend(&chunk[..size.min(chunk.len())]);
        rest = chunk.get(size + 2..).unwrap_or_default();
    }
    Ok(body)
}
