//! Root file systems: recipes to plans (pure), plans to a folder on disk.
//!
//! | module | what |
//! |---|---|
//! | [`names`] | path resolution over a plan or the package tree |
//! | [`elf`] | what a binary needs at run time |
//! | [`plan`] | path to entry: the whole root as data |
//! | [`recipe`] | one service's `[image]` table to a plan |
//! | [`image`] | host and services put together |
//! | [`mod@write`] | the plan carried out |

pub(crate) mod elf;
pub(crate) mod image;
pub(crate) mod names;
pub(crate) mod plan;
pub(crate) mod recipe;
pub(crate) mod write;
