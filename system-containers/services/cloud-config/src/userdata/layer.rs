//! One layer of user data, that is `user-data`, `vendor-data` or the kernel command line: all its parts, put together.

use super::CloudConfig;
use super::format::{self, Kind};
use super::merge::Document;
use super::parts::{self, Part, Split};
use super::scripts::Script;
use super::template::{self, Facts};
use crate::report::{Messages, Place};
use crate::seed::exchange::Includes;

/// What a layer asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    /// Its cloud-config documents, merged.
    pub config: CloudConfig,
    /// Its scripts, in the order of the parts.
    pub scripts: Vec<Script>,
    /// Empty, or a part of it could be used.
    pub usable: bool,
    /// URLs of its include lists whose contents are not here.
    pub missing: Vec<String>,
}

/// A layer as it was given.
#[derive(Debug, Clone, Copy)]
pub struct Blob<'b> {
    /// In any format.
    pub content: &'b [u8],
    /// Its name in messages.
    pub source: &'b str,
    /// It is the cloud's, not the user's.
    pub vendor: bool,
    /// Contents of its include lists.
    pub includes: &'b Includes,
}

/// Reads a layer; `facts` are for its templates.
pub fn read(blob: Blob<'_>, facts: &Facts, messages: &mut Messages) -> Layer {
    let Blob { content, source, vendor, includes } = blob;
    let before = messages.errors();
    let (mut document, mut scripts) = (Document::default(), Vec::new());
    let mut used = false;
    let Split { parts, missing } = parts::split(content, source, includes, messages);
    for part in parts {
        messages.turn_to(part.source.as_str());
        let Some(part) = rendered(part, facts, messages) else { continue };
        used |= match part.kind {
            Kind::Script(when) => {
                let place = Place { source: messages.current(), ..Place::default() };
                scripts.push(Script::new(place, &part.name, when, vendor, &part.content));
                true
            }
            Kind::JsonPatch => text(&part.content, messages).is_some_and(|text| document.patch(text, messages)),
            _ => {
                text(&part.content, messages).is_some_and(|text| document.merge(text, part.merge.as_deref(), messages))
            }
        };
    }
    messages.turn_to(source);
    let usable = used || messages.errors() == before;
    let config = document.root().map(|root| CloudConfig::read(root, messages)).unwrap_or_default();
    Layer { config, scripts, usable, missing }
}

/// A template becomes what it holds; other parts stay as they are.
fn rendered(part: Part, facts: &Facts, messages: &mut Messages) -> Option<Part> {
    if part.kind != Kind::Jinja {
        return Some(part);
    }
    let content = template::render(text(&part.content, messages)?, facts, messages)?.into_bytes();
    match format::sniff(&content) {
        Some(kind @ (Kind::CloudConfig | Kind::JsonPatch | Kind::Script(_))) => Some(Part { kind, content, ..part }),
        // A condition around everything may leave nothing.
        _ if content.trim_ascii().is_empty() => None,
        _ => {
            let text = "the template is not used: it must give a #cloud-config, a #! script or a #cloud-boothook";
            messages.error(Place::default(), "", text);
            None
        }
    }
}

/// The text of a document; what is no UTF-8 is reported with its line.
pub fn text<'c>(content: &'c [u8], messages: &mut Messages) -> Option<&'c str> {
    match std::str::from_utf8(content) {
        Ok(text) => Some(text),
        Err(error) => {
            let line = content[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
            let place = Place::new(u32::try_from(line).unwrap_or(0), 0);
            messages.error(place, "", "not used: a byte that is not UTF-8");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(content: &[u8]) -> (Layer, Vec<String>) {
        let mut messages = Messages::new("user-data");
        let facts = Facts { instance_id: "i-1".into(), hostname: Some("web".into()), ..Facts::default() };
        let blob = Blob { content, source: "user-data", vendor: false, includes: &Includes::new() };
        let layer = read(blob, &facts, &mut messages);
        (layer, messages.list().iter().map(ToString::to_string).collect())
    }

    /// What Cluster API's bootstrap provider makes for kubeadm, in small.
    #[test]
    fn cluster_api() {
        let (layer, messages) = load(include_bytes!("../../testdata/userdata/cluster-api"));
        assert_eq!(messages, [] as [&str; 0]);
        let files = layer.config.files.unwrap();
        let content = String::from_utf8(files[0].content.clone()).unwrap();
        assert!(content.contains("name: 'web'") && content.contains("provider-id: 'nocloud://i-1'"), "{content}");
        assert_eq!(layer.config.runcmd.unwrap().len(), 2);
    }

    #[test]
    fn parts_are_merged_and_messages_name_their_part() {
        let text = "#cloud-config-archive\n- {filename: a, content: \"hostname: [a]\\nruncmd: [x]\"}\n\
                    - {type: text/jinja2, content: \"## template: jinja\\n#cloud-config\\ntimezone: {{ nope }}/..\"}\n\
                    - {filename: c, content: \"#cloud-config-jsonp\\n[{op: add, path: /runcmd/-, value: [y, [z]]}]\"}\n\
                    - {content: \"## template: jinja\\nnothing\"}\n\
                    - {content: \"## template: jinja\\n{% if false %}x{% endif %}\"}\n\
                    - \"a: b: c\"\n- \"#!/bin/sh\"\n";
        let (layer, messages) = load(text.as_bytes());
        let expected = [
            "user-data part 2: the template's variable 'nope' has no value here",
            "user-data part 4: the template is not used: it must give",
            "user-data part 6 line 1 column 5: the document is not used",
            "user-data part 1 (a) line 1 column 11 hostname: expected a host name",
            "user-data part 2 line 3 column 11 timezone: expected",
            "user-data part 3 (c) line 2 column 36 runcmd[1]: expected a text or a list",
        ];
        assert_eq!(messages.len(), expected.len(), "{messages:#?}");
        for (message, expected) in messages.iter().zip(expected) {
            assert!(message.starts_with(expected), "{expected}: {message}");
        }
        assert!(layer.usable);
        assert_eq!((layer.config.runcmd.unwrap().len(), layer.scripts[0].name.as_str()), (1, "part-007"));
    }

    #[test]
    fn what_cannot_be_used_at_all_is_told_from_what_is_empty() {
        for (blob, usable) in [
            (&b""[..], true),
            (b"#cloud-config\n", true),
            (b"#cloud-config\n- a\n", false),
            (b"#cloud-config\na: \xFF\n", false),
            (b"#include\nhttp://x\n", true),
            (b"## template: jinja\n#cloud-config\n{{ a\n", false),
            (
                b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: a/b\n\n--B--\n",
                true,
            ),
        ] {
            let (layer, messages) = load(blob);
            assert_eq!(layer.usable, usable, "{messages:?}");
        }
        assert_eq!(load(b"#cloud-config\na: 1\nb: \xFF\n").1, ["user-data line 3: not used: a byte that is not UTF-8"]);
    }
}
