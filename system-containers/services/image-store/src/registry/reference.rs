//! References with a digest, and mirrors.

use crate::digest::Digest;
use hull_http::Url;
use std::fmt;
use std::str::FromStr;

/// Docker's default registry by the name people write, and where it answers.
const DEFAULT: [&str; 2] = ["docker.io", "registry-1.docker.io"];

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Registry as `host` or `host:port`.
    pub host: String,
    /// Name in the registry.
    pub repository: String,
    /// Digest of the manifest or index.
    pub digest: Digest,
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no image reference: {reason}")]
pub struct NoReference {
    text: String,
    reason: &'static str,
}

impl FromStr for Reference {
    type Err = NoReference;

    /// `[host[:port]/]repository[:tag]@sha256:…`; as in Docker a name without host is Docker Hub's, and the tag, which
    /// says nothing beside a digest, is dropped.
    fn from_str(text: &str) -> Result<Self, NoReference> {
        let fault = |reason| NoReference { text: text.into(), reason };
        let (name, digest) = text.split_once('@').ok_or_else(|| fault("append @sha256:… , the digest of the image"))?;
        let digest = digest.parse().map_err(|_| fault("the digest is sha256: and 64 hexadecimal digits"))?;
        let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host, path.to_owned()),
            Some(_) => (DEFAULT[0], name.to_owned()),
            None => (DEFAULT[0], format!("library/{name}")),
        };
        let repository = path.split(':').next().unwrap_or_default();
        let is_part = |part: &str| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            !part.is_empty()
                && part.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
                && part.bytes().next().is_some_and(plain)
        };
        if !repository.split('/').all(is_part) {
            return Err(fault("a repository is lower-case letters, digits, '.', '_', '-' and '/'"));
        }
        if format!("https://{host}/").parse::<Url>().is_err() {
            return Err(fault("the host is host or host:port"));
        }
        Ok(Self { host: host.into(), repository: repository.into(), digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.host, self.repository, self.digest)
    }
}

impl Reference {
    /// Start of the registry's own URLs.
    pub(crate) fn origin(&self) -> String {
        format!("https://{}", if self.host == DEFAULT[0] { DEFAULT[1] } else { &self.host })
    }
}

/// A registry asked before the reference's own: `https://host[:port]` or `http://host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror(pub(crate) String);

impl FromStr for Mirror {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim_end_matches('/');
        match text.parse::<Url>() {
            Ok(url) if url.path == "/" => Ok(Self(text.into())),
            _ => Err(format!("\"{text}\" is no mirror: https://host[:port] or http://host[:port] is needed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let digest = Digest::of(b"").to_string();
        for (name, expected) in [
            ("nginx", Ok("docker.io/library/nginx")),
            ("grafana/grafana:11", Ok("docker.io/grafana/grafana")),
            ("reg.example:5000/a/b:1", Ok("reg.example:5000/a/b")),
            ("localhost/a", Ok("localhost/a")),
            ("reg.example/A", Err("repository")),
            ("reg.example/../a", Err("repository")),
            ("reg.example/a b", Err("repository")),
            ("reg.example:x/a", Err("host")),
            ("u@reg.example/a", Err("digest")),
        ] {
            let found = format!("{name}@{digest}").parse::<Reference>();
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.to_string(), format!("{expected}@{digest}")),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
        assert!("nginx:latest".parse::<Reference>().unwrap_err().to_string().contains("append @sha256"));
    }

    #[test]
    fn mirrors() {
        assert!("http://10.0.2.100:5000/".parse::<Mirror>().is_ok());
        for wrong in ["mirror.example", "ftp://m", "https://m/path", "https://"] {
            assert!(wrong.parse::<Mirror>().is_err(), "{wrong}");
        }
    }
}
