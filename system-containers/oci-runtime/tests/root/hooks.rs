//! Hooks.

use crate::bed::Bed;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A hook that appends its name and its state to the file.
fn recorder(name: &str, file: &Path) -> Value {
    // One write: the program appends to the same file meanwhile.
    let script = format!("echo {name} \"$(cat)\" >>{}", file.display());
    json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}])
}

#[test]
fn root_hooks_run_in_order_with_their_state() {
    let bed = Bed::new();
    let file = bed.path("shared/record");
    let inside = json!([{
        "path": "/bin/busybox", "args": ["sh", "-c", "echo startContainer \"$(busybox cat)\" >>/tmp/record"],
    }]);
    let of = |name: &str| recorder(name, &file);
    let hooks = json!({
        "prestart": of("prestart"), "createRuntime": of("createRuntime"), "createContainer": of("createContainer"),
        "startContainer": inside, "poststart": of("poststart"), "poststop": of("poststop"),
    });
    bed.create("c", "echo program >>/tmp/record; exec busybox sleep 1000", json!({"hooks": hooks}));
    let pid = bed.state("c")["pid"].clone();
    let seen = || -> Vec<String> { fs::read_to_string(&file).unwrap_or_default().lines().map(str::to_owned).collect() };
    let names =
        || -> Vec<String> { seen().iter().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect() };
    assert_eq!(names(), ["prestart", "createRuntime", "createContainer"]);
    for line in &seen()[..2] {
        let state: Value = serde_json::from_str(line.split_once(' ').expect("state").1).expect("JSON");
        assert_eq!((&state["status"], &state["pid"], &state["id"]), (&json!("creating"), &pid, &json!("c")));
    }
    bed.ok("start c");
    bed.wait("program", || names().contains(&"program".to_owned()));
    bed.ok("delete --force c");
    let mut all = names();
    // The program and poststart do not wait for each other.
    all[4..6].sort();
    let want = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "program", "poststop"];
    assert_eq!(all, want);
    assert!(seen().last().expect("poststop").contains("\"stopped\""));
}

#[test]
fn root_a_failing_hook_undoes_the_creation() {
    let bed = Bed::new();
    let file = bed.path("shared/record");
    let fails = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo no network >&2; exit 3"]}]);
    let hangs = json!([{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]);
    for (kind, hook, said) in [
        ("prestart", &fails, "no network"),
        ("createRuntime", &fails, "no network"),
        ("createContainer", &fails, "no network"),
        ("createRuntime", &hangs, "timed out"),
    ] {
        let hooks = json!({kind: hook, "poststop": recorder("poststop", &file)});
        let bundle = bed.bundle("c", "true", json!({"hooks": hooks}));
        let message = bed.fails(&format!("create --bundle {} c", bundle.display()));
        assert!(message.contains(&format!("{kind}[0]")) && message.contains(said), "{message}");
        bed.assert_gone("c");
        assert!(fs::read_to_string(&file).expect("record").starts_with("poststop"));
        fs::remove_file(&file).expect("remove");
    }
}

#[test]
fn root_later_hooks_only_warn() {
    let bed = Bed::new();
    let fails = json!([{"path": "/bin/false"}]);
    let output = bed.run("c", "exit 4", json!({"hooks": {"poststart": fails, "poststop": fails}}));
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("poststart[0]") && said.contains("poststop[0]"), "{said}");
    bed.assert_gone("c");
}
