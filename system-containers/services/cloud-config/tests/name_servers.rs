//! What containers get for name servers: the docker service's `name-servers`, run with the busybox of this machine.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker/rootfs/usr/libexec/hull/name-servers");
const OWN: &str = "nameserver 127.0.0.53\nnameserver 169.254.53.53\n";
/// It looks every two seconds.
const DEADLINE: Duration = Duration::from_secs(30);

fn script(verb: &str, from: &Path, to: &Path) -> Command {
    let mut command = Command::new("busybox");
    command.args(["sh", SCRIPT, verb]).args([from, to]);
    command
}

#[test]
fn containers_get_the_servers_of_the_machine_or_its_resolver() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("made/to"));
    for (name, text, want) in [
        ("resolved has not begun", None, OWN.to_owned()),
        ("no server is known", Some("# No DNS servers known.\nsearch .\n"), format!("search .\n{OWN}")),
        (
            "servers have IPv6 addresses",
            Some("nameserver 2001:db8::1\nsearch a.example\n"),
            format!("search a.example\n{OWN}"),
        ),
        (
            "servers are known",
            Some("# a comment\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch a.example b.example\n"),
            "search a.example b.example\nnameserver 192.0.2.1\n".to_owned(),
        ),
    ] {
        if let Some(text) = text {
            std::fs::write(&from, text).unwrap();
        }
        assert!(script("once", &from, &to).status().unwrap().success(), "{name}");
        assert_eq!(std::fs::read_to_string(&to).unwrap(), want, "{name}");
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn what_resolved_writes_later_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to): (PathBuf, PathBuf) = (folder.path().join("from"), folder.path().join("made/to"));
    let mut running = Running(script("follow", &from, &to).spawn().unwrap());
    let becomes = |want: &str| {
        let end = Instant::now() + DEADLINE;
        while std::fs::read_to_string(&to).unwrap_or_default() != want {
            assert!(Instant::now() < end, "never {want:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    becomes(OWN);
    for server in ["192.0.2.1", "192.0.2.2"] {
        // As resolved does.
        let new = folder.path().join("new");
        std::fs::write(&new, format!("nameserver {server}\n")).unwrap();
        std::fs::rename(&new, &from).unwrap();
        becomes(&format!("nameserver {server}\n"));
    }
    // As the service is stopped.
    let pid = rustix::process::Pid::from_child(&running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(running.0.wait().unwrap().success());
}
