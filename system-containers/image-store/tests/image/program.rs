//! The program `image-store`, as the `hull` command runs it.

use super::fixture::{DEFINITION, Image};
use hull_image_store::origin::Imported;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

fn command(folder: &Path, archive: &[u8]) -> Command {
    fs::write(folder.join("service.toml"), DEFINITION).unwrap();
    fs::write(folder.join("image.tar"), archive).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-store"));
    command.args(["import", "--name", "web"]).arg("--store").arg(folder.join("incoming"));
    command.arg("--definition").arg(folder.join("service.toml")).arg(folder.join("image.tar"));
    command
}

#[test]
fn what_is_renamed_away_stays_and_the_rest_goes() {
    for installed in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(folder.path(), &Image::with_program(|layer| layer).oci());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let imported: Imported = serde_json::from_str(&line).unwrap();
        let staging = folder.path().join("incoming").join(&imported.incoming);
        assert_eq!(fs::read(staging.join("rootfs/bin/app")).unwrap(), b"app");
        let place = folder.path().join("installed");
        if installed {
            fs::rename(&staging, &place).unwrap();
        }
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        assert!(!staging.exists());
        assert_eq!(place.join("inventory").exists(), installed);
    }
}

#[test]
fn refusals_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path(), b"no archive").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && error.contains("cut off"), "{error}");
    let mut greedy = command(folder.path(), b"");
    fs::write(folder.path().join("service.toml"), format!("api = \"admin\"\n{DEFINITION}")).unwrap();
    let error = String::from_utf8(greedy.output().unwrap().stderr).unwrap();
    assert!(error.contains("api: the system API"), "{error}");
    assert!(!error.contains("mount"), "{error}");
    let output = command(folder.path(), b"").arg("--frob").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
