//! What is signed, and by whom: `{"payload": "<JSON text>", "signatures": [{"key": "<id>", "signature": "<hex>"}]}`.
//!
//! A signature covers `"hull-update\0" kind "\0" payload`: a document of one kind never passes for another. The payload is
//! text inside JSON, so the bytes signed are those parsed, whatever writes the JSON around them.

use super::error::TrustError;
use super::key::{PublicKey, SigningKey};
use crate::digest::{Digest, unhex};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of signed documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Who signs.
    Root,
    /// What is released.
    Channel,
}

/// A document with its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Envelope {
    /// JSON text.
    pub payload: String,
    /// By whoever signed.
    pub signatures: Vec<Signature>,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Signature {
    /// [`PublicKey::id`].
    pub key: Digest,
    /// Hexadecimal digits.
    pub signature: String,
}

impl Kind {
    /// As in the document's field `kind`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Channel => "channel",
        }
    }

    fn message(self, payload: &str) -> Vec<u8> {
        ["hull-update\0", self.as_str(), "\0", payload].concat().into_bytes()
    }
}

impl Envelope {
    /// Signs a document with each key.
    #[must_use]
    pub fn sign(kind: Kind, payload: String, keys: &[&SigningKey]) -> Self {
        let message = kind.message(&payload);
        let sign = |key: &&SigningKey| Signature { key: key.public().id(), signature: key.sign(&message) };
        Self { signatures: keys.iter().map(sign).collect(), payload }
    }

    /// Reads an envelope of at most `limit` bytes.
    pub(super) fn parse(file: &str, bytes: &[u8], limit: u64) -> Result<Self, TrustError> {
        if bytes.len() as u64 > limit {
            return Err(TrustError::Oversized { file: file.into(), limit });
        }
        serde_json::from_slice(bytes)
            .map_err(|error| TrustError::Malformed { file: file.into(), what: error.to_string() })
    }

    /// How many of `keys` signed it; a key counts once, however often it is listed or signed.
    pub(super) fn signers(&self, kind: Kind, keys: &[PublicKey]) -> u64 {
        let known: BTreeMap<Digest, &PublicKey> = keys.iter().map(|key| (key.id(), key)).collect();
        let message = kind.message(&self.payload);
        let mut signers = BTreeSet::new();
        for Signature { key, signature } in &self.signatures {
            let Some(public) = known.get(key).filter(|_| !signers.contains(key)) else { continue };
            if unhex(signature).is_some_and(|signature| public.verifies(&message, &signature)) {
                signers.insert(*key);
            }
        }
        signers.len() as u64
    }
}
