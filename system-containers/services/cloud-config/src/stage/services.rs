//! The files of the services from the whole machine configuration: at boot, and when it is changed live.

use super::network;
use crate::machine::{MachineConfig, Network};
use crate::paths::Paths;
use crate::render::{self, Plan};
use crate::report::{Messages, Place};
use crate::seed::command_line;
use crate::store;

/// The owner's daemon.json: as large as anybody's.
const MAX_DAEMON_JSON: u64 = 1 << 20;

/// All files. `network` is the kernel command line's, which wins; the owner's daemon.json is laid over the engine's.
pub fn plan(paths: &Paths, mut config: MachineConfig, network: Option<&Network>, messages: &mut Messages) -> Plan {
    network::override_with(network, &mut config, messages);
    let mut own = Messages::new("/etc/docker/daemon.json");
    let daemon_json = store::read_bounded(&paths.engine_etc.join("daemon.json"), MAX_DAEMON_JSON)
        .and_then(|content| content.map(String::from_utf8).transpose().map_err(anyhow::Error::from));
    let daemon_json = daemon_json.unwrap_or_else(|error| {
        own.error(Place::default(), "", format!("not used: {error:#}"));
        None
    });
    let plan = render::plan(&config, daemon_json.as_deref(), &mut own);
    messages.append(own);
    plan
}

/// The network of the running kernel's command line; what there is to say of it was said at boot.
pub fn network_of_this_boot() -> Option<Network> {
    let text = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let mut messages = Messages::default();
    network::of_command_line(&command_line::parse(&text, &mut messages), &mut messages)
}
