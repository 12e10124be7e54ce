//! Media made by the tools that owners use.

use super::*;
use std::process::Command;

/// A vfat image with these files.
fn image(directory: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let image = directory.join("image");
    File::create(&image).unwrap().set_len(4 << 20).unwrap();
    assert!(Command::new("/usr/sbin/mkfs.vfat").args(["-n", "CIDATA"]).arg(&image).output().unwrap().status.success());
    for (name, content) in files {
        let file = directory.join(name);
        std::fs::write(&file, content).unwrap();
        assert!(Command::new("mcopy").arg("-i").arg(&image).arg(file).arg("::/").status().unwrap().success());
    }
    image
}

fn seed(device: &Path) -> Candidate {
    Candidate { device: device.into(), kind: "vfat", form: Form::NoCloud, esp: false }
}

fn texts(messages: &Messages) -> Vec<String> {
    messages.list().iter().map(ToString::to_string).collect()
}

#[test]
fn files_are_read_and_too_large_ones_are_reported_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let files: [(&str, &[u8]); 3] = [
        ("user-data", &vec![b'x'; MAX_FILE + 1]),
        ("meta-data", b"instance-id: i-1\n"),
        ("vendor-data", b"#cloud-config\n"),
    ];
    let image = image(directory.path(), &files);
    let mut messages = Messages::new("medium");
    let medium = read_device(&seed(&image), &mut messages).unwrap();
    assert_eq!((medium.user_data, medium.network_config), (None, None));
    assert_eq!(medium.meta_data.as_deref(), Some(&b"instance-id: i-1\n"[..]));
    assert_eq!(medium.device, image.display().to_string());
    let want = format!(
        "medium user-data: not used: user-data of {} (vfat) with the label cidata: larger than the limit of 1048576 bytes",
        image.display()
    );
    assert_eq!(texts(&messages), [want]);
    assert_eq!(medium.vendor_data.as_deref(), Some(&b"#cloud-config\n"[..]));
}

#[test]
fn a_medium_without_files_and_one_that_is_damaged_are_reported_by_device() {
    let directory = tempfile::tempdir().unwrap();
    let image = image(directory.path(), &[]);
    let mut messages = Messages::new("medium");
    read_first(&[seed(&image)], &mut messages).unwrap();
    let name = image.display().to_string();
    let texts = texts(&messages);
    assert!(texts[0].contains(&name) && texts[0].contains("neither user-data nor meta-data"), "{texts:?}");
    std::fs::write(&image, [0; 512]).unwrap();
    let error = format!("{:#}", read_device(&seed(&image), &mut messages).unwrap_err());
    assert!(error.contains(&name) && error.contains("make the medium again"), "{error}");
}

/// Needs root and a loop device.
#[test]
fn root_a_block_device_is_read() {
    assert!(rustix::process::getuid().is_root(), "run as root");
    let directory = tempfile::tempdir().unwrap();
    let image = image(directory.path(), &[("user-data", b"#cloud-config\n")]);
    let losetup = |arguments: &[&str]| {
        let output = Command::new("/usr/sbin/losetup").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let device = losetup(&["--find", "--show", "--read-only", image.to_str().unwrap()]);
    let kind = superblock::probe(&open(Path::new(&device)).unwrap()).map(|block| block.kind);
    let medium = read_device(&seed(Path::new(&device)), &mut Messages::new("medium"));
    losetup(&["--detach", &device]);
    let medium = medium.unwrap();
    assert_eq!((kind, medium.device), (Some("vfat"), device));
    assert_eq!(medium.user_data.as_deref(), Some(&b"#cloud-config\n"[..]));
}

#[test]
fn labels_say_the_form_and_nocloud_goes_first() {
    let found = |device: &str, kind, label: &str| {
        (PathBuf::from(device), Superblock { kind, labels: vec!["X".into(), label.into()], uuid: None })
    };
    let candidates = candidates(vec![
        found("/dev/0", "vfat", "HULL ESP"),
        found("/dev/a", "iso9660", "config-2"),
        found("/dev/b", "vfat", "CONFIG-2"),
        found("/dev/c", "vfat", "Config-2"),
        found("/dev/d", "ext4", "config-2"),
        found("/dev/e", "vfat", "config-22"),
        found("/dev/f", "vfat", "CIDATA"),
        found("/dev/g", "iso9660", "cidata"),
    ]);
    let used: Vec<_> = candidates.iter().map(|one| (one.device.to_str().unwrap(), one.form)).collect();
    let (nocloud, drive) = (Form::NoCloud, Form::ConfigDrive);
    assert_eq!(
        used,
        [("/dev/f", nocloud), ("/dev/g", nocloud), ("/dev/a", drive), ("/dev/b", drive), ("/dev/0", nocloud)]
    );
}

#[test]
fn the_first_that_can_be_read_is_used_and_the_others_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let device = image(directory.path(), &[("user-data", b"#cloud-config\n"), ("meta-data", b"")]);
    let candidate = |form| Candidate { form, ..seed(&device) };
    let gone = Candidate { device: "/nonexistent".into(), ..candidate(Form::NoCloud) };
    let mut messages = Messages::new("medium");
    let candidates = [gone, candidate(Form::NoCloud), candidate(Form::ConfigDrive)];
    let medium = read_first(&candidates, &mut messages).unwrap();
    assert_eq!((medium.form, medium.user_data.is_some()), (Form::NoCloud, true));
    let texts = texts(&messages);
    let name = device.display();
    assert!(texts[0].starts_with("nocloud: open /nonexistent (vfat) with the label cidata"), "{texts:?}");
    assert_eq!(texts[1..], [format!("nocloud: {name}, labelled config-2, is ignored; {name} is used")]);
    assert_eq!(read_first(&[], &mut messages), None);
}

#[test]
fn an_esp_may_have_user_data_and_needs_none() {
    for (files, used) in [(&[][..], false), (&[("user-data", &b"#cloud-config\n"[..])], true)] {
        let directory = tempfile::tempdir().unwrap();
        let esp = Candidate { esp: true, ..seed(&image(directory.path(), files)) };
        let mut messages = Messages::new("medium");
        assert_eq!(read_first(std::slice::from_ref(&esp), &mut messages).is_some(), used);
        assert_eq!(messages.list(), []);
        // Beside another medium it is not looked at.
        let directory = tempfile::tempdir().unwrap();
        let other = seed(&image(directory.path(), &[("meta-data", b"instance-id: other\n")]));
        let medium = read_first(&[other.clone(), esp], &mut messages).unwrap();
        assert_eq!((medium.device, messages.list()), (other.device.display().to_string(), &[][..]));
    }
}
