//! cloud-init's words on the kernel command line, and the same `ds=` in the SMBIOS serial number.
//!
//! `ds=nocloud[;s=URL][;h=hostname][;i=instance-id]`, `ds=ec2` and the other clouds, `cc: <cloud-config> end_cc` (URL-encoded or with `\n`),
//! `cloud-config-url=URL` and the older `url=URL`, see [`super::base`],
//! `network-config=<base64>` or `network-config=disabled`, `ip=` and `nameserver=`, `cloud-init=disabled`.

use crate::machine::network::kernel;
use crate::report::{Messages, Place};
use crate::seed::base::{Location, Name};
use crate::seed::platform::Origin;
use crate::userdata::names::is_web_url;
use base64::Engine;

/// What the command line says about user data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `ds=…`.
    pub datasource: Option<Datasource>,
    /// Text of all `cc:` sections.
    pub cloud_config: Option<String>,
    /// `cloud-config-url=` or `url=`.
    pub base: Option<Location>,
    /// `network-config=`, decoded; may still be gzip.
    pub network_config: Option<Vec<u8>>,
    /// `ip=` and `nameserver=`.
    pub network: kernel::Words,
    /// `cloud-init=disabled`: user data is not looked for.
    pub disabled: bool,
}

/// `ds=…`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Datasource {
    /// The cloud it names.
    pub platform: Option<Origin>,
    /// `s=` or `seedfrom=`: a URL with `/` at its end.
    pub seed: Option<String>,
    /// `h=` or `local-hostname=`.
    pub hostname: Option<String>,
    /// `i=` or `instance-id=`.
    pub instance_id: Option<String>,
}

/// Reads the text of `/proc/cmdline`.
pub fn parse(text: &str, messages: &mut Messages) -> CommandLine {
    let (rest, cloud_config) = split_cloud_config(text);
    let mut found = CommandLine { cloud_config, ..CommandLine::default() };
    for word in rest.split_ascii_whitespace() {
        let word = word.replace('"', "");
        if let Some(datasource) = parse_datasource(&word, messages) {
            found.datasource = Some(datasource);
        } else if let Some(location) = Location::of_word(&word) {
            // Of one option the last counts.
            if found.base.as_ref().is_none_or(|known| known.name <= location.name) {
                found.base = Some(location);
            }
        } else if let Some(option) = word.strip_prefix("ip=") {
            found.network.ip.push(option.to_owned());
        } else if let Some(server) = word.strip_prefix("nameserver=") {
            found.network.nameservers.push(server.to_owned());
        } else if word == "network-config=disabled" {
            found.network_config = Some(b"config: disabled".to_vec());
        } else if let Some(encoded) = word.strip_prefix("network-config=") {
            match base64::engine::general_purpose::STANDARD.decode(encoded) {
                Ok(decoded) => found.network_config = Some(decoded),
                Err(_) => messages.error(Place::default(), "network-config", "expected base64"),
            }
        } else if word == "cloud-init=disabled" {
            found.disabled = true;
        }
    }
    found.base = found.base.filter(|location| is_web(location, messages));
    found
}

/// Files are not read: the root holds none of the owner's.
fn is_web(location: &Location, messages: &mut Messages) -> bool {
    if is_web_url(&location.url) {
        return true;
    }
    let key = location.name.text();
    match location.name {
        Name::Url => messages.info(Place::default(), key, "not looked at: expected http:// or https://"),
        Name::CloudConfigUrl => messages.warning(Place::default(), key, "ignored: expected http:// or https://"),
    }
    false
}

/// `ds=nocloud;…` in its spellings; `None` for any other word.
pub fn parse_datasource(word: &str, messages: &mut Messages) -> Option<Datasource> {
    let value = ["ds=", "ci.ds=", "ci.datasource="].iter().find_map(|prefix| word.strip_prefix(prefix))?;
    let mut parts = value.split(';');
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    match name.as_str() {
        "nocloud" | "nocloud-net" => {}
        // Looked for in any case, and there are no options for it.
        "configdrive" => return None,
        name => {
            let platform = Origin::named(name);
            if platform.is_none() {
                messages.warning(Place::default(), "ds", "ignored: this datasource is not supported");
            }
            return platform.map(|platform| Datasource { platform: Some(platform), ..Datasource::default() });
        }
    }
    let mut datasource = Datasource::default();
    for part in parts.filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match key {
            "h" | "local-hostname" => datasource.hostname = Some(value.to_owned()),
            "i" | "instance-id" => datasource.instance_id = Some(value.to_owned()),
            "s" | "seedfrom" if is_web_url(value) => {
                let end = if value.ends_with('/') { "" } else { "/" };
                datasource.seed = Some(format!("{value}{end}"));
            }
            "s" | "seedfrom" => {
                let text = "ignored: expected http:// or https://; for files use a medium labelled cidata";
                messages.warning(Place::default(), "ds s=", text);
            }
            "m" | "dsmode" => {}
            _ => messages.warning(Place::default(), "ds", "an unknown option was ignored"),
        }
    }
    Some(datasource)
}

/// Takes every `cc: … end_cc` out; the last one may run to the end of the line.
fn split_cloud_config(text: &str) -> (String, Option<String>) {
    let mut rest = String::new();
    let mut sections: Vec<String> = Vec::new();
    let mut remaining = text;
    while let Some(start) = find_word(remaining, "cc:") {
        rest.push_str(&remaining[..start]);
        let body = &remaining[start + "cc:".len()..];
        let end = body.find("end_cc").unwrap_or(body.len());
        sections.push(decode(body[..end].trim()));
        remaining = body.get(end + "end_cc".len()..).unwrap_or_default();
    }
    rest.push_str(remaining);
    (rest, (!sections.is_empty()).then(|| sections.join("\n")))
}

fn find_word(text: &str, word: &str) -> Option<usize> {
    text.match_indices(word)
        .map(|(at, _)| at)
        .find(|&at| at == 0 || text.as_bytes()[at - 1].is_ascii_whitespace() || text.as_bytes()[at - 1] == b'"')
}

/// `%0A` and the two characters `\n` both stand for a line end.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()))
            .flatten()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Severity;

    #[test]
    fn the_forms_are_read() {
        let mut messages = Messages::new("kernel command line");
        let datasource = |h: Option<&str>, i: Option<&str>| {
            Some(Datasource { hostname: h.map(Into::into), instance_id: i.map(Into::into), ..Datasource::default() })
        };
        let seed = |url: &str| Some(Datasource { seed: Some(url.into()), ..Datasource::default() });
        let base = |name, url: &str| Some(Location { name, url: url.into() });
        let platform = |origin| Some(Datasource { platform: Some(origin), ..Datasource::default() });
        let plain = CommandLine::default();
        for (text, expected) in [
            ("console=ttyS0 quiet", plain.clone()),
            ("ds=nocloud", CommandLine { datasource: datasource(None, None), ..plain.clone() }),
            (
                "a \"ds=nocloud;h=web;i=i-1\"",
                CommandLine { datasource: datasource(Some("web"), Some("i-1")), ..plain.clone() },
            ),
            (
                "ci.ds=NoCloud-net;local-hostname=w",
                CommandLine { datasource: datasource(Some("w"), None), ..plain.clone() },
            ),
            (
                "x cc: hostname: a\\ntimezone: UTC end_cc y",
                CommandLine { cloud_config: Some("hostname: a\ntimezone: UTC".into()), ..plain.clone() },
            ),
            (
                "cc: hostname:%20b%0A end_cc cc:bootcmd: [%zz]",
                CommandLine { cloud_config: Some("hostname: b\n\nbootcmd: [%zz]".into()), ..plain.clone() },
            ),
            ("network-config=aGk= acc:x", CommandLine { network_config: Some(b"hi".to_vec()), ..plain.clone() }),
            (
                "network-config=disabled",
                CommandLine { network_config: Some(b"config: disabled".to_vec()), ..plain.clone() },
            ),
            (
                "ip=eth0:dhcp nameserver=192.0.2.53 ip=eth1:auto6 skip=1",
                CommandLine {
                    network: kernel::Words {
                        ip: vec!["eth0:dhcp".into(), "eth1:auto6".into()],
                        nameservers: vec!["192.0.2.53".into()],
                    },
                    ..plain.clone()
                },
            ),
            ("ds=ConfigDrive", plain.clone()),
            ("ds=nocloud;s=http://a/b", CommandLine { datasource: seed("http://a/b/"), ..plain.clone() }),
            ("ds=nocloud-net;seedfrom=https://a/", CommandLine { datasource: seed("https://a/"), ..plain.clone() }),
            ("ds=Ec2", CommandLine { datasource: platform(Origin::Ec2), ..plain.clone() }),
            (
                "cloud-config-url=http://a/x?y=z",
                CommandLine { base: base(Name::CloudConfigUrl, "http://a/x?y=z"), ..plain.clone() },
            ),
            ("url=https://a/1 url=https://a/2", CommandLine { base: base(Name::Url, "https://a/2"), ..plain.clone() }),
            (
                "cloud-config-url=http://a url=http://b curl=http://c",
                CommandLine { base: base(Name::CloudConfigUrl, "http://a"), ..plain.clone() },
            ),
            ("cloud-init=disabled", CommandLine { disabled: true, ..plain.clone() }),
        ] {
            assert_eq!(parse(text, &mut messages), expected, "{text}");
        }
        assert_eq!(messages.list().len(), 0, "{messages:?}");
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let mut messages = Messages::new("kernel command line");
        parse("ds=smartos ds=nocloud;s=/seed/ network-config=%%%", &mut messages);
        assert_eq!(messages.list().len(), 3, "{messages:?}");
        for (text, severity) in [
            ("cloud-config-url=file:///etc/x url=http://a", Severity::Warning),
            ("cloud-config-url= ", Severity::Warning),
            ("url=/cdrom", Severity::Info),
        ] {
            let mut messages = Messages::new("kernel command line");
            assert_eq!(parse(text, &mut messages), CommandLine::default());
            let found: Vec<Severity> = messages.list().iter().map(|message| message.severity).collect();
            assert_eq!(found, [severity], "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends(text in "(cc:|end_cc|%[0-9a-z]|é|ds=nocloud;| |;|=|[a-z])*") {
            parse(&text, &mut Messages::new("t"));
        }
    }
}
