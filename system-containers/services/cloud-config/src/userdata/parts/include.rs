//! Include lists: one URL a line, `#` begins a comment. The first line is `#include` or `#include-once`, and may hold a URL
//! too. What a URL leads to is fetched once for an instance, so both mean the same here.

use crate::report::quote;

/// The URLs of a list, as they are written, with the numbers of their lines.
pub fn urls(content: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..).zip(content.lines()).filter_map(|(number, line)| {
        let line = line.trim();
        let rest = ["#include-once", "#include"].iter().find_map(|mark| strip_word(line, mark)).unwrap_or(line);
        let url = rest.trim();
        (!url.is_empty() && !url.starts_with('#')).then_some((number, url))
    })
}

fn strip_word<'l>(line: &'l str, mark: &str) -> Option<&'l str> {
    let head = line.get(..mark.len())?;
    head.eq_ignore_ascii_case(mark).then(|| &line[mark.len()..])
}

/// A URL as messages may show it, that is its server: for many places the rest of the URL is the key that opens them.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "a URL".into() };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{}://{}/…", quote(scheme), quote(host.rsplit('@').next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_people_write_them() {
        for (text, expected) in [
            ("#include\nhttp://a/b\n", &["http://a/b"][..]),
            ("#include http://a\r\n# comment\r\n\r\n  https://b/c?d=e \r\n", &["http://a", "https://b/c?d=e"]),
            ("#include-once\nhttp://a\n", &["http://a"]),
            ("#Include-Once http://a\n#include http://b", &["http://a", "http://b"]),
            ("http://a", &["http://a"]),
            ("#include\n", &[]),
        ] {
            assert_eq!(urls(text).map(|(_, url)| url).collect::<Vec<_>>(), expected, "{text}");
        }
        assert_eq!(urls("#include\n\nhttp://a").collect::<Vec<_>>(), [(3, "http://a")]);
    }

    #[test]
    fn what_opens_a_place_is_not_shown() {
        for (url, expected) in [
            ("https://a.example/secret?sig=secret#x", "https://a.example/…"),
            ("https://me:secret@a:8080/", "https://a:8080/…"),
            ("secret", "a URL"),
            ("http://", "http:///…"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }
}
