//! URLs of servers: http and https, no user, no fragment.

use std::fmt;
use std::str::FromStr;

/// A URL (RFC 3986) as far as it is used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// https.
    pub tls: bool,
    /// Name or address, without the brackets of IPv6.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path and query, with the leading `/`.
    pub path: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("\"{text}\" is no http or https URL");
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(fault());
        }
        let (tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(fault()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some(""))),
            None => authority.split_once(':').map_or((authority, Some("")), |(host, port)| (host, Some(port))),
        };
        let port = match port.ok_or_else(fault)? {
            "" if authority.ends_with(':') => return Err(fault()),
            "" => {
                if tls {
                    443
                } else {
                    80
                }
            }
            port => port.parse().map_err(|_| fault())?,
        };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_host) || (host.contains(':') && !authority.starts_with('[')) {
            return Err(fault());
        }
        Ok(Self { tls, host: host.into(), port, path })
    }
}

impl Url {
    /// `host[:port]` as in a Host header; the usual port is left out.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.tls { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// Where a `Location` leads to.
    pub fn join(&self, location: &str) -> Result<Self, String> {
        if location.starts_with('/') && !location.starts_with("//") {
            return format!("{}://{}{location}", self.scheme(), self.authority()).parse();
        }
        location.parse()
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, expected) in [
            ("https://a.example/v2/", Some(("a.example", 443, "/v2/"))),
            ("http://10.0.0.1:5000", Some(("10.0.0.1", 5000, "/"))),
            ("https://[::1]:8443/x?y=z#f", Some(("::1", 8443, "/x?y=z"))),
            ("https://a?b", Some(("a", 443, "/?b"))),
            ("https://user@a/", None),
            ("https://a:/", None),
            ("https://a:70000/", None),
            ("https://a\r\nX: y/", None),
            ("file:///etc", None),
            ("https://::1/", None),
        ] {
            let found = text.parse::<Url>().ok();
            let found = found.as_ref().map(|url| (url.host.as_str(), url.port, url.path.as_str()));
            assert_eq!(found, expected, "{text}");
        }
        let base: Url = "http://a:5000/v2/x".parse().unwrap();
        assert_eq!(base.join("/blob?t=1").unwrap().to_string(), "http://a:5000/blob?t=1");
        assert_eq!(base.join("https://cdn.example/b").unwrap().to_string(), "https://cdn.example/b");
        assert!(base.join("//evil").is_err() && base.join("relative").is_err());
    }
}
