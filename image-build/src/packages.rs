//! Debian packages: which ones, downloaded and unpacked into one tree, and which file belongs to which package.
//!
//! | module | what |
//! |---|---|
//! | [`list`] | the union of everything asked for |
//! | [`fetch`] | mmdebstrap, the download cache and the tree cache |
//! | [`index`] | file to package and version |
//! | [`other`] | the same with other versions of some packages |
//! | [`tree`] | the unpacked tree's paths in memory |

pub(crate) mod fetch;
pub(crate) mod index;
pub(crate) mod list;
pub(crate) mod other;
pub(crate) mod tree;

pub(crate) use fetch::{PackageSet, Unpacked, obtain};
pub(crate) use index::PackageIndex;
pub(crate) use tree::Tree;
