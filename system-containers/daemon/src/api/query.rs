//! Query strings, `application/x-www-form-urlencoded` as Docker's clients write them. Pure.

use super::error::ApiError;
use std::collections::BTreeMap;

/// Decoded keys and values; of a key given twice the first counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Decodes the part behind `?`.
    pub fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            values.entry(decode(key)).or_insert_with(|| decode(value));
        }
        Self(values)
    }

    /// A value, if it is given and not empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A boolean in Go's spelling; absent is false.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| !matches!(value, "0" | "false" | "False" | "no" | "none"))
    }

    /// A number.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, ApiError> {
        let parse =
            |text: &str| text.parse().map_err(|_| ApiError::bad(format!("{key}: \"{text}\" is no such number")));
        self.get(key).map(parse).transpose()
    }
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = |offset: usize| bytes.get(index + offset).and_then(|byte| char::from(*byte).to_digit(16));
        match bytes[index] {
            b'+' => decoded.push(b' '),
            b'%' => match (hex(1), hex(2)) {
                (Some(high), Some(low)) => {
                    decoded.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                    index += 2;
                }
                _ => decoded.push(b'%'),
            },
            byte => decoded.push(byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let query = Query::parse("all=1&name=a%20b+c&off=0&empty=&n=12&bad=%zz");
        assert!(query.flag("all") && !query.flag("off") && !query.flag("empty") && !query.flag("absent"));
        assert_eq!(query.get("name"), Some("a b c"));
        assert_eq!(query.get("bad"), Some("%zz"));
        assert_eq!(query.number::<u16>("n").unwrap(), Some(12));
        assert!(query.number::<u16>("name").is_err());
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text: String) {
            Query::parse(&text);
        }
    }
}
