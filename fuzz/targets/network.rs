//! `network-config` and meta-data of a medium, `ip=` of the kernel command line, and fragments of the machine
//! configuration, up to the files rendered.
#![no_main]

use hull_cloud_config::document::{toml_tree, yaml};
use hull_cloud_config::machine::{MachineConfig, network, schema};
use hull_cloud_config::report::Messages;
use hull_cloud_config::{render, seed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut messages = Messages::new("network-config");
    seed::meta::parse(text.as_bytes(), &mut messages);
    let words = seed::command_line::parse(text, &mut messages);
    let mut networks = vec![network::kernel::read(&words.network, &mut messages)];
    if let Ok(node) = yaml::parse(text, &mut messages) {
        networks.push(network::read(&node, "", &mut messages));
    }
    for network in networks {
        let config = MachineConfig { network, ..MachineConfig::default() };
        render::plan(&config, None, &mut messages);
    }
    if let Ok(node) = toml_tree::parse(text) {
        let config = schema::read(&node, "", &mut messages).unwrap_or_default();
        render::plan(&config, Some(text), &mut messages);
    }
});
