//! Which network configuration this boot uses.
//!
//! ```text
//! network-config= of the kernel command line
//!   > ip= of the kernel command line
//!   > /state/config/*.toml, among them what user data says in `hull: network`
//!   > network-config of the medium, or network_data.json
//!   > DHCP on every card: the network service's own configuration
//! ```
//! What the command line says holds for one boot and is not kept: whoever takes it away again gets back what was there
//! before.

use crate::document::yaml;
use crate::machine::network::{self, kernel};
use crate::machine::{MachineConfig, Network};
use crate::report::{Messages, Place};
use crate::seed::command_line::CommandLine;
use crate::seed::medium::Medium;
use crate::userdata::format;

const LOST: &str = "not used: another network configuration wins";

/// Takes the medium's network configuration, unless user data has a network of its own.
pub(super) fn of_medium(medium: &Medium, machine: &mut MachineConfig, messages: &mut Messages) {
    let Some(content) = given(medium.network_config.as_deref()) else { return };
    let mut own = Messages::new(medium.form.network_file());
    if machine.network.is_some() {
        own.info(Place::default(), "", LOST);
    } else {
        machine.network = parse(content, &mut own);
    }
    messages.append(own);
}

/// What the command line asks for.
pub(super) fn of_command_line(words: &CommandLine, messages: &mut Messages) -> Option<Network> {
    let mut own = Messages::new("network-config of the kernel command line");
    let mut found = given(words.network_config.as_deref()).and_then(|content| parse(content, &mut own));
    messages.append(own);
    let mut own = Messages::new("kernel command line");
    if found.is_some() && !words.network.ip.is_empty() {
        own.info(Place::default(), "ip", LOST);
    } else if found.is_none() {
        found = kernel::read(&words.network, &mut own);
    }
    messages.append(own);
    found
}

/// Puts the command line's network over that of the merged configuration.
pub(super) fn override_with(network: Option<&Network>, config: &mut MachineConfig, messages: &mut Messages) {
    let Some(network) = network else { return };
    if config.network.replace(network.clone()).is_some() {
        messages.info(Place::default(), "network", "not used: the network of the kernel command line wins");
    }
}

fn given(content: Option<&[u8]>) -> Option<&[u8]> {
    content.filter(|content| !content.trim_ascii().is_empty())
}

fn parse(content: &[u8], messages: &mut Messages) -> Option<Network> {
    let text = format::unpack(content)
        .and_then(|content| String::from_utf8(content).map_err(|_| "not used: a byte that is not UTF-8".to_owned()));
    let root = match text {
        Ok(text) => yaml::parse(&text, messages),
        Err(text) => {
            messages.error(Place::default(), "", text);
            return None;
        }
    };
    match root {
        Ok(root) if root.is_null() => None,
        Ok(root) => network::read(&root, "", messages),
        Err(error) => {
            messages.error(error.place, "", format!("not used: {}", error.text));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(network_config: Option<&str>, ip: &[&str]) -> CommandLine {
        let ip = ip.iter().map(|word| (*word).to_owned()).collect();
        CommandLine {
            network_config: network_config.map(Into::into),
            network: kernel::Words { ip, ..kernel::Words::default() },
            ..CommandLine::default()
        }
    }

    #[test]
    fn precedence() {
        const CONFIG: &str = "version: 2\nethernets: {config: {dhcp4: true}}\n";
        for (name, words, expected, said) in [
            ("nothing", words(None, &[]), Some("machine"), ""),
            ("network-config=", words(Some(CONFIG), &[]), Some("config"), "of the kernel command line wins"),
            ("ip=", words(None, &["eth0:dhcp"]), Some("eth0"), "of the kernel command line wins"),
            ("both", words(Some(CONFIG), &["eth0:dhcp"]), Some("config"), "command line ip: not used"),
            ("broken network-config=", words(Some("version: 7"), &["eth0:dhcp"]), Some("eth0"), "version: not used"),
            ("ip=off", words(None, &["off"]), Some("machine"), ""),
            ("disabled", words(Some("config: disabled"), &["eth0:dhcp"]), None, "command line ip: not used"),
        ] {
            let mut messages = Messages::new("t");
            let text = "version: 2\nethernets: {machine: {dhcp4: true}}\n";
            let mut config =
                MachineConfig { network: parse(text.as_bytes(), &mut messages), ..MachineConfig::default() };
            override_with(of_command_line(&words, &mut messages).as_ref(), &mut config, &mut messages);
            let network = config.network.unwrap();
            assert_eq!(network.ethernets.keys().next().map(String::as_str), expected, "{name}");
            let texts: String = messages.list().iter().map(|message| format!("{message}\n")).collect();
            assert!(texts.contains(said) && texts.is_empty() == said.is_empty(), "{name}: {texts}");
        }
    }
}
