//! YAML text to [`Node`]: libyaml's events, YAML 1.1 scalars, anchors, merge keys, and budgets against hostile input.
//!
//! Duplicate keys: the last one wins with a warning, as documents in the wild have them. CRLF becomes LF first,
//! because block scalars would double their line ends. Only the first document of a stream is read.

use super::node::{Entry, Kind, MAX_WEIGHT, NODE_WEIGHT, Node, Scalar, Value};
use super::{scalar, tags};
use crate::report::{Messages, Place, quote};
use base64::Engine;
use libyaml_safer::{Event, EventData, Mark, Parser, ScalarStyle};
use std::collections::HashMap;

/// Deepest nesting: real documents have less than 10 levels.
pub const MAX_DEPTH: usize = 64;

/// Why a document cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct YamlError {
    /// Where.
    pub place: Place,
    /// What.
    pub text: String,
}

/// Reads the first document of `text`; an empty text is null. Warnings go to `messages`.
pub fn parse(text: &str, messages: &mut Messages) -> Result<Node, YamlError> {
    let mut text = text.replace("\r\n", "\n");
    // The scanner panics when a block scalar or an escape is the very last thing of the input.
    text.push('\n');
    tags::check(&text)?;
    let mut input = text.as_bytes();
    let mut loader = Loader { parser: reader(&mut input), anchors: HashMap::new(), weight: 0, messages };
    loader.document()
}

/// A parser of UTF-8.
pub(super) fn reader<'i>(input: &'i mut &'i [u8]) -> Parser<&'i mut &'i [u8]> {
    let mut parser = Parser::new();
    parser.set_input_string(input);
    parser.set_encoding(libyaml_safer::Encoding::Utf8);
    parser
}

pub(super) fn next_event(parser: &mut Parser<&mut &[u8]>) -> Result<Event, YamlError> {
    parser.parse().map_err(|error| {
        let at = error.problem_mark().or(error.context_mark()).map(place).unwrap_or_default();
        let problem = match error.problem() {
            "" => error.to_string(),
            problem => problem.to_owned(),
        };
        let context = error.context().filter(|context| !context.is_empty());
        let text = context.map_or_else(|| problem.clone(), |context| format!("{problem} ({context})"));
        YamlError { place: at, text: format!("not valid YAML: {text}") }
    })
}

struct Loader<'p, 'm> {
    parser: Parser<&'p mut &'p [u8]>,
    /// Finished anchored nodes and their weight.
    anchors: HashMap<String, (Node, usize)>,
    weight: usize,
    messages: &'m mut Messages,
}

impl Loader<'_, '_> {
    fn document(&mut self) -> Result<Node, YamlError> {
        loop {
            let (data, place) = self.next()?;
            match data {
                EventData::StreamStart { .. } | EventData::DocumentStart { .. } => {}
                EventData::StreamEnd => {
                    return Ok(Node { place, value: Value::Scalar(Scalar { text: String::new(), kind: Kind::Null }) });
                }
                data => {
                    let node = self.node(data, place, 0)?;
                    self.rest()?;
                    return Ok(node);
                }
            }
        }
    }

    /// What follows the first document must still be YAML: half a document is more often a mistake than meant.
    fn rest(&mut self) -> Result<(), YamlError> {
        loop {
            let (data, place) = self.next()?;
            match data {
                EventData::StreamEnd => return Ok(()),
                EventData::DocumentStart { .. } => {
                    self.messages.warning(place, "", "only the first YAML document is used");
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(EventData, Place), YamlError> {
        let source = self.messages.current();
        next_event(&mut self.parser).map(|event| (event.data, Place { source, ..place(event.start_mark) }))
    }

    fn node(&mut self, data: EventData, at: Place, depth: usize) -> Result<Node, YamlError> {
        if depth > MAX_DEPTH {
            return Err(YamlError { place: at, text: format!("nested deeper than {MAX_DEPTH} levels") });
        }
        let before = self.weight;
        self.charge(NODE_WEIGHT, at)?;
        let (value, anchor) = match data {
            EventData::Alias { anchor } => {
                let Some((node, weight)) = self.anchors.get(&anchor) else {
                    return Err(YamlError { place: at, text: format!("unknown alias *{}", quote(&anchor)) });
                };
                let (value, weight) = (node, *weight);
                if self.weight + weight > MAX_WEIGHT {
                    return Err(too_large(at));
                }
                self.weight += weight;
                return Ok(Node { place: at, value: value.value.clone() });
            }
            EventData::Scalar { value, tag, style, anchor, .. } => {
                self.charge(value.len(), at)?;
                (Value::Scalar(self.scalar(value, tag.as_deref(), style, at)?), anchor)
            }
            EventData::SequenceStart { anchor, .. } => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (EventData::SequenceEnd, _) => break,
                        (data, place) => items.push(self.node(data, place, depth + 1)?),
                    }
                }
                (Value::List(items), anchor)
            }
            EventData::MappingStart { anchor, .. } => (self.mapping(depth)?, anchor),
            _ => return Err(YamlError { place: at, text: "not valid YAML: unexpected end".into() }),
        };
        let node = Node { place: at, value };
        if let Some(anchor) = anchor {
            // The copy kept for aliases costs as much as the node itself.
            let weight = self.weight - before;
            self.charge(weight, at)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        Ok(node)
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let (data, key_place) = self.next()?;
            if data == EventData::MappingEnd {
                break;
            }
            let plain_merge =
                matches!(&data, EventData::Scalar { value, style: ScalarStyle::Plain, .. } if value == "<<");
            let key = self.node(data, key_place, depth + 1)?;
            let (data, value_place) = self.next()?;
            let node = self.node(data, value_place, depth + 1)?;
            let Value::Scalar(Scalar { text: key, .. }) = key.value else {
                self.messages.warning(key_place, "", "a key that is not plain text was left out");
                continue;
            };
            if plain_merge {
                merged.push(node);
            } else if let Some(&position) = index.get(&key) {
                let text = format!("given again (first in line {}); the last one counts", entries[position].place.line);
                self.messages.warning(key_place, &quote(&key), text);
                entries[position] = Entry { key, place: key_place, node };
            } else {
                index.insert(key.clone(), entries.len());
                entries.push(Entry { key, place: key_place, node });
            }
        }
        for node in merged {
            self.merge(&mut entries, &mut index, node);
        }
        Ok(Value::Map(entries))
    }

    /// `<<: *defaults` or `<<: [*a, *b]`: keys that are not there yet.
    fn merge(&mut self, entries: &mut Vec<Entry>, index: &mut HashMap<String, usize>, node: Node) {
        match node.value {
            Value::Map(add) => {
                for entry in add {
                    if !index.contains_key(&entry.key) {
                        index.insert(entry.key.clone(), entries.len());
                        entries.push(entry);
                    }
                }
            }
            Value::List(maps) if maps.iter().all(|map| map.map().is_some()) => {
                for map in maps {
                    self.merge(entries, index, map);
                }
            }
            _ => self.messages.error(node.place, "<<", "a merge key takes a mapping or a list of mappings"),
        }
    }

    fn scalar(&self, text: String, tag: Option<&str>, style: ScalarStyle, at: Place) -> Result<Scalar, YamlError> {
        let plain = matches!(style, ScalarStyle::Plain);
        let kind = match tag.and_then(|tag| tag.strip_prefix("tag:yaml.org,2002:")) {
            Some("str") => Kind::Text,
            Some("binary") => {
                let packed: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
                let bytes = base64::engine::general_purpose::STANDARD
                    .decode(packed)
                    .map_err(|_| YamlError { place: at, text: "!!binary value is not base64".into() })?;
                Kind::Bytes(bytes)
            }
            Some(_) => scalar::resolve(&text),
            None if plain => scalar::resolve(&text),
            None => Kind::Text,
        };
        Ok(Scalar { text, kind })
    }

    fn charge(&mut self, weight: usize, at: Place) -> Result<(), YamlError> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight > MAX_WEIGHT { Err(too_large(at)) } else { Ok(()) }
    }
}

fn too_large(place: Place) -> YamlError {
    YamlError { place, text: "the document is too large once its aliases are expanded".into() }
}

pub(super) fn place(mark: Mark) -> Place {
    let number = |value: u64| u32::try_from(value.saturating_add(1)).unwrap_or(u32::MAX);
    Place::new(number(mark.line), number(mark.column))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn load(text: &str) -> (Result<Node, YamlError>, Messages) {
        let mut messages = Messages::new("t");
        let result = parse(text, &mut messages);
        (result, messages)
    }

    fn good(text: &str) -> Node {
        load(text).0.unwrap()
    }

    #[test]
    fn places_count_from_one() {
        let node = good("a: 1\nb:\n  - x\n  - yes\n");
        let item = &node.get("b").unwrap().list().unwrap()[1];
        assert_eq!((item.place.line, item.place.column), (4, 5));
        assert_eq!(item.boolean(), Some(true));
    }

    #[test]
    fn quoted_scalars_are_text_and_tags_count() {
        let node = good("a: '0644'\nb: !!str 0644\nc: 0644\nd: !!binary aGk=\n");
        assert_eq!(node.get("a").unwrap().describe(), "text");
        assert_eq!(node.get("b").unwrap().describe(), "text");
        assert_eq!(node.get("c").unwrap().integer(), Some(0o644));
        assert_eq!(node.get("c").unwrap().text(), Some("0644"));
        assert!(
            matches!(&node.get("d").unwrap().value, Value::Scalar(Scalar { kind: Kind::Bytes(b), .. }) if b == b"hi")
        );
    }

    #[test]
    fn last_duplicate_wins_with_a_warning() {
        let (node, messages) = load("a: 1\nb: 2\na: 3\n");
        assert_eq!(node.unwrap().get("a").unwrap().integer(), Some(3));
        assert_eq!(
            messages.list()[0].to_string(),
            "t line 3 column 1 a: given again (first in line 1); the last one counts"
        );
    }

    #[test]
    fn merge_keys_add_what_is_missing() {
        let node = good("d: &d {a: 1, b: 2}\ne: &e {c: 5}\nx:\n  <<: [*d, *e]\n  b: 3\ny: {'<<': 1}\n");
        let x = node.get("x").unwrap();
        assert_eq!(x.get("a").unwrap().integer(), Some(1));
        assert_eq!(x.get("b").unwrap().integer(), Some(3));
        assert_eq!(x.get("c").unwrap().integer(), Some(5));
        assert!(node.get("y").unwrap().get("<<").is_some());
    }

    #[test]
    fn crlf_does_not_double_lines() {
        assert_eq!(good("a: |\r\n  x\r\n  y\r\n").get("a").unwrap().text(), Some("x\ny\n"));
    }

    #[test]
    fn the_last_line_needs_no_end() {
        assert_eq!(good("a: |\n  x").get("a").unwrap().text(), Some("x\n"));
        assert!(load("a: \"\\").0.is_err());
    }

    #[test]
    fn hostile_documents_end_with_an_error_that_has_a_line() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let list = vec![format!("*a{}", level - 1); 10].join(",");
            bomb += &format!("a{level}: &a{level} [{list}]\n");
        }
        let quadratic = format!("a: &a '{}'\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 10_000].join(","));
        for (name, text, expected) in [
            ("billion laughs", bomb.as_str(), "too large"),
            ("quadratic", &quadratic, "too large"),
            ("flow nesting", &"[".repeat(100_000), "nested deeper"),
            ("block nesting", &(0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>(), "nested deeper"),
            ("many nodes", &"- a\n".repeat(200_000), "too large"),
            ("recursive alias", "a: &a [*a]\n", "unknown alias"),
            ("tab", "a:\n\t- b\n", "not valid YAML"),
            ("open quote", "a: 'x\n", "not valid YAML"),
            ("NUL", "a: \0\n", "not valid YAML"),
            ("colon", "a: b: c\n", "mapping values are not allowed"),
            ("tag before a comma", "a: [!t,b]\n", "write a blank"),
            ("second half", "a: 1\n- b\n", "not valid YAML"),
        ] {
            let error = load(text).0.expect_err(name);
            assert!(error.text.contains(expected), "{name}: {error}");
            assert!(error.place.line > 0 || name == "NUL", "{name}: {error:?}");
        }
    }

    #[test]
    fn empty_and_comment_only_are_null() {
        for text in ["", "\n\n", "# only\n", "#cloud-config\n", "---\n"] {
            assert!(good(text).is_null(), "{text:?}");
        }
    }

    #[test]
    fn second_document_is_noticed() {
        let (node, messages) = load("a: 1\n---\nb: 2\n");
        assert!(node.unwrap().get("a").is_some());
        assert!(messages.list()[0].text.contains("first YAML document"));
    }

    proptest! {
        #[test]
        fn any_text_ends(text in "\\PC{0,400}") {
            drop(load(&text));
        }

        #[test]
        fn any_yaml_like_text_ends(parts in proptest::collection::vec(
            prop::sample::select(vec!["a", ": ", "- ", "\n", "  ", "[", "]", "{", "}", "&x ", "*x", "'", "\"", "|\n", ">-\n",
                "#", "!!str ", "<<", ", ", "? ", "---\n", "...\n", "%", "\t", "\r\n", "é", "0", "~", "\u{feff}", "\0"]), 0..60)) {
            drop(load(&parts.concat()));
        }
    }
}
