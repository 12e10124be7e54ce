//! Where user data comes from, and which instance this machine is.
//!
//! Precedence, first wins, key by key: `ds=nocloud;…` of the kernel command line, then of the SMBIOS serial number,
//! then the medium labelled `cidata`, then the copy of that medium kept from an earlier boot.
//!
//! | module | what |
//! |---|---|
//! | [`superblock`] | label and UUID of a file system, read by ourselves |
//! | [`volume`] | files of a vfat or ISO 9660 file system, read by ourselves |
//! | [`bytes`] | what both read from |
//! | [`medium`] | finds and reads the NoCloud medium |
//! | [`command_line`] | cloud-init's forms on the kernel command line |
//! | [`meta`] | `meta-data` |
//! | [`instance`] | identity, hand-over to the later stages, cache |

pub mod bytes;
pub mod command_line;
pub mod instance;
pub mod medium;
pub mod meta;
pub mod superblock;
pub mod volume;
