//! The API over a real socket against real containers.

use super::world::World;
use super::world::client::{frames, hijack, request};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::Shutdown;

const FOREVER: &str = "echo out; echo err >&2; while :; do /bin/busybox sleep 0.1; done";

fn boot(keys: &str) -> World {
    let mut world = World::new();
    world.service("a", &World::script(keys, FOREVER, "[run]\nenvironment = { COLOUR = \"blue\" }"));
    world.init.boot();
    world.until_state("a", "ready");
    world
}

fn create(world: &World, body: &Value) -> String {
    let answer = request(&world.socket(), "POST", "/v1.44/containers/a/exec", body.to_string()).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    serde_json::from_str::<Value>(&answer.body).unwrap()["Id"].as_str().unwrap().to_owned()
}

fn get(world: &World, path: &str) -> Value {
    let answer = request(&world.socket(), "GET", path, "").unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

#[test]
fn root_docker_clients_find_what_they_read() {
    let world = boot("");
    let ping = request(&world.socket(), "HEAD", "/_ping", "").unwrap();
    assert!(ping.status == 200 && ping.head.contains("api-version: 1.44"), "{}", ping.head);
    assert_eq!(get(&world, "/version")["ApiVersion"], "1.44");
    assert_eq!(get(&world, "/v1.44/info")["ContainersRunning"], 1);
    let list = get(&world, "/v1.44/containers/json");
    assert_eq!((&list[0]["Names"][0], &list[0]["State"]), (&json!("/a"), &json!("running")));
    let id = list[0]["Id"].as_str().unwrap();
    let inspect = get(&world, &format!("/v1.44/containers/{}/json", &id[..12]));
    assert_eq!((&inspect["Name"], &inspect["State"]["Running"]), (&json!("/a"), &json!(true)));
    assert_eq!(inspect["HostConfig"]["CapDrop"], json!(["ALL"]));
    assert_eq!(get(&world, "/containers/json?filters=%7B%22name%22%3A%5B%22zz%22%5D%7D"), json!([]));

    for (method, path, status, text) in [
        ("GET", "/containers/none/json", 404, "No such container: none"),
        ("POST", "/containers/create", 404, "No such image: "),
        ("POST", "/commit", 501, "POST /commit is not supported by the system daemon"),
        ("POST", "/containers/a/kill?signal=NOPE", 400, "\"NOPE\" is no signal"),
        ("POST", "/containers/prune", 501, "POST /containers/prune is not supported by the system daemon"),
        ("GET", "/exec/none/json", 404, "No such exec instance: none"),
    ] {
        let answer = request(&world.socket(), method, path, "").unwrap();
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, &body), (status, &json!({ "message": text })), "{path}");
    }
}

/// Clients in Go read a field that is left out as zero, others do not: what is empty is said.
#[test]
fn root_what_is_empty_is_said() {
    let world = boot("");
    let image = get(&world, "/containers/json")[0]["Image"].as_str().unwrap().to_owned();
    let exec = create(&world, &json!({ "Cmd": ["/bin/busybox", "true"] }));
    for (path, fields) in [
        ("/containers/json".to_owned(), "0/Ports 0/NetworkSettings/Networks 0/Mounts 0/HostConfig/NetworkMode"),
        (
            "/containers/a/json".into(),
            "Mounts NetworkSettings/Networks State/Error State/OOMKilled State/FinishedAt HostConfig/Memory \
             HostConfig/PidsLimit HostConfig/RestartPolicy/MaximumRetryCount Config/OpenStdin RestartCount",
        ),
        (
            "/containers/a/stats?stream=0&one-shot=1".into(),
            "preread precpu_stats/cpu_usage/total_usage pids_stats/limit",
        ),
        ("/images/json".into(), "0/ParentId 0/RepoDigests 0/SharedSize"),
        (format!("/images/{image}/json"), "Parent RepoDigests RootFS/Layers Config/Cmd"),
        (format!("/images/{image}/history"), "0/Comment 0/Size"),
        ("/system/df".into(), "LayersSize Images Containers/0/Ports Volumes BuildCache"),
        ("/volumes".into(), "Volumes Warnings"),
        ("/info".into(), "ContainersPaused Warnings"),
        (format!("/exec/{exec}/json"), "Running OpenStdin Pid ProcessConfig/tty"),
    ] {
        let answer = get(&world, &path);
        for field in fields.split_whitespace() {
            assert!(answer.pointer(&format!("/{field}")).is_some_and(|value| !value.is_null()), "{path}: {field}");
        }
    }
}

#[test]
fn root_logs_are_framed_and_followed() {
    let world = boot("");
    world.wait("two lines", || world.log("a").len() == 2);
    let path = "/v1.44/containers/a/logs?stdout=1&stderr=1";
    let mut seen = frames(&request(&world.socket(), "GET", path, "").unwrap().bytes);
    seen.sort();
    assert_eq!(seen, [(1, "out\n".into()), (2, "err\n".into())]);
    let socket = world.socket();
    let following =
        std::thread::spawn(move || request(&socket, "GET", &format!("{path}&follow=1&tail=0"), "").unwrap());
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(request(&world.socket(), "POST", "/containers/a/restart?t=0", "").unwrap().status, 204);
    world.wait("four lines", || world.log("a").len() == 4);
    assert_eq!(request(&world.socket(), "POST", "/containers/a/stop?t=0", "").unwrap().status, 204);
    let mut seen = frames(&following.join().unwrap().bytes);
    seen.sort();
    assert_eq!(seen, [(1, "out\n".into()), (2, "err\n".into())]);
}

#[test]
fn root_exec_streams_both_ways_and_reports_its_exit() {
    let world = boot("");
    let script = "read line; echo got $line $COLOUR $MORE; echo bad >&2; exit 3";
    let id = create(
        &world,
        &json!({
            "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Env": ["MORE=green"],
            "Cmd": ["/bin/busybox", "sh", "-c", script],
        }),
    );
    let plain = request(&world.socket(), "POST", &format!("/exec/{id}/start"), "{}").unwrap();
    assert_eq!(plain.status, 400, "{}", plain.body);
    let mut stream = hijack(&world.socket(), &format!("/v1.44/exec/{id}/start"), "{}").unwrap();
    stream.get_mut().write_all(b"hello\n").unwrap();
    stream.get_mut().shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let mut seen = frames(&bytes);
    seen.sort();
    assert_eq!(seen, [(1, "got hello blue green\n".into()), (2, "bad\n".into())]);
    let inspect = get(&world, &format!("/exec/{id}/json"));
    assert_eq!((&inspect["Running"], &inspect["ExitCode"]), (&json!(false), &json!(3)));
    let again = request(&world.socket(), "POST", &format!("/exec/{id}/start"), "{}").unwrap();
    assert_eq!(again.status, 409, "{}", again.body);
}

#[test]
fn root_exec_with_a_terminal_is_resized() {
    let world = boot("");
    let script = "read go; /bin/busybox stty size; exit 4";
    let body = json!({
        "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": true,
        "Cmd": ["/bin/busybox", "sh", "-c", script],
    });
    let id = create(&world, &body);
    let mut stream = hijack(&world.socket(), &format!("/exec/{id}/start"), "{\"Tty\":true}").unwrap();
    let resized = request(&world.socket(), "POST", &format!("/exec/{id}/resize?h=33&w=77"), "").unwrap();
    assert_eq!(resized.status, 200, "{}", resized.body);
    stream.get_mut().write_all(b"go\r").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("33 77"), "{text}");
    assert_eq!(get(&world, &format!("/exec/{id}/json"))["ExitCode"], 4);
}

#[test]
fn root_exec_of_a_missing_program_says_so() {
    let world = boot("");
    let id = create(&world, &json!({ "AttachStdout": true, "AttachStderr": true, "Cmd": ["/bin/absent"] }));
    let mut bytes = Vec::new();
    hijack(&world.socket(), &format!("/exec/{id}/start"), "{}").unwrap().read_to_end(&mut bytes).unwrap();
    let text = &frames(&bytes)[0].1;
    assert!(text.contains("/bin/absent") && text.contains("No such file"), "{text}");
    assert_eq!(get(&world, &format!("/exec/{id}/json"))["ExitCode"], 127);
}

#[test]
fn root_a_power_socket_ends_the_machine_and_nothing_else() {
    let world = boot("api = \"power\"");
    let socket = world.root.join("run/hull/api/a/hull.sock");
    assert_eq!(request(&socket, "GET", "/_ping", "").unwrap().status, 200);
    assert_eq!(request(&socket, "GET", "/hull/status", "").unwrap().status, 403);
    assert_eq!(request(&socket, "POST", "/hull/power", "{\"action\":\"explode\"}").unwrap().status, 400);
    assert_eq!(request(&socket, "POST", "/hull/power", "{\"action\":\"reboot\"}").unwrap().status, 204);
    world.wait("PID 1", || world.init.heard("SHUTDOWN=reboot"));
    let inside = json!({ "AttachStdout": true, "Cmd": ["/bin/busybox", "test", "-S", "/run/hull/hull.sock"] });
    let id = create(&world, &inside);
    hijack(&world.socket(), &format!("/exec/{id}/start"), "{}").unwrap().read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(get(&world, &format!("/exec/{id}/json"))["ExitCode"], 0);
}

#[test]
fn root_a_paused_service_stands_still_and_goes_on() {
    let world = boot("");
    let post = |verb: &str| request(&world.socket(), "POST", &format!("/containers/a/{verb}"), "").unwrap();
    assert_eq!(post("pause").status, 204);
    assert_eq!(post("pause").status, 409);
    let state = &get(&world, "/containers/a/json")["State"];
    assert_eq!((&state["Status"], &state["Paused"]), (&json!("paused"), &json!(true)));
    let pid = state["Pid"].as_i64().unwrap();
    world.wait("frozen", || {
        std::fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|text| text.contains("freez"))
            || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|text| text.contains(") S"))
    });
    assert_eq!(post("unpause").status, 204);
    assert_eq!(post("unpause").status, 409);
    assert_eq!(post("pause").status, 204);
    assert_eq!(post("stop?t=1").status, 204, "a paused service is stopped");
    let state = &get(&world, "/containers/a/json")["State"];
    assert_eq!((&state["Status"], &state["Paused"]), (&json!("exited"), &json!(false)));
    assert_eq!(post("pause").status, 409);
}

#[test]
fn root_wait_says_the_exit_code_of_the_next_end() {
    let world = boot("");
    let socket = world.socket();
    let waiting = std::thread::spawn(move || request(&socket, "POST", "/v1.44/containers/a/wait", "").unwrap());
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(request(&world.socket(), "POST", "/containers/a/kill?signal=KILL", "").unwrap().status, 204);
    assert_eq!(waiting.join().unwrap().body, "{\"StatusCode\":137}");
    assert_eq!(request(&world.socket(), "POST", "/containers/a/stop?t=0", "").unwrap().status, 204);
    let stopped = request(&world.socket(), "POST", "/containers/a/wait", "").unwrap();
    assert_eq!(stopped.body, "{\"StatusCode\":137}");
    for (condition, status) in [("removed", 501), ("never", 400)] {
        let path = format!("/containers/a/wait?condition={condition}");
        assert_eq!(request(&world.socket(), "POST", &path, "").unwrap().status, status);
    }
}

#[test]
fn root_what_happens_is_told_in_order() {
    let world = boot("");
    assert_eq!(request(&world.socket(), "POST", "/containers/a/restart?t=0", "").unwrap().status, 204);
    assert_eq!(request(&world.socket(), "POST", "/containers/a/stop?t=0", "").unwrap().status, 204);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 1;
    let told = request(&world.socket(), "GET", &format!("/v1.44/events?since=1&until={now}"), "").unwrap();
    let actions: Vec<String> = told
        .body
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .inspect(|event| assert_eq!(event["Actor"]["Attributes"]["name"], "a"))
        .map(|event| event["Action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(actions, ["start", "die", "start", "restart", "die", "stop"]);
}

#[test]
fn root_attach_shows_what_comes_and_ends_with_the_service() {
    let world = boot("");
    world.wait("two lines", || world.log("a").len() == 2);
    let mut stream = hijack(&world.socket(), "/v1.44/containers/a/attach?stream=1&stdout=1&stderr=1", "").unwrap();
    assert_eq!(request(&world.socket(), "POST", "/containers/a/restart?t=0", "").unwrap().status, 204);
    world.wait("four lines", || world.log("a").len() == 4);
    assert_eq!(request(&world.socket(), "POST", "/containers/a/stop?t=0", "").unwrap().status, 204);
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let mut seen = frames(&bytes);
    seen.sort();
    assert_eq!(seen, [(1, "out\n".into()), (2, "err\n".into())]);
}

#[test]
fn root_processes_and_figures() {
    let world = boot("");
    let top = get(&world, "/v1.44/containers/a/top?ps_args=-ef");
    assert_eq!((&top["Titles"][0], &top["Processes"][0][0]), (&json!("UID"), &json!("root")));
    assert!(top["Processes"][0][7].as_str().unwrap().starts_with("/bin/busybox sh -c"), "{top}");
    let stats = get(&world, "/v1.44/containers/a/stats?stream=0");
    let number = |keys: [&str; 2]| stats[keys[0]][keys[1]].as_u64().unwrap();
    // Memory and processes are counted where the machine that runs tests hands those controllers down; see the VM tests.
    assert!(number(["cpu_stats", "system_cpu_usage"]) > number(["precpu_stats", "system_cpu_usage"]), "{stats}");
}

#[test]
fn root_files_are_copied_in_and_out() {
    let world = boot("");
    let tar = |name: &str, text: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len().try_into().unwrap());
        header.set_mode(0o600);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
        String::from_utf8(archive.into_inner().unwrap()).unwrap()
    };
    let archive = |path: &str| format!("/v1.44/containers/a/archive?path={path}");
    let put = request(&world.socket(), "PUT", &archive("/tmp"), tar("new", "content")).unwrap();
    assert_eq!(put.status, 200, "{}", put.body);
    let head = request(&world.socket(), "HEAD", &archive("/tmp/new"), "").unwrap();
    assert!(head.status == 200 && head.head.contains("x-docker-container-path-stat: "), "{}", head.head);
    let got = request(&world.socket(), "GET", &archive("/tmp/new"), "").unwrap();
    let mut unpacked = tar::Archive::new(got.bytes.as_slice());
    let mut entry = unpacked.entries().unwrap().next().unwrap().unwrap();
    let mut text = String::new();
    entry.read_to_string(&mut text).unwrap();
    assert_eq!((entry.path().unwrap().to_str().unwrap(), text.as_str()), ("new", "content"));
    for (path, status) in [("/", 403), ("/none", 404)] {
        let put = request(&world.socket(), "PUT", &archive(path), tar("new", "x")).unwrap();
        assert_eq!(put.status, status, "{path}: {}", put.body);
    }
    let export = request(&world.socket(), "GET", "/containers/a/export", "").unwrap();
    let names: Vec<_> = tar::Archive::new(export.bytes.as_slice())
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert!(names.iter().any(|name| name == "bin/busybox"), "{names:?}");
    assert_eq!(get(&world, "/containers/a/changes"), json!([]));
}
