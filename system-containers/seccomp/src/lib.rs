//! System call allow-lists of `service.toml` to classic BPF, once, at build time.
//!
//! | module | what |
//! |---|---|
//! | `groups` | named groups, expansion of a list |
//! | `filter` | the expanded list through libseccomp |
//! | `names` | the expanded list as names |

mod filter;
mod groups;
mod names;

pub use groups::Groups;

use anyhow::{Result, ensure};

/// What one list comes to.
#[derive(Debug)]
pub struct Filter {
    /// An array of `struct sock_filter`.
    pub program: Vec<u8>,
    /// The kernel's system calls the program lets through.
    pub calls: Vec<String>,
    /// Those the list asks for: the same, unless this machine's libseccomp is older than the kernel.
    pub listed: Vec<String>,
}

/// Compiles one list.
pub fn compile(groups: &Groups, list: &[String]) -> Result<Filter> {
    ensure!(!list.is_empty(), "the list is empty: start from \"@default\"");
    let expanded = groups.expand(list)?;
    let listed = names::listed(&expanded);
    let calls = listed.iter().filter(|name| filter::is_known(name)).cloned().collect();
    Ok(Filter { program: filter::compile(&expanded)?, calls, listed })
}
