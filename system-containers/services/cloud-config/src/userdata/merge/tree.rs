//! Two trees to one; the rules of cloud-init's mergers, with their oddities.

use super::how::{Dict, How, List, Method};
use crate::document::node::Entry;
use crate::document::{Kind, Node, Scalar, Value};
use std::collections::HashMap;

/// Puts `new` onto `old`. The kind of `old` decides who merges; what nobody merges stays as it is.
pub fn merge(how: &How, old: Node, new: Node) -> Node {
    match (&old.value, how.dict, how.list, how.text) {
        (Value::Map(_), Some(dict), _, _) => mappings(how, dict, old, new),
        (Value::List(_), _, Some(list), _) => lists(how, list, old, new),
        (Value::Scalar(Scalar { kind: Kind::Text, .. }), _, _, Some(text)) if text.append => joined(old, new),
        (Value::Scalar(Scalar { kind: Kind::Text, .. }), _, _, Some(_)) => new,
        _ => old,
    }
}

fn mappings(how: &How, dict: Dict, old: Node, new: Node) -> Node {
    let place = old.place;
    let (entries, add) = match (old.value, new.value) {
        (Value::Map(entries), Value::Map(add)) => (entries, add),
        (value, _) => return Node { place, value },
    };
    // Slots, since keys may be taken away while others are looked up by position.
    let mut slots: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    let mut index: HashMap<String, usize> = HashMap::new();
    for (position, entry) in slots.iter().enumerate() {
        index.extend(entry.as_ref().map(|entry| (entry.key.clone(), position)));
    }
    for entry in add {
        let slot = index.get(&entry.key).and_then(|&position| slots.get_mut(position));
        match slot {
            Some(slot) if dict.delete && entry.node.is_null() => *slot = None,
            Some(slot @ Some(_)) => *slot = slot.take().map(|known| same_key(how, dict, known, entry)),
            _ => {
                index.insert(entry.key.clone(), slots.len());
                slots.push(Some(entry));
            }
        }
    }
    Node { place, value: Value::Map(slots.into_iter().flatten().collect()) }
}

fn same_key(how: &How, dict: Dict, old: Entry, new: Entry) -> Entry {
    if dict.replace {
        return new;
    }
    if recurses(&new.node, true, dict.recurse_list, dict.recurse_text) {
        return Entry { node: merge(how, old.node, new.node), ..old };
    }
    old
}

fn lists(how: &How, list: List, old: Node, new: Node) -> Node {
    let place = old.place;
    let (old_items, new_items) = match (old.value, new.value) {
        (Value::List(old), Value::List(new)) => (old, new),
        (_, value) if list.method == Method::Replace => return Node { place: new.place, value },
        (value, _) => return Node { place, value },
    };
    let items = match list.method {
        Method::Append => old_items.into_iter().chain(new_items).collect(),
        Method::Prepend => new_items.into_iter().chain(old_items).collect(),
        Method::Keep => old_items,
        Method::Replace => {
            let mut new_items = new_items.into_iter();
            let pair = |old: Node| match new_items.next() {
                Some(new) if recurses(&new, list.recurse_dict, list.recurse_list, list.recurse_text) => {
                    merge(how, old, new)
                }
                Some(new) => new,
                None => old,
            };
            old_items.into_iter().map(pair).collect()
        }
    };
    Node { place, value: Value::List(items) }
}

/// Whether two values are merged, by the kind of the later one.
fn recurses(new: &Node, dict: bool, list: bool, text: bool) -> bool {
    match &new.value {
        Value::Map(_) => dict,
        Value::List(_) => list,
        Value::Scalar(Scalar { kind: Kind::Text, .. }) => text,
        Value::Scalar(_) => false,
    }
}

fn joined(old: Node, new: Node) -> Node {
    match (old.value, new.value) {
        (Value::Scalar(one), Value::Scalar(Scalar { text, kind: Kind::Text })) => {
            let value = Value::Scalar(Scalar { text: one.text + &text, kind: Kind::Text });
            Node { place: new.place, value }
        }
        (_, value) => Node { place: new.place, value },
    }
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use crate::document::{Kind, Node, Value};
    use crate::report::Messages;
    use proptest::prelude::*;

    /// One line of flow style.
    fn show(node: &Node) -> String {
        let list = |items: Vec<String>| items.join(", ");
        match &node.value {
            Value::Map(entries) => {
                format!("{{{}}}", list(entries.iter().map(|e| format!("{}: {}", e.key, show(&e.node))).collect()))
            }
            Value::List(items) => format!("[{}]", list(items.iter().map(show).collect())),
            Value::Scalar(scalar) if scalar.kind == Kind::Null => "~".into(),
            Value::Scalar(scalar) => scalar.text.clone(),
        }
    }

    fn merged(documents: &[&str]) -> String {
        let mut messages = Messages::new("t");
        let mut document = Document::default();
        for text in documents {
            assert!(document.merge(text, None, &mut messages), "{text}: {messages:?}");
        }
        document.root().map(show).unwrap_or_default()
    }

    #[test]
    fn documents_go_onto_one_another_as_they_say() {
        for (how, one, two, expected) in [
            ("", "{a: [1], b: x}", "{a: [2], c: y}", "{a: [2], b: x, c: y}"),
            ("", "{a: {b: 1}}", "{a: {c: 2}}", "{a: {c: 2}}"),
            ("dict()", "{a: 1, d: {x: 1}}", "{a: 2, b: 3, d: {x: 2, y: 2}}", "{a: 1, d: {x: 1, y: 2}, b: 3}"),
            ("list(append)+dict(recurse_list)+str()", "{runcmd: [a, b]}", "{runcmd: [c]}", "{runcmd: [a, b, c]}"),
            ("list(prepend)+dict(recurse_array)+str()", "{runcmd: [a, b]}", "{runcmd: [c]}", "{runcmd: [c, a, b]}"),
            ("list(no_replace)+dict(recurse_list)", "{a: [1, 2]}", "{a: [3, 4, 5]}", "{a: [1, 2]}"),
            ("list()+dict(recurse_list)", "{a: [1, 2]}", "{a: [3]}", "{a: [3, 2]}"),
            ("list()+dict(recurse_list)", "{a: [1]}", "{a: [3, 4]}", "{a: [3]}"),
            ("list(recurse_dict)+dict()", "{a: [{x: 1}]}", "{a: [{y: 2}]}", "{a: [{x: 1}]}"),
            ("list(recurse_dict)+dict(recurse_list)", "{a: [{x: 1}]}", "{a: [{y: 2}]}", "{a: [{x: 1, y: 2}]}"),
            ("list(recurse_list)+dict(recurse_list)", "{a: [[1], 2]}", "{a: [[3], 4]}", "{a: [[3], 4]}"),
            ("dict(recurse_str)+str(append)", "{a: x, b: 1}", "{a: y, b: z}", "{a: xy, b: 1}"),
            ("dict(recurse_str)+str()", "{a: x}", "{a: y}", "{a: y}"),
            ("dict(recurse_str)", "{a: x}", "{a: y}", "{a: x}"),
            ("dict(allow_delete)", "{a: 1, b: 2}", "{a: ~, c: ~}", "{b: 2, c: ~}"),
            ("dict(replace,allow_delete)", "{a: 1, b: 2}", "{a: ~, b: 3}", "{b: 3}"),
            ("dict(replace)", "{a: 1}", "{a: ~}", "{a: ~}"),
            ("list()+dict(recurse_list)", "{a: 1}", "{a: [2]}", "{a: 1}"),
            ("list()+dict()", "{a: [1]}", "{a: {b: 1}}", "{a: {b: 1}}"),
            ("list(append)+dict()", "{a: [1]}", "{a: {b: 1}}", "{a: [1]}"),
            ("list(append)", "{a: 1}", "{b: 2}", "{a: 1}"),
        ] {
            let two =
                if how.is_empty() { two.to_owned() } else { two.replacen('{', &format!("{{merge_how: '{how}', "), 1) };
            assert_eq!(merged(&[one, &two]), expected, "{how}: {one} and {two}");
        }
    }

    #[test]
    fn header_and_other_spelling_count_and_values_keep_their_source() {
        let mut messages = Messages::new("one");
        let mut document = Document::default();
        assert!(document.merge("runcmd: [a]\n", None, &mut messages));
        messages.turn_to("two");
        let append = "list(append)+dict(recurse_list)";
        assert!(document.merge("\nruncmd: [b]\n", Some(append), &mut messages));
        assert!(document.merge(&format!("merge_type: {append}\nruncmd: [c]\n"), Some("dict()"), &mut messages));
        let list = document.root().unwrap().get("runcmd").unwrap().list().unwrap();
        for item in list {
            messages.error(item.place, "k", "x");
        }
        let texts: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["one line 1 column 10 k: x", "two line 2 column 10 k: x", "two line 2 column 10 k: x"]);
    }

    #[test]
    fn a_document_with_a_mistake_leaves_the_others_as_they_are() {
        for (text, header, expected) in [
            ("merge_how: nonsense\nb: 2\n", None, "t line 1 column 12 merge_how: the document is not used: expected"),
            ("b: 2\n", Some("x"), "t Merge-Type: the document is not used: expected"),
            ("b: c: d\n", None, "t line 1"),
            ("- b\n", None, "expected a mapping"),
            ("merge_how: list(append)\nb: 2\n", None, "nothing of this document is used"),
        ] {
            let mut messages = Messages::new("t");
            let mut document = Document::default();
            document.merge("a: 1", None, &mut messages);
            document.merge(text, header, &mut messages);
            assert_eq!(show(document.root().unwrap()), "{a: 1}");
            assert!(messages.list()[0].to_string().contains(expected), "{text}: {messages:?}");
        }
    }

    #[test]
    fn growth_is_bounded() {
        let mut messages = Messages::new("t");
        let mut document = Document::default();
        let text = format!("merge_how: list(append)+dict(recurse_list)\na: [{}]\n", "x,".repeat(40_000));
        let taken = (0..10).filter(|_| document.merge(&text, None, &mut messages)).count();
        assert!((1..10).contains(&taken) && messages.list()[0].text.contains("too large together"), "{taken}");
    }

    proptest! {
        #[test]
        fn any_documents_end(
            texts in proptest::collection::vec("[{\\[]?[a-c]{0,2}(: [{\\[a-c,: 1~\\]}]{0,20})?\n?", 0..5),
            how in "(list|dict|str)\\((append|recurse_list|allow_delete|recurse_dict)?\\)\\+dict\\(recurse_str\\)"
        ) {
            let mut document = Document::default();
            for text in texts {
                document.merge(&text, Some(&how), &mut Messages::new("t"));
            }
        }
    }
}
