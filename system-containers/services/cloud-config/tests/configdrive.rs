//! From the files of a configuration drive to the decision, and to that of the next boot without the drive.

use hull_cloud_config::report::Messages;
use hull_cloud_config::seed::configdrive;
use hull_cloud_config::seed::instance::Instance;
use hull_cloud_config::seed::medium::{Form, Medium};
use hull_cloud_config::stage::decide::decide;
use hull_cloud_config::stage::sources::Sources;

/// The link's MTU is wrong.
const NETWORK: &str = r#"{
    "links": [{"id": "a", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:01", "mtu": "x"}],
    "networks": [{"id": "n", "link": "a", "type": "ipv4_dhcp"}]
}"#;

fn drive() -> Medium {
    let file = |path: &str| match path {
        "openstack/latest/meta_data.json" => Some(r#"{"uuid": "i-1", "hostname": "vm", "public_keys": {"a": "k"}}"#),
        "openstack/latest/user_data" => Some("#cloud-config\ntimezone: UTC\n"),
        "openstack/latest/vendor_data.json" => Some(r##"{"cloud-init": "#cloud-config\nfqdn: vm.example\n"}"##),
        "openstack/latest/network_data.json" => Some(NETWORK),
        _ => None,
    };
    let mut messages = Messages::new("configdrive");
    let read = configdrive::read(|path| Ok(file(path).map(Into::into)), "the drive", &mut messages);
    assert_eq!(messages.list(), []);
    Medium { device: "/dev/sr0".into(), form: Form::ConfigDrive, ..read }
}

#[test]
fn what_is_on_it_is_used_with_the_drive_and_from_the_copy() {
    let directory = tempfile::tempdir().unwrap();
    let mut sources = Sources { medium: Some(drive()), ..Sources::default() };
    for datasource in ["configdrive:/dev/sr0", "cached"] {
        let mut messages = Messages::new("cloud-config");
        let decision = decide(&sources, &mut messages);
        let instance = &decision.instance;
        assert_eq!((decision.datasource.as_str(), decision.usable), (datasource, true));
        assert_eq!((instance.id.as_str(), instance.hostname.as_deref()), ("i-1", Some("vm")));
        assert_eq!(instance.public_keys, ["k"]);
        let machine = &decision.config.machine;
        assert_eq!((machine.fqdn.as_deref(), machine.timezone.as_deref()), (Some("vm.example"), Some("UTC")));
        assert_eq!(machine.network.as_ref().unwrap().ethernets.len(), 1);
        let texts: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
        assert!(texts.len() == 1 && texts[0].starts_with("network_data.json line 2 column"), "{texts:?}");
        instance.save(directory.path()).unwrap();
        sources = Sources { cached: Instance::load(directory.path()).unwrap(), ..Sources::default() };
    }
}

#[test]
fn without_user_data_the_rest_is_used() {
    let drive = Medium { user_data: None, ..drive() };
    let mut messages = Messages::new("cloud-config");
    let decision = decide(&Sources { medium: Some(drive), ..Sources::default() }, &mut messages);
    assert_eq!((decision.instance.id.as_str(), decision.usable), ("i-1", true));
    assert!(decision.config.machine.network.is_some());
    let texts: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
    let said = "user-data: user_data of configdrive:/dev/sr0 is missing or empty; the kernel option";
    assert!(texts.iter().any(|text| text.starts_with(said)), "{texts:?}");
}
