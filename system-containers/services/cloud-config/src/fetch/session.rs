//! Requests to one metadata service, with the headers it wants on each.

use super::transport::{Answer, Request, Transport};
use crate::attempts::Final;
use anyhow::{Context, anyhow, bail};
use serde_json::Value;

/// One attempt at a metadata service.
#[derive(Debug)]
pub struct Session<'t> {
    transport: &'t dyn Transport,
    /// URL without `/` at its end; paths are added to it.
    pub base: String,
    /// Sent with every request.
    pub headers: Vec<(&'static str, String)>,
    /// What is good to know about what was found.
    pub remarks: Vec<String>,
}

impl<'t> Session<'t> {
    /// Nothing is sent yet.
    pub fn new(transport: &'t impl Transport) -> Self {
        Self { transport, base: String::new(), headers: Vec::new(), remarks: Vec::new() }
    }

    /// The same service under another address.
    pub fn at(&mut self, base: &str) -> &mut Self {
        base.clone_into(&mut self.base);
        self
    }

    /// Sends whatever is wanted; headers of the session are added.
    pub fn send(&self, mut request: Request) -> anyhow::Result<Answer> {
        request.url = format!("{}{}", self.base, request.url);
        request.headers.extend(self.headers.iter().cloned());
        let what = format!("{} {}", request.method, shown(&request.url));
        self.transport.send(&request).with_context(|| what)
    }

    /// The body at a path; `None` when there is nothing (404).
    pub fn get(&self, path: &str) -> anyhow::Result<Option<Vec<u8>>> {
        self.get_with(Request { method: "GET", url: path.to_owned(), ..Request::default() })
    }

    /// The same for a request with something special about it.
    pub fn get_with(&self, request: Request) -> anyhow::Result<Option<Vec<u8>>> {
        let what = format!("{}{}", self.base, shown(&request.url));
        content(&what, self.send(request)?)
    }

    /// The text at a path, trimmed; empty text is `None` too.
    pub fn text(&self, path: &str) -> anyhow::Result<Option<String>> {
        let body = self.get(path)?.map(|body| String::from_utf8_lossy(&body).trim().to_owned());
        Ok(body.filter(|text| !text.is_empty()))
    }

    /// The JSON document at a path.
    pub fn json(&self, path: &str) -> anyhow::Result<Value> {
        let body = self.get(path)?.with_context(|| format!("{}{path}: status 404", self.base))?;
        // serde_json's error tells line and column, and no content.
        serde_json::from_slice(&body).with_context(|| format!("{}{path}: not JSON", self.base))
    }

    /// Redirects are followed, as a web server of one's own may send some.
    pub fn file(&self, path: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let url = format!("{}{path}", self.base);
        let answer = self.transport.follow(&url).with_context(|| format!("GET {}", shown(&url)))?;
        content(shown(&url), answer)
    }
}

/// The body of a good answer; `None` where there is nothing.
fn content(what: &str, answer: Answer) -> anyhow::Result<Option<Vec<u8>>> {
    match answer.status {
        // A service in trouble may answer anything, and the next time what is wanted: never a reason to give up.
        200 => answer.whole().map(Some).map_err(|error| anyhow!("{what}: {error}")),
        404 => Ok(None),
        status => bail!("{what}: status {status}"),
    }
}

/// A URL without what follows `?`, which may be a key.
fn shown(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

/// Whether asking again may help: not where the server says that the request is wrong.
pub fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && ![408, 425, 429].contains(&status)
}

/// An answer that another attempt does not mend.
pub fn refused(status: u16) -> anyhow::Error {
    Final(format!("status {status}")).into()
}
