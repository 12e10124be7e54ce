//! Images.

use super::container::Summary as Container;
use serde::Serialize;
use std::collections::BTreeMap;

/// One line of `docker images`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Summary {
    /// `sha256:` and 64 hexadecimal digits.
    pub id: String,
    /// Empty.
    pub parent_id: &'static str,
    /// One, `hull/<service>:<version>`.
    pub repo_tags: Vec<String>,
    /// None: it comes from no registry.
    pub repo_digests: [(); 0],
    /// Seconds since 1970.
    pub created: i64,
    /// Bytes of its files, those it shares with other services included.
    pub size: u64,
    /// Bytes of those it shares.
    pub shared_size: u64,
    /// Description.
    pub labels: BTreeMap<String, String>,
    /// Always one: the service.
    pub containers: u32,
}

/// `docker image inspect`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspect {
    /// As in [`Summary`].
    pub id: String,
    /// As in [`Summary`].
    pub repo_tags: Vec<String>,
    /// None.
    pub repo_digests: [(); 0],
    /// Empty.
    pub parent: &'static str,
    /// Description.
    pub comment: String,
    /// RFC 3339.
    pub created: String,
    /// As uname(2) says it, in Go's words.
    pub architecture: &'static str,
    /// `linux`.
    pub os: &'static str,
    /// Bytes.
    pub size: u64,
    /// What its container is.
    pub config: super::container::Config,
    /// It has no layers.
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
}

/// Layers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "Type")]
    pub kind: &'static str,
    /// Empty.
    pub layers: [(); 0],
}

/// One line of `docker history`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct History {
    /// As in [`Summary`].
    pub id: String,
    /// Seconds since 1970.
    pub created: i64,
    /// What made it.
    pub created_by: &'static str,
    /// As in [`Summary`].
    pub tags: Vec<String>,
    /// Bytes.
    pub size: u64,
    /// Description.
    pub comment: String,
}

/// `docker system df`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DiskUsage {
    /// Bytes of all images, shared files once.
    pub layers_size: u64,
    /// Images.
    pub images: Vec<Summary>,
    /// Containers.
    pub containers: Vec<Container>,
    /// None.
    pub volumes: [(); 0],
    /// None.
    pub build_cache: [(); 0],
}
