//! How filters are installed, and agents notified.

use crate::bed::Bed;
use libseccomp::{
    ScmpAction, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpNotifReq, ScmpNotifResp, ScmpSyscall,
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

/// What the agent answers: `ENOMEDIUM`, which nobody else gives.
const ANSWER: i32 = 123;
const SAID: &str = "No medium found";

fn profile(flags: &[&str]) -> Value {
    json!({"linux": {"seccomp": {
        "defaultAction": "SCMP_ACT_ALLOW",
        "flags": flags,
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}],
    }}})
}

/// Receives what is said about one process, answers its first notification, and returns the text.
fn answer(listener: &UnixListener) -> Value {
    let (peer, _) = listener.accept().expect("accept");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut text = vec![0; 16 * 1024];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(&peer, &mut [IoSliceMut::new(&mut text)], &mut control, flags).expect("receive");
    let mut fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let fd: OwnedFd = fds.next().and_then(|mut fds| fds.next()).expect("one descriptor");
    let request = ScmpNotifReq::receive(fd.as_raw_fd()).expect("notification");
    assert_eq!(request.data.syscall, ScmpSyscall::from_name("mkdir").expect("known"));
    ScmpNotifResp::new_error(request.id, -ANSWER, libseccomp::ScmpNotifRespFlags::empty())
        .respond(fd.as_raw_fd())
        .expect("answer");
    serde_json::from_slice(&text[..received.bytes]).expect("JSON")
}

#[test]
fn root_an_agent_is_notified_of_the_first_and_of_further_processes() {
    let bed = Bed::new();
    let listener = UnixListener::bind(bed.path("agent")).expect("listen");
    let mut changes = profile(&["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]);
    changes["annotations"] = json!({"a": "b"});
    let seccomp = &mut changes["linux"]["seccomp"];
    seccomp["syscalls"][0]["action"] = json!("SCMP_ACT_NOTIFY");
    // After the filter is on nothing but execve may be needed.
    seccomp["syscalls"]
        .as_array_mut()
        .expect("list")
        .push(json!({"names": ["sendmsg", "sendto", "clone3", "futex"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}));
    seccomp["listenerPath"] = json!(bed.path("agent"));
    seccomp["listenerMetadata"] = json!("of the test");
    bed.create("c", "busybox mkdir /tmp/new 2>/tmp/said; exec busybox sleep 1000", changes);
    let pid = bed.state("c")["pid"].clone();
    let agent = std::thread::spawn(move || (answer(&listener), listener));
    bed.ok("start c");
    let (first, listener) = agent.join().expect("agent");
    assert_eq!((&first["fds"], &first["metadata"]), (&json!(["seccompFd"]), &json!("of the test")));
    assert_eq!((&first["pid"], &first["state"]["pid"]), (&pid, &pid));
    assert_eq!(first["ociVersion"], first["state"]["ociVersion"]);
    let state = &first["state"];
    assert_eq!((&state["id"], &state["status"]), (&json!("c"), &json!("creating")));
    assert_eq!((&state["annotations"], &state["bundle"]), (&json!({"a": "b"}), &json!(bed.path("bundle-c"))));
    let said = || std::fs::read_to_string(bed.path("shared/said")).unwrap_or_default();
    bed.wait("answer", || said().contains(SAID));

    let agent = std::thread::spawn(move || answer(&listener));
    let output = bed.command("exec c busybox mkdir /tmp/other").output().expect("exec");
    assert!(String::from_utf8_lossy(&output.stderr).contains(SAID), "{output:?}");
    let further = agent.join().expect("agent");
    assert_eq!((&further["state"]["pid"], &further["state"]["status"]), (&pid, &json!("running")));
    assert!(further["pid"].as_i64().is_some_and(|other| other > 1 && Some(other) != pid.as_i64()), "{further}");
}

#[test]
fn root_an_agent_that_is_missing_fails_the_start() {
    let bed = Bed::new();
    let mut changes = profile(&[]);
    changes["linux"]["seccomp"]["syscalls"][0]["action"] = json!("SCMP_ACT_NOTIFY");
    changes["linux"]["seccomp"]["listenerPath"] = json!(bed.path("nobody"));
    bed.create("c", "true", changes);
    let message = bed.fails("start c");
    assert!(message.contains("nobody: No such file or directory"), "{message}");
    assert_eq!(bed.status("c"), "created");
}

#[test]
fn root_filters_are_installed_with_their_flags() {
    let bed = Bed::new();
    // What the kernel does with them cannot be seen, but what it is asked for.
    let refused = |flags: &[&str], number: u64| {
        let run = || {
            let call = ScmpSyscall::from_name("seccomp").expect("known");
            let mut filter = ScmpFilterContext::new(ScmpAction::Allow).expect("filter");
            filter.set_ctl_nnp(false).expect("filter");
            let equal = |argument, value| ScmpArgCompare::new(argument, ScmpCompareOp::Equal, value);
            let is_it = [equal(0, 1), equal(1, number)];
            filter.add_rule_conditional(ScmpAction::Errno(ANSWER), call, &is_it).expect("rule");
            filter.load().expect("install");
            let output = bed.run("c", "true", profile(flags));
            !output.status.success() && String::from_utf8_lossy(&output.stderr).contains(SAID)
        };
        // On a thread of its own: a filter is not taken off.
        std::thread::scope(|scope| scope.spawn(run).join().expect("thread"))
    };
    for (flags, number) in [
        (&[][..], 0),
        (&["SECCOMP_FILTER_FLAG_TSYNC"], 0),
        (&["SECCOMP_FILTER_FLAG_LOG"], 2),
        (&["SECCOMP_FILTER_FLAG_SPEC_ALLOW"], 4),
        (&["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"], 6),
    ] {
        assert!(refused(flags, number), "{flags:?}");
        assert!(!refused(flags, number ^ 2), "{flags:?} and no others");
    }
}
