//! Tags that end at a comma (`[!t,x]`), which libyaml-safer 0.3.0 panics on; the release build aborts on a panic.
//!
//! Whether such a comma ends a tag or is part of a text only a YAML parser knows. So documents that have one are read
//! once before with a blank in front of each, which changes no tag and keeps the scanner alive.

use super::yaml::{YamlError, next_event, place, reader};
use libyaml_safer::{Event, EventData};
use std::collections::BTreeSet;

/// What a person has to do about it.
const REMEDY: &str = "not valid YAML here: write a blank between the tag (!…) and the comma";

/// Refuses a document with such a tag; `text` has LF line ends and ends with one.
pub(super) fn check(text: &str) -> Result<(), YamlError> {
    let (padded, blanks) = pad(text);
    if blanks.is_empty() {
        return Ok(());
    }
    let mut input = padded.as_bytes();
    let mut parser = reader(&mut input);
    let mut inside = false;
    loop {
        let event = next_event(&mut parser)?;
        let (start, end) = (event.start_mark.index, event.end_mark.index);
        if is_bare_tag(&event) && blanks.range(start..=end).next().is_some() {
            return Err(YamlError { place: place(event.start_mark), text: REMEDY.into() });
        }
        match event.data {
            EventData::StreamEnd => return Ok(()),
            // Further documents are not read.
            EventData::DocumentStart { .. } if std::mem::replace(&mut inside, true) => return Ok(()),
            _ => {}
        }
    }
}

/// A tag with nothing behind it is an empty plain scalar.
fn is_bare_tag(event: &Event) -> bool {
    matches!(&event.data, EventData::Scalar { tag: Some(_), value, .. } if value.is_empty())
}

/// Puts a blank before each comma that may end a tag; with the characters' numbers of the blanks.
fn pad(text: &str) -> (String, BTreeSet<u64>) {
    let (mut padded, mut blanks) = (String::with_capacity(text.len()), BTreeSet::new());
    let (mut count, mut word) = (0, String::new());
    for character in text.chars() {
        match character {
            ',' => {
                if may_be_tag(&word) {
                    padded.push(' ');
                    blanks.insert(count);
                    count += 1;
                    word.clear();
                } else {
                    word.push(character);
                }
            }
            _ if character.is_whitespace() => word.clear(),
            _ => word.push(character),
        }
        padded.push(character);
        count += 1;
    }
    (padded, blanks)
}

/// Whether a tag may end with `word`, written without blanks. In `!<…>` a comma is the tag's own.
fn may_be_tag(word: &str) -> bool {
    word.rsplit_once('!').is_some_and(|(_, rest)| !rest.starts_with('<') || rest.contains('>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_before_commas_are_refused_with_their_line() {
        for text in ["[!t,b]\n", "- [!,b]\n", "{!t,b: 1}\n", "[a, !!str,b]\n", "[!<t:x,y>,b]\n", "[&a !t,b]\n"] {
            let error = check(&format!("# first\n{text}")).expect_err(text);
            assert_eq!((error.place.line, error.text.contains("blank")), (2, true), "{text}: {error:?}");
        }
    }

    #[test]
    fn a_tag_behind_a_quote_is_an_error_and_no_panic() {
        assert_eq!(check("[\"!<\"!a,b]\n").expect_err("not YAML").place.line, 1);
    }

    #[test]
    fn other_commas_after_exclamation_marks_are_text() {
        for text in [
            "a: hello!, world\n",
            "[hello!, world]\n",
            "a: 'b!,c'\n",
            "[\"b!,c\"]\n",
            "a: |\n  b!,c\n",
            "# b!,c\na: 1\n",
            "[!t ,b]\n",
            "[!<tag:x,y> b]\n",
            "[!t b!,c]\n",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }
}
