//! `merge_how` (or `merge_type`): how mappings, lists and texts go onto what is there.
//!
//! ```text
//! "list(append)+dict(no_replace,recurse_list)+str()"
//! [{name: list, settings: [append]}, {name: dict, settings: [no_replace, recurse_list]}]
//! ```
//! A kind that is not named is never merged: what was there stays.

use crate::document::{Node, Value};

const EXPECTED: &str = "expected names with their settings, such as list(append)+dict(no_replace,recurse_list)+str()";

/// How each kind is merged; `None` keeps what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How {
    /// Mappings.
    pub dict: Option<Dict>,
    /// Lists.
    pub list: Option<List>,
    /// Texts.
    pub text: Option<Text>,
}

/// `dict(…)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dict {
    /// `replace`: the later value of a key counts; else the earlier one, unless the two are merged.
    pub replace: bool,
    /// `recurse_str`: texts are merged.
    pub recurse_text: bool,
    /// `recurse_list`, `recurse_array`: lists are merged. Mappings always are.
    pub recurse_list: bool,
    /// `allow_delete`: a null takes the key away.
    pub delete: bool,
}

/// `list(…)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct List {
    /// Where the later items go.
    pub method: Method,
    /// `recurse_str`: texts at the same index are merged.
    pub recurse_text: bool,
    /// `recurse_list`, `recurse_array`: lists at the same index are merged.
    pub recurse_list: bool,
    /// `recurse_dict`: mappings at the same index are merged.
    pub recurse_dict: bool,
}

/// Where the later items go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// Behind the earlier ones.
    Append,
    /// Before them.
    Prepend,
    /// Each to the place of the earlier one with its index; further ones are lost, as in cloud-init.
    #[default]
    Replace,
    /// Nowhere.
    Keep,
}

/// `str(…)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Text {
    /// `append`: the later text goes behind the earlier one; else it takes its place.
    pub append: bool,
}

impl Default for How {
    /// cloud-init's `dict(replace)+list()+str()`.
    fn default() -> Self {
        Self {
            dict: Some(Dict { replace: true, ..Dict::default() }),
            list: Some(List::default()),
            text: Some(Text::default()),
        }
    }
}

impl How {
    /// Says nothing of any kind.
    pub fn nothing() -> Self {
        Self { dict: None, list: None, text: None }
    }

    /// Fills in what is not said.
    pub fn or(self, below: Self) -> Self {
        Self { dict: self.dict.or(below.dict), list: self.list.or(below.list), text: self.text.or(below.text) }
    }

    /// Documents are mappings: without this nothing of one is used.
    pub fn merges_mappings(&self) -> bool {
        self.dict.is_some()
    }

    /// Adds one merger; the first one of a kind counts.
    fn with(self, name: &str, settings: &[String]) -> Result<Self, String> {
        let any = |words: &[&str]| settings.iter().any(|setting| words.contains(&setting.as_str()));
        let (recurse_text, recurse_list) = (any(&["recurse_str"]), any(&["recurse_list", "recurse_array"]));
        let mut one = Self::nothing();
        match name.trim().to_ascii_lowercase().replace('-', "_").trim_start_matches("m_") {
            "dict" => {
                one.dict = Some(Dict {
                    replace: any(&["replace"]),
                    recurse_text,
                    recurse_list,
                    delete: any(&["allow_delete"]),
                });
            }
            "list" => {
                let methods = [("append", Method::Append), ("prepend", Method::Prepend), ("replace", Method::Replace)];
                let method = methods.into_iter().chain([("no_replace", Method::Keep)]).find(|(word, _)| any(&[word]));
                let method = method.map(|(_, method)| method).unwrap_or_default();
                one.list = Some(List { method, recurse_text, recurse_list, recurse_dict: any(&["recurse_dict"]) });
            }
            "str" => one.text = Some(Text { append: any(&["append"]) }),
            _ => return Err(format!("{EXPECTED}; the names are dict, list and str")),
        }
        Ok(self.or(one))
    }
}

/// Reads the text form.
pub fn of_text(text: &str) -> Result<How, String> {
    let mut how = How::nothing();
    for word in text.split('+').map(str::trim).filter(|word| !word.is_empty()) {
        let (name, settings) = word.strip_suffix(')').and_then(|word| word.split_once('(')).ok_or(EXPECTED)?;
        how = how.with(name, &settings_of(settings))?;
    }
    Ok(how)
}

/// Reads either form.
pub fn of_node(node: &Node) -> Result<How, String> {
    let Some(items) = node.list() else { return of_text(node.text().ok_or(EXPECTED)?) };
    let mut how = How::nothing();
    for item in items {
        let (name, settings) = match &item.value {
            Value::Map(_) => (item.get("name"), item.get("settings").map(texts).unwrap_or_default()),
            Value::List(words) => (words.first(), words.iter().skip(1).flat_map(texts).collect()),
            Value::Scalar(_) => (None, Vec::new()),
        };
        how = how.with(name.and_then(Node::text).ok_or(EXPECTED)?, &settings)?;
    }
    Ok(how)
}

fn texts(node: &Node) -> Vec<String> {
    match &node.value {
        Value::List(items) => items.iter().flat_map(texts).collect(),
        _ => settings_of(node.text().unwrap_or_default()),
    }
}

fn settings_of(text: &str) -> Vec<String> {
    text.split(',').map(|word| word.trim().to_ascii_lowercase()).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;
    use crate::report::Messages;

    fn read(text: &str) -> Result<How, String> {
        of_node(&yaml::parse(text, &mut Messages::new("t")).unwrap())
    }

    #[test]
    fn both_forms() {
        let how = How {
            dict: Some(Dict { recurse_list: true, ..Dict::default() }),
            list: Some(List { method: Method::Append, ..List::default() }),
            text: Some(Text::default()),
        };
        for text in [
            "list(append)+dict(no_replace,recurse_list)+str()",
            "' List( APPEND ) + m-dict(no_replace, recurse_array)+ STR()+list(prepend)'",
            "[{name: list, settings: [append]}, {name: dict, settings: [no_replace, recurse_list]}, {name: str, settings: []}]",
            "[[list, append], [dict, 'recurse_list'], [str]]",
        ] {
            assert_eq!(read(text), Ok(how), "{text}");
        }
        assert_eq!(read("dict(replace)+list()+str()"), Ok(How::default()));
        assert_eq!(read("''"), Ok(How::nothing()));
        assert_eq!(read("list(append)").map(|how| how.or(How::default()).dict), Ok(How::default().dict));
    }

    #[test]
    fn mistakes_are_told_and_not_repeated() {
        for text in ["list", "list(append", "set(secret)", "[list]", "[{settings: [append]}]", "{a: b}", "[[]]"] {
            let error = read(text).expect_err(text);
            assert!(error.contains("list(append)+dict") && !error.contains("secret"), "{text}: {error}");
        }
    }
}
