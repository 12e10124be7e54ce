//! Console sockets and terminals in the foreground.

use crate::bed::Bed;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;
use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

/// Takes the master of the one terminal sent to the socket.
fn accept(listener: &UnixListener) -> File {
    let (socket, _) = listener.accept().expect("accept");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 64];
    let message =
        recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::empty()).expect("receive");
    assert!(message.bytes > 0);
    let received = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    received.expect("a descriptor").into()
}

/// Reads until `want` was seen.
fn read_until(terminal: &mut File, want: &str) {
    let (mut text, mut byte) = (String::new(), [0]);
    while !text.contains(want) {
        assert_eq!(terminal.read(&mut byte).expect("read terminal"), 1, "{text}");
        text.push(byte[0].into());
    }
}

#[test]
fn root_the_terminal_goes_to_the_console_socket() {
    let bed = Bed::new();
    let socket = bed.path("console");
    let listener = UnixListener::bind(&socket).expect("bind");
    let size = json!({"height": 33, "width": 44});
    let script =
        "busybox stty size; test -c /dev/console && busybox tty; read line; echo got $line; exec busybox sleep 1000";
    let bundle = bed.bundle("c", script, json!({"process": {"terminal": true, "consoleSize": size}}));
    let refused = bed.fails(&format!("create --bundle {} c", bundle.display()));
    assert!(refused.contains("--console-socket"), "{refused}");
    bed.ok(&format!("create --bundle {} --console-socket {} c", bundle.display(), socket.display()));
    let mut terminal = accept(&listener);
    bed.ok("start c");
    read_until(&mut terminal, "33 44");
    read_until(&mut terminal, "/dev/pts/0");
    terminal.write_all(b"typed\n").expect("type");
    read_until(&mut terminal, "got typed");

    bed.ok(&format!("exec --tty --detach --console-socket {} c busybox tty", socket.display()));
    read_until(&mut accept(&listener), "/dev/pts/1");
}

#[test]
fn root_a_terminal_in_the_foreground_is_passed_on() {
    let bed = Bed::new();
    let script = "test -t 0 && read line && echo got $line; exit 5";
    let bundle = bed.bundle("c", script, json!({"process": {"terminal": true}}));
    let mut command = bed.command(&format!("run --bundle {} c", bundle.display()));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run");
    child.stdin.take().expect("stdin").write_all(b"typed\n").expect("type");
    let output = child.wait_with_output().expect("wait");
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stdout).contains("got typed"), "{output:?}");
    bed.assert_gone("c");

    bed.start("c", "exec busybox sleep 1000", json!({}));
    let output = bed.ok("exec --tty c busybox tty");
    assert!(output.contains("/dev/pts/0"), "{output}");
}

#[test]
fn root_signals_reach_the_container() {
    let bed = Bed::new();
    let script = "trap 'exit 6' TERM; echo >/tmp/ready; while true; do busybox usleep 1000; done";
    let bundle = bed.bundle("c", script, json!({}));
    let mut child = bed.command(&format!("run --bundle {} c", bundle.display())).spawn().expect("run");
    bed.wait("ready", || bed.path("shared/ready").exists());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signal");
    assert_eq!(child.wait().expect("wait").code(), Some(6));
    bed.assert_gone("c");
}
