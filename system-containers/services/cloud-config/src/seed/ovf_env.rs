//! Azure's provisioning medium: a UDF file system labelled `rd_rdfe_…` with `ovf-env.xml`. It is there at the first
//! start, and has what the metadata service has not: custom data, and the password of the administrator.
//!
//! Documentation: "Azure Linux VM provisioning without cloud-init"; elements of `LinuxProvisioningConfigurationSet`.

use super::medium::{MAX_FILE, Medium, file_systems, open};
use super::volume::Volume;
use crate::document::json::for_yaml;
use crate::document::xml;
use crate::report::{Messages, Place};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use std::path::Path;

const LABEL: &str = "rd_rdfe_";
const FILE: &str = "ovf-env.xml";
/// What stands for a password that was taken away.
const REDACTED: &str = "REDACTED";

/// What is on the medium.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provisioning {
    /// `CustomData`: user data of the older kind.
    custom_data: Option<Vec<u8>>,
    /// The administrator with a password, as a cloud-config document.
    administrator: Option<Vec<u8>>,
}

/// Looks for the medium and reads it.
pub fn read(messages: &mut Messages) -> Provisioning {
    messages.turn_to(FILE);
    let is_it = |labels: &[String]| labels.iter().any(|label| label.starts_with(LABEL));
    let Some((device, block)) = file_systems().into_iter().find(|(_, block)| is_it(&block.labels)) else {
        return Provisioning::default();
    };
    match content(&device, block.kind) {
        Ok(content) => parse(&String::from_utf8_lossy(&content.unwrap_or_default()), messages),
        Err(error) => {
            messages.error(Place::default(), "", format!("not used: {}: {error:#}", device.display()));
            Provisioning::default()
        }
    }
}

fn content(device: &Path, kind: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let file = open(device)?;
    Ok(Volume::open(&file, kind)?.read(FILE, 2 * MAX_FILE)?)
}

fn parse(document: &str, messages: &mut Messages) -> Provisioning {
    let custom_data = xml::text(document, "CustomData").filter(|text| !text.is_empty()).and_then(|text| {
        let text: String = text.split_ascii_whitespace().collect();
        let decoded = BASE64_STANDARD.decode(text);
        decoded.map_err(|_| messages.error(Place::default(), "CustomData", "not used: not base64")).ok()
    });
    let user = xml::text(document, "UserName").filter(|name| !name.is_empty());
    let password = xml::text(document, "UserPassword").filter(|text| !text.is_empty() && text != REDACTED);
    let administrator = user.zip(password).map(|(user, password)| {
        let by_ssh = xml::text(document, "DisableSshPasswordAuthentication").as_deref() == Some("false");
        let keys = json!({ "user": user, "password": password, "chpasswd": { "expire": false }, "ssh_pwauth": by_ssh });
        format!("#cloud-config\n{}\n", for_yaml(&keys)).into_bytes()
    });
    Provisioning { custom_data: custom_data.filter(|data| !data.is_empty()), administrator }
}

impl Provisioning {
    /// Adds what the metadata service did not have.
    pub fn complete(&self, medium: &mut Medium) {
        if medium.user_data.is_none() {
            medium.user_data.clone_from(&self.custom_data);
        }
        if medium.vendor_data2.is_none() {
            medium.vendor_data2.clone_from(&self.administrator);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// For tests of what becomes of it.
    pub(crate) fn with_custom_data(text: &str) -> Provisioning {
        Provisioning { custom_data: Some(text.into()), ..Provisioning::default() }
    }

    fn of(set: &str) -> (Provisioning, Vec<String>) {
        let mut messages = Messages::new(FILE);
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Environment xmlns=\"http://schemas.dmtf.org/ovf/environment/1\" xmlns:wa=\"http://schemas.microsoft.com/windowsazure\"><wa:ProvisioningSection><wa:Version>1.0</wa:Version><LinuxProvisioningConfigurationSet>{set}</LinuxProvisioningConfigurationSet></wa:ProvisioningSection></Environment>"
        );
        let found = parse(&document, &mut messages);
        (found, messages.list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn custom_data_and_a_password() {
        let (found, messages) = of(
            "<HostName>web</HostName><UserName>me</UserName><UserPassword>a&amp;\"b</UserPassword>\
            <DisableSshPasswordAuthentication>false</DisableSshPasswordAuthentication><CustomData>I2Nsb3Vk\nLWNvbmZpZwo=</CustomData>",
        );
        assert_eq!(messages, [] as [&str; 0]);
        let mut medium = Medium::default();
        found.complete(&mut medium);
        assert_eq!(medium.user_data.as_deref(), Some(&b"#cloud-config\n"[..]));
        let administrator = String::from_utf8(medium.vendor_data2.clone().unwrap()).unwrap();
        assert_eq!(
            administrator,
            "#cloud-config\n{\"chpasswd\":{\"expire\":false},\"password\":\"a&\\\"b\",\"ssh_pwauth\":true,\"user\":\"me\"}\n"
        );
        // User data of the metadata service goes first.
        let mut medium = Medium { user_data: Some(b"#!/bin/sh\n".to_vec()), ..Medium::default() };
        found.complete(&mut medium);
        assert_eq!(medium.user_data.as_deref(), Some(&b"#!/bin/sh\n"[..]));
    }

    #[test]
    fn what_is_not_there_or_broken() {
        for set in [
            "",
            "<CustomData/>",
            "<CustomData></CustomData>",
            "<UserName>me</UserName><UserPassword>REDACTED</UserPassword>",
        ] {
            assert_eq!(of(set), (Provisioning::default(), Vec::new()), "{set}");
        }
        let (found, messages) = of("<CustomData>%secret%</CustomData>");
        assert_eq!(
            (found, messages),
            (Provisioning::default(), vec!["ovf-env.xml CustomData: not used: not base64".to_owned()])
        );
    }
}
