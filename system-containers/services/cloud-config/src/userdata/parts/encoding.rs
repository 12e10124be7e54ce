//! Transfer encodings of RFC 2045, read with the tolerance of Python's `email`.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding may be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Base64 with line ends and whatever else is no digit of it (RFC 2045 section 6.8).
pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let digits: Vec<u8> = text.iter().copied().filter(is_digit).collect();
    BASE64.decode(digits).ok()
}

/// RFC 2045 section 6.7: `=` at the end of a line joins it to the next, `=3D` is one byte; blanks at the end of a line
/// were added on the way.
pub fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let content = line.trim_ascii_end();
        let end = [&b"\r\n"[..], b"\n"].into_iter().find(|end| line.ends_with(end)).unwrap_or_default();
        match content.strip_suffix(b"=") {
            Some(start) if !end.is_empty() => joined.extend_from_slice(start),
            _ => joined.extend([content, end].concat()),
        }
    }
    unescaped(&joined, b'=')
}

/// Replaces the escape character and two hex digits by the byte they mean.
pub fn unescaped(text: &[u8], escape: u8) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) if byte == escape => {
                result.push(code);
                rest = &after[2..];
            }
            _ => {
                result.push(byte);
                rest = after;
            }
        }
    }
    result
}
