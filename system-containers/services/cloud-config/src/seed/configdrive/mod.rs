//! OpenStack's configuration drive, which OVH, DigitalOcean and others have too: files that the metadata service would
//! give.
//!
//! ```text
//! openstack/<version>/meta_data.json       instance id, host name, keys                  json: meta_data
//!                     user_data            as it is
//!                     vendor_data.json     user data of the cloud within JSON            json: vendor_data
//!                     vendor_data2.json    the same, above the other
//!                     network_data.json    as it is: machine::network reads it
//! ec2/latest/meta-data.json                instance id, where meta_data.json has none
//! ```
//! Specification: OpenStack Nova, "Metadata"; what is not said there is as in cloud-init. Pure but for the function that
//! reads a file. A file that is broken is reported with its name and left out, and the others are used.

mod meta_data;
mod vendor_data;

use super::medium::{Medium, readable};
use super::volume::Error;
use crate::report::{Messages, Place};
use serde_json::Value;

/// Directories of the metadata format, the one to be used first: the newest that is known, and `latest` where a drive has
/// no other. `latest` could be newer than anything known here.
pub const VERSIONS: [&str; 9] = [
    "2018-08-27",
    "2017-02-22",
    "2016-10-06",
    "2016-06-30",
    "2015-10-15",
    "2013-10-17",
    "2013-04-04",
    "2012-08-10",
    "latest",
];
/// Files of a version.
pub const FILES: [&str; 5] =
    ["meta_data.json", "user_data", "vendor_data.json", "vendor_data2.json", "network_data.json"];
const EC2: &str = "ec2/latest/meta-data.json";

/// Reads a drive by a function that gives a file's content; `what` is the drive in messages. The device is left empty, and
/// without any of the files all of it is.
pub fn read(get: impl Fn(&str) -> Result<Option<Vec<u8>>, Error>, what: &str, messages: &mut Messages) -> Medium {
    let version = |version: &&str| {
        FILES.map(|name| {
            let path = format!("openstack/{version}/{name}");
            let content = get(&path);
            (path, content)
        })
    };
    let has_any = |files: &[(String, Result<_, _>)]| files.iter().any(|(_, content)| !matches!(content, Ok(None)));
    let Some(files) = VERSIONS.iter().map(version).find(|files| has_any(files)) else { return Medium::default() };
    if let (path, Ok(None)) = &files[0] {
        let text = format!("{path} is missing on {what}: instance-id, host name and keys are not known");
        messages.warning(Place::default(), "", text);
    }
    let [meta_data, user_data, vendor_data, vendor_data2, network_config] =
        files.map(|(path, content)| readable(&path, content, what, messages));
    let mut own = Messages::new(FILES[0]);
    let mut meta = meta_data.map(|content| meta_data::read(&content, network_config.is_none(), &mut own));
    messages.append(own);
    let meta = meta.get_or_insert_default();
    if meta.instance_id.is_none() {
        meta.instance_id = readable(EC2, get(EC2), what, messages).and_then(|content| {
            let mut own = Messages::new(EC2);
            let id = meta_data::ec2_instance_id(&content, &mut own);
            messages.append(own);
            id
        });
    }
    let mut vendor = |name: &str, content: Option<Vec<u8>>| {
        let mut own = Messages::new(name);
        let blob = content.and_then(|content| vendor_data::read(&content, &mut own));
        messages.append(own);
        blob
    };
    Medium {
        user_data,
        meta_data: Some(meta.to_yaml().into_bytes()),
        network_config,
        vendor_data: vendor(FILES[2], vendor_data),
        vendor_data2: vendor(FILES[3], vendor_data2),
        ..Medium::default()
    }
}

/// Reads JSON, by JSON's rules: YAML's escapes are others.
fn json(content: &[u8], messages: &mut Messages) -> Option<Value> {
    let content = content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content);
    match serde_json::from_slice(content) {
        Ok(value) => Some(value),
        Err(error) => {
            let number = |number: usize| u32::try_from(number).unwrap_or(0);
            let place = Place::new(number(error.line()), number(error.column()));
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or_default();
            messages.error(place, "", format!("not used: not valid JSON: {reason}"));
            None
        }
    }
}

/// For messages: what is there instead of what was expected.
fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests;
