//! MIME messages (RFC 2045, 2046, 2183 and the one-piece form of RFC 2231): headers, parts, transfer encodings.
//!
//! ```text
//! Content-Type: multipart/mixed; boundary="B"     headers of the message; an empty line ends them
//! MIME-Version: 1.0
//!
//! --B                                             delimiter; its line end belongs to it
//! Content-Type: text/cloud-config; charset="us-ascii"
//! Content-Transfer-Encoding: base64
//! Content-Disposition: attachment; filename="web.yaml"
//!
//! I2Nsb3VkLWNvbmZpZwo=
//! --B--                                           last delimiter
//! ```
//! An own reader: user data needs a small piece of the standard, with the tolerance of Python's `email`, which
//! cloud-init uses. The kept crate for it, mail-parser, reads letters (dates, addresses, tables of character sets) and
//! wants a compiler newer than this tree's.

use super::encoding::{base64, quoted_printable, unescaped};

/// Type of an entity that names none, or none that is one (RFC 2045 section 5.2).
const DEFAULT_TYPE: &str = "text/plain";

/// A message or a part of one: headers, and the body as it was sent.
#[derive(Debug)]
pub struct Entity<'d> {
    headers: Vec<(String, String)>,
    body: &'d [u8],
}

/// The parts of a multipart body.
#[derive(Debug, PartialEq, Eq)]
pub struct Children<'d> {
    /// Each with its headers.
    pub list: Vec<&'d [u8]>,
    /// The last delimiter was there.
    pub closed: bool,
}

impl<'d> Entity<'d> {
    /// Reads the headers. Data that does not begin with one is all body.
    pub fn read(data: &'d [u8]) -> Self {
        let mut headers: Vec<(String, String)> = Vec::new();
        let mut body = data;
        for line in data.split_inclusive(|&byte| byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            let text = text.trim_end_matches(['\r', '\n']);
            let folded = text.starts_with([' ', '\t']);
            match (headers.last_mut(), header(text)) {
                (Some((_, value)), _) if folded => {
                    value.push(' ');
                    value.push_str(text.trim());
                }
                (_, Some(header)) => headers.push(header),
                // Without the empty line the body begins here, as in Python.
                _ if !text.is_empty() => break,
                _ => {
                    body = &body[line.len()..];
                    break;
                }
            }
            body = &body[line.len()..];
        }
        Self { headers, body }
    }

    /// The body as it was sent.
    pub fn body(&self) -> &'d [u8] {
        self.body
    }

    /// Value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// `type/subtype` in lower case.
    pub fn content_type(&self) -> String {
        let value = self.header("Content-Type").unwrap_or_default();
        let name = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if name.matches('/').count() == 1 { name } else { DEFAULT_TYPE.to_owned() }
    }

    /// File name of `Content-Disposition`, else name of `Content-Type`.
    pub fn file_name(&self) -> Option<String> {
        let given = |header: &str, name: &str| parameter(self.header(header)?, name);
        let name = given("Content-Disposition", "filename").or_else(|| given("Content-Type", "name"))?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// The parts of a `multipart/…` entity; `None` without a boundary. At most `limit` of them.
    pub fn children(&self, limit: usize) -> Option<Children<'d>> {
        let boundary = parameter(self.header("Content-Type")?, "boundary").filter(|boundary| !boundary.is_empty())?;
        Some(split(self.body, &format!("--{}", boundary.trim_end()), limit))
    }

    /// The body without its transfer encoding, text as UTF-8; the error is a sentence.
    pub fn decoded(&self) -> Result<Vec<u8>, String> {
        let encoding = self.header("Content-Transfer-Encoding").unwrap_or_default().trim().to_ascii_lowercase();
        let bytes = match encoding.as_str() {
            "" | "7bit" | "8bit" | "binary" => self.body.to_vec(),
            "base64" => base64(self.body).ok_or("not used: its transfer encoding says base64, which it is not")?,
            "quoted-printable" => quoted_printable(self.body),
            _ => {
                return Err("not used: Content-Transfer-Encoding must be base64, quoted-printable, 7bit or 8bit".into());
            }
        };
        let charset = self.header("Content-Type").and_then(|value| parameter(value, "charset")).unwrap_or_default();
        let latin = ["iso-8859-1", "iso8859-1", "latin-1", "latin1"].contains(&charset.to_ascii_lowercase().as_str());
        if latin && self.content_type().starts_with("text/") && std::str::from_utf8(&bytes).is_err() {
            return Ok(bytes.iter().map(|&byte| char::from(byte)).collect::<String>().into_bytes());
        }
        Ok(bytes)
    }
}

/// `Name: value`; names are printable ASCII without blanks (RFC 5322 section 2.2).
fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let sound = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    sound.then(|| (name.to_owned(), value.trim().to_owned()))
}

/// One parameter of a header value such as `attachment; filename="a"`, or `filename*=UTF-8''a%20b`.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim();
        let (text, after) = parameter_value(after.trim_start());
        if key.eq_ignore_ascii_case(name) {
            return Some(text);
        }
        if key.strip_suffix('*').is_some_and(|key| key.eq_ignore_ascii_case(name)) {
            return Some(percent_decoded(text.splitn(3, '\'').last().unwrap_or_default()));
        }
        rest = after.split_once(';')?.1;
    }
}

/// A quoted string or a token, and what follows it.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim_end().to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[index + 1..]),
            '\\' => value.extend(characters.next().map(|(_, character)| character)),
            _ => value.push(character),
        }
    }
    (value, "")
}

fn percent_decoded(text: &str) -> String {
    String::from_utf8_lossy(&unescaped(text.as_bytes(), b'%')).into_owned()
}

fn split<'d>(body: &'d [u8], delimiter: &str, limit: usize) -> Children<'d> {
    let (mut list, mut start, mut offset) = (Vec::new(), None, 0);
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        let at = offset;
        offset += line.len();
        let Some(rest) = line.strip_prefix(delimiter.as_bytes()) else { continue };
        let (closes, rest) = rest.strip_prefix(b"--").map_or((false, rest), |rest| (true, rest));
        if !rest.trim_ascii().is_empty() {
            continue;
        }
        if let Some(start) = start {
            list.push(without_line_end(&body[start..at]));
        }
        start = Some(offset);
        if closes || list.len() >= limit {
            return Children { list, closed: true };
        }
    }
    if let Some(start) = start {
        list.push(&body[start..]);
    }
    Children { list, closed: false }
}

/// The line end before a delimiter belongs to the delimiter.
fn without_line_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_fold_and_end() {
        let entity = Entity::read(b"Content-Type: text/PLAIN;\r\n\tcharset=utf-8\r\nX-A: 1\r\n\r\nbody: 1\r\n");
        assert_eq!((entity.content_type().as_str(), entity.header("x-a")), ("text/plain", Some("1")));
        assert_eq!(entity.body(), b"body: 1\r\n");
        for (data, body) in [
            ("#!/bin/sh\nMIME-Version: 1.0\n", "#!/bin/sh\nMIME-Version: 1.0\n"),
            ("A: 1\n#cloud-config\n", "#cloud-config\n"),
            ("\nbody", "body"),
            ("A: 1", ""),
            ("", ""),
        ] {
            assert_eq!(Entity::read(data.as_bytes()).body(), body.as_bytes(), "{data:?}");
        }
    }

    #[test]
    fn parameters() {
        for (value, expected) in [
            ("a; filename=b", Some("b")),
            ("a; x=1; FileName = \"b; c=\\\"d\\\"\"; y=2", Some("b; c=\"d\"")),
            ("a; filename*=UTF-8''b%20%C3%A4", Some("b ä")),
            ("a; filename=\"open", Some("open")),
            ("a; name=b", None),
            ("a", None),
            ("a; filename", None),
        ] {
            assert_eq!(parameter(value, "filename").as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn parts_of_a_message() {
        let children = |text: &'static str| split(text.as_bytes(), "--B", 10);
        let texts = |children: &Children<'_>| {
            children.list.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>()
        };
        let two = children("preamble\r\n--B\r\n\r\none\r\n\r\n--B \r\nA: 1\r\n\r\n--Bx\r\n--B--\r\n--B\r\nepilogue");
        assert_eq!(texts(&two), ["\r\none\r\n", "A: 1\r\n\r\n--Bx"]);
        assert!(two.closed);
        let cut = children("--B\none\n--B\ntwo\n");
        assert_eq!((texts(&cut), cut.closed), (vec!["one".to_owned(), "two\n".to_owned()], false));
        assert_eq!(children("nothing").list.len(), 0);
        assert_eq!(split(&b"--B\n".repeat(100), "--B", 10).list.len(), 10);
    }

    #[test]
    fn encodings() {
        for (encoding, body, expected) in [
            ("7bit", "a=\n", Some("a=\n")),
            ("Base64", "I2Nsb3Vk\r\n LWNvbmZpZwo=\r\n", Some("#cloud-config\n")),
            ("base64", "aGk", Some("hi")),
            ("base64", "a", None),
            ("quoted-printable", "a=3Db=\r\nc  \r\nd=", Some("a=bc\r\nd=")),
            ("quoted-printable", "=C3=A4=ZZ=4", Some("ä=ZZ=4")),
            ("x-uuencode", "a", None),
        ] {
            let data = format!("Content-Transfer-Encoding: {encoding}\n\n{body}");
            let decoded = Entity::read(data.as_bytes()).decoded().ok();
            assert_eq!(decoded.as_deref(), expected.map(str::as_bytes), "{encoding} {body:?}");
        }
        let latin = b"Content-Type: text/plain; charset=\"ISO-8859-1\"\n\n\xE4";
        assert_eq!(Entity::read(latin).decoded().unwrap(), "ä".as_bytes());
    }

    proptest! {
        #[test]
        fn any_bytes_end(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            let entity = Entity::read(&data);
            drop((entity.content_type(), entity.file_name(), entity.decoded()));
        }

        #[test]
        fn any_message_like_text_ends(pieces in proptest::collection::vec(prop::sample::select(vec![
            "Content-Type: ", "multipart/mixed; boundary=B", "\r\n", "\n", "--B", "--", "; filename*=", "\"", "\\", "'",
            "%4", "=", "Content-Transfer-Encoding: quoted-printable", " ", "é", "a"]), 0..40)) {
            let text = pieces.concat();
            let entity = Entity::read(text.as_bytes());
            drop((entity.children(5), entity.file_name(), entity.decoded()));
        }
    }
}
