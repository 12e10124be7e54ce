//! System call allow-lists of `service.toml` to classic BPF, once, at build time.
//!
//! | module | what |
//! |---|---|
//! | [`groups`] | named groups, expansion of a list |
//! | [`filter`] | the expanded list through libseccomp |

mod filter;
mod groups;

pub(crate) use groups::Groups;

use anyhow::{Result, ensure};

/// The filter for one list: an array of `struct sock_filter`.
pub(crate) fn compile(groups: &Groups, list: &[String]) -> Result<Vec<u8>> {
    ensure!(!list.is_empty(), "the list is empty: start from \"@default\"");
    filter::compile(&groups.expand(list)?)
}
