//! A panic, as of the YAML scanner, costs the user data, not the stage: no input is known that causes one, so this is the
//! second run, which the panic hook starts.

use hull_cloud_config::report::{Final, Report};
use hull_cloud_config::seed::instance::Instance;
use hull_cloud_config::seed::medium::Medium;

#[test]
fn the_stage_ends_with_a_report() {
    let directory = tempfile::tempdir().unwrap();
    let user_data = b"#cloud-config\nhostname: a\n".to_vec();
    let medium = Medium { device: "/dev/vdb".into(), user_data: Some(user_data), ..Medium::default() };
    Instance { id: "i-1".into(), medium, ..Instance::default() }.save(directory.path()).unwrap();
    Report { datasource: "nocloud:/dev/vdb".into(), ..Report::default() }.save(directory.path()).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cloud-config"))
        .arg("final")
        .env("HULL_REPORT_DIR", directory.path())
        .env("HULL_CLOUD_STATE", directory.path())
        .env("HULL_AFTER_PANIC", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = Report::load(directory.path());
    assert_eq!(report.final_stage, Final::Failed);
    assert!(report.messages[0].text.contains("this program failed on it"), "{report:?}");
}
