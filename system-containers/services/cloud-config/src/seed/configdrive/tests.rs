//! A drive in all its faults, and drives made by the tools that clouds use.

use super::*;
use crate::seed::medium::{Candidate, Form, MAX_FILE, read_first};
use crate::seed::meta::{self, Meta};
use crate::seed::superblock;
use proptest::prelude::*;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const META: &str = r#"{"uuid": "i-1", "hostname": "web.novalocal", "name": "Web", "public_keys": {"mine": "ssh-ed25519 AAAA a\n"},
    "keys": [{"name": "mine", "type": "ssh", "data": "ssh-ed25519 AAAA a"}], "random_seed": "x", "launch_index": 0}"#;

/// Reads these files; with the messages.
fn drive(files: &[(&str, &str)]) -> (Medium, Vec<String>) {
    let get =
        |path: &str| Ok(files.iter().find(|(name, _)| *name == path).map(|(_, content)| content.as_bytes().to_vec()));
    let mut messages = Messages::new("configdrive");
    let medium = read(get, "the drive", &mut messages);
    (medium, texts(&messages))
}

fn latest(name: &str, content: &str) -> (Medium, Vec<String>) {
    let path = format!("openstack/latest/{name}");
    let mut files = vec![(path.as_str(), content)];
    if name != "meta_data.json" {
        files.push(("openstack/latest/meta_data.json", META));
    }
    drive(&files)
}

fn meta_of(medium: &Medium) -> Meta {
    let mut messages = Messages::new("meta-data");
    let meta = meta::parse(medium.meta_data.as_deref().unwrap(), &mut messages);
    assert_eq!(messages.list(), []);
    meta
}

fn texts(messages: &Messages) -> Vec<String> {
    messages.list().iter().map(ToString::to_string).collect()
}

#[test]
fn identity_name_and_keys() {
    let meta = |id: &str, hostname: &str, keys: &[&str]| Meta {
        instance_id: Some(id.to_owned()).filter(|id| !id.is_empty()),
        hostname: Some(hostname.to_owned()).filter(|name| !name.is_empty()),
        public_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    for (text, expected) in [
        (META, meta("i-1", "web.novalocal", &["ssh-ed25519 AAAA a"])),
        (r#"{"uuid": " i ", "name": "web-1"}"#, meta("i", "web-1", &[])),
        (r#"{"uuid": "i", "name": "Web server 🚀"}"#, meta("i", "", &[])),
        (r#"{"uuid": "i", "name": "\ud83d\ude80", "public_keys": null, "keys": null}"#, meta("i", "", &[])),
        (
            r#"{"uuid": "\u00e9", "public_keys": {"a": "k1\nk2\n", "b": ["k3", "k1"], "c": null}}"#,
            meta("é", "", &["k1", "k2", "k3"]),
        ),
        (
            r#"{"uuid": "i", "public_keys": ["k1"], "keys": [{"data": "k2", "type": "ssh"}, {"data": "c", "type": "x509"}]}"#,
            meta("i", "", &["k1", "k2"]),
        ),
        ("\u{feff}{\"uuid\": \"i\", \"files\": []}", meta("i", "", &[])),
    ] {
        let (medium, messages) = latest("meta_data.json", text);
        assert_eq!(meta_of(&medium), expected, "{text}");
        assert_eq!(messages, [] as [&str; 0], "{text}");
    }
}

#[test]
fn faults_name_file_and_key_and_cost_what_they_stand_in() {
    for (name, content, expected) in [
        (
            "meta_data.json",
            "{\"uuid\": \"i\",\n\"secret\" }",
            "meta_data.json line 2 column 10: not used: not valid JSON: expected `:`",
        ),
        ("meta_data.json", "", "meta_data.json line 1: not used: not valid JSON: EOF while parsing a value"),
        ("meta_data.json", "[]", "meta_data.json: not used: expected a mapping, found a list"),
        ("meta_data.json", r#"{"uuid": 7}"#, "meta_data.json uuid: not used: expected text, found a number"),
        ("meta_data.json", r#"{"hostname": "a b"}"#, "meta_data.json hostname: not used: not a host name"),
        ("meta_data.json", r#"{"hostname": []}"#, "meta_data.json hostname: not used: expected text, found a list"),
        (
            "meta_data.json",
            r#"{"public_keys": 1}"#,
            "meta_data.json public_keys: not used: expected a key, found a number",
        ),
        (
            "meta_data.json",
            r#"{"public_keys": {"a": [true]}}"#,
            "meta_data.json public_keys.a[0]: not used: expected a key, found true or false",
        ),
        ("meta_data.json", r#"{"keys": {}}"#, "meta_data.json keys: not used: expected a list, found a mapping"),
        ("meta_data.json", r#"{"keys": [1]}"#, "meta_data.json keys[0]: not used: expected name, type and data"),
        ("meta_data.json", r#"{"files": [{"path": "/a"}]}"#, "meta_data.json files: ignored: injected files"),
        (
            "meta_data.json",
            r#"{"network_config": {"content_path": "/content/0000"}}"#,
            "meta_data.json network_config: ignored: a file for Debian's ifupdown",
        ),
        ("vendor_data.json", "#cloud-config\n", "vendor_data.json line 1 column 1: not used: not valid JSON"),
        ("vendor_data.json", "[]", "vendor_data.json: not used: expected text, found a list"),
        (
            "vendor_data2.json",
            r#"{"cloud-init": {}}"#,
            "vendor_data2.json cloud-init: not used: expected text, found a mapping",
        ),
    ] {
        let (medium, messages) = latest(name, content);
        assert!(messages[0].starts_with(expected) && messages.len() == 1, "{content}: {messages:?}");
        assert!(!messages[0].contains("secret"), "{messages:?}");
        assert_eq!((&medium.vendor_data, &medium.vendor_data2), (&None, &None));
        let id = meta_of(&medium).instance_id;
        assert_eq!(id.as_deref(), (name != "meta_data.json").then_some("i-1"), "{content}");
    }
}

#[test]
fn vendor_data_is_a_text_or_the_text_for_cloud_init() {
    for (content, expected) in [
        (r##""#cloud-config\n""##, Some("#cloud-config\n")),
        (r##"{"cloud-init": "#!/bin/sh\n", "other": 1}"##, Some("#!/bin/sh\n")),
        (r#"{"cloud-init": null}"#, None),
        (r#"{"other": "x"}"#, None),
        ("{}", None),
        ("null", None),
        ("\n", None),
    ] {
        for name in ["vendor_data.json", "vendor_data2.json"] {
            let (medium, messages) = latest(name, content);
            let (read, other) = match name {
                "vendor_data.json" => (medium.vendor_data, medium.vendor_data2),
                _ => (medium.vendor_data2, medium.vendor_data),
            };
            assert_eq!((read.as_deref(), other), (expected.map(str::as_bytes), None), "{content}");
            assert_eq!(messages, [] as [&str; 0], "{content}");
        }
    }
}

#[test]
fn the_newest_known_version_is_read_as_a_whole() {
    let (new, old, unknown) = (
        "openstack/2018-08-27/meta_data.json",
        "openstack/2012-08-10/user_data",
        "openstack/2030-01-01/meta_data.json",
    );
    let latest = ("openstack/latest/user_data", "latest");
    let user_data =
        |files: &[(&str, &str)]| drive(files).0.user_data.map(|content| String::from_utf8(content).unwrap());
    assert_eq!(user_data(&[latest, (unknown, "{}")]).unwrap(), "latest");
    assert_eq!(user_data(&[latest, (old, "old")]).unwrap(), "old");
    assert_eq!(user_data(&[latest, (old, "old"), (new, "{}")]), None);
    assert_eq!(drive(&[(unknown, "{}"), ("user-data", "x")]), (Medium::default(), Vec::new()));
    let (medium, messages) = drive(&[latest]);
    assert_eq!(medium.user_data.as_deref(), Some(&b"latest"[..]));
    assert!(messages[0].contains("openstack/latest/meta_data.json is missing on the drive"), "{messages:?}");
}

#[test]
fn ec2_gives_an_instance_id_that_openstack_has_not() {
    for (meta, ec2, id, said) in [
        ("{}", r#"{"instance-id": "i-ec2"}"#, Some("i-ec2"), None),
        (r#"{"uuid": "u"}"#, "{", Some("u"), None),
        ("{}", "{", None, Some("ec2/latest/meta-data.json line 1 column 1: not used")),
        ("{}", r#"{"instance-id": 1}"#, None, Some("ec2/latest/meta-data.json instance-id: not used")),
    ] {
        let (medium, messages) = drive(&[("openstack/latest/meta_data.json", meta), (EC2, ec2)]);
        assert_eq!(meta_of(&medium).instance_id.as_deref(), id, "{ec2}");
        assert_eq!(messages.len(), usize::from(said.is_some()), "{messages:?}");
        assert!(messages.iter().zip(said).all(|(text, said)| text.starts_with(said)), "{messages:?}");
    }
}

/// A directory with a drive's files; user data is above the limit.
fn files(directory: &Path) -> PathBuf {
    let root = directory.join("drive");
    for (path, content) in [
        ("openstack/latest/meta_data.json", META.to_owned()),
        ("openstack/latest/user_data", "x".repeat(MAX_FILE + 1)),
        ("openstack/latest/vendor_data2.json", r##"{"cloud-init": "#cloud-config\n"}"##.to_owned()),
        ("openstack/latest/network_data.json", r#"{"links": [], "networks": []}"#.to_owned()),
        ("openstack/content/0000", "injected".to_owned()),
    ] {
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
    root
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn on(image: &Path, kind: &'static str) -> [Candidate; 1] {
    [Candidate { device: image.into(), kind, form: Form::ConfigDrive, esp: false }]
}

fn check(image: &Path, kind: &'static str) {
    let block = superblock::probe(&File::open(image).unwrap()).unwrap();
    assert_eq!((block.kind, block.labels.len()), (kind, 1));
    let mut messages = Messages::new("configdrive");
    let medium = read_first(&on(image, kind), &mut messages).unwrap();
    assert_eq!((medium.device.as_str(), medium.form), (image.to_str().unwrap(), Form::ConfigDrive));
    assert_eq!(meta_of(&medium).instance_id.as_deref(), Some("i-1"));
    assert_eq!(medium.vendor_data2.as_deref(), Some(&b"#cloud-config\n"[..]));
    assert_eq!(medium.network_config.as_deref(), Some(&br#"{"links": [], "networks": []}"#[..]));
    assert_eq!((medium.user_data, medium.vendor_data), (None, None));
    let want = format!(
        "configdrive openstack/latest/user_data: not used: openstack/latest/user_data of {} ({kind}) with the label config-2: larger than the limit of 1048576 bytes",
        image.display()
    );
    assert_eq!(texts(&messages), [want]);
}

#[test]
fn a_vfat_drive_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let (root, image) = (files(directory.path()), directory.path().join("image"));
    File::create(&image).unwrap().set_len(4 << 20).unwrap();
    run(Command::new("/usr/sbin/mkfs.vfat").args(["-n", "CONFIG-2"]).arg(&image));
    run(Command::new("mmd").arg("-i").arg(&image).args(["::/openstack", "::/openstack/latest"]));
    let names = ["meta_data.json", "user_data", "vendor_data2.json", "network_data.json"];
    let sources = names.map(|name| root.join("openstack/latest").join(name));
    run(Command::new("mcopy").arg("-i").arg(&image).args(sources).arg("::/openstack/latest/"));
    check(&image, "vfat");
}

#[test]
fn an_iso9660_drive_is_read() {
    for names in ["-rational-rock", "--norock -joliet"] {
        let directory = tempfile::tempdir().unwrap();
        let (root, image) = (files(directory.path()), directory.path().join("image"));
        let mut command = Command::new("xorriso");
        command.args(["-as", "mkisofs", "-quiet", "-V", "config-2"]).args(names.split(' '));
        run(command.arg("-o").arg(&image).arg(root));
        check(&image, "iso9660");
    }
}

#[test]
fn a_drive_without_its_files_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    File::create(&image).unwrap().set_len(4 << 20).unwrap();
    run(Command::new("/usr/sbin/mkfs.vfat").args(["-n", "CONFIG-2"]).arg(&image));
    let mut messages = Messages::new("configdrive");
    read_first(&on(&image, "vfat"), &mut messages).unwrap();
    let texts = texts(&messages);
    assert!(texts.len() == 1 && texts[0].contains("no file that is used below openstack/"), "{texts:?}");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let key = prop_oneof![
        prop::sample::select(vec![
            "uuid",
            "hostname",
            "name",
            "public_keys",
            "keys",
            "type",
            "data",
            "files",
            "cloud-init"
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_end(content in prop::collection::vec(any::<u8>(), 0..200)) {
        let medium = read(|_| Ok(Some(content.clone())), "the drive", &mut Messages::new("configdrive"));
        prop_assert_eq!(medium.user_data, Some(content));
    }

    #[test]
    fn any_json_becomes_meta_data_that_is_read_without_a_message(value in any_json()) {
        let content = serde_json::to_vec(&value).unwrap();
        let medium = read(|_| Ok(Some(content.clone())), "the drive", &mut Messages::new("configdrive"));
        meta_of(&medium);
    }
}
