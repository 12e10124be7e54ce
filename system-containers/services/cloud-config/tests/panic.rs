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

/// What is kept of an earlier boot holds a template that grows to 1.6 GB.
#[test]
fn a_template_that_takes_all_memory_costs_the_user_data_alone() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let grow = "{% set a = a ~ a %}".repeat(14);
    let user_data = format!("## template: jinja\n#cloud-config\n{{% set a = 'x' * 100000 %}}{grow}\nhostname: a\n");
    let medium = Medium { device: "/dev/vdb".into(), user_data: Some(user_data.into()), ..Medium::default() };
    Instance { id: "i-1".into(), medium, ..Instance::default() }.save(&at("cloud")).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cloud-config"))
        .arg("compile")
        .env("HULL_CONFIG_DIR", at("config"))
        .env("HULL_REPORT_DIR", at("report"))
        .env("HULL_STATE_CONFIG", at("state"))
        .env("HULL_CLOUD_STATE", at("cloud"))
        .env("HULL_DEFAULT_CONFIG", at("usr"))
        .env("HULL_ENGINE_ETC", at("docker"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = Report::load(&at("report"));
    assert!(report.messages.iter().any(|message| message.text.contains("this program failed on it")), "{report:?}");
    assert!(at("config/hostname").exists());
}
