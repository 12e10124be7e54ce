//! `config.json` of an OCI bundle, planned both as a bundle and as a system service.
#![no_main]

use hull_runtime::bundle::Bundle;
use hull_runtime::{DeviceRules, Launch};
use libfuzzer_sys::fuzz_target;
use oci_spec::runtime::Spec;

fuzz_target!(|data: &[u8]| {
    let Ok(spec) = serde_json::from_slice::<Spec>(data) else { return };
    let launch = Launch {
        spec: spec.clone(),
        rootfs: "/rootfs".into(),
        cgroup: "/sys/fs/cgroup/c".into(),
        seccomp: None,
        devices: DeviceRules::default(),
        delegate: false,
    };
    let bundle = Bundle {
        id: "c".into(),
        directory: "/bundle".into(),
        spec,
        rootfs: launch.rootfs.clone(),
        cgroup: launch.cgroup.clone(),
        seccomp: None,
        devices: Vec::new(),
        own_keyring: true,
    };
    for result in [launch.check(), bundle.check()] {
        if let Err(error) = result {
            assert_eq!(error.step, hull_runtime::Step::Specification);
        }
    }
});
