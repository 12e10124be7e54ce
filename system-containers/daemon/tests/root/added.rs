//! Services the owner adds: the real importer as a service, real archives, real containers.

use super::world::{World, client};
use hull_image_store::Digest;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const LIMITS: &str = "[limits]\nopen-files = 1024\n";
const IMPORTER: &str = "kind = \"oneshot\"\non-demand = true\n[[process]]\nname = \"image-store\"\n\
    command = [\"/bin/image-store\", \"--store\", \"/state/added\", \"--roots\", \"/etc\", \"--job\", \"/run/image-store\"]\n\
    [run]\nrestart = \"never\"\n[[mount]]\nsource = \"/state/added\"\ntarget = \"/state/added\"\noptions = [\"rw\"]\n\
    [[mount]]\nsource = \"/run/hull/image-store\"\ntarget = \"/run/image-store\"\noptions = [\"rw\"]\n";

/// The program, built as the tests are.
fn importer() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "hull-image-store", "--bin", "image-store"]);
    match cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status() {
        Ok(status) => assert!(status.success()),
        // A stand-in for PID 1 reaps every child of this process, and may have been faster.
        Err(error) => assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::CHILD.raw_os_error()), "{error}"),
    }
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("image-store")
}

fn tar(members: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content, mode) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

/// An archive of `docker save` with busybox and one text.
fn image(text: &str) -> Vec<u8> {
    let busybox = fs::read("/bin/busybox").unwrap();
    let layer = tar(&[("bin/busybox", &busybox, 0o755), ("etc/text", text.as_bytes(), 0o644)]);
    let configuration = json!({ "architecture": "amd64", "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer).to_string()] } })
    .to_string();
    let name = format!("{}.json", Digest::of(configuration.as_bytes()).hex());
    let manifest = json!([{ "Config": name, "RepoTags": ["web:1"], "Layers": ["layer.tar"] }]).to_string();
    tar(&[
        ("manifest.json", manifest.as_bytes(), 0o644),
        (&name, configuration.as_bytes(), 0o644),
        ("layer.tar", &layer, 0o644),
    ])
}

fn definition(description: &str) -> String {
    format!(
        "description = \"{description}\"\n[[process]]\nname = \"web\"\n\
         command = [\"/bin/busybox\", \"sh\", \"-c\", \"/bin/busybox cat /etc/text; exec /bin/busybox sleep 1000\"]\n\
         [run]\nstop-signal = \"SIGKILL\"\n[security]\nseccomp = [\"@default\"]\noom-score-adj = 0\n{LIMITS}"
    )
}

struct Machine(World);

impl Machine {
    fn start() -> Self {
        let mut world = World::new();
        world.service("image-store", IMPORTER);
        let program = world.root.join("services/image-store/rootfs/bin/image-store");
        fs::copy(importer(), program).unwrap();
        fs::create_dir_all(world.root.join("services/image-store/rootfs/state/added")).unwrap();
        world.service("other", &World::script("", "exec /bin/busybox sleep 1000", ""));
        world.init.boot();
        world.until_state("other", "ready");
        Self(world)
    }

    fn ask(&self, method: &str, path: &str, body: impl AsRef<[u8]>) -> (u16, String) {
        let answer = client::request(&self.0.socket(), method, path, body).unwrap();
        (answer.status, answer.body)
    }

    /// Adds or upgrades and gives back the last line.
    fn add(&self, archive: &[u8], request: Value) -> Value {
        let (status, body) = self.ask("POST", "/hull/uploads", archive);
        assert_eq!(status, 201, "{body}");
        let mut request = request;
        request["archive"] = serde_json::from_str::<Value>(&body).unwrap()["archive"].clone();
        let (status, body) = self.ask("POST", "/hull/services", request.to_string());
        match status {
            200 => serde_json::from_str(body.lines().last().unwrap()).unwrap(),
            _ => serde_json::from_str(&body).unwrap(),
        }
    }

    fn listed(&self) -> Value {
        let (_, body) = self.ask("GET", "/hull/services", "");
        serde_json::from_str::<Value>(&body).unwrap()[0].clone()
    }

    fn enable(&self, text: &str) -> (u16, String) {
        let digest = Digest::of(text.as_bytes()).to_string();
        self.ask("POST", "/hull/services/web/enable", json!({ "definition": digest }).to_string())
    }
}

#[test]
fn root_an_added_service_runs_once_it_is_allowed_and_stays_what_it_was() {
    let machine = Machine::start();
    let text = definition("a server");
    let done = machine.add(&image("one\n"), json!({ "name": "web", "definition": text }));
    assert_eq!(done["outcome"], "added", "{done}");
    assert_eq!(machine.listed()["state"], "disabled");
    assert!(machine.0.service_status("web").is_none());
    let (status, report) = machine.ask("GET", "/hull/confinement/web", "");
    assert!(status == 200 && report.contains("\"web\""), "{status} {report}");

    let (status, reason) = machine.enable("another text");
    assert!(status == 409 && reason.contains("look at it again"), "{status} {reason}");
    assert_eq!(machine.enable(&text), (204, String::new()));
    machine.0.until_state("web", "ready");
    machine.0.wait_log("web", &["one"]);
    assert_eq!(machine.listed()["state"], "enabled");
    let (_, shown) = machine.ask("GET", "/containers/web/json", "");
    assert!(shown.contains(done["origin"]["id"].as_str().unwrap()), "{shown}");

    let again = machine.add(&image("one\n"), json!({ "name": "web", "definition": text }));
    assert_eq!(again["outcome"], "unchanged", "{again}");
    for (content, text) in [("two\n", text.as_str()), ("one\n", &definition("another server"))] {
        let other = machine.add(&image(content), json!({ "name": "web", "definition": text }));
        assert!(other["error"].as_str().is_some_and(|text| text.contains("hull service upgrade")), "{other}");
    }
    let left = fs::read_dir(machine.0.root.join("state/added/incoming")).unwrap();
    assert_eq!(left.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(), ["lock"]);
    let own = machine.add(&image("x"), json!({ "name": "other", "definition": text }));
    assert!(own["message"].as_str().is_some_and(|text| text.contains("of the OS")), "{own}");

    assert_eq!(machine.ask("POST", "/hull/services/web/disable", "").0, 204);
    assert!(machine.0.service_status("web").is_none());
    machine.ask("POST", "/images/load", image("one\n"));
    let (status, body) =
        machine.ask("POST", "/containers/create?name=web", json!({ "Image": "web:1", "Cmd": ["/x"] }).to_string());
    assert!(status == 409 && body.contains("hull service remove web"), "{status} {body}");
    assert_eq!(machine.ask("POST", "/hull/services/other/disable", "").0, 404);
    assert_eq!(machine.enable(&text).0, 204);
    machine.0.until_state("web", "ready");

    // On the disk, below the running container: found at the next start.
    let file = machine.0.root.join("state/added/installed/web/rootfs/etc/text");
    fs::write(&file, "two\n").unwrap();
    machine.ask("POST", "/containers/web/restart?t=0", "");
    let failed = machine.0.until_state("web", "failed");
    assert!(failed["last_error"].as_str().unwrap().contains("etc/text is not what was added"), "{failed}");
    assert_eq!(machine.listed()["state"], "broken");
    let done = machine.add(&image("one\n"), json!({ "name": "web", "upgrade": true }));
    assert_eq!(done["outcome"], "upgraded", "{done}");
    machine.0.until_state("web", "ready");

    assert_eq!(machine.ask("DELETE", "/containers/web", "").0, 409);
    assert_eq!(machine.ask("DELETE", "/containers/other?force=1", "").0, 403);
    assert_eq!(machine.ask("DELETE", "/hull/services/web", "").0, 204);
    assert_eq!(machine.listed(), Value::Null);
    assert!(!machine.0.root.join("state/added/installed/web").exists());
    assert_eq!(machine.ask("DELETE", "/hull/services/web", "").0, 404);
}

#[test]
fn root_an_upgrade_with_another_definition_waits_for_the_owner() {
    let mut machine = Machine::start();
    let (first, second) = (definition("first"), definition("second"));
    machine.add(&image("one\n"), json!({ "name": "web", "definition": first }));
    assert_eq!(machine.enable(&first).0, 204);
    machine.0.wait_log("web", &["one"]);
    let pid = machine.0.until_state("web", "ready")["pid"].clone();

    let done = machine.add(&image("two\n"), json!({ "name": "web", "definition": second, "upgrade": true }));
    assert_eq!(done["outcome"], "staged", "{done}");
    let (status, _) = machine.ask("GET", "/hull/confinement/web?staged=1", "");
    assert_eq!(status, 200);

    // A new daemon finds all of it again, and the container goes on.
    machine.0.init.kill_daemon();
    machine.0.init.boot();
    let again = machine.0.until_state("web", "ready");
    assert_eq!(again["pid"], pid);
    assert_eq!(machine.listed()["staged"]["definition"], Digest::of(second.as_bytes()).to_string());

    assert_eq!(machine.enable(&second).0, 204);
    machine.0.wait_log("web", &["one", "two"]);
    let after = machine.0.until_state("web", "ready");
    assert_ne!(after["pid"], pid);
    assert_eq!((&machine.listed()["staged"], &machine.listed()["description"]), (&Value::Null, &"second".into()));

    // The same definition: nothing to ask.
    let done = machine.add(&image("three\n"), json!({ "name": "web", "upgrade": true }));
    assert_eq!(done["outcome"], "upgraded");
    machine.0.wait_log("web", &["one", "two", "three"]);
}

/// Each failure leaves what a power cut at that point leaves.
#[test]
fn root_a_staged_version_or_the_old_one_runs_wherever_enabling_it_ended() {
    let mut machine = Machine::start();
    let (first, second) = (definition("first"), definition("second"));
    machine.add(&image("one\n"), json!({ "name": "web", "definition": first }));
    assert_eq!(machine.enable(&first).0, 204);
    machine.0.wait_log("web", &["one"]);
    machine.add(&image("two\n"), json!({ "name": "web", "definition": second, "upgrade": true }));

    let obstacle = machine.0.root.join("state/added/enabled/web.new");
    fs::create_dir(&obstacle).unwrap();
    assert_eq!(machine.enable(&second).0, 500);
    fs::remove_dir(&obstacle).unwrap();
    machine.0.init.kill_daemon();
    machine.0.init.boot();
    machine.0.wait_log("web", &["one", "one"]);
    assert_eq!(machine.listed()["staged"]["definition"], Digest::of(second.as_bytes()).to_string());

    let obstacle = machine.0.root.join("state/added/incoming/removed-web");
    fs::write(&obstacle, "").unwrap();
    assert_eq!(machine.enable(&second).0, 500);
    fs::remove_file(&obstacle).unwrap();
    machine.0.init.kill_daemon();
    machine.0.init.boot();
    machine.0.wait_log("web", &["one", "one", "two"]);
    assert_eq!((&machine.listed()["state"], &machine.listed()["staged"]), (&"enabled".into(), &Value::Null));
}

#[test]
fn root_what_is_refused_leaves_nothing_behind() {
    let machine = Machine::start();
    let text = definition("x");
    let mut cut = image("one\n");
    cut.truncate(cut.len() / 2);
    let refused = machine.add(&cut, json!({ "name": "web", "definition": text }));
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("cut off")), "{refused}");
    let greedy = text.replace("[security]", "[security]\ncapabilities = [\"SYS_MODULE\"]");
    let refused = machine.add(&image("one\n"), json!({ "name": "web", "definition": greedy }));
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("SYS_MODULE")), "{refused}");
    let refused = machine.add(&image("one\n"), json!({ "name": "../web", "definition": text }));
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("no name for a service")), "{refused}");
    assert_eq!(machine.listed(), Value::Null);
    let left = fs::read_dir(machine.0.root.join("state/added/incoming")).unwrap();
    assert_eq!(left.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(), ["lock"]);
    let uploads = fs::read_dir(machine.0.root.join("state/added/uploads")).unwrap().count();
    assert_eq!(uploads, 0);
}

#[test]
fn root_images_are_kept_named_saved_and_removed() {
    let machine = Machine::start();
    let archive = image("one\n");
    let (status, body) = machine.ask("POST", "/images/load", &archive);
    assert!(status == 200 && body.ends_with("{\"stream\":\"Loaded image: web:1\\n\"}\n"), "{body}");
    let saved = client::request(&machine.0.socket(), "GET", "/images/web:1/get", "").unwrap();
    assert_eq!(saved.bytes, archive);
    assert_eq!(machine.ask("POST", "/images/web:1/tag?repo=shop/web&tag=2", "").0, 201);
    let (_, list) = machine.ask("GET", "/images/json", "");
    assert!(list.contains("\"web:1\",\"shop/web:2\""), "{list}");

    // A record that cannot be read is none, and the image can be loaded again.
    let images = machine.0.root.join("state/added/images");
    let record = fs::read_dir(images).unwrap().next().unwrap().unwrap().path().join("image.json");
    fs::write(record, "").unwrap();
    let (_, list) = machine.ask("GET", "/images/json", "");
    assert!(!list.contains("web:1"), "{list}");
    let (status, body) = machine.ask("POST", "/images/load", &archive);
    assert!(status == 200 && body.ends_with("{\"stream\":\"Loaded image: web:1\\n\"}\n"), "{body}");
    assert_eq!(machine.ask("POST", "/images/web:1/tag?repo=shop/web&tag=2", "").0, 201);

    let text = definition("x");
    let request = json!({ "name": "web", "definition": text, "image": "shop/web:2" });
    let (_, body) = machine.ask("POST", "/hull/services", request.to_string());
    assert!(body.contains("\"outcome\":\"added\""), "{body}");

    let (status, body) = machine.ask("DELETE", "/images/web:1", "");
    assert_eq!((status, body.as_str()), (200, "[{\"Untagged\":\"web:1\"}]"));
    let (_, body) = machine.ask("DELETE", "/images/shop/web:2", "");
    assert!(body.contains("Deleted"), "{body}");
    assert_eq!(machine.ask("GET", "/images/shop/web:2/get", "").0, 404);

    let (status, body) = machine.ask("POST", "/images/create?fromImage=web&tag=latest", "");
    assert!(status == 400 && body.contains("append @sha256"), "{status} {body}");
    // The archive is longer than a socket's buffer: the client has to be heard out before it reads the answer.
    let (status, body) = machine.ask("POST", "/images/create?fromSrc=-", vec![0; 4 << 20]);
    assert!(status == 501 && body.contains("use load"), "{status} {body}");
    let (status, body) = machine.ask("POST", "/images/load", b"no archive");
    assert!(status == 200 && body.contains("\"errorDetail\""), "{body}");
}

#[test]
fn root_a_container_made_by_a_docker_client_is_a_service() {
    let mut machine = Machine::start();
    machine.ask("POST", "/images/load", image("one\n"));
    let (status, body) = machine.ask("POST", "/containers/create?name=job", json!({ "Image": "absent" }).to_string());
    assert!(status == 404 && body.contains("No such image"), "{status} {body}");
    let create = |name: &str, policy: &str, script: &str| {
        let body = json!({ "Image": "web:1", "Entrypoint": ["/bin/busybox"], "Cmd": ["sh", "-c", script], "Env": ["A=b"],
            "HostConfig": { "RestartPolicy": { "Name": policy }, "OomScoreAdj": 1, "AutoRemove": policy == "no",
                "Ulimits": [{ "Name": "nofile", "Soft": 1024, "Hard": 1024 }] } });
        machine.ask("POST", &format!("/containers/create?name={name}"), body.to_string())
    };
    let (status, body) = create("job", "no", "/bin/busybox cat /etc/text; echo $A; exit 3");
    assert!(status == 201 && body.contains("no network"), "{status} {body}");
    assert_eq!(machine.0.service_status("job").unwrap()["state"], "idle");
    let (status, _) = create("job", "no", "x");
    assert_eq!(status, 409);
    // Attached before it is started, as the CLI does, and waited for until it is gone.
    let path = "/containers/job/attach?stream=1&stdout=1&stderr=1";
    let attached = client::hijack(&machine.0.socket(), path, "").unwrap();
    let waited = std::thread::scope(|scope| {
        let wait = scope.spawn(|| machine.ask("POST", "/containers/job/wait?condition=removed", ""));
        std::thread::sleep(std::time::Duration::from_millis(200));
        machine.ask("POST", "/containers/job/start", "");
        wait.join().unwrap().1
    });
    assert!(waited.contains("\"StatusCode\":3"), "{waited}");
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut { attached }, &mut bytes).unwrap();
    let text: String = client::frames(&bytes).into_iter().map(|(_, text)| text).collect();
    assert_eq!(text, "one\nb\n");
    assert!(machine.0.service_status("job").is_none());

    let (status, body) = create("keeper", "always", "exec /bin/busybox sleep 1000");
    assert_eq!(status, 201, "{body}");
    // What a power cut before the first step leaves.
    let obstacle = machine.0.root.join("state/added/enabled/kept.new");
    fs::create_dir(&obstacle).unwrap();
    assert_eq!(machine.ask("POST", "/containers/keeper/rename?name=kept", "").0, 500);
    fs::remove_dir(&obstacle).unwrap();
    machine.0.init.kill_daemon();
    machine.0.init.boot();
    machine.0.until_state("keeper", "ready");
    machine.ask("POST", "/containers/keeper/stop?t=0", "");
    assert_eq!(machine.ask("POST", "/containers/keeper/rename?name=kept", "").0, 204);
    assert_eq!(machine.ask("POST", "/containers/kept/start", "").0, 204);
    machine.0.until_state("kept", "ready");
    assert_eq!(machine.ask("POST", "/containers/kept/rename?name=other", "").0, 409);
    assert_eq!(machine.ask("POST", "/containers/other/rename?name=mine", "").0, 403);
    assert_eq!(machine.ask("DELETE", "/containers/kept?force=1", "").0, 204);
}
