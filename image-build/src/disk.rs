//! The disk image: partition table, boot loaders, ESP, root.
//!
//! | module | what |
//! |---|---|
//! | [`partitions`] | sizes and places, as data |
//! | [`esp`] | the FAT file system and its files |
//! | [`mod@write`] | everything into one sparse file |

pub(crate) mod esp;
pub(crate) mod partitions;
pub(crate) mod write;
