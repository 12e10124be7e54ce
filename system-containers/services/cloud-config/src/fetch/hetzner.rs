//! Hetzner Cloud's metadata service: one YAML document, and the user data beside it.
//!
//! ```text
//! GET /hetzner/v1/metadata     hostname, instance-id, public-keys, network-config (version 1), vendor_data, region
//! GET /hetzner/v1/userdata     404 without any; may be base64
//! ```

use super::found::{self, Found, text};
use super::session::Session;
use crate::document::json::for_yaml;
use crate::document::yaml;
use crate::report::Messages;
use crate::seed::medium::Medium;
use anyhow::Context;

const ADDRESS: &str = "http://169.254.169.254";

/// Reads everything.
pub fn read(session: &mut Session<'_>) -> anyhow::Result<Medium> {
    session.at(ADDRESS);
    let document = session.text("/hetzner/v1/metadata")?.context("/hetzner/v1/metadata: status 404")?;
    let root = yaml::parse(&document, &mut Messages::default())
        .map_err(|error| anyhow::anyhow!("/hetzner/v1/metadata: line {}: {}", error.place.line, error.text))?;
    let document = root.to_json();
    let found = Found {
        instance_id: Some(text(&document, "instance-id").context("no instance-id")?),
        hostname: text(&document, "hostname"),
        public_keys: found::keys(document.get("public-keys")),
        region: text(&document, "region"),
        zone: text(&document, "availability-zone"),
        user_data: session.get("/hetzner/v1/userdata")?,
        vendor_data: found::blob(&document, "vendor_data"),
        network_config: document.get("network-config").map(|network| for_yaml(network).into_bytes()),
        document,
    };
    Ok(found.into_medium(&session.base))
}
