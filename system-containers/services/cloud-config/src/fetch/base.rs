//! Fetches base configuration. Without it the rest of the user data is used all the same, as in cloud-init.

use super::includes;
use super::transport::Transport;
use crate::attempts::{Attempts, Final};
use crate::seed::base::{Base, HEADER, Location, Name};
use crate::seed::exchange::Fetched;
use crate::userdata::parts::include::shown;
use anyhow::Context;

/// Fetches it if it is wanted.
pub fn fetch(fetched: &mut Fetched, transport: &impl Transport, attempts: &mut Attempts) {
    let Some(location) = fetched.wanted.base.clone() else { return };
    match attempts.until(&shown(&location.url), || one(&location, transport)) {
        Ok(document) => fetched.base = Some(Base { location, document }),
        Err(error) => {
            fetched.base_failure = Some(format!("{error:#}; this boot does without it, the next one tries again"));
        }
    }
}

fn one(location: &Location, transport: &impl Transport) -> anyhow::Result<Option<Vec<u8>>> {
    let url = &location.url;
    let answer = includes::get(url, transport)?;
    // Before the size: what is not ours may have any.
    if answer.body.starts_with(HEADER) {
        return answer.whole().map(Some).map_err(anyhow::Error::from).with_context(|| shown(url));
    }
    match location.name {
        Name::Url => Ok(None),
        Name::CloudConfigUrl => {
            let text = "what is there does not begin with #cloud-config".to_owned();
            Err(anyhow::Error::from(Final(text)).context(shown(url)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Cloud, QUICK};
    use crate::fetch::all;
    use crate::fetch::transport::MAX_ANSWER;
    use crate::seed::base::{Location, Name};
    use crate::seed::exchange::{Fetched, Wanted};

    const URL: &str = "http://a/base?key=secret";

    fn fetch(cloud: &Cloud, name: Name, include: &[&str]) -> Fetched {
        let base = Some(Location { name, url: URL.into() });
        let include = include.iter().map(|url| (*url).to_owned()).collect();
        all(Wanted { base, include, ..Wanted::default() }, cloud, QUICK)
    }

    fn document(fetched: &Fetched) -> Option<&[u8]> {
        fetched.base.as_ref()?.document.as_deref()
    }

    #[test]
    fn it_is_fetched_whatever_its_server_does_first() {
        let what = format!("GET {URL}");
        for name in [Name::Url, Name::CloudConfigUrl] {
            for status in [0, 500, 503, 429] {
                let cloud = Cloud::default().with(&what, status, "later").with(&what, 200, "#cloud-config\n#include\n");
                let fetched = fetch(&cloud, name, &[]);
                assert_eq!(document(&fetched), Some(&b"#cloud-config\n#include\n"[..]), "{status}");
                assert_eq!((fetched.base_failure, cloud.seen.borrow().len()), (None, 2));
            }
        }
        let cloud = Cloud::default().redirect(URL, "http://b/").get("http://b/", "#cloud-config\n");
        assert!(document(&fetch(&cloud, Name::CloudConfigUrl, &[])).is_some());
    }

    #[test]
    fn what_is_no_document_is_said_or_left_to_others() {
        let large = "x".repeat(MAX_ANSWER + 1);
        for body in
            ["", "#!/bin/sh\n", "#include\nhttp://evil/\n", " #cloud-config\n", "\u{feff}#cloud-config\n", &large]
        {
            let cloud = Cloud::default().get(URL, body);
            let fetched = fetch(&cloud, Name::CloudConfigUrl, &[]);
            let failure = fetched.base_failure.clone().expect("a failure");
            assert!(failure.starts_with("http://a/…: what is there does not begin with #cloud-config; "), "{failure}");
            assert!(fetched.base.is_none() && fetched.failures.is_empty(), "{fetched:?}");

            let fetched = fetch(&cloud, Name::Url, &[]);
            assert_eq!((document(&fetched), fetched.base.is_some(), &fetched.base_failure), (None, true, &None));
            // Neither asked again within a boot, nor is anything in it followed.
            assert_eq!(cloud.seen.borrow().len(), 2);
        }
    }

    #[test]
    fn what_does_not_come_costs_nothing_else() {
        let list = ["http://a/list"];
        let ours = format!("#cloud-config\n{}", "#".repeat(MAX_ANSWER));
        for (status, body, expected) in [
            (404, "", "http://a/…: status 404; "),
            (503, "", "http://a/…: status 503; "),
            (0, "", "http://a/…: connection reset; "),
            (200, ours.as_str(), "http://a/…: the answer is larger than 1048576 bytes; "),
        ] {
            let cloud = Cloud::default().with(&format!("GET {URL}"), status, body).get(list[0], "#cloud-config\n");
            let fetched = fetch(&cloud, Name::CloudConfigUrl, &list);
            let failure = fetched.base_failure.expect("a failure");
            assert!(failure.starts_with(expected) && failure.ends_with("the next one tries again"), "{failure}");
            assert_eq!((fetched.base, fetched.includes.len(), fetched.failures.len()), (None, 1, 0));
        }
    }
}
