//! The program `image-store`, as the system daemon runs it.

use super::fixture::{DEFINITION, Image};
use hull_image_store::job::{ANSWER_FILE, Line, REQUEST_FILE, Request, STORED_FILE, Source, Stored, Work};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Does one job on an archive and gives back the last line of the answer.
fn job(folder: &Path, archive: &[u8], work: impl FnOnce(Source) -> Work) -> Line {
    fs::create_dir_all(folder.join("uploads")).unwrap();
    fs::write(folder.join("uploads/1"), archive).unwrap();
    let work = work(Source::Archive("uploads/1".into()));
    let request = Request { work, mirrors: Vec::new(), credentials: None };
    fs::write(folder.join(REQUEST_FILE), serde_json::to_vec(&request).unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-store"));
    command.arg("--store").arg(folder).arg("--job").arg(folder).args(["--roots", "/nonexistent"]);
    assert!(command.status().unwrap().success());
    assert!(!folder.join(REQUEST_FILE).exists());
    let answer = fs::read_to_string(folder.join(ANSWER_FILE)).unwrap();
    serde_json::from_str(answer.lines().last().unwrap()).unwrap()
}

fn import(definition: &str) -> impl FnOnce(Source) -> Work + use<> {
    let definition = definition.to_owned();
    |source| Work::Import { name: "web".into(), definition, source }
}

#[test]
fn a_service_is_unpacked_and_left_for_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let line = job(folder.path(), &Image::with_program(|layer| layer).oci(), import(DEFINITION));
    let Line::Imported { incoming, origin } = line else { panic!("{line:?}") };
    let staging = folder.path().join("incoming").join(incoming);
    assert_eq!(fs::read(staging.join("rootfs/bin/app")).unwrap(), b"app");
    assert_eq!(hull_image_store::Digest::of(&fs::read(staging.join("seccomp.bpf")).unwrap()), origin.filter);
    assert!(fs::read_to_string(staging.join("seccomp.calls")).unwrap().contains("\nread\n"));
}

#[test]
fn an_archive_is_kept_as_it_is_once_all_of_it_was_checked() {
    let image = Image::with_program(|layer| layer.file("big", 0o644, &[7; 100_000]));
    for bytes in [image.oci(), image.docker()] {
        let folder = tempfile::tempdir().unwrap();
        let line = job(folder.path(), &bytes, Work::Keep);
        let Line::Stored { incoming, stored } = line else { panic!("{line:?}") };
        let staging = folder.path().join("incoming").join(incoming);
        assert_eq!(fs::read(staging.join("image.tar")).unwrap(), bytes);
        let record: Stored = serde_json::from_slice(&fs::read(staging.join(STORED_FILE)).unwrap()).unwrap();
        assert_eq!(record, stored);
        assert_eq!(stored.names.is_empty(), stored.digest.is_some(), "{stored:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    // Inside the second layer's content: no digest but that of the unpacked layer tells.
    let mut bytes = image.docker();
    let at = bytes.windows(50).position(|window| window == [7; 50]).unwrap();
    bytes[at] = 8;
    let line = job(folder.path(), &bytes, Work::Keep);
    assert!(matches!(&line, Line::Failed(reason) if reason.contains("its content has the digest")), "{line:?}");
    assert_eq!(fs::read_dir(folder.path().join("incoming")).unwrap().count(), 1, "the lock");
}

#[test]
fn refusals_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |archive: &[u8], definition: &str| match job(folder.path(), archive, import(definition)) {
        Line::Failed(reason) => reason,
        other => panic!("{other:?}"),
    };
    assert!(refusal(b"no archive", DEFINITION).contains("cut off"));
    let reason = refusal(b"", &format!("api = \"admin\"\n{DEFINITION}"));
    assert!(reason.contains("api: the system API") && !reason.contains("mount"), "{reason}");
    let reason = refusal(&Image::with_program(|layer| layer).oci(), &DEFINITION.replace("@default", "@nothing"));
    assert!(reason.contains("@nothing"), "{reason}");
    let outside = |_| Work::Keep(Source::Archive("../../etc/passwd".into()));
    let line = job(folder.path(), b"", outside);
    assert!(matches!(&line, Line::Failed(reason) if reason.contains("below the store")), "{line:?}");
    let output = Command::new(env!("CARGO_BIN_EXE_image-store")).arg("--frob").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
