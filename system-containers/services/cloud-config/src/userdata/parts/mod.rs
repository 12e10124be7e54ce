//! A blob of user data to its parts, as cloud-init takes it apart: gzip, MIME messages within one another, gzip parts,
//! archives, and each part's format by type and first line.
//!
//! | module | what |
//! |---|---|
//! | [`mime`] | MIME messages |
//! | [`encoding`] | base64 and quoted-printable |
//! | [`archive`] | cloud-config archives |
//! | [`mod@include`] | include lists |
//!
//! Pure. What is not supported, or broken, is reported with number and file name of the part and left out. Bounds:
//! [`MAX_PARTS`], [`MAX_DEPTH`], and [`MAX_UNPACKED`] bytes of all parts together.

pub mod archive;
pub mod encoding;
pub mod include;
pub mod mime;

use super::format::{self, Kind, MAX_UNPACKED};
use crate::report::{Messages, Place, quote};
use crate::seed::exchange::Includes;
use archive::Item;
use mime::Entity;

/// Parts of one blob; real messages have less than ten.
pub const MAX_PARTS: usize = 100;
/// Messages within messages.
pub const MAX_DEPTH: usize = 8;
/// Bytes searched for a MIME header, as cloud-init does.
const MIME_HEAD: usize = 4096;
/// How gzip data begins in base64.
const BASE64_GZIP: &[u8] = b"H4sI";
const UNKNOWN: &str = "not used: the first line must be #cloud-config, or #! and an interpreter such as #!/bin/sh";

/// One part of a kind that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// For messages: `user-data`, or `user-data part 2 (web.yaml)`.
    pub source: String,
    /// Its file name, or cloud-init's `part-001`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Decoded and unpacked.
    pub content: Vec<u8>,
    /// Header `Merge-Type` or `X-Merge-Type`.
    pub merge: Option<String>,
}

/// What a blob holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// Its parts.
    pub parts: Vec<Part>,
    /// URLs of include lists whose contents are not here.
    pub missing: Vec<String>,
}

/// Takes a blob apart; `source` names it in messages, and `messages` is about it afterwards. Contents of include lists
/// are in `includes`.
pub fn split(blob: &[u8], source: &str, includes: &Includes, messages: &mut Messages) -> Split {
    messages.turn_to(source);
    let mut splitter = Splitter {
        source,
        includes,
        split: Split::default(),
        number: 0,
        attached: 0,
        nested: 0,
        left: MAX_UNPACKED,
        messages,
    };
    if let Err(stop) = splitter.blob(blob) {
        splitter.messages.error(Place::default(), "", stop.0);
    }
    let split = splitter.split;
    messages.turn_to(source);
    split
}

/// A bound was reached, or the blob cannot be read at all: nothing more is taken.
struct Stop(String);

struct Splitter<'s, 'm> {
    source: &'s str,
    includes: &'s Includes,
    split: Split,
    /// Parts so far, for messages.
    number: usize,
    /// Parts cloud-init would count for their names: all but lists of others.
    attached: usize,
    /// Include lists within one another.
    nested: usize,
    /// Bytes left.
    left: usize,
    messages: &'m mut Messages,
}

/// A part before it is known what it is.
struct Raw {
    content_type: String,
    file_name: Option<String>,
    content: Vec<u8>,
    merge: Option<String>,
    /// It is one of several.
    numbered: bool,
}

impl Splitter<'_, '_> {
    fn blob(&mut self, blob: &[u8]) -> Result<(), Stop> {
        let mut data = blob.to_vec();
        if data.starts_with(BASE64_GZIP) {
            data = encoding::base64(&data).unwrap_or(data);
            self.messages.info(Place::default(), "", "base64 was decoded");
        }
        if format::is_gzip(&data) {
            data = format::gunzip(&data, MAX_UNPACKED).map_err(Stop)?;
        }
        let data = self.without_mark(data);
        let head = data[..data.len().min(MIME_HEAD)].to_ascii_lowercase();
        if head.trim_ascii().is_empty() {
            return Ok(());
        }
        if head.windows(13).any(|window| window == b"mime-version:") {
            return self.message(&data, 0);
        }
        let content_type = "text/x-not-multipart".to_owned();
        self.part(Raw { content_type, file_name: None, content: data, merge: None, numbered: false })
    }

    fn without_mark(&mut self, data: Vec<u8>) -> Vec<u8> {
        match data.strip_prefix(b"\xEF\xBB\xBF") {
            None => data,
            Some(rest) => {
                self.messages.info(Place::new(1, 1), "", "the byte order mark was left out");
                rest.to_vec()
            }
        }
    }

    fn message(&mut self, data: &[u8], depth: usize) -> Result<(), Stop> {
        if depth > MAX_DEPTH {
            return Err(Stop(format!("the rest is not used: messages are nested deeper than {MAX_DEPTH} levels")));
        }
        let entity = Entity::read(data);
        let content_type = entity.content_type();
        if content_type == "message/rfc822" {
            return self.message(entity.body(), depth + 1);
        }
        if !content_type.starts_with("multipart/") {
            return self.entity(&entity, content_type, depth > 0);
        }
        let Some(children) = entity.children(MAX_PARTS + 1) else {
            let text = "not used: a multipart message without a boundary in its Content-Type";
            self.messages.error(Place::default(), "", text);
            return Ok(());
        };
        if !children.closed {
            let text = "the last boundary is missing: the message may have been cut";
            self.messages.warning(Place::default(), "", text);
        }
        for child in children.list {
            self.message(child, depth + 1)?;
        }
        Ok(())
    }

    fn entity(&mut self, entity: &Entity<'_>, mut content_type: String, numbered: bool) -> Result<(), Stop> {
        let file_name = entity.file_name();
        self.begin(file_name.as_deref(), numbered)?;
        let decoded = entity.decoded().and_then(|content| {
            if !format::is_gzip_type(&content_type) {
                return Ok(content);
            }
            "text/plain".clone_into(&mut content_type);
            format::gunzip(&content, self.left)
        });
        let content = match decoded {
            Ok(content) => self.without_mark(content),
            Err(text) => {
                self.messages.error(Place::default(), "", text);
                return Ok(());
            }
        };
        self.launch_index(entity.header("Launch-Index").is_some());
        let merge = entity.header("Merge-Type").or_else(|| entity.header("X-Merge-Type")).map(str::to_owned);
        self.part(Raw { content_type, file_name, content, merge, numbered })
    }

    /// Messages are about the next part from here on.
    fn begin(&mut self, file_name: Option<&str>, numbered: bool) -> Result<(), Stop> {
        if numbered {
            self.number += 1;
            let name = file_name.map(|name| format!(" ({})", quote(name))).unwrap_or_default();
            self.messages.turn_to(format!("{} part {}{name}", self.source, self.number));
        }
        if self.number > MAX_PARTS {
            return Err(Stop(format!("this and what follows is not used: more than {MAX_PARTS} parts")));
        }
        Ok(())
    }

    fn launch_index(&mut self, given: bool) {
        if given {
            let text = "Launch-Index is ignored: this machine has no launch index; the part is used";
            self.messages.info(Place::default(), "", text);
        }
    }

    fn part(&mut self, raw: Raw) -> Result<(), Stop> {
        self.left = self.left.checked_sub(raw.content.len()).ok_or_else(|| {
            Stop(format!("this and what follows is not used: more than {MAX_UNPACKED} bytes once unpacked"))
        })?;
        let kind = format::of(&raw.content_type, &raw.content);
        match kind {
            Some(Kind::Archive) => return self.archive(&raw.content),
            Some(Kind::Include) => return self.include(&raw.content),
            _ => self.attach(raw, kind),
        }
        Ok(())
    }

    fn include(&mut self, content: &[u8]) -> Result<(), Stop> {
        if self.nested == MAX_DEPTH {
            return Err(Stop(format!("the rest is not used: include lists are nested deeper than {MAX_DEPTH} levels")));
        }
        let Ok(text) = std::str::from_utf8(content) else {
            self.messages.error(Place::default(), "", "the include list is not used: a byte that is not UTF-8");
            return Ok(());
        };
        let includes = self.includes;
        for (line, url) in include::urls(text) {
            let Some(content) = includes.get(url) else {
                let text = format!("{} is not here yet: it is fetched once the network is up", include::shown(url));
                self.messages.info(Place::new(line, 1), "", text);
                self.split.missing.push(url.to_owned());
                continue;
            };
            let list = self.messages.current();
            self.begin(Some(&include::shown(url)), true)?;
            self.nested += 1;
            self.blob(content)?;
            self.nested -= 1;
            let list = self.messages.sources()[usize::from(list)].clone();
            self.messages.turn_to(list);
        }
        Ok(())
    }

    fn attach(&mut self, raw: Raw, kind: Option<Kind>) {
        self.attached += 1;
        let reason = match kind {
            Some(Kind::Unsupported(reason)) => reason.to_owned(),
            Some(kind) => {
                let name = raw.file_name.unwrap_or_else(|| format!("part-{:03}", self.attached));
                let source = self.messages.sources()[usize::from(self.messages.current())].clone();
                self.split.parts.push(Part { source, name, kind, content: raw.content, merge: raw.merge });
                return;
            }
            None => format!("type {} is not supported", quote(&raw.content_type)),
        };
        match (raw.numbered, kind) {
            (true, _) => self.messages.warning(Place::default(), "", format!("skipped: {reason}")),
            (false, Some(_)) => self.messages.error(Place::default(), "", format!("not used: {reason}")),
            (false, None) => self.messages.error(Place::new(1, 1), "", UNKNOWN),
        }
    }

    fn archive(&mut self, content: &[u8]) -> Result<(), Stop> {
        let Ok(text) = std::str::from_utf8(content) else {
            self.messages.error(Place::default(), "", "the archive is not used: a byte that is not UTF-8");
            return Ok(());
        };
        for item in archive::read(text, self.messages) {
            self.item(item)?;
        }
        Ok(())
    }

    fn item(&mut self, item: Item) -> Result<(), Stop> {
        self.begin(item.file_name.as_deref(), true)?;
        self.launch_index(item.header("launch-index").is_some());
        let merge = item.header("merge-type").or_else(|| item.header("x-merge-type")).map(str::to_owned);
        let guessed = || match format::sniff(&item.content) {
            Some(_) => "text/plain",
            None if std::str::from_utf8(&item.content).is_ok() => "text/cloud-config",
            None => "application/octet-stream",
        };
        let content_type = item.content_type.unwrap_or_else(|| guessed().to_owned());
        // A list within a list is not taken apart, as in cloud-init.
        if matches!(format::of(&content_type, &item.content), Some(Kind::Archive | Kind::Include)) {
            self.messages.warning(
                Place::default(),
                "",
                "skipped: an archive cannot hold an archive or an include list",
            );
            return Ok(());
        }
        self.part(Raw { content_type, file_name: item.file_name, content: item.content, merge, numbered: true })
    }
}

#[cfg(test)]
mod tests;
