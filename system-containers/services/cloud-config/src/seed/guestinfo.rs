//! VMware's guestinfo: settings of the virtual machine whose names begin so, which the hypervisor gives to the machine.
//!
//! ```text
//! guestinfo.metadata      YAML: instance-id, local-hostname, public-keys; network, or its text with network.encoding
//! guestinfo.userdata      user data
//! guestinfo.vendordata    vendor data
//! guestinfo.<name>.encoding    base64 (b64), gzip+base64 (gz+b64); without it the text is what it is
//! ```
//! They come by RPC over an I/O port that the hypervisor answers itself, whatever the privileges of the program are: nothing
//! is installed for it, and nothing granted. Anywhere else the port is a fault, so a signal of the firmware goes before.

use super::medium::{Form, MAX_FILE, Medium};
use crate::document::json::for_yaml;
use crate::document::yaml;
use crate::report::{Messages, Place};
use crate::userdata::format;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// What `device` is in reports.
const NAME: &str = "guestinfo";
/// What those write who want a secret gone from the settings.
const GONE: &str = "---";

/// Asks the hypervisor; only where the firmware says that it is VMware's.
pub fn read(messages: &mut Messages) -> Option<Medium> {
    from(
        |name| {
            let mut guard = vmw_backdoor::probe_backdoor().map_err(|error| error.to_string())?;
            let mut channel = guard.open_enhanced_chan().map_err(|error| error.to_string())?;
            channel.get_guestinfo(name.as_bytes()).map_err(|error| error.to_string())
        },
        messages,
    )
}

/// Reads the settings by a function that gives one; `None` when none of them is there.
fn from(get: impl Fn(&str) -> Result<Option<Vec<u8>>, String>, messages: &mut Messages) -> Option<Medium> {
    messages.turn_to("guestinfo");
    let mut setting = |name: &str| {
        let found = plain(&get, &format!("guestinfo.{name}")).and_then(|found| {
            let Some(content) = found else { return Ok(None) };
            let encoding = plain(&get, &format!("guestinfo.{name}.encoding"))?;
            let encoding = encoding.map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
            decoded(&content, &encoding).map(Some)
        });
        found.unwrap_or_else(|error| {
            messages.error(Place::default(), name, format!("not used: {error}"));
            None
        })
    };
    let (meta_data, user_data, vendor_data) = (setting("metadata"), setting("userdata"), setting("vendordata"));
    let network_config = meta_data.as_deref().and_then(|content| network(content, messages));
    let any = meta_data.is_some() || user_data.is_some() || vendor_data.is_some();
    let device = NAME.to_owned();
    let form = Form::GuestInfo;
    any.then(|| Medium { device, form, user_data, meta_data, network_config, vendor_data, ..Medium::default() })
}

/// A setting as it was written.
fn plain(get: &impl Fn(&str) -> Result<Option<Vec<u8>>, String>, name: &str) -> Result<Option<Vec<u8>>, String> {
    let content = get(name)?.filter(|content| {
        let text = content.trim_ascii();
        !text.is_empty() && text != GONE.as_bytes()
    });
    match content {
        Some(content) if content.len() > 2 * MAX_FILE => Err(format!("larger than {} bytes", 2 * MAX_FILE)),
        other => Ok(other),
    }
}

fn decoded(content: &[u8], encoding: &str) -> Result<Vec<u8>, String> {
    let base64 = || {
        let text: Vec<u8> = content.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        BASE64_STANDARD.decode(text).map_err(|_| "not the base64 that its encoding says".to_owned())
    };
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" => Ok(content.to_vec()),
        "base64" | "b64" => base64(),
        "gzip+base64" | "gz+b64" => format::gunzip(&base64()?, MAX_FILE),
        _ => Err("its encoding must be base64 or gzip+base64".into()),
    }
}

/// The network configuration within the metadata.
fn network(content: &[u8], messages: &mut Messages) -> Option<Vec<u8>> {
    // Faults of the document are told by who reads it for the machine.
    let root = yaml::parse(std::str::from_utf8(content).ok()?, &mut Messages::default()).ok()?;
    let node = root.get("network")?;
    if node.map().is_some() {
        return Some(for_yaml(&node.to_json()).into_bytes());
    }
    let encoding = root.get("network.encoding").and_then(|node| node.text()).unwrap_or_default();
    decoded(node.text()?.as_bytes(), encoding)
        .map_err(|error| messages.error(node.place, "metadata network", format!("not used: {error}")))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn of(settings: &[(&str, &str)]) -> (Option<Medium>, Vec<String>) {
        let mut messages = Messages::new("guestinfo");
        let get = |name: &str| {
            let found = settings.iter().find(|(key, _)| format!("guestinfo.{key}") == name);
            match found {
                Some((_, "fault")) => Err("the channel is gone".to_owned()),
                found => Ok(found.map(|(_, value)| value.as_bytes().to_vec())),
            }
        };
        let medium = from(get, &mut messages);
        (medium, messages.list().iter().map(ToString::to_string).collect())
    }

    fn packed(text: &str) -> String {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        BASE64_STANDARD.encode(encoder.finish().unwrap())
    }

    const USER_DATA: &str = "#cloud-config\nhostname: web\n";

    #[test]
    fn settings_in_their_encodings() {
        let (base64, gzip) = (BASE64_STANDARD.encode(USER_DATA), packed(USER_DATA));
        for (value, encoding) in
            [(USER_DATA, ""), (&base64, "base64"), (&base64, "B64"), (&gzip, "gzip+base64"), (&gzip, "gz+b64")]
        {
            let (medium, messages) = of(&[("userdata", value), ("userdata.encoding", encoding)]);
            assert_eq!(messages, [] as [&str; 0], "{encoding}");
            let medium = medium.unwrap();
            assert_eq!(medium.user_data.as_deref(), Some(USER_DATA.as_bytes()), "{encoding}");
            assert_eq!(medium.datasource(), "vmware:guestinfo");
        }
    }

    #[test]
    fn the_network_is_within_the_metadata() {
        let text = "version: 2\nethernets: {a: {dhcp4: true}}\n";
        let packed = format!("instance-id: i-1\nnetwork: {}\nnetwork.encoding: gzip+base64\n", packed(text));
        let (medium, _) = of(&[("metadata", &packed)]);
        assert_eq!(medium.unwrap().network_config.as_deref(), Some(text.as_bytes()));
        let (medium, _) = of(&[("metadata", "network: {version: 2, ethernets: {a: {dhcp4: true}}}")]);
        let network = String::from_utf8(medium.unwrap().network_config.unwrap()).unwrap();
        assert_eq!(network, r#"{"ethernets":{"a":{"dhcp4":true}},"version":2}"#);
        let (medium, messages) = of(&[("metadata", "network: '%'\nnetwork.encoding: base64\n")]);
        assert!(medium.unwrap().network_config.is_none());
        assert!(
            messages[0].starts_with("guestinfo line 1 column 10 metadata network: not used: not the base64"),
            "{messages:?}"
        );
    }

    #[test]
    fn what_is_not_there_or_broken() {
        assert_eq!(of(&[]).0, None);
        assert_eq!(of(&[("userdata", " \n"), ("metadata", "---")]).0, None);
        for (settings, expected) in [
            (&[("userdata", "fault"), ("metadata", "a: 1")][..], "userdata: not used: the channel is gone"),
            (
                &[("userdata", "%"), ("userdata.encoding", "b64"), ("metadata", "a: 1")],
                "userdata: not used: not the base64",
            ),
            (
                &[("userdata", "x"), ("userdata.encoding", "rot13"), ("metadata", "a: 1")],
                "must be base64 or gzip+base64",
            ),
            (&[("userdata", "aGk="), ("userdata.encoding", "gz+b64"), ("metadata", "a: 1")], "broken gzip"),
        ] {
            let (medium, messages) = of(settings);
            assert!(medium.is_some_and(|medium| medium.user_data.is_none() && medium.meta_data.is_some()));
            assert!(messages.len() == 1 && messages[0].contains(expected), "{expected}: {messages:?}");
        }
    }
}
