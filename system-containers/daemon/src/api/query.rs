//! Query strings, `application/x-www-form-urlencoded` as Docker's clients write them. Pure.

use super::error::ApiError;
use crate::clock::WallTime;
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

    /// A time; Docker's clients send 0 for "not given".
    pub fn time(&self, key: &str) -> Result<Option<WallTime>, ApiError> {
        let parse = |text: &str| {
            WallTime::parse_query(text).ok_or_else(|| ApiError::bad(format!("{key}: \"{text}\" is no time")))
        };
        self.get(key).filter(|text| *text != "0").map(parse).transpose()
    }

    /// A number.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, ApiError> {
        let parse =
            |text: &str| text.parse().map_err(|_| ApiError::bad(format!("{key}: \"{text}\" is no such number")));
        self.get(key).map(parse).transpose()
    }
}

/// The `filters` of a query: Docker sends `{"name":["a"]}`, older clients `{"name":{"a":true}}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Reads them; a key that is not in `known` is refused rather than passed over.
    pub fn parse(query: &Query, known: &[&str]) -> Result<Self, ApiError> {
        let Some(text) = query.get("filters") else { return Ok(Self::default()) };
        let values: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|error| ApiError::bad(format!("filters: {error}")))?;
        let mut filters = Self::default();
        for (key, value) in values {
            if !known.contains(&key.as_str()) {
                return Err(ApiError::unsupported(&format!("filter \"{key}\"")));
            }
            let values = match value {
                serde_json::Value::Array(values) => {
                    values.into_iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
                }
                serde_json::Value::Object(values) => values.into_iter().map(|(value, _)| value).collect(),
                _ => return Err(ApiError::bad(format!("filters: \"{key}\" needs a list"))),
            };
            filters.0.insert(key, values);
        }
        Ok(filters)
    }

    /// Whether the filter is given.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Any of its values matches, or there is no such filter.
    pub fn pass(&self, key: &str, matches: impl Fn(&str) -> bool) -> bool {
        self.0.get(key).is_none_or(|values| values.iter().any(|value| matches(value)))
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

    #[test]
    fn filters_take_both_forms() {
        for text in ["{\"name\":[\"time\"]}", "{\"name\":{\"time\":true}}"] {
            let query = Query(BTreeMap::from([("filters".to_owned(), text.to_owned())]));
            let filters = Filters::parse(&query, &["name"]).unwrap();
            assert!(filters.has("name") && filters.pass("name", |value| value == "time"));
            assert!(!filters.pass("name", |value| value == "udev") && filters.pass("id", |_| false));
            assert!(Filters::parse(&query, &["id"]).is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text: String) {
            Query::parse(&text);
        }
    }
}
