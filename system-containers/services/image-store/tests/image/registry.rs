//! A real registry on this machine: Debian's docker-registry, filled over its own protocol.

use super::fixture::{Image, World};
use hull_image_store::import::Source;
use hull_image_store::incoming::Incoming;
use hull_image_store::keep::keep;
use hull_image_store::limits::Limits;
use hull_image_store::registry::Client;
use hull_image_store::{Digest, inventory};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Registry {
    port: u16,
    process: Child,
}

impl Registry {
    fn start(folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n",
            folder.join("registry").display()
        );
        fs::write(&configuration, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&configuration).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("the package docker-registry is installed");
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { port, process }
    }

    /// Status and head of an answer.
    fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    fn push(&self, image: &Image) {
        let manifest = image.manifest().to_string();
        for bytes in image.blobs().into_values().filter(|bytes| *bytes != manifest.as_bytes()) {
            let (status, head) = self.ask("POST", "/v2/a/b/blobs/uploads/", "application/json", b"");
            assert_eq!(status, 202, "{head}");
            let location = head.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap().trim();
            let path = location.split_once(&format!(":{}", self.port)).map_or(location, |(_, path)| path);
            let path = format!("{path}&digest={}", Digest::of(&bytes));
            let (status, head) = self.ask("PUT", &path, "application/octet-stream", &bytes);
            assert_eq!(status, 201, "{head}");
        }
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let (status, head) = self.ask("PUT", "/v2/a/b/manifests/latest", kind, manifest.as_bytes());
        assert_eq!(status, 201, "{head}");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn an_image_is_pulled_from_a_plain_mirror() {
    let world = World::new();
    let registry = Registry::start(world.folder.path());
    let image = Image::with_program(|layer| layer.file("big", 0o644, &vec![7; 3 << 20]));
    registry.push(&image);
    let source = |digest: Digest| {
        let mirror = format!("http://127.0.0.1:{}", registry.port).parse().unwrap();
        let reference = format!("127.0.0.1:1/a/b@{digest}").parse().unwrap();
        Source::Registry(reference, Client::new(vec![mirror], "/nonexistent".into(), None))
    };
    let pull = |digest: Digest| world.import(&source(digest));
    let (staging, origin) = pull(image.digest()).unwrap();
    assert_eq!(origin.digest, Some(image.digest()));
    let list = staging.path().join("inventory");
    inventory::verify(&staging.path().join("rootfs"), &list, origin.inventory).unwrap();
    assert!(!world.store().join("blobs").exists());
    drop(staging);

    let incoming = Incoming::open(&world.store()).unwrap();
    let (kept, stored) = keep(&incoming, &source(image.digest()), Limits::default(), &|_| ()).unwrap();
    assert_eq!(stored.digest, Some(image.digest()));
    let archive = fs::read(kept.path().join("image.tar")).unwrap();
    drop((kept, incoming));
    assert_eq!(world.archive(&archive).unwrap().1.inventory, origin.inventory);

    let error = pull(Digest::of(b"nothing")).map(|(_, origin)| origin).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1"), "{error}");
}
