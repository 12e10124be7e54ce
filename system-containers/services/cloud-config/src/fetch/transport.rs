//! Requests and answers. The trait is the seam for tests; the network is behind it.

use crate::attempts::Final;
use hull_http::{Connector, Limits, Url};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Bytes of an answer that are taken.
pub const MAX_ANSWER: usize = crate::seed::medium::MAX_FILE;
/// A metadata service is in the same rack; who is slower is asked again.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(10),
    answer: Duration::from_secs(60),
    rate: None,
};
/// Redirects followed.
const MAX_REDIRECTS: usize = 5;

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PUT`, `POST`.
    pub method: &'static str,
    /// The whole URL.
    pub url: String,
    /// Headers besides HTTP's own.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Option<Vec<u8>>,
    /// From a port below 1024, by which Scaleway knows root.
    pub from_privileged_port: bool,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Where it is instead, with a redirect.
    pub location: Option<String>,
    /// Body; one byte more than [`MAX_ANSWER`] means that there is more.
    pub body: Vec<u8>,
}

impl Answer {
    /// The whole body.
    ///
    /// # Errors
    /// When it is larger than [`MAX_ANSWER`].
    pub fn whole(self) -> Result<Vec<u8>, Final> {
        match self.body.len() {
            ..=MAX_ANSWER => Ok(self.body),
            _ => Err(Final(format!("the answer is larger than {MAX_ANSWER} bytes"))),
        }
    }
}

/// Sends requests.
pub trait Transport: fmt::Debug {
    /// One exchange.
    ///
    /// # Errors
    /// When there is no whole answer within the limits, or the URL is none ([`Final`]).
    fn send(&self, request: &Request) -> anyhow::Result<Answer>;

    /// GET, and where it leads to by redirects; never from https to http.
    ///
    /// # Errors
    /// Those of [`Transport::send`], and redirects without end.
    fn follow(&self, url: &str) -> anyhow::Result<Answer> {
        let mut url = url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send(&Request { method: "GET", url: url.clone(), ..Request::default() })?;
            let Some(location) = answer.location.as_deref().filter(|_| (300..400).contains(&answer.status)) else {
                return Ok(answer);
            };
            let next = parse(&url)?.join(location).map_err(|_| Final("a redirect to nowhere".into()))?.to_string();
            if url.starts_with("https:") && !next.starts_with("https:") {
                return Err(Final("a redirect from https to http is not followed".into()).into());
            }
            url = next;
        }
        Err(Final(format!("more than {MAX_REDIRECTS} redirects")).into())
    }
}

/// The machine's network.
#[derive(Debug)]
pub struct Network(Connector);

impl Network {
    /// `roots`: certificates of authorities for https, PEM.
    pub fn new(roots: &Path) -> Self {
        Self(Connector::new(roots.to_owned(), LIMITS))
    }
}

impl Transport for Network {
    fn send(&self, request: &Request) -> anyhow::Result<Answer> {
        let headers: Vec<(&str, &str)> = request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let url = parse(&request.url)?;
        let mut response = self.0.send(&hull_http::Request {
            method: request.method,
            url: &url,
            headers: &headers,
            body: request.body.as_deref(),
            from_privileged_port: request.from_privileged_port,
        })?;
        let location = response.header("location").map(str::to_owned);
        let status = response.status;
        let mut body = Vec::new();
        (&mut response).take(MAX_ANSWER as u64 + 1).read_to_end(&mut body)?;
        Ok(Answer { status, location, body })
    }
}

fn parse(url: &str) -> anyhow::Result<Url> {
    // The parser's error repeats the URL, which may hold a signature.
    url.parse().map_err(|_| Final("not an http or https URL".into()).into())
}
