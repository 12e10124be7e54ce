//! Clouds that give everything in one JSON document.
//!
//! | cloud | request | user data |
//! |---|---|---|
//! | DigitalOcean | `GET /metadata/v1.json` | `user_data` |
//! | Vultr | `GET /v1.json`, `Metadata-Token: cloudinit` | `user-data`, `vendor-data` |
//! | Oracle | `GET /opc/v2/instance/`, `Authorization: Bearer Oracle` | `metadata.user_data`, base64 |
//! | Scaleway | `GET /conf?format=json` | `/user_data/cloud-init`, asked from a port below 1024 |

use super::found::{self, Found, base64, blob, keys, text};
use super::session::Session;
use super::transport::Request;
use crate::seed::medium::Medium;
use anyhow::Context;
use serde_json::Value;

const ADDRESS: &str = "http://169.254.169.254";
const SCALEWAY: &str = "http://169.254.42.42";
/// Scaleway's tags that are keys.
const KEY_TAG: &str = "AUTHORIZED_KEY=";

/// DigitalOcean, where there is no configuration drive.
pub fn digitalocean(session: &mut Session<'_>) -> anyhow::Result<Medium> {
    let document = session.at(ADDRESS).json("/metadata/v1.json")?;
    let found = Found {
        instance_id: Some(text(&document, "droplet_id").context("no droplet_id")?),
        hostname: text(&document, "hostname"),
        public_keys: keys(document.get("public_keys")),
        region: text(&document, "region"),
        user_data: blob(&document, "user_data"),
        vendor_data: blob(&document, "vendor_data"),
        document,
        ..Found::default()
    };
    Ok(found.into_medium(&session.base))
}

/// Vultr.
pub fn vultr(session: &mut Session<'_>) -> anyhow::Result<Medium> {
    session.at(ADDRESS).headers.push(("Metadata-Token", "cloudinit".into()));
    let document = session.json("/v1.json")?;
    let id = text(&document, "instance-v2-id").or_else(|| text(&document, "instanceid"));
    let found = Found {
        instance_id: Some(id.context("no instance-v2-id")?),
        hostname: text(&document, "hostname"),
        public_keys: keys(document.get("public-keys")),
        region: document.get("region").and_then(|region| text(region, "regioncode")),
        user_data: blob(&document, "user-data"),
        vendor_data: blob(&document, "vendor-data"),
        document,
        ..Found::default()
    };
    Ok(found.into_medium(&session.base))
}

/// Oracle Cloud Infrastructure.
pub fn oracle(session: &mut Session<'_>) -> anyhow::Result<Medium> {
    session.at(ADDRESS).headers.push(("Authorization", "Bearer Oracle".into()));
    let document = session.json("/opc/v2/instance/")?;
    let metadata = document.get("metadata").unwrap_or(&Value::Null);
    let found = Found {
        instance_id: Some(text(&document, "id").context("no id")?),
        hostname: text(&document, "hostname").or_else(|| text(&document, "displayName")),
        public_keys: keys(metadata.get("ssh_authorized_keys")),
        region: text(&document, "canonicalRegionName").or_else(|| text(&document, "region")),
        zone: text(&document, "availabilityDomain"),
        user_data: base64(metadata, "user_data")?,
        document,
        ..Found::default()
    };
    Ok(found.into_medium(&session.base))
}

/// Scaleway.
pub fn scaleway(session: &mut Session<'_>) -> anyhow::Result<Medium> {
    let document = session.at(SCALEWAY).json("/conf?format=json")?;
    let listed = document.get("ssh_public_keys").and_then(Value::as_array).into_iter().flatten();
    let listed = listed.flat_map(|entry| keys(entry.get("key")));
    let tagged = found::keys(document.get("tags"));
    let tagged = tagged.iter().filter_map(|tag| tag.strip_prefix(KEY_TAG)).map(|key| key.replace('_', " "));
    let data = |path: &str| {
        let request = Request { method: "GET", url: path.into(), from_privileged_port: true, ..Request::default() };
        session.get_with(request)
    };
    let zone = document.get("location").and_then(|location| text(location, "zone_id"));
    let found = Found {
        instance_id: Some(text(&document, "id").context("no id")?),
        hostname: text(&document, "hostname"),
        public_keys: listed.chain(tagged).collect(),
        region: zone.as_deref().and_then(|zone| zone.rsplit_once('-')).map(|(region, _)| region.to_owned()),
        zone,
        user_data: data("/user_data/cloud-init")?,
        vendor_data: data("/vendor_data/cloud-init")?,
        document,
        network_config: None,
    };
    Ok(found.into_medium(&session.base))
}
