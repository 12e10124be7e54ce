//! Blobs from registries into files. A file that is there is gone on with, so a pull that broke off is not begun anew.

use super::reference::{Mirror, Reference};
use super::token;
use crate::archive::{Blobs, Kind};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::job::Credentials;
use crate::limits::Limits;
use crate::section::Section;
use hull_http::{Connector, Response, Url};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Attempts on one server without a new byte.
const ATTEMPTS: u32 = 4;
/// Before the second attempt; doubles.
const PAUSE: Duration = Duration::from_secs(1);
/// Redirects in a row; one to a content network is usual.
const REDIRECTS: usize = 5;
/// Media types of everything a digest of a reference may name.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// Bytes between two reports on a download.
const REPORT_STEP: u64 = 4 << 20;

/// How registries are reached.
#[derive(Debug)]
pub struct Client {
    mirrors: Vec<Mirror>,
    roots: PathBuf,
    credentials: Option<Credentials>,
    pub(super) pause: Duration,
}

impl Client {
    /// Mirrors are asked first, in their order; `roots` is a PEM file, or a folder of them, with the authorities trusted
    /// for TLS. The credentials are for the registry itself and never leave TLS.
    pub fn new(mirrors: Vec<Mirror>, roots: PathBuf, credentials: Option<Credentials>) -> Self {
        Self { mirrors, roots, credentials, pause: PAUSE }
    }

    pub(crate) fn puller<'a>(
        &self,
        reference: &Reference,
        blobs: PathBuf,
        limits: Limits,
        available: u64,
        report: &'a dyn Fn(String),
    ) -> Puller<'a> {
        let servers = self.mirrors.iter().map(|mirror| mirror.0.clone()).chain([reference.origin()]).collect();
        Puller {
            origin: reference.origin(),
            credentials: self.credentials.clone(),
            report,
            fetched: RefCell::default(),
            servers,
            repository: reference.repository.clone(),
            connector: Connector::new(self.roots.clone(), hull_http::Limits::default()),
            tokens: RefCell::default(),
            blobs,
            limits,
            available: Cell::new(available),
            pause: self.pause,
        }
    }
}

/// One pull.
pub(crate) struct Puller<'a> {
    servers: Vec<String>,
    /// The registry itself among them.
    origin: String,
    credentials: Option<Credentials>,
    report: &'a dyn Fn(String),
    /// What was asked for.
    fetched: RefCell<Vec<(Digest, Section)>>,
    repository: String,
    connector: Connector,
    /// Values of `Authorization` by server.
    tokens: RefCell<BTreeMap<String, String>>,
    blobs: PathBuf,
    limits: Limits,
    /// Bytes that may still be fetched.
    available: Cell<u64>,
    pause: Duration,
}

impl Blobs for Puller<'_> {
    fn blob(&self, kind: Kind, digest: Digest, size: Option<u64>) -> Result<Section, ImageError> {
        let path = self.blobs.join(format!("sha256-{}", digest.hex()));
        let longest = match kind {
            Kind::Manifest => size.unwrap_or(self.limits.document).min(self.limits.document),
            Kind::Blob => size.unwrap_or(0),
        };
        self.take(size.unwrap_or(0))?;
        let mut failed = Vec::new();
        for server in &self.servers {
            let kind = match kind {
                Kind::Manifest => "manifests",
                Kind::Blob => "blobs",
            };
            let url = format!("{server}/v2/{}/{kind}/{digest}", self.repository);
            match self.fetch(server, &url, &path, longest, size).and_then(|()| checked(&path, digest, size)) {
                Ok(section) => {
                    self.fetched.borrow_mut().push((digest, section.clone()));
                    return Ok(section);
                }
                // The next server may have what this one lacks or forges.
                Err(error @ (ImageError::Registry { .. } | ImageError::Refused { .. })) => failed.push(error),
                Err(error) => return Err(error),
            }
        }
        Err(together(failed).unwrap_or_else(|| ImageError::refused(digest.to_string(), "no server to ask")))
    }
}

impl Puller<'_> {
    /// All blobs so far, in the order they were asked for.
    pub(crate) fn fetched(&self) -> Vec<(Digest, Section)> {
        self.fetched.borrow().clone()
    }

    fn take(&self, size: u64) -> Result<(), ImageError> {
        let available = self.available.get();
        let left = available.checked_sub(size).ok_or(ImageError::Space { needed: size, available })?;
        self.available.set(left);
        Ok(())
    }

    /// Brings the file to `size` bytes, or to the answer's end where the size is not known.
    fn fetch(&self, server: &str, url: &str, path: &Path, longest: u64, size: Option<u64>) -> Result<(), ImageError> {
        let registry = |reason: String| ImageError::Registry { server: server.into(), reason };
        let url: Url = url.parse().map_err(registry)?;
        let mut failures = 0;
        let mut before = length(path);
        loop {
            if size.is_some_and(|size| length(path) == size) {
                return Ok(());
            }
            let reason = match self.attempt(server, &url, path, longest) {
                Ok(()) if size.is_none_or(|size| length(path) == size) => return Ok(()),
                Ok(()) => "the connection ended early".to_owned(),
                Err(Attempt::Over(error)) => return Err(error),
                Err(Attempt::Again(reason)) => reason,
            };
            let now = length(path);
            failures = if now > before { 1 } else { failures + 1 };
            before = now;
            if failures >= ATTEMPTS {
                return Err(registry(reason));
            }
            std::thread::sleep(self.pause * (1 << failures.min(5)) / 2);
        }
    }

    fn attempt(&self, server: &str, url: &Url, path: &Path, longest: u64) -> Result<(), Attempt> {
        let mut have = length(path);
        let mut response = self.ask(server, url, have)?;
        if response.status == 401 {
            let challenge = response.header("www-authenticate").unwrap_or_default().to_owned();
            let token = self.authorization(server, &challenge, url).map_err(|reason| over(server, reason))?;
            self.tokens.borrow_mut().insert(server.into(), token);
            response = self.ask(server, url, have)?;
        }
        match response.status {
            200 => have = 0,
            206 if response
                .header("content-range")
                .is_some_and(|range| range.starts_with(&format!("bytes {have}-"))) => {}
            206 => return Err(over(server, "it answers with another range than asked for".into())),
            416 => {
                // What is there is not a part of it.
                fs::remove_file(path).map_err(|error| file_fault(path, error))?;
                return Err(Attempt::Again("it refuses to go on with the download".into()));
            }
            429 | 500..=599 => return Err(Attempt::Again(format!("it answers {}", response.status))),
            404 => return Err(over(server, format!("it has no {}", url.path))),
            status => return Err(over(server, format!("it answers {status} for {}", url.path))),
        }
        let mut file = OpenOptions::new().create(true).truncate(have == 0).append(have != 0).write(true).open(path);
        let file = file.as_mut().map_err(|error| file_fault(path, io::Error::from(error.kind())))?;
        // One byte more than allowed tells a body that is too long from one that just fits.
        let room = longest.saturating_sub(have).saturating_add(1);
        let copied = self.copy(&mut response.by_ref().take(room), file, have);
        if length(path) > longest {
            fs::remove_file(path).map_err(|error| file_fault(path, error))?;
            return Err(Attempt::Over(ImageError::refused(
                url.to_string(),
                format!("the server sends more than the {longest} bytes it should have"),
            )));
        }
        match copied {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(file_fault(path, error)),
            Err(error) => Err(Attempt::Again(error.to_string())),
        }
    }

    /// Asks for everything behind the first `have` bytes, and follows redirects.
    fn ask(&self, server: &str, url: &Url, have: u64) -> Result<Response, Attempt> {
        let range = format!("bytes={have}-");
        let authorization = self.tokens.borrow().get(server).cloned();
        let mut at = url.clone();
        for _ in 0..REDIRECTS {
            let mut headers = vec![("Accept", ACCEPT)];
            if have > 0 {
                headers.push(("Range", &range));
            }
            // A token is for the registry, not for whomever it sends us to.
            let is_registry = at.authority() == url.authority() && at.tls == url.tls;
            if let Some(authorization) = authorization.as_deref().filter(|_| is_registry) {
                headers.push(("Authorization", authorization));
            }
            let response =
                self.connector.get(&at, &headers).map_err(|error| Attempt::Again(format!("{at}: {error}")))?;
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let target = response.header("location").ok_or_else(|| over(server, "a redirect to nowhere".into()))?;
            let next = at.join(target).map_err(|reason| over(server, reason))?;
            if at.tls && !next.tls {
                return Err(over(server, format!("it redirects from TLS to {next}")));
            }
            at = next;
        }
        Err(over(server, "too many redirects".into()))
    }

    /// Copies a body, and says how far it is.
    fn copy(&self, from: &mut impl Read, to: &mut File, have: u64) -> io::Result<u64> {
        let mut copied = 0;
        loop {
            match io::copy(&mut from.take(REPORT_STEP), to)? {
                0 => return Ok(copied),
                count => copied += count,
            }
            if copied >= REPORT_STEP {
                (self.report)(format!("fetched {} MiB of a layer", (have + copied) >> 20));
            }
        }
    }

    /// Value of `Authorization` that satisfies a challenge.
    fn authorization(&self, server: &str, challenge: &str, registry: &Url) -> Result<String, String> {
        let basic = self.credentials.as_ref().filter(|_| server == self.origin && registry.tls).map(token::basic);
        if token::is_basic(challenge) {
            return basic.ok_or_else(|| "it wants a user and a password".into());
        }
        let url = token::url(challenge, registry)?;
        let mut headers = vec![("Accept", "application/json")];
        headers.extend(basic.as_deref().map(|basic| ("Authorization", basic)));
        let response = self.connector.get(&url, &headers).map_err(|e| format!("{url}: {e}"))?;
        if response.status != 200 {
            return Err(format!("the token server answers {}", response.status));
        }
        let mut answer = Vec::new();
        response.take(token::MAX_ANSWER).read_to_end(&mut answer).map_err(|error| format!("{url}: {error}"))?;
        token::token(&answer).map(|token| format!("Bearer {token}"))
    }
}

/// Why one attempt brought nothing.
#[derive(Debug)]
enum Attempt {
    /// Trying again may help.
    Again(String),
    /// It does not.
    Over(ImageError),
}

/// What all servers said: who looks for the reason needs that of the one that should have had it.
fn together(mut failed: Vec<ImageError>) -> Option<ImageError> {
    let last = failed.pop()?;
    if failed.is_empty() {
        return Some(last);
    }
    let is_away = failed.iter().chain([&last]).any(|error| matches!(error, ImageError::Registry { .. }));
    let before: Vec<String> = failed.iter().map(ToString::to_string).collect();
    let reason = format!("{last}; before: {}", before.join("; "));
    Some(match is_away {
        true => ImageError::Registry { server: "no server had it".into(), reason },
        false => ImageError::refused("no server had it", reason),
    })
}

fn over(server: &str, reason: String) -> Attempt {
    Attempt::Over(ImageError::Registry { server: server.into(), reason })
}

fn file_fault(path: &Path, source: io::Error) -> Attempt {
    Attempt::Over(ImageError::Io { what: path.display().to_string(), source })
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// The file as a blob; one with another digest is removed.
fn checked(path: &Path, digest: Digest, size: Option<u64>) -> Result<Section, ImageError> {
    let what = || ImageError::io::<io::Error>(path.display().to_string());
    let file = Arc::new(File::open(path).map_err(what())?);
    let section = Section::new(&file, 0, size.unwrap_or_else(|| length(path)));
    let (found, _) = Digest::of_reader(section.clone()).map_err(what())?;
    if found == digest {
        return Ok(section);
    }
    fs::remove_file(path).map_err(what())?;
    Err(ImageError::refused(digest.to_string(), format!("the server sent something with the digest {found}")))
}

#[cfg(test)]
mod tests;
