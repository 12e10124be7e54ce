//! JSON patches (RFC 6902) with JSON pointers (RFC 6901).
//!
//! ```text
//! #cloud-config-jsonp
//! [{ "op": "add", "path": "/runcmd/-", "value": "echo x" }, { "op": "remove", "path": "/users/0" }]
//! ```

use crate::document::node::{Entry, MAX_WEIGHT};
use crate::document::yaml::MAX_DEPTH;
use crate::document::{Kind, Node, Scalar, Value};
use crate::report::Place;

/// Operations of one patch; each looks at the whole document.
const MAX_OPERATIONS: usize = 1000;

/// Why a patch is not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchError {
    /// The operation.
    pub place: Place,
    /// Its index, such as `[2]`.
    pub key: String,
    /// What; nothing of the values.
    pub text: String,
}

/// Applies all operations, or none.
pub fn apply(root: Node, patch: &Node) -> Result<Node, PatchError> {
    let fault = |place, key: &str, text: String| PatchError { place, key: key.to_owned(), text };
    let Some(operations) = patch.list() else {
        return Err(fault(patch.place, "", format!("expected a list of operations, found {}", patch.describe())));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(fault(patch.place, "", format!("more than {MAX_OPERATIONS} operations")));
    }
    operations.iter().enumerate().try_fold(root, |root, (index, operation)| {
        one(root, operation).map_err(|text| fault(operation.place, &format!("[{index}]"), text))
    })
}

fn one(mut root: Node, operation: &Node) -> Result<Node, String> {
    let text = |key: &str| operation.get(key).and_then(Node::text).ok_or(format!("{key}: expected a text"));
    let value = || operation.get("value").cloned().ok_or("value: it is needed".to_owned());
    let pointer = |key: &str| pointer(text(key)?).ok_or(format!("{key}: expected a path such as /runcmd/0"));
    let path = pointer("path")?;
    match text("op")? {
        "add" => add(&mut root, &path, value()?)?,
        "remove" => drop(remove(&mut root, &path)?),
        "replace" => *find(&mut root, &path)? = fitting(&path, value()?)?,
        "move" => {
            let from = pointer("from")?;
            if path.len() > from.len() && path.starts_with(&from) {
                return Err("a value cannot be moved into itself".into());
            }
            let value = remove(&mut root, &from)?;
            add(&mut root, &path, value)?;
        }
        "copy" => {
            let value = find(&mut root, &pointer("from")?)?.clone();
            // Copies of copies grow fast.
            if root.weight() + value.weight() > MAX_WEIGHT {
                return Err("the document becomes too large".into());
            }
            add(&mut root, &path, value)?;
        }
        "test" if same(find(&mut root, &path)?, &value()?) => {}
        "test" => return Err("the test fails: another value is there".into()),
        _ => return Err("op: expected add, remove, replace, move, copy or test".into()),
    }
    Ok(root)
}

/// The words of a pointer; the empty pointer is the whole document.
fn pointer(text: &str) -> Option<Vec<String>> {
    let Some(rest) = text.strip_prefix('/') else { return text.is_empty().then(Vec::new) };
    let words: Vec<String> = rest.split('/').map(|word| word.replace("~1", "/").replace("~0", "~")).collect();
    (words.len() <= MAX_DEPTH).then_some(words)
}

fn missing() -> String {
    "there is no such path in the documents before this one".into()
}

/// An index of an existing item; no sign, no leading zero.
fn position(word: &str, length: usize) -> Option<usize> {
    let plain = word == "0" || !word.starts_with(['0', '+']);
    word.parse().ok().filter(|&index| plain && index < length)
}

fn find<'n>(root: &'n mut Node, path: &[String]) -> Result<&'n mut Node, String> {
    path.iter().try_fold(root, |node, word| match &mut node.value {
        Value::Map(entries) => {
            entries.iter_mut().find(|entry| entry.key == *word).map(|entry| &mut entry.node).ok_or_else(missing)
        }
        Value::List(items) => {
            let index = position(word, items.len()).ok_or_else(missing)?;
            Ok(&mut items[index])
        }
        Value::Scalar(_) => Err(missing()),
    })
}

/// A value that does not make the document too deep at that path.
fn fitting(path: &[String], value: Node) -> Result<Node, String> {
    if path.len() + value.depth() > MAX_DEPTH {
        return Err(format!("the document would be nested deeper than {MAX_DEPTH} levels"));
    }
    Ok(value)
}

fn add(root: &mut Node, path: &[String], value: Node) -> Result<(), String> {
    let value = fitting(path, value)?;
    let Some((last, parent)) = path.split_last() else {
        *root = value;
        return Ok(());
    };
    match &mut find(root, parent)?.value {
        Value::Map(entries) => match entries.iter_mut().find(|entry| entry.key == *last) {
            Some(entry) => entry.node = value,
            None => entries.push(Entry { key: last.clone(), place: value.place, node: value }),
        },
        Value::List(items) if last == "-" => items.push(value),
        Value::List(items) => {
            let index = position(last, items.len() + 1).ok_or_else(missing)?;
            items.insert(index, value);
        }
        Value::Scalar(_) => return Err(missing()),
    }
    Ok(())
}

fn remove(root: &mut Node, path: &[String]) -> Result<Node, String> {
    let (last, parent) = path.split_last().ok_or("the whole document cannot be removed")?;
    match &mut find(root, parent)?.value {
        Value::Map(entries) => {
            let index = entries.iter().position(|entry| entry.key == *last).ok_or_else(missing)?;
            Ok(entries.remove(index).node)
        }
        Value::List(items) => Ok(items.remove(position(last, items.len()).ok_or_else(missing)?)),
        Value::Scalar(_) => Err(missing()),
    }
}

/// Equality of RFC 6902 section 4.6: places, spelling of numbers and order of keys do not matter.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Map(one), Value::Map(_)) if one.len() == other.map().map_or(0, <[Entry]>::len) => {
            one.iter().all(|entry| other.get(&entry.key).is_some_and(|node| same(&entry.node, node)))
        }
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Scalar(one), Value::Scalar(other)) => match (number(one), number(other)) {
            (Some(one), Some(other)) => one.total_cmp(&other).is_eq(),
            (None, None) => one.kind == other.kind && (one.kind != Kind::Text || one.text == other.text),
            _ => false,
        },
        _ => false,
    }
}

fn number(scalar: &Scalar) -> Option<f64> {
    match scalar.kind {
        Kind::Int(_) | Kind::Float => scalar.text.replace('_', "").parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use crate::document::yaml;
    use crate::report::Messages;
    use proptest::prelude::*;

    /// The patched document, which must be equal to `expected`, or the message.
    fn check(before: &str, patch: &str, expected: &str) {
        let mut messages = Messages::new("t");
        let mut document = Document::default();
        document.merge(before, None, &mut messages);
        let good = document.patch(&format!("#cloud-config-jsonp\n{patch}\n"), &mut messages);
        let texts: String = messages.list().iter().map(ToString::to_string).collect();
        if good {
            let expected = yaml::parse(expected, &mut messages).unwrap();
            assert!(super::same(document.root().unwrap(), &expected), "{before} {patch}: {:?}", document.root());
        } else {
            assert!(texts.contains(expected), "{before} {patch}: {texts}");
            let before = yaml::parse(before, &mut messages).unwrap();
            assert!(super::same(document.root().unwrap(), &before), "{patch}");
        }
    }

    /// The examples of RFC 6902 appendix A among them.
    #[test]
    fn operations() {
        for (before, patch, after) in [
            ("{foo: bar}", r#"[{"op": "add", "path": "/baz", "value": "qux"}]"#, "{baz: qux, foo: bar}"),
            ("{foo: [bar, baz]}", r#"[{"op": "add", "path": "/foo/1", "value": "qux"}]"#, "{foo: [bar, qux, baz]}"),
            ("{foo: [bar]}", r#"[{"op": "add", "path": "/foo/-", "value": ["a"]}]"#, "{foo: [bar, [a]]}"),
            ("{baz: qux, foo: bar}", r#"[{"op": "remove", "path": "/baz"}]"#, "{foo: bar}"),
            ("{foo: [a, b, c]}", r#"[{"op": "remove", "path": "/foo/1"}]"#, "{foo: [a, c]}"),
            ("{baz: qux}", r#"[{"op": "replace", "path": "/baz", "value": true}]"#, "{baz: true}"),
            ("{a: {b: c}, q: {}}", r#"[{"op": "move", "from": "/a/b", "path": "/q/d"}]"#, "{a: {}, q: {d: c}}"),
            ("{a: [1, 2, 3]}", r#"[{"op": "move", "from": "/a/0", "path": "/a/2"}]"#, "{a: [2, 3, 1]}"),
            ("{a: {b: 1}}", r#"[{"op": "copy", "from": "/a", "path": "/c"}]"#, "{a: {b: 1}, c: {b: 1}}"),
            (
                "{a/b: 1, m~n: 2}",
                r#"[{"op": "test", "path": "/a~1b", "value": 1.0}, {"op": "remove", "path": "/m~0n"}]"#,
                "{a/b: 1}",
            ),
            (
                "{a: {x: 1, y: [~]}}",
                r#"[{"op": "test", "path": "/a", "value": {"y": [null], "x": 1}}]"#,
                "{a: {x: 1, y: [~]}}",
            ),
            ("{}", r#"[{"op": "add", "path": "", "value": {"a": 1}}]"#, "{a: 1}"),
            ("{a: 1}", "[]", "{a: 1}"),
        ] {
            check(before, patch, after);
        }
    }

    #[test]
    fn a_fault_leaves_everything_as_it_was() {
        for (before, patch, message) in [
            (
                "{a: 1}",
                r#"[{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/b"}]"#,
                "t line 2 column 34 [1]: the JSON patch is not used: there is no such path",
            ),
            ("{a: [1]}", r#"[{"op": "add", "path": "/a/2", "value": 1}]"#, "no such path"),
            ("{a: [1]}", r#"[{"op": "remove", "path": "/a/00"}]"#, "no such path"),
            ("{a: 1}", r#"[{"op": "test", "path": "/a", "value": "1"}]"#, "the test fails"),
            ("{a: {}}", r#"[{"op": "move", "from": "/a", "path": "/a/b"}]"#, "into itself"),
            ("{a: 1}", r#"[{"op": "remove", "path": ""}]"#, "cannot be removed"),
            ("{a: 1}", r#"[{"op": "add", "path": "", "value": []}]"#, "something else than a mapping"),
            ("{a: 1}", r#"[{"op": "add", "path": "/b"}]"#, "value: it is needed"),
            ("{a: 1}", r#"[{"op": "merge", "path": "/b"}]"#, "op: expected add"),
            ("{a: 1}", r#"[{"op": "add", "path": "b", "value": 1}]"#, "path: expected a path"),
            ("{a: 1}", r#"{"op": "add"}"#, "expected a list of operations"),
            ("{a: 1}", "[{]", "t line 2"),
        ] {
            check(before, patch, message);
        }
    }

    #[test]
    fn copies_of_copies_are_bounded() {
        for (path, from, expected) in [("/a/-", "/a", "becomes too large"), ("/b", "", "nested deeper than 64 levels")]
        {
            let copies = vec![format!(r#"{{"op": "copy", "from": "{from}", "path": "{path}"}}"#); 100].join(", ");
            check(&format!("{{a: [{}]}}", "x,".repeat(1000)), &format!("[{copies}]"), expected);
        }
        check("{}", &format!("[{}]", r#"{"op": "x"},"#.repeat(1001)), "more than 1000 operations");
    }

    proptest! {
        #[test]
        fn any_patch_ends(operations in proptest::collection::vec(("(add|remove|replace|move|copy|test)", "(/(a|b|0|1|-|~0)){0,3}", "(/(a|b|0)){0,2}"), 0..6)) {
            let operations: Vec<String> = operations.iter().map(|(op, path, from)| {
                format!(r#"{{"op": "{op}", "path": "{path}", "from": "{from}", "value": {{"a": [1, 2]}}}}"#)
            }).collect();
            let mut document = Document::default();
            document.merge("{a: [1, {b: 2}], b: {a: x}}", None, &mut Messages::new("t"));
            document.patch(&format!("[{}]", operations.join(", ")), &mut Messages::new("t"));
            prop_assert!(document.root().unwrap().map().is_some());
        }
    }
}
