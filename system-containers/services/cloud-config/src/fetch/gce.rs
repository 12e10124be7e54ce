//! Google Compute Engine's metadata server.
//!
//! ```text
//! GET /computeMetadata/v1/?recursive=true      header Metadata-Flavor: Google
//!   instance.attributes  user-data, user-data-encoding, startup-script, ssh-keys, block-project-ssh-keys
//!   project.attributes   ssh-keys
//! ```
//! Documentation: Compute Engine, "VM metadata". Keys are `user:key`, and `google-ssh` ones end at a time; there is one
//! account for them here, the default user, as there is no agent that makes others. `startup-script` runs at every boot.

use super::found::{self, Found, blob, text};
use super::session::Session;
use crate::document::json::for_yaml;
use crate::seed::medium::Medium;
use hull_service::calendar::civil;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const ADDRESS: &str = "http://169.254.169.254";

/// Reads everything.
pub fn read(session: &mut Session<'_>) -> anyhow::Result<Medium> {
    session.at(ADDRESS).headers.push(("Metadata-Flavor", "Google".into()));
    let mut root = session.json("/computeMetadata/v1/?recursive=true&alt=json")?;
    let project = root.pointer("/project/attributes").cloned().unwrap_or_default();
    let instance = root.get_mut("instance").map(Value::take).unwrap_or_default();
    let attributes = instance.get("attributes").cloned().unwrap_or_default();
    // projects/<number>/zones/<zone>
    let zone = text(&instance, "zone").and_then(|zone| zone.rsplit('/').next().map(str::to_owned));
    let found = Found {
        instance_id: text(&instance, "id"),
        hostname: text(&instance, "hostname").or_else(|| text(&instance, "name")),
        public_keys: public_keys(&attributes, &project, &now()),
        region: zone.as_deref().and_then(|zone| zone.rsplit_once('-')).map(|(region, _)| region.to_owned()),
        zone,
        user_data: user_data(&attributes)?,
        vendor_data: attributes.get("startup-script").and_then(Value::as_str).map(startup),
        document: instance,
        network_config: None,
    };
    anyhow::ensure!(found.instance_id.is_some(), "{ADDRESS}: no instance/id");
    Ok(found.into_medium(&session.base))
}

fn user_data(attributes: &Value) -> anyhow::Result<Option<Vec<u8>>> {
    match text(attributes, "user-data-encoding").as_deref() {
        Some("base64") => found::base64(attributes, "user-data"),
        _ => Ok(blob(attributes, "user-data")),
    }
}

/// A script for every boot, of any content.
fn startup(script: &str) -> Vec<u8> {
    let part = json!([{
        "type": "text/x-shellscript-per-boot",
        "filename": "startup-script",
        "content": script,
    }]);
    let list = for_yaml(&part);
    format!("#cloud-config-archive\n{list}\n").into_bytes()
}

/// Keys of the instance, then of the project.
fn public_keys(instance: &Value, project: &Value, now: &str) -> Vec<String> {
    let blocked = text(instance, "block-project-ssh-keys").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let lists = [Some(instance), Some(project).filter(|_| !blocked)].into_iter().flatten();
    let lines = lists.flat_map(|attributes| found::keys(attributes.get("ssh-keys")));
    let mut keys: Vec<String> = lines.filter_map(|line| key(&line, now)).collect();
    let mut seen = std::collections::BTreeSet::new();
    keys.retain(|key| seen.insert(key.clone()));
    keys
}

/// The key of `user:key`, unless it has expired: `user:ssh-rsa … google-ssh {"userName":…,"expireOn":"2026-01-01T00:00:00+0000"}`.
fn key(line: &str, now: &str) -> Option<String> {
    let (_, key) = line.split_once(':').filter(|(user, _)| !user.contains(' '))?;
    if let Some((key, json)) = key.split_once(" google-ssh ") {
        let expiry = serde_json::from_str::<Value>(json).ok().and_then(|json| text(&json, "expireOn"));
        // Both are in UTC and of one form, so their texts compare as the times do.
        return expiry.is_none_or(|expiry| expiry.as_str() > now).then(|| key.to_owned());
    }
    Some(key.trim().to_owned()).filter(|key| !key.is_empty())
}

fn now() -> String {
    rfc3339(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// `2026-01-31T12:00:00`, UTC.
fn rfc3339(seconds: u64) -> String {
    let (year, month, day) = civil(i64::try_from(seconds / 86_400).unwrap_or(0));
    let [hour, minute, second] = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_over_are_left_out() {
        let google =
            |expiry: &str| format!("me:ssh-rsa AAA google-ssh {{\"userName\":\"me@x\",\"expireOn\":\"{expiry}\"}}");
        for (line, expected) in [
            ("me:ssh-ed25519 AAA me@host", Some("ssh-ed25519 AAA me@host")),
            (&google("2026-05-01T00:00:00+0000"), Some("ssh-rsa AAA")),
            (&google("2026-03-01T00:00:00+0000"), None),
            ("ssh-ed25519 AAA with:colon", None),
            ("me:", None),
        ] {
            assert_eq!(key(line, "2026-04-01T00:00:00").as_deref(), expected, "{line}");
        }
        let instance = json!({"ssh-keys": "a:k1\nb:k2", "block-project-ssh-keys": "TRUE"});
        let project = json!({"ssh-keys": "c:k3\nd:k1"});
        assert_eq!(public_keys(&instance, &project, ""), ["k1", "k2"]);
        assert_eq!(public_keys(&json!({"ssh-keys": "a:k1"}), &project, ""), ["k1", "k3"]);
    }

    #[test]
    fn times_are_written_as_expiry_is() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00");
        assert_eq!(rfc3339(951_868_799), "2000-02-29T23:59:59");
    }
}
