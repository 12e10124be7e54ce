//! Include lists: what they name is fetched, and what that names in turn.

use super::session::{is_final, refused};
use super::transport::{Answer, Transport};
use crate::attempts::Attempts;
use crate::report::Messages;
use crate::seed::exchange::{Fetched, Includes};
use crate::seed::medium::Medium;
use crate::userdata::parts::include::shown;
use crate::userdata::parts::{MAX_DEPTH, MAX_PARTS, split};
use anyhow::Context;
use std::collections::BTreeSet;

/// Fetches what is wanted, and what the medium's lists name. One that is not there costs no other.
pub fn fetch(fetched: &mut Fetched, transport: &impl Transport, attempts: &mut Attempts) {
    let mut given_up = BTreeSet::new();
    for _ in 0..MAX_DEPTH {
        let missing = missing(&fetched.wanted.include, fetched.medium.as_ref(), &fetched.includes);
        let missing: Vec<String> = missing.into_iter().filter(|url| !given_up.contains(url)).collect();
        if missing.is_empty() {
            return;
        }
        for url in missing {
            if fetched.includes.len() + given_up.len() >= MAX_PARTS {
                fetched.failures.push(format!("more than {MAX_PARTS} URLs; the others are not fetched"));
                return;
            }
            match attempts.until(&shown(&url), || one(&url, transport)) {
                Ok(content) => drop(fetched.includes.insert(url, content)),
                Err(error) => {
                    fetched.failures.push(format!("{error:#}"));
                    given_up.insert(url);
                }
            }
        }
    }
}

fn one(url: &str, transport: &impl Transport) -> anyhow::Result<Vec<u8>> {
    get(url, transport)?.whole().map_err(anyhow::Error::from).with_context(|| shown(url))
}

/// A good answer.
pub(super) fn get(url: &str, transport: &impl Transport) -> anyhow::Result<Answer> {
    let answer = transport.follow(url).with_context(|| shown(url))?;
    match answer.status {
        200 => Ok(answer),
        status if is_final(status) => Err(refused(status).context(shown(url))),
        status => anyhow::bail!("{}: status {status}", shown(url)),
    }
}

/// URLs that are named and not here.
fn missing(wanted: &[String], medium: Option<&Medium>, includes: &Includes) -> BTreeSet<String> {
    // Messages about these parts are `compile`'s affair.
    let of = |blob: &[u8]| split(blob, "", includes, &mut Messages::default()).missing;
    let blobs = medium.into_iter().flat_map(|medium| [&medium.user_data, &medium.vendor_data, &medium.vendor_data2]);
    let named: Vec<String> = blobs.flatten().flat_map(|blob| of(blob)).collect();
    let nested: Vec<String> = includes.values().flat_map(|content| of(content)).collect();
    wanted.iter().filter(|url| !includes.contains_key(*url)).cloned().chain(named).chain(nested).collect()
}
