//! Which format a blob of user data has; rules of cloud-init, longest header first, case ignored.

use crate::report::{Messages, Place};
use flate2::read::MultiGzDecoder;
use std::io::Read;

/// Unpacked size: four times what may be given, so that a small bomb stays small.
const MAX_UNPACKED: u64 = 4 << 20;
/// Bytes searched for a MIME header, as cloud-init does.
const MIME_HEAD: usize = 4096;

/// User data, recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Nothing, or nothing that is supported; messages say which.
    None,
    /// A cloud-config document.
    CloudConfig(String),
    /// A script with its `#!` line; line ends are LF.
    Script(Vec<u8>),
}

/// Headers that are recognised in order to be named as not supported.
const UNSUPPORTED: [(&str, &str); 8] = [
    ("#cloud-config-archive", "a cloud-config archive"),
    ("#cloud-config-jsonp", "a JSON patch"),
    ("#cloud-boothook", "a boothook; use bootcmd in a cloud-config"),
    ("#include", "an include list; nothing is fetched from the network"),
    ("#part-handler", "a part handler"),
    ("## template:", "a jinja template"),
    ("#upstart-job", "an upstart job"),
    ("#ignition", "an Ignition file"),
];

/// Recognises `data`.
pub fn recognise(data: &[u8], messages: &mut Messages) -> Format {
    let unpacked;
    let mut data = data;
    if data.starts_with(&[0x1F, 0x8B]) {
        match gunzip(data) {
            Ok(bytes) => {
                unpacked = bytes;
                data = &unpacked;
            }
            Err(text) => {
                messages.error(Place::default(), "", text);
                return Format::None;
            }
        }
    }
    if let Some(rest) = data.strip_prefix(b"\xEF\xBB\xBF") {
        messages.info(Place { line: 1, column: 1 }, "", "the byte order mark was left out");
        data = rest;
    }
    if data.trim_ascii().is_empty() {
        return Format::None;
    }
    let head = String::from_utf8_lossy(&data[..data.len().min(MIME_HEAD)]).to_ascii_lowercase();
    let start = head.trim_start();
    let line = u32::try_from(head[..head.len() - start.len()].matches('\n').count()).unwrap_or(0) + 1;
    let place = Place { line, column: 1 };
    if start.starts_with("#!") {
        return Format::Script(to_lf(data.trim_ascii_start()));
    }
    let not_supported = |messages: &mut Messages, what: &str| {
        messages.error(place, "", format!("not used: {what} is not supported"));
        Format::None
    };
    if let Some((_, what)) = UNSUPPORTED.iter().find(|(header, _)| start.starts_with(header)) {
        return not_supported(messages, what);
    }
    if start.starts_with("#cloud-config") {
        return match std::str::from_utf8(data) {
            Ok(text) => Format::CloudConfig(text.to_owned()),
            Err(error) => {
                let line = data[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
                let place = Place { line: u32::try_from(line).unwrap_or(0), column: 0 };
                messages.error(place, "", "not used: a byte that is not UTF-8");
                Format::None
            }
        };
    }
    if head.contains("mime-version:") {
        return not_supported(messages, "a MIME message");
    }
    let text = "not used: the first line must be #cloud-config, or #! and an interpreter such as #!/bin/sh";
    messages.error(place, "", text);
    Format::None
}

/// Unpacks gzip data within the bound; anything else is given back as it is.
pub fn unpack(data: &[u8]) -> Result<Vec<u8>, String> {
    if data.starts_with(&[0x1F, 0x8B]) { gunzip(data) } else { Ok(data.to_vec()) }
}

/// Unpacks gzip within the bound; the error is a sentence.
pub fn gunzip(data: &[u8]) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(data)
        .take(MAX_UNPACKED + 1)
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("not used: broken gzip data: {error}"))?;
    if u64::try_from(unpacked.len()).is_ok_and(|length| length > MAX_UNPACKED) {
        return Err(format!("not used: larger than {MAX_UNPACKED} bytes once unpacked"));
    }
    Ok(unpacked)
}

fn to_lf(script: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(script.len());
    for (index, &byte) in script.iter().enumerate() {
        if byte != b'\r' || script.get(index + 1) != Some(&b'\n') {
            result.push(byte);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn formats_are_told_apart() {
        let script = |text: &str| Format::Script(text.into());
        let config = |text: &str| Format::CloudConfig(text.into());
        for (data, expected, message) in [
            (&b""[..], Format::None, ""),
            (b" \n", Format::None, ""),
            (b"#cloud-config\na: 1\n", config("#cloud-config\na: 1\n"), ""),
            (b"\n#Cloud-Config\na: 1\n", config("\n#Cloud-Config\na: 1\n"), ""),
            (b"\xEF\xBB\xBF#cloud-config\n", config("#cloud-config\n"), "byte order mark"),
            (b"#!/bin/sh\r\nx\r\n", script("#!/bin/sh\nx\n"), ""),
            (b"#cloud-config-archive\n", Format::None, "archive is not supported"),
            (b"#include\nhttp://x\n", Format::None, "include"),
            (b"## template: jinja\n#cloud-config\n", Format::None, "jinja"),
            (b"Content-Type: multipart/mixed\nMIME-Version: 1.0\n", Format::None, "MIME"),
            (b"hostname: a\n", Format::None, "first line must be #cloud-config"),
            (b"#/bin/bash\n", Format::None, "first line must be"),
            (b"#cloud-config\na: 1\nb: \xFF\n", Format::None, "line 3: not used: a byte that is not UTF-8"),
            (&[0x1F, 0x8B, 1, 2], Format::None, "broken gzip"),
            (&gzip(b"#!/bin/sh\n"), script("#!/bin/sh\n"), ""),
            (&gzip(&vec![0; 5 << 20]), Format::None, "once unpacked"),
        ] {
            let mut messages = Messages::new("user-data");
            assert_eq!(recognise(data, &mut messages), expected);
            let text = messages.list().iter().map(ToString::to_string).collect::<String>();
            assert!(text.contains(message) && text.is_empty() == message.is_empty(), "{message:?}: {text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(data in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            recognise(&data, &mut Messages::new("t"));
        }
    }
}
