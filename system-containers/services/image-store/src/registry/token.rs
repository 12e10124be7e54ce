//! Token authentication (Docker Registry v2 authentication): `WWW-Authenticate: Bearer realm="…",service="…",scope="…"`.

use crate::job::Credentials;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hull_http::Url;
use serde::Deserialize;

/// Bytes of a token server's answer.
pub(super) const MAX_ANSWER: u64 = 256 << 10;
/// Bytes of a token; it goes into a header.
const MAX_TOKEN: usize = 16 << 10;

#[derive(Debug, Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

/// Whether a challenge is for name and password (RFC 7617).
pub(super) fn is_basic(challenge: &str) -> bool {
    challenge.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic "))
}

/// Name and password as the value of a header (RFC 7617).
pub(super) fn basic(credentials: &Credentials) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", credentials.user, credentials.password)))
}

/// The URL that gives a token, from a challenge. A registry with TLS may not send us to a server without.
pub(super) fn url(challenge: &str, registry: &Url) -> Result<Url, String> {
    let rest = challenge.strip_prefix("Bearer ").or_else(|| challenge.strip_prefix("bearer "));
    let rest = rest.ok_or_else(|| format!("it wants another authentication than tokens: {challenge:?}"))?;
    let fields = fields(rest);
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let realm = field("realm").ok_or("its challenge names no token server")?;
    let mut url: Url = realm.parse()?;
    if registry.tls && !url.tls {
        return Err(format!("its token server {realm} has no TLS"));
    }
    for key in ["service", "scope"] {
        if let Some(value) = field(key) {
            url.path.push(if url.path.contains('?') { '&' } else { '?' });
            url.path.push_str(&format!("{key}={}", escape(value)));
        }
    }
    Ok(url)
}

/// The token in a token server's answer.
pub(super) fn token(answer: &[u8]) -> Result<String, String> {
    let answer: Answer =
        serde_json::from_slice(answer).map_err(|error| format!("the token server's answer: {error}"))?;
    let token = answer.token.or(answer.access_token).ok_or("the token server gave no token")?;
    let is_sound = token.len() <= MAX_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_sound { Ok(token) } else { Err("the token server gave a token that is none".into()) }
}

/// `key="value"` pairs; values may hold commas and escaped quotes (RFC 9110, section 11.2).
fn fields(text: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rest = text.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let mut value = String::new();
        let mut characters = after.char_indices();
        let mut end = after.len();
        let is_quoted = after.starts_with('"');
        if is_quoted {
            characters.next();
        }
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' if is_quoted => value.extend(characters.next().map(|(_, next)| next)),
                '"' if is_quoted => {
                    end = at + 1;
                    break;
                }
                ',' if !is_quoted => {
                    end = at;
                    break;
                }
                other => value.push(other),
            }
        }
        fields.push((key.trim().to_ascii_lowercase(), value));
        rest = after[end..].trim_start_matches([',', ' ']);
    }
    fields
}

fn escape(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A challenge is foreign text.
        #[test]
        fn any_challenge_has_an_answer(text in "(Bearer )?[a-z=\",\\\\ é:/]{0,60}") {
            url(&text, &"https://reg.example/".parse().unwrap()).ok();
        }
    }

    #[test]
    fn challenges() {
        let registry: Url = "https://reg.example/v2/".parse().unwrap();
        let found = url(
            "Bearer realm=\"https://auth.example/token\",service=\"reg, \\\"x\\\"\",scope=\"repository:a/b:pull\"",
            &registry,
        );
        let expected = "https://auth.example/token?service=reg%2C%20%22x%22&scope=repository%3Aa%2Fb%3Apull";
        assert_eq!(found.unwrap().to_string(), expected);
        for (challenge, part) in [
            ("Digest realm=\"x\"", "another authentication"),
            ("Bearer service=\"x\"", "no token server"),
            ("Bearer realm=\"http://auth.example/\"", "no TLS"),
            ("Bearer realm=\"file:///etc/passwd\"", "URL"),
        ] {
            assert!(url(challenge, &registry).unwrap_err().contains(part), "{challenge}");
        }
        assert!(is_basic("basic realm") && !is_basic("Bearer"));
        assert_eq!(token(b"{\"access_token\":\"abc\"}").unwrap(), "abc");
        for wrong in ["{}", "{\"token\":\"a\\r\\nHost: b\"}", "["] {
            assert!(token(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
