//! Single elements of small XML documents: enough for what Azure sends, and no more than text and its five entities.

/// Text of the first element of a name, whatever its prefix and attributes; `None` too when there are elements in it.
pub fn text(document: &str, name: &str) -> Option<String> {
    let mut rest = document;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, body) = after.split_once('>')?;
        rest = body;
        let whole = tag.split_ascii_whitespace().next().unwrap_or_default();
        let local = whole.rsplit(':').next().unwrap_or_default();
        if local == name && !tag.ends_with('/') {
            let (content, end) = body.split_once('<')?;
            return end.starts_with('/').then(|| decoded(content.trim()));
        }
    }
    None
}

fn decoded(text: &str) -> String {
    // The ampersand last: what it stands for is not decoded again.
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.into_iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_by_their_local_name() {
        let document = "<?xml version=\"1.0\"?><a xmlns=\"x\"><wa:Name a=\"1\"> b&amp;lt;&lt; </wa:Name><Empty/><Outer><In>i</In></Outer></a>";
        for (name, expected) in
            [("Name", Some("b&lt;<")), ("In", Some("i")), ("Empty", None), ("Outer", None), ("None", None)]
        {
            assert_eq!(text(document, name).as_deref(), expected, "{name}");
        }
        for broken in ["", "<", "<a", "<a>", "<a>b", "<a></b"] {
            assert!(text(broken, "a").is_none_or(|text| text.is_empty()), "{broken}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends(document in "([<>/:a ]|&lt;|é)*") {
            text(&document, "a");
        }
    }
}
