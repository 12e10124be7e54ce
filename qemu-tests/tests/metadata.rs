//! What clouds answer is fetched by real requests at their real addresses, in a network namespace of this test's own.

use hull_cloud_config::attempts::Patience;
use hull_cloud_config::fetch::all;
use hull_cloud_config::fetch::transport::Network;
use hull_cloud_config::seed::base::{Location, Name};
use hull_cloud_config::seed::exchange::{Fetched, Wanted};
use hull_cloud_config::seed::platform::Origin;
use hull_qemu_tests::metadata::Service;
use hull_qemu_tests::metadata::clouds::Cloud;
use hull_qemu_tests::namespace::within;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const USER_DATA: &str = "#cloud-config\nhostname: given\n";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me";
const PATIENCE: Patience =
    Patience { whole: Duration::from_secs(60), first: Duration::from_millis(50), longest: Duration::from_millis(200) };

/// A network namespace with a loopback interface that has these addresses; removed when dropped.
struct Namespace(String);

impl Namespace {
    fn with(addresses: &[&str], name: &str) -> Self {
        let name = format!("hull-{name}-{}", std::process::id());
        let ip = |arguments: &[&str]| {
            let status = Command::new("ip").args(arguments).status().expect("ip(8) of iproute2");
            assert!(status.success(), "ip {arguments:?}");
        };
        ip(&["netns", "add", &name]);
        let namespace = Self(name);
        ip(&["-n", &namespace.0, "link", "set", "lo", "up"]);
        for address in addresses {
            ip(&["-n", &namespace.0, "addr", "add", address, "dev", "lo"]);
        }
        namespace
    }

    fn fetch(&self, wanted: Wanted, patience: Patience) -> Fetched {
        let work = move || Ok(all(wanted, &Network::new(Path::new("/nonexistent")), patience));
        within(Some(&self.0), work).expect("the namespace")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["netns", "del", &self.0]).status());
    }
}

fn origin(cloud: &Cloud) -> Wanted {
    Wanted { origin: Origin::named(cloud.name), ..Wanted::default() }
}

#[test]
fn root_every_cloud_is_read_whatever_its_service_does_first() {
    for cloud in Cloud::all(USER_DATA, KEY) {
        let namespace = Namespace::with(cloud.addresses, cloud.name);
        let service = Service::start(&cloud, Some(&namespace.0), 5).unwrap();
        let fetched = namespace.fetch(origin(&cloud), PATIENCE);
        assert_eq!(fetched.failures, [] as [&str; 0], "{}: {:?}", cloud.name, service.seen());
        let medium = fetched.medium.unwrap();
        assert_eq!(medium.user_data.as_deref(), Some(USER_DATA.as_bytes()), "{}", cloud.name);
        let meta_data = String::from_utf8(medium.meta_data.unwrap()).unwrap();
        for part in [cloud.instance, cloud.name, KEY] {
            assert!(meta_data.contains(part), "{}: no {part} in {meta_data}", cloud.name);
        }
        let is_told = service.seen().iter().any(|request| request == "POST /machine?comp=health");
        assert_eq!(is_told, cloud.name == "azure");
    }
}

#[test]
fn root_base_configuration_is_fetched_too() {
    let cloud = &Cloud::all(USER_DATA, KEY)[0];
    let namespace = Namespace::with(cloud.addresses, "base");
    let at = |path: &str| {
        let url = format!("http://{}{path}", cloud.addresses[0]);
        Wanted { base: Some(Location { name: Name::CloudConfigUrl, url }), ..Wanted::default() }
    };
    let _service = Service::start(cloud, Some(&namespace.0), 2).unwrap();
    let fetched = namespace.fetch(at("/hetzner/v1/userdata"), PATIENCE);
    assert_eq!(fetched.base.expect("a document").document.as_deref(), Some(USER_DATA.as_bytes()));
    for (path, expected) in [("/hetzner/v1/metadata", "does not begin with #cloud-config"), ("/none", "status 404")] {
        let fetched = namespace.fetch(at(path), PATIENCE);
        let failure = fetched.base_failure.expect("a failure");
        assert!(fetched.base.is_none() && failure.contains(expected), "{failure}");
    }
}

#[test]
fn root_a_service_that_is_not_there_is_given_up() {
    let cloud = &Cloud::all(USER_DATA, KEY)[0];
    let namespace = Namespace::with(&[], "nobody");
    let fetched = namespace.fetch(origin(cloud), Patience { whole: Duration::from_secs(1), ..PATIENCE });
    assert!(fetched.medium.is_none());
    assert!(fetched.failures[0].contains("http://169.254.169.254/hetzner/v1/metadata: "), "{:?}", fetched.failures);
}
