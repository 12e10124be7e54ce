//! Base configuration: the document at the URL that the kernel command line names, below all other user data. cloud-init has
//! it for machines that boot from the network.
//!
//! | option | what is there |
//! |---|---|
//! | `cloud-config-url=URL` | a document that begins with `#cloud-config`; anything else is an error |
//! | `url=URL`, the older name, if there is not the other one | the same, or something of another program's, which is left to it |

use serde::{Deserialize, Serialize};

/// What a document begins with: nothing before it, and not compressed.
pub const HEADER: &[u8] = b"#cloud-config";

/// The options; of two the greater counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// `url=`, which installers read, too.
    Url,
    /// `cloud-config-url=`.
    CloudConfigUrl,
}

impl Name {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::CloudConfigUrl => "cloud-config-url",
        }
    }
}

/// Where the document is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The option that says so.
    pub name: Name,
    /// http or https.
    pub url: String,
}

impl Location {
    /// Reads a word of the command line; any URL.
    pub fn of_word(word: &str) -> Option<Self> {
        let (key, url) = word.split_once('=')?;
        let name = [Name::Url, Name::CloudConfigUrl].into_iter().find(|name| name.text() == key)?;
        Some(Self { name, url: url.to_owned() })
    }
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// From where.
    pub location: Location,
    /// The document; `None`: something of another program's, which nobody has to fetch again.
    pub document: Option<Vec<u8>>,
}
