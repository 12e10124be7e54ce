//! Versions of releases and their order.
//!
//! ```text
//! version = number *("." number) ["-" suffix]        1.4.0-rc.2
//! suffix  = part *("." part)                         parts: letters, digits
//! ```
//!
//! Numbers compare as numbers, a missing one counts as 0. A version with a suffix comes before the same without: it leads
//! up to it. Parts of suffixes compare as numbers where both are, a number comes before a word, and the shorter of two
//! suffixes that are alike so far comes first. `1.0` and `1.0.0` are equal in order and so are one version.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A version is part of URLs, paths and of the kernel command line.
const MAX_LENGTH: usize = 64;

/// A version.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(Box<str>);

/// What is compared: numbers without zeros at the end, and the suffix.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Parts {
    numbers: Vec<u64>,
    suffix: Option<Vec<Part>>,
}

/// A part of a suffix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Number(u64),
    Word(String),
}

/// Not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no version: numbers with dots between them and an optional -suffix are needed, such as 1.4.0-rc.2")]
pub struct NoVersion(String);

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        match parts(text) {
            Some(_) => Ok(Self(text.into())),
            None => Err(NoVersion(text.chars().take(MAX_LENGTH).collect())),
        }
    }
}

fn parts(text: &str) -> Option<Parts> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let (numbers, suffix) = text.split_once('-').map_or((text, None), |(numbers, rest)| (numbers, Some(rest)));
    let mut numbers: Vec<u64> = numbers.split('.').map(number).collect::<Option<_>>()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    let suffix = match suffix {
        Some(suffix) => Some(suffix.split('.').map(part).collect::<Option<_>>()?),
        None => None,
    };
    Some(Parts { numbers, suffix })
}

/// Digits without a sign; a leading zero would let one number be written twice.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

fn part(text: &str) -> Option<Part> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => number(text).map(Part::Number),
        false => Some(Part::Word(text.to_owned())),
    }
}

impl Version {
    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Version {
    fn parts(&self) -> Parts {
        // Every version was parsed once.
        parts(&self.0).unwrap_or(Parts { numbers: Vec::new(), suffix: None })
    }
}

impl Ord for Parts {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (&self.suffix, &other.suffix) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(this), Some(other)) => this.cmp(other),
        })
    }
}

impl PartialOrd for Parts {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl TryFrom<String> for Version {
    type Error = NoVersion;

    fn try_from(text: String) -> Result<Self, NoVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.0.into()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn order() {
        let ascending = [
            "0.1.0-1",
            "0.1.0-2",
            "0.1.0-10",
            "0.1.0-a",
            "0.1.0-rc",
            "0.1.0-rc.1",
            "0.1.0",
            "0.1.1",
            "0.2",
            "0.10",
            "1",
        ];
        for (index, lower) in ascending.iter().enumerate() {
            for higher in &ascending[index + 1..] {
                assert!(version(lower) < version(higher), "{lower} < {higher}");
            }
        }
        assert_eq!(version("1.0"), version("1"));
        assert_eq!(version("0"), version("0.0.0"));
    }

    #[test]
    fn what_is_no_version() {
        for text in [
            "",
            ".",
            "1.",
            "v1",
            "1..2",
            "01",
            "1-",
            "1-a..b",
            "1-é",
            "1/..",
            "1 ",
            "+1",
            "1-a b",
            "1-0x.01",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
        assert!("1.".repeat(40).parse::<Version>().is_err());
    }

    proptest! {
        #[test]
        fn the_order_is_total(texts in proptest::array::uniform3("[0-2](\\.[0-2]){0,2}(-(a|b|[0-2])(\\.[0-2])?)?")) {
            let [a, b, c] = texts.map(|text| version(&text));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
            prop_assert_eq!(version(a.as_str()), a);
        }
    }
}
