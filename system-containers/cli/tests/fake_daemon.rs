//! The real command against a daemon that answers from a list, one connection after the other.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use nix::pty::{Winsize, openpty};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

/// Request line and body of one request.
type Request = (String, String);
/// What the server does with a connection after its request was read.
type Answer = Box<dyn FnOnce(&mut UnixStream) + Send>;

struct Daemon {
    directory: tempfile::TempDir,
    thread: JoinHandle<Vec<Request>>,
}

impl Daemon {
    fn new(answers: Vec<Answer>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("hull.sock")).unwrap();
        let thread = std::thread::spawn(move || {
            let serve = |answer: Answer| {
                let (mut stream, _) = listener.accept().unwrap();
                let request = read_request(&stream);
                answer(&mut stream);
                request
            };
            answers.into_iter().map(serve).collect()
        });
        Self { directory, thread }
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hull"));
        command.args(line).env("HULL_SOCKET", self.directory.path().join("hull.sock")).stdin(Stdio::null());
        command
    }

    fn run(self, line: &[&str]) -> (Output, Vec<Request>) {
        let output = self.command(line).output().unwrap();
        (output, self.thread.join().unwrap())
    }
}

fn read_request(stream: &UnixStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if let Some(value) = header.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
        if header == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (first.trim_end().trim_end_matches(" HTTP/1.1").into(), String::from_utf8(body).unwrap())
}

fn reply(status: &'static str, body: &'static str) -> Answer {
    Box::new(move |stream| {
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn status_without_a_terminal_has_no_colours() {
    let (output, requests) =
        Daemon::new(vec![reply("200 OK", include_str!("../testdata/status.json"))]).run(&["status"]);
    assert_eq!(text(&output.stdout), include_str!("../testdata/status.txt"));
    assert_eq!(requests[0].0, "GET /hull/status");
}

#[test]
fn ps_as_json_is_the_list_of_services() {
    let (output, _) =
        Daemon::new(vec![reply("200 OK", include_str!("../testdata/status.json"))]).run(&["ps", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value[2]["name"], "docker");
}

#[test]
fn confinement_is_a_table_or_data() {
    let json = include_str!("../testdata/confinement.json");
    let (output, requests) = Daemon::new(vec![reply("200 OK", json)]).run(&["inspect", "--confinement", "time"]);
    assert_eq!(text(&output.stdout), include_str!("../testdata/confinement.txt"));
    assert_eq!(requests[0].0, "GET /hull/confinement/time");
    let (output, _) = Daemon::new(vec![reply("200 OK", json)]).run(&["inspect", "--confinement", "--json", "time"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value, serde_json::from_str::<serde_json::Value>(json).unwrap());
}

#[test]
fn requests_without_an_answer_to_show() {
    for (line, expected) in [
        (&["restart", "time"][..], ("POST /containers/time/restart", "")),
        (&["stop", "time"], ("POST /containers/time/stop", "")),
        (&["poweroff"], ("POST /hull/power", r#"{"action":"poweroff"}"#)),
        (&["reboot"], ("POST /hull/power", r#"{"action":"reboot"}"#)),
    ] {
        let (output, requests) = Daemon::new(vec![reply("204 No Content", "")]).run(line);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!((requests[0].0.as_str(), requests[0].1.as_str()), expected);
    }
}

#[test]
fn updates_tell_their_progress_and_outcome() {
    let (output, requests) =
        Daemon::new(vec![reply("200 OK", include_str!("../testdata/update.json"))]).run(&["update"]);
    assert_eq!(text(&output.stdout), include_str!("../testdata/update.txt"));
    assert_eq!(requests[0].0, "GET /hull/update");

    let lines = "{\"status\":\"fetching\"}\n{\"status\":\"writing\"}\n{\"outcome\":\"1.3.0 is booted next\"}\n";
    let (output, requests) = Daemon::new(vec![reply("200 OK", lines)]).run(&["update", "apply", "--no-reboot"]);
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        ("1.3.0 is booted next\n".into(), "fetching\nwriting\n".into())
    );
    assert_eq!(requests[0], ("POST /hull/update/apply".into(), r#"{"force":false,"no_reboot":true}"#.into()));

    for (answer, error) in [
        ("{\"status\":\"fetching\"}\n{\"error\":\"no release\"}\n", "fetching\nhull: no release\n"),
        ("", "hull: the system daemon ended without an answer; hull update shows what was done\n"),
    ] {
        let (output, _) = Daemon::new(vec![reply("200 OK", answer)]).run(&["update", "check"]);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(1), error));
    }

    let (output, requests) = Daemon::new(vec![reply("204 No Content", "")]).run(&["update", "hold", "trade", "fair"]);
    assert!(output.status.success() && text(&output.stdout).contains("are held"));
    assert_eq!(requests[0], ("POST /hull/update/hold".into(), r#"{"hold":true,"reason":"trade fair"}"#.into()));
}

#[test]
fn refusals_carry_the_daemons_words_and_a_remedy() {
    for (status, body, parts) in [
        ("404 Not Found", r#"{"message":"no service \"x\""}"#, ["no service \"x\"", "hull ps"]),
        ("403 Forbidden", r#"{"message":"not allowed"}"#, ["not allowed", "this socket"]),
        ("500 Internal Server Error", "", ["answered 500", ""]),
    ] {
        let (output, _) = Daemon::new(vec![reply(status, body)]).run(&["inspect", "x"]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn a_missing_daemon_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("hull.sock");
    let run = || {
        let output = Command::new(env!("CARGO_BIN_EXE_hull")).arg("--socket").arg(&socket).arg("ps").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    assert!(run().contains("does not exist"));
    drop(UnixListener::bind(&socket).unwrap());
    assert!(run().contains("restarted by itself"));
    let wrong = Command::new(env!("CARGO_BIN_EXE_hull")).arg("frob").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn root_other_users_are_told_to_use_sudo() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("hull");
    std::fs::copy(env!("CARGO_BIN_EXE_hull"), &program).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(directory.path(), open(0o755)).unwrap();
    let socket = directory.path().join("hull.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, open(0o600)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).arg("ps");
    let output = command.env("HULL_SOCKET", &socket).output().unwrap();
    assert!(text(&output.stderr).contains("use sudo"), "{}", text(&output.stderr));
}

/// Records as the daemon sends them, then the end of the connection; without the last chunk when `cut`.
fn records(body: String, cut: bool) -> Answer {
    Box::new(move |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        for piece in body.as_bytes().chunks(7) {
            write!(stream, "{:x}\r\n", piece.len()).unwrap();
            stream.write_all(piece).unwrap();
            stream.write_all(b"\r\n").unwrap();
        }
        if !cut {
            stream.write_all(b"0\r\n\r\n").unwrap();
        }
    })
}

fn record(stream: &str, second: u32, log: &str) -> String {
    let time = format!("2026-01-31T12:00:0{second}.000000000Z");
    let record = serde_json::json!({
        "service": "docker", "boot": null, "time": time, "stream": stream, "priority": 6, "log": format!("{log}\n"),
    });
    format!("{record}\n")
}

#[test]
fn logs_of_one_service_go_to_both_streams() {
    let body = record("stdout", 0, "out") + &record("stderr", 1, "err");
    let (output, requests) = Daemon::new(vec![records(body, false)]).run(&["logs", "--tail", "2", "docker"]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("out\n".into(), "err\n".into()));
    assert_eq!(requests[0].0, "GET /hull/logs?services=docker&tail=2");
}

#[test]
fn logs_of_all_services_are_one_list_and_a_cut_one_is_an_error() {
    let body = record("stdout", 0, "out") + &record("stderr", 1, "err");
    let (output, requests) = Daemon::new(vec![records(body, true)]).run(&["logs", "-p", "warning"]);
    assert_eq!(text(&output.stdout), "docker: out\ndocker: err\n");
    assert!(text(&output.stderr).contains("cut short") && !output.status.success(), "{}", text(&output.stderr));
    assert_eq!(requests[0].0, "GET /hull/logs?priority=4");
}

/// The daemon is killed twice: once inside a record, once between two.
#[test]
fn a_client_that_follows_outlives_the_daemon() {
    let torn = record("stdout", 0, "out") + &record("stderr", 1, "err")[..30];
    let answers = vec![records(torn, true), records(record("stderr", 1, "err"), false), reply("200 OK", "")];
    let daemon = Daemon::new(answers);
    let mut command = daemon.command(&["logs", "-f", "-t"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let requests = daemon.thread.join().unwrap();
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let shown = "2026-01-31T12:00:00.000000000Z docker: out\n2026-01-31T12:00:01.000000000Z docker: err\n";
    assert_eq!(text(&output.stdout), shown);
    let asked: Vec<&str> = requests.iter().map(|request| request.0.as_str()).collect();
    assert_eq!(
        asked,
        [
            "GET /hull/logs?follow=1",
            "GET /hull/logs?follow=1&after=docker@2026-01-31T12:00:00.000000000Z",
            "GET /hull/logs?follow=1&after=docker@2026-01-31T12:00:01.000000000Z",
        ]
    );
}

const UPGRADE: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

#[test]
fn exec_copies_input_until_its_end_and_gives_the_exit_status() {
    let echo: Answer = Box::new(|stream| {
        stream.write_all(UPGRADE).unwrap();
        let mut input = Vec::new();
        stream.read_to_end(&mut input).unwrap();
        stream.write_all(&[1, 0, 0, 0, 0, 0, 0, u8::try_from(input.len()).unwrap()]).unwrap();
        stream.write_all(&input).unwrap();
        stream.write_all(b"\x02\0\0\0\0\0\0\x03bad").unwrap();
    });
    let daemon = Daemon::new(vec![
        reply("201 Created", r#"{"Id":"e1"}"#),
        echo,
        reply("200 OK", r#"{"Running":true,"ExitCode":null}"#),
        reply("200 OK", r#"{"Running":false,"ExitCode":42}"#),
    ]);
    let mut child = daemon
        .command(&["exec", "-i", "time", "cat", "-n"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("typed\n".into(), "bad".into()));
    assert_eq!(output.status.code(), Some(42));
    let requests = daemon.thread.join().unwrap();
    let body: serde_json::Value = serde_json::from_str(&requests[0].1).unwrap();
    assert_eq!(requests[0].0, "POST /containers/time/exec");
    assert_eq!((&body["Cmd"], &body["Tty"]), (&serde_json::json!(["cat", "-n"]), &false.into()));
    assert_eq!(requests[1].0, "POST /exec/e1/start");
    assert_eq!(requests[2].0, "GET /exec/e1/json");
}

#[test]
fn exec_on_a_terminal_is_raw_and_tells_its_size() {
    let size = Winsize { ws_row: 30, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None).unwrap();
    let (started, is_started) = std::sync::mpsc::channel();
    let shell: Answer = Box::new(move |stream| {
        stream.write_all(UPGRADE).unwrap();
        started.send(()).unwrap();
        let mut typed = [0; 1];
        stream.read_exact(&mut typed).unwrap();
        // Control-C comes as a byte, because the terminal is raw.
        stream.write_all(format!("got {:?}", typed[0]).as_bytes()).unwrap();
    });
    let resized = || reply("200 OK", "");
    let daemon = Daemon::new(vec![
        reply("201 Created", r#"{"Id":"e2"}"#),
        shell_first(shell),
        resized(),
        reply("200 OK", r#"{"Running":false,"ExitCode":0}"#),
    ]);
    let mut command = daemon.command(&["exec", "-it", "console", "sh"]);
    let slave: OwnedFd = terminal.slave.try_clone().unwrap();
    let mut child = command.stdin(slave).stdout(Stdio::piped()).spawn().unwrap();
    is_started.recv().unwrap();
    let mut master = std::fs::File::from(terminal.master);
    master.write_all(&[3]).unwrap();
    let mut shown = String::new();
    child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(shown, "got 3");
    let requests = daemon.thread.join().unwrap();
    let lines: Vec<&str> = requests.iter().map(|request| request.0.as_str()).collect();
    assert!(lines.contains(&"POST /exec/e2/resize?h=30&w=99"), "{lines:?}");
}

/// The hijacked connection stays open while others come, so it gets a thread of its own.
fn shell_first(answer: Answer) -> Answer {
    Box::new(move |stream| {
        let mut stream = stream.try_clone().unwrap();
        std::thread::spawn(move || answer(&mut stream));
    })
}

/// The command by another name, as the console has it.
fn linked(daemon: &Daemon, name: &str, line: &[&str]) -> Command {
    let link = daemon.directory.path().join(name);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hull"), &link).unwrap();
    let mut command = Command::new(link);
    command.args(line).env("HULL_SOCKET", daemon.directory.path().join("hull.sock")).current_dir("/tmp");
    command
}

#[test]
fn mounting_is_the_daemons_work() {
    let mounted = r#"{"kind":"ext4","read-only":true}"#;
    for (name, line, request, body) in [
        (
            "mount",
            &["-t", "ext4", "-o", "noatime,x-y", "LABEL=data", "/tmp/../hull-none/a"][..],
            "POST /hull/mounts",
            r#"{"kind":"ext4","options":["noatime","x-y"],"source":"LABEL=data","target":"/hull-none/a"}"#,
        ),
        (
            "mount",
            &["--bind", "hull-none", "hull-none/b"],
            "POST /hull/mounts",
            r#"{"kind":null,"options":["bind"],"source":"/tmp/hull-none","target":"/tmp/hull-none/b"}"#,
        ),
        ("umount", &["-l", "hull none"], "DELETE /hull/mounts?target=/tmp/hull%20none&lazy=1", ""),
        ("swapon", &["-p", "7", "/dev/vdb"], "POST /hull/swaps", r#"{"device":"/dev/vdb","priority":7}"#),
        ("swapoff", &["LABEL=swap"], "DELETE /hull/swaps?device=LABEL%3Dswap", ""),
        ("partprobe", &["/dev/vdb"], "POST /hull/rescan", r#"{"device":"/dev/vdb"}"#),
    ] {
        let daemon = Daemon::new(vec![reply("200 OK", mounted)]);
        let output = linked(&daemon, name, line).output().unwrap();
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        let is_remarked = text(&output.stderr).contains("write-protected, mounted read-only");
        assert_eq!(is_remarked, name == "mount", "{name}");
        let requests = daemon.thread.join().unwrap();
        assert_eq!((requests[0].0.as_str(), requests[0].1.as_str()), (request, body), "{name}");
    }
}

#[test]
fn refused_mounts_end_with_the_daemons_words_and_the_rest_is_done() {
    let refusal = |status| reply(status, r#"{"message":"/mnt/a: nothing is mounted there"}"#);
    let daemon = Daemon::new(vec![refusal("404 Not Found"), reply("204 No Content", "")]);
    let (output, requests) = daemon.run(&["umount", "/hull-none/a", "/hull-none/b"]);
    assert_eq!((output.status.code(), requests.len()), (Some(1), 2));
    assert_eq!(text(&output.stderr), "hull: /mnt/a: nothing is mounted there\n");
    let (output, _) = Daemon::new(vec![refusal("403 Forbidden")]).run(&["mount", "/dev/vda", "/hull-none/a"]);
    assert_eq!(text(&output.stderr), "hull: /mnt/a: nothing is mounted there\n");
}

#[test]
fn lists_need_no_daemon() {
    let run = |line: &[&str]| Command::new(env!("CARGO_BIN_EXE_hull")).args(line).output().unwrap();
    let output = run(&["mount", "-t", "proc"]);
    assert!(text(&output.stdout).contains(" on /proc type proc ("), "{}", text(&output.stdout));
    assert!(text(&run(&["swapon"]).stdout).starts_with("Filename"));
    let output = run(&["mount", "/mnt"]);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("no fstab"), "{}", text(&output.stderr));
}
