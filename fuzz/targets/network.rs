//! `network-config` and meta-data of a medium, and fragments of the machine configuration, up to the files rendered.
#![no_main]

use hull_cloud_config::document::{toml_tree, yaml};
use hull_cloud_config::machine::{MachineConfig, network, schema};
use hull_cloud_config::report::Messages;
use hull_cloud_config::{render, seed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut messages = Messages::new("network-config");
    seed::meta::parse(text.as_bytes(), &mut messages);
    if let Ok(node) = yaml::parse(text, &mut messages) {
        let network = network::read(&node, "", &mut messages);
        let config = MachineConfig { network, ..MachineConfig::default() };
        render::plan(&config, None, &mut messages);
    }
    if let Ok(node) = toml_tree::parse(text) {
        let config = schema::read(&node, "", &mut messages).unwrap_or_default();
        render::plan(&config, Some(text), &mut messages);
    }
});
