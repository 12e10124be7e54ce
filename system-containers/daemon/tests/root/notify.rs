//! What services say by sd_notify(3) beyond readiness: watchdog and kept descriptors.

use super::world::World;
use rustix::fd::AsFd;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Adds a service whose first process is a test of this file, run in the container.
fn add(world: &World, name: &str, test: &str, tables: &str) {
    let text = format!(
        "[[process]]\nname = \"main\"\ncommand = [\"/bin/test\", \"--ignored\", \"--exact\", \"notify::{test}\"]\n\
         [ready]\nnotify = true\n[[mount]]\nsource = \"/state/data\"\ntarget = \"/data\"\n{tables}"
    );
    world.service(name, &text);
    let rootfs = world.root.join("services").join(name).join("rootfs");
    std::fs::copy(std::env::current_exe().unwrap(), rootfs.join("bin/test")).unwrap();
}

fn connect() -> UnixDatagram {
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(std::env::var("NOTIFY_SOCKET").unwrap()).unwrap();
    socket
}

/// Runs in a container: feeds the watchdog for a while, then hangs.
#[test]
#[ignore = "runs in a container"]
fn container_hangs() {
    let socket = connect();
    assert_eq!(std::env::var("WATCHDOG_USEC").unwrap(), "1000000");
    socket.send(b"READY=1").unwrap();
    for _ in 0..10 {
        socket.send(b"WATCHDOG=1").unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }
    std::fs::write("/data/fed", "").unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn root_a_service_that_hangs_is_started_again() {
    let mut world = World::new();
    add(&world, "hangs", "container_hangs", "[health]\nwatchdog = 1\n[run]\nstop-timeout = 1\n");
    world.init.boot();
    let before = world.until_state("hangs", "ready");
    let after = world.until("hangs", "restarted", |service| service["restarts"] == 1 && service["state"] == "ready");
    assert!(world.root.join("state/data/fed").exists(), "it was stopped while it gave signs of life");
    assert_eq!(after["last_error"], "watchdog: no WATCHDOG=1 within 1 s");
    assert_ne!(after["pid"], before["pid"]);
}

/// Runs in a container: leaves a file in memory with the system, and reads it when it is started again.
#[test]
#[ignore = "runs in a container"]
fn container_keeps_a_descriptor() {
    let socket = connect();
    if std::env::var("LISTEN_FDS").is_ok_and(|count| count == "1") {
        let variables = ["LISTEN_FDNAMES", "LISTEN_PID"].map(|name| std::env::var(name).unwrap());
        assert_eq!(variables, ["memory".to_owned(), std::process::id().to_string()]);
        std::fs::copy("/proc/self/fd/3", "/data/got").unwrap();
        socket.send(b"READY=1").unwrap();
        std::thread::sleep(Duration::from_secs(600));
    }
    let memory = rustix::fs::memfd_create("memory", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::io::write(&memory, b"kept").unwrap();
    let descriptors = [memory.as_fd()];
    // The second time it is known already.
    for _ in 0..2 {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let text = [IoSlice::new(b"FDSTORE=1\nFDNAME=memory\nREADY=1")];
        sendmsg(&socket, &text, &mut control, SendFlags::empty()).unwrap();
    }
    while !std::path::Path::new("/data/go").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::process::exit(1);
}

#[test]
fn root_descriptors_outlive_a_service_and_the_daemon() {
    let mut world = World::new();
    add(&world, "keeper", "container_keeps_a_descriptor", "[run]\nfd-store-max = 2\n");
    world.init.boot();
    world.until_state("keeper", "ready");
    let kept = |world: &World| {
        world
            .init
            .known
            .lock()
            .unwrap()
            .stored
            .keys()
            .filter(|name| name.starts_with("fd:"))
            .cloned()
            .collect::<Vec<_>>()
    };
    world.wait("a descriptor with PID 1", || kept(&world) == ["fd:keeper:0:1:memory"]);
    world.init.kill_daemon();
    world.init.boot();
    world.wait("an answer", || world.status().is_some());
    std::fs::File::create(world.root.join("state/data/go")).unwrap().flush().unwrap();
    world.until("keeper", "restarted", |service| service["restarts"] == 1 && service["state"] == "ready");
    assert_eq!(std::fs::read_to_string(world.root.join("state/data/got")).unwrap(), "kept");
    assert_eq!(kept(&world), ["fd:keeper:0:1:memory"]);
    let stopped = super::world::client::request(&world.socket(), "POST", "/containers/keeper/stop?t=0", "").unwrap();
    assert_eq!(stopped.status, 204, "{}", stopped.body);
    world.wait("nothing kept", || kept(&world).is_empty());
}
