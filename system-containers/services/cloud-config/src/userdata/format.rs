//! What a piece of user data is: by its type in a MIME message or an archive, and by its first line; with cloud-init's
//! rules. Longest header first, case and leading blanks ignored.

use flate2::read::MultiGzDecoder;
use std::io::Read;

/// Unpacked size: four times what may be given, so that a small bomb stays small.
pub const MAX_UNPACKED: usize = 4 << 20;
/// Bytes looked at for the first line.
const HEAD: usize = 4096;

/// A format of user data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A cloud-config document.
    CloudConfig,
    /// A JSON patch (RFC 6902) of the cloud-config before it.
    JsonPatch,
    /// A YAML list of parts.
    Archive,
    /// A script with its `#!` line.
    Script(When),
    /// A jinja template of one of the others.
    Jinja,
    /// A list of URLs.
    Include,
    /// Recognised in order to be named; with the reason why it is not supported.
    Unsupported(&'static str),
}

/// When a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// At every boot, before anything else: a boothook.
    Boothook,
    /// Once in the life of the machine.
    Once,
    /// At every boot.
    Boot,
    /// Once per instance, before runcmd whatever its name.
    Instance,
    /// Once per instance, together with runcmd, by name.
    WithRuncmd,
}

const PART_HANDLER: Kind = Kind::Unsupported("a part handler is a Python program of cloud-init's; use a script");
const UPSTART: Kind = Kind::Unsupported("there is no upstart; use a script or hull: services");

/// First lines, longest first.
const HEADERS: [(&str, Kind); 11] = [
    ("#cloud-config-archive", Kind::Archive),
    ("#cloud-config-jsonp", Kind::JsonPatch),
    ("## template: jinja", Kind::Jinja),
    ("#cloud-boothook", Kind::Script(When::Boothook)),
    ("#include-once", Kind::Include),
    ("#cloud-config", Kind::CloudConfig),
    ("#part-handler", PART_HANDLER),
    ("#upstart-job", UPSTART),
    ("#ignition", Kind::Unsupported("an Ignition file belongs to another system; use #cloud-config")),
    ("#include", Kind::Include),
    ("#!", Kind::Script(When::WithRuncmd)),
];

/// Content types.
const TYPES: [(&str, Kind); 13] = [
    ("text/cloud-config", Kind::CloudConfig),
    ("text/cloud-config-jsonp", Kind::JsonPatch),
    ("text/cloud-config-archive", Kind::Archive),
    ("text/x-shellscript", Kind::Script(When::WithRuncmd)),
    ("text/x-shellscript-per-boot", Kind::Script(When::Boot)),
    ("text/x-shellscript-per-instance", Kind::Script(When::Instance)),
    ("text/x-shellscript-per-once", Kind::Script(When::Once)),
    ("text/cloud-boothook", Kind::Script(When::Boothook)),
    ("text/jinja2", Kind::Jinja),
    ("text/x-include-url", Kind::Include),
    ("text/x-include-once-url", Kind::Include),
    ("text/part-handler", PART_HANDLER),
    ("text/upstart-job", UPSTART),
];

/// Types of gzip data that cloud-init knows.
const GZIP_TYPES: [&str; 8] = [
    "application/gzip",
    "application/gzip-compressed",
    "application/gzipped",
    "application/x-compress",
    "application/x-compressed",
    "application/x-gunzip",
    "application/x-gzip",
    "application/x-gzip-compressed",
];

/// Types whose content says what it is; scripts among them, since cloud-configs are often labelled as scripts.
const SNIFFED_TYPES: [&str; 3] = ["text/plain", "text/x-not-multipart", "text/x-shellscript"];

/// What the first line says.
pub fn sniff(content: &[u8]) -> Option<Kind> {
    let content = content.trim_ascii_start();
    let head = &content[..content.len().min(HEAD)];
    let starts =
        |header: &str| head.get(..header.len()).is_some_and(|head| head.eq_ignore_ascii_case(header.as_bytes()));
    HEADERS.iter().find(|(header, _)| starts(header)).map(|(_, kind)| *kind)
}

/// What a content type (in lower case) and, where that says little, the first line say.
pub fn of(content_type: &str, content: &[u8]) -> Option<Kind> {
    let sniffed = if SNIFFED_TYPES.contains(&content_type) { sniff(content) } else { None };
    sniffed.or_else(|| TYPES.iter().find(|(name, _)| *name == content_type).map(|(_, kind)| *kind))
}

/// Whether a content type (in lower case) means gzip data.
pub fn is_gzip_type(content_type: &str) -> bool {
    GZIP_TYPES.contains(&content_type)
}

/// Whether data begins like gzip data.
pub fn is_gzip(data: &[u8]) -> bool {
    data.starts_with(&[0x1F, 0x8B])
}

/// Unpacks gzip data within the bound; anything else is given back as it is.
pub fn unpack(data: &[u8]) -> Result<Vec<u8>, String> {
    if is_gzip(data) { gunzip(data, MAX_UNPACKED) } else { Ok(data.to_vec()) }
}

/// Unpacks gzip within a bound; the error is a sentence.
pub fn gunzip(data: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(data)
        .take(bound)
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("not used: broken gzip data: {error}"))?;
    if unpacked.len() > limit {
        return Err(format!("not used: larger than {MAX_UNPACKED} bytes once unpacked"));
    }
    Ok(unpacked)
}

/// A script as the kernel wants it: `#!` first, line ends LF. The header of a boothook is left out.
pub fn script(content: &[u8]) -> Vec<u8> {
    let mut content = content.trim_ascii_start();
    if sniff(content) == Some(Kind::Script(When::Boothook)) {
        content = content["#cloud-boothook".len()..].trim_ascii_start();
    }
    let mut result = Vec::with_capacity(content.len());
    for (index, &byte) in content.iter().enumerate() {
        if byte != b'\r' || content.get(index + 1) != Some(&b'\n') {
            result.push(byte);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines() {
        for (content, kind) in [
            ("", None),
            ("#cloud-config\n", Some(Kind::CloudConfig)),
            ("\r\n \t#Cloud-Config\r\n", Some(Kind::CloudConfig)),
            ("#cloud-config-archive", Some(Kind::Archive)),
            ("#CLOUD-CONFIG-JSONP\n[]", Some(Kind::JsonPatch)),
            ("#!/bin/sh", Some(Kind::Script(When::WithRuncmd))),
            ("#cloud-boothook\n#!/bin/sh", Some(Kind::Script(When::Boothook))),
            ("## template: jinja\n#cloud-config", Some(Kind::Jinja)),
            ("#include-once\nhttp://x", Some(Kind::Include)),
            ("#include http://x", Some(Kind::Include)),
            ("#part-handler", Some(PART_HANDLER)),
            ("#/bin/bash", None),
            ("hostname: a", None),
        ] {
            assert_eq!(sniff(content.as_bytes()), kind, "{content:?}");
        }
    }

    #[test]
    fn types_are_believed_but_where_the_first_line_knows_better() {
        let script = Kind::Script(When::WithRuncmd);
        for (content_type, content, kind) in [
            ("text/cloud-config", "a: 1", Some(Kind::CloudConfig)),
            ("text/cloud-config", "#!/bin/sh", Some(Kind::CloudConfig)),
            ("text/x-shellscript", "#cloud-config", Some(Kind::CloudConfig)),
            ("text/x-shellscript", "echo", Some(script)),
            ("text/plain", "#!/bin/sh", Some(script)),
            ("text/plain", "hello", None),
            ("text/x-not-multipart", "#cloud-boothook", Some(Kind::Script(When::Boothook))),
            ("text/x-shellscript-per-boot", "#cloud-config", Some(Kind::Script(When::Boot))),
            ("application/node.eks.aws", "#!/bin/sh", None),
        ] {
            assert_eq!(of(content_type, content.as_bytes()), kind, "{content_type} {content}");
        }
    }

    #[test]
    fn scripts_begin_with_their_interpreter_and_end_lines_with_lf() {
        assert_eq!(script(b"\n#!/bin/sh\r\nx\r\n"), b"#!/bin/sh\nx\n");
        assert_eq!(script(b"#Cloud-Boothook\r\n\r\n#!/bin/sh\r\n"), b"#!/bin/sh\n");
        assert_eq!(script(b"echo\rx"), b"echo\rx");
    }
}
