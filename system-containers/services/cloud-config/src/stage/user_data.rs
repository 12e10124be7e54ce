//! All layers of the user data of an instance, put together; each stage reads them anew.
//!
//! ```text
//! user-data > vendor-data2 > vendor-data > cc: of the kernel command line > base configuration     first wins, key by key
//! ```

use crate::document::yaml;
use crate::report::{Messages, Place};
use crate::seed::instance::Instance;
use crate::userdata::cloud_config::CloudConfig;
use crate::userdata::layer::{self, Blob, Layer};
use crate::userdata::scripts::Script;
use crate::userdata::template::Facts;

/// User data as this boot uses it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserData {
    /// The documents.
    pub config: CloudConfig,
    /// The scripts, user's before vendor's.
    pub scripts: Vec<Script>,
    /// The user data proper is empty, or something of it could be used.
    pub usable: bool,
    /// URLs of include lists whose contents are not here.
    pub missing: Vec<String>,
}

impl UserData {
    /// With a layer of lower precedence below it.
    fn over(mut self, lower: Layer) -> Self {
        // A script takes the place of an earlier one with its name: vendor-data2's has to stay behind vendor-data's.
        let first_vendor = self.scripts.iter().position(|script| script.vendor).unwrap_or(self.scripts.len());
        self.scripts.splice(first_vendor..first_vendor, lower.scripts);
        self.missing.extend(lower.missing);
        Self { config: self.config.or(lower.config), ..self }
    }
}

/// Reads everything.
pub fn read(instance: &Instance, messages: &mut Messages) -> UserData {
    let (medium, facts) = (&instance.medium, facts(instance));
    let layer = |content, source, vendor, messages: &mut Messages| {
        layer::read(Blob { content, source, vendor, includes: &medium.includes }, &facts, messages)
    };
    let user = layer(medium.user_data.as_deref().unwrap_or_default(), "user-data", false, messages);
    messages.turn_to("kernel command line");
    let lowest = instance.command_line.as_deref().and_then(|text| CloudConfig::parse(text, messages));
    let lowest = lowest.unwrap_or_default().or(base(instance, messages));
    // First wins.
    let vendors = [
        ("vendor-data2", "vendor_data2", &medium.vendor_data2, user.config.vendor_data2.or(lowest.vendor_data2)),
        ("vendor-data", "vendor_data", &medium.vendor_data, user.config.vendor_data.or(lowest.vendor_data)),
    ];
    let data = vendors.into_iter().fold(
        UserData { config: user.config, scripts: user.scripts, usable: user.usable, missing: user.missing },
        |data, (name, key, blob, enabled)| match blob.as_deref().filter(|blob| !blob.trim_ascii().is_empty()) {
            Some(blob) if enabled != Some(false) => data.over(layer(blob, name, true, messages)),
            Some(_) => {
                messages.turn_to(name);
                let text = format!("not used: {key}: enabled is false in the user data");
                messages.info(Place::default(), "", text);
                data
            }
            None => data,
        },
    );
    messages.turn_to("user-data");
    UserData { config: data.config.or(lowest), ..data }
}

fn base(instance: &Instance, messages: &mut Messages) -> CloudConfig {
    let Some(base) = &instance.base else { return CloudConfig::default() };
    messages.turn_to(base.location.name.text());
    let Some(document) = &base.document else {
        messages.info(Place::default(), "", "what is there does not begin with #cloud-config, and is not used");
        return CloudConfig::default();
    };
    let config = layer::text(document, messages).and_then(|text| CloudConfig::parse(text, messages));
    config.unwrap_or_default()
}

/// What templates may know. Faults of meta-data are reported by who reads it for the machine.
fn facts(instance: &Instance) -> Facts {
    let meta_data = instance.medium.meta_data.as_deref().and_then(|content| std::str::from_utf8(content).ok());
    let meta_data = meta_data.and_then(|text| yaml::parse(text, &mut Messages::default()).ok());
    Facts {
        instance_id: instance.id.clone(),
        hostname: instance.hostname.clone(),
        form: instance.medium.form,
        origin: instance.medium.origin.clone(),
        device: instance.medium.device.clone(),
        public_keys: instance.public_keys.clone(),
        meta_data: meta_data.filter(|node| node.map().is_some()),
    }
}

/// Reads it for a later stage, whose messages are then about its parts; those of reading it are in the report already.
pub fn again(instance: &Instance, messages: &mut Messages) -> UserData {
    let mut known = Messages::new("user-data");
    let data = read(instance, &mut known);
    let mut about = Messages::about(known.sources());
    about.append(std::mem::take(messages));
    *messages = about;
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::medium::Medium;
    use crate::userdata::format::When;

    fn load(user: &str, vendor: &str, command_line: Option<&str>) -> (UserData, Vec<String>) {
        let medium = Medium { user_data: Some(user.into()), vendor_data: Some(vendor.into()), ..Medium::default() };
        let instance = Instance { medium, command_line: command_line.map(str::to_owned), ..Instance::default() };
        let mut messages = Messages::new("user-data");
        let data = read(&instance, &mut messages);
        (data, messages.list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn user_data_wins_over_vendor_data_and_that_over_the_command_line() {
        let user = "#cloud-config\nhostname: user\nruncmd: [u]\n";
        let vendor = "#cloud-config\nhostname: vendor\ntimezone: UTC\nruncmd: [v, w]\n";
        let (data, messages) = load(user, vendor, Some("timezone: Europe/Vienna\nfqdn: a.example"));
        let config = data.config;
        assert_eq!(messages, [] as [&str; 0]);
        let machine = &config.machine;
        assert_eq!(
            [&machine.hostname, &machine.timezone, &machine.fqdn].map(|text| text.as_deref().unwrap_or_default()),
            ["user", "UTC", "a.example"]
        );
        assert_eq!(config.runcmd.map(|list| list.len()), Some(1));
    }

    #[test]
    fn vendor_data_can_be_left_out_and_its_faults_are_its_own() {
        let vendor = "#cloud-config\nhostname: vendor\n";
        for (user, command_line, used) in [
            ("#cloud-config\nvendor_data: {enabled: false}\n", None, false),
            ("#cloud-config\nvendor_data: {enabled: true}\n", Some("vendor_data: {enabled: false}"), true),
            ("#!/bin/sh\n", Some("vendor_data: {enabled: no}"), false),
            ("", None, true),
        ] {
            let (data, messages) = load(user, vendor, command_line);
            assert_eq!(data.config.machine.hostname.is_some(), used, "{user}");
            assert_eq!(messages.iter().any(|text| text.starts_with("vendor-data: not used: vendor_data")), !used);
        }
        let (data, messages) = load("#cloud-config\nhostname: a\n", "#cloud-config\nb: c: d\n", None);
        assert!(data.usable && messages[0].starts_with("vendor-data line 2"), "{messages:?}");
        let (data, messages) = load("#cloud-config\nvendor_data: {prefix: x}\n", "", None);
        assert!(data.usable && messages[0].contains("line 2 column 15 vendor_data.prefix: ignored"), "{messages:?}");
    }

    #[test]
    fn broken_user_data_leaves_the_layers_below_it() {
        let (data, _) = load("nonsense", "#cloud-config\nhostname: v\n", Some("timezone: UTC"));
        assert!(!data.usable);
        let machine = data.config.machine;
        assert_eq!((machine.hostname.as_deref(), machine.timezone.as_deref()), (Some("v"), Some("UTC")));
    }

    #[test]
    fn the_second_vendor_data_goes_before_the_first() {
        let vendor = |name: &str, zone: &str| {
            format!(
                "#cloud-config-archive\n- '#!/bin/{name}'\n- \"#cloud-config\\nhostname: {name}\\ntimezone: {zone}\"\n"
            )
        };
        for (user, hostname, scripts) in [
            ("#!/bin/user", "second", &["user", "first", "second"][..]),
            ("#cloud-config\nvendor_data2: {enabled: false}\n", "first", &["first"]),
            ("#cloud-config\nvendor_data: {enabled: false}\n", "second", &["second"]),
        ] {
            let medium = Medium {
                user_data: Some(user.into()),
                vendor_data: Some(vendor("first", "UTC").into()),
                vendor_data2: Some(vendor("second", "Europe/Vienna").into()),
                ..Medium::default()
            };
            let mut messages = Messages::new("user-data");
            let data = read(&Instance { medium, ..Instance::default() }, &mut messages);
            assert_eq!(data.config.machine.hostname.as_deref(), Some(hostname), "{user}");
            let found: Vec<&[u8]> = data.scripts.iter().map(|script| &script.content[..]).collect();
            let wanted: Vec<String> = scripts.iter().map(|name| format!("#!/bin/{name}")).collect();
            assert!(
                found.iter().map(|text| text.trim_ascii_end()).eq(wanted.iter().map(String::as_bytes)),
                "{found:?}"
            );
            let said: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
            let left_out = said.iter().any(|text| text.contains("enabled is false"));
            assert_eq!((said.len(), left_out), (usize::from(left_out), !user.starts_with("#!")), "{said:?}");
        }
    }

    #[test]
    fn scripts_of_both_are_kept_apart() {
        let data = load("#!/bin/sh\n", "#!/bin/sh\n", None).0;
        let kinds: Vec<(bool, When)> = data.scripts.iter().map(|script| (script.vendor, script.when)).collect();
        assert_eq!(kinds, [(false, When::WithRuncmd), (true, When::WithRuncmd)]);
    }

    #[test]
    fn a_later_stage_names_the_source_of_what_it_runs() {
        let medium = Medium { user_data: Some(b"#!/bin/sh\n".to_vec()), ..Medium::default() };
        let command_line = Some("runcmd: [a]".to_owned());
        let instance = Instance { medium, command_line, ..Instance::default() };
        let mut messages = Messages::new("user-data");
        messages.error(Place::default(), "x", "kept");
        let data = again(&instance, &mut messages);
        messages.error(data.config.runcmd.unwrap()[0].place, "runcmd[0]", "failed");
        messages.error(Place::default(), "final", "failed");
        let texts: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["user-data x: kept", "kernel command line line 1 column 10 runcmd[0]: failed", "user-data final: failed"]
        );
    }
}
