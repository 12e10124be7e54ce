//! Signing keys, ed25519 (RFC 8032), in files as PKCS#8 (RFC 5958): PEM, as openssl(1) writes it too, or hexadecimal.

use crate::digest::{Digest, hex, unhex};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::fmt;

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// Characters of a line of PEM (RFC 7468).
const PEM_LINE: usize = 64;

/// A key that signatures are checked with; in JSON 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(transparent)]
pub struct PublicKey(Digest);

/// A key that signs.
pub struct SigningKey(Ed25519KeyPair);

/// Not a private key, or no randomness for one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(&'static str);

impl PublicKey {
    /// By which signatures name it: SHA-256 of its 32 bytes.
    #[must_use]
    pub fn id(&self) -> Digest {
        Digest::of(&self.0.0)
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0.0).verify(message, signature).is_ok()
    }
}

impl SigningKey {
    /// A new key and the text of its file.
    pub fn generate() -> Result<(Self, String), KeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| KeyError("the system gives no random numbers"))?;
        let text = BASE64_STANDARD.encode(document.as_ref());
        let lines: Vec<&str> =
            text.as_bytes().chunks(PEM_LINE).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        Ok((Self::from_der(document.as_ref())?, format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", lines.join("\n"))))
    }

    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text: String = text.lines().map(str::trim).collect();
        let der = match text.strip_prefix(PEM_BEGIN).and_then(|rest| rest.strip_suffix(PEM_END)) {
            Some(inside) => BASE64_STANDARD.decode(inside).ok(),
            None => unhex(&text),
        };
        Self::from_der(&der.ok_or(KeyError("neither PEM of a private key nor hexadecimal digits"))?)
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        // Keys of openssl lack the public half, which is only there to notice a damaged file.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
        pair.map(Self).map_err(|_| KeyError("not an ed25519 key in PKCS#8"))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(Digest(bytes))
    }

    pub(super) fn sign(&self, message: &[u8]) -> String {
        hex(self.0.sign(message).as_ref())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_their_files() {
        let (key, text) = SigningKey::generate().unwrap();
        assert_eq!(SigningKey::parse(&text).unwrap().public(), key.public());
        let inside: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let digits = hex(&BASE64_STANDARD.decode(inside).unwrap());
        assert_eq!(SigningKey::parse(&format!("{digits}\n")).unwrap().public(), key.public());
        for wrong in ["", "00", &text.replace("PRIVATE", "PUBLIC"), &digits[..60]] {
            assert!(SigningKey::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// RFC 8032, section 7.1, test 1; the file as `openssl genpkey` writes it.
    #[test]
    fn a_key_of_openssl_is_read() {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let key = SigningKey::parse(&format!("302e020100300506032b657004220420{seed}")).unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(key.public().0.to_string(), public);
        let signature = key.sign(b"");
        assert!(signature.starts_with("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"));
        assert!(key.public().verifies(b"", &unhex(&signature).unwrap()));
    }
}
