//! What the system daemon asks of the importer, and the importer's answer: files of one folder.
//!
//! ```text
//! request.json     a Request; removed once read, for it may hold a password
//! answer           lines of JSON, a Line each: any number of Status, then one of the others
//! ```
//!
//! Paths are below the store, which both see at the same place:
//!
//! ```text
//! uploads/<name>   an archive as a client sent it
//! incoming/<id>/   a result, until the daemon renames it away
//! ```

use crate::digest::Digest;
use crate::origin::Origin;
use serde::{Deserialize, Serialize};

/// The request's file.
pub const REQUEST_FILE: &str = "request.json";
/// The answer's file.
pub const ANSWER_FILE: &str = "answer";
/// Folder of archives as they were sent.
pub const UPLOADS: &str = "uploads";
/// Folder of results.
pub const INCOMING: &str = "incoming";
/// A stored image: the archive.
pub const ARCHIVE_FILE: &str = "image.tar";
/// A stored image: its [`Stored`].
pub const STORED_FILE: &str = "image.json";

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What is to be done.
    pub work: Work,
    /// Servers asked before the registry itself, `http[s]://host[:port]`.
    pub mirrors: Vec<String>,
    /// For the registry's token server.
    pub credentials: Option<Credentials>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Unpack an image for a service; answered by [`Line::Imported`].
    Import {
        /// The service.
        name: String,
        /// Text of its `service.toml`.
        definition: String,
        /// Its image.
        source: Source,
    },
    /// Check an archive and keep it as it is; answered by [`Line::Stored`].
    Keep(Source),
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// An archive, by its path below the store.
    Archive(String),
    /// In a registry.
    Reference(String),
}

/// Name and password.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Credentials {
    /// Name.
    pub user: String,
    /// Password or access token.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// What is being done, for people.
    Status(String),
    /// `incoming/<id>` holds an unpacked image.
    Imported {
        /// Name of the folder.
        incoming: String,
        /// The image.
        origin: Origin,
    },
    /// `incoming/<id>` holds a checked archive.
    Stored {
        /// Name of the folder.
        incoming: String,
        /// The image.
        stored: Stored,
    },
    /// Nothing was done, and why.
    Failed(String),
}

/// An image kept as an archive.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Digest of the image's configuration, Docker's image id.
    pub id: Digest,
    /// Digest of the image's manifest or index; none for archives of Docker before version 25.
    pub digest: Option<Digest>,
    /// Names, `repository:tag`.
    pub names: Vec<String>,
    /// Bytes of the archive.
    pub bytes: u64,
    /// What the image itself says about its program.
    pub defaults: Defaults,
}

/// What an image's configuration says about its program (OCI image specification, config.md).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub command: Vec<String>,
    /// `Env`.
    pub environment: Vec<String>,
    /// `WorkingDir`.
    pub working_directory: Option<String>,
    /// `User`.
    pub user: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let credentials = Credentials { user: "u".into(), password: "hidden".into() };
        let request = Request {
            work: Work::Keep(Source::Reference("r".into())),
            mirrors: Vec::new(),
            credentials: Some(credentials),
        };
        assert!(!format!("{request:?}").contains("hidden"));
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
    }
}
