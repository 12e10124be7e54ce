//! Where user data comes from, and which instance this machine is.
//!
//! Precedence, first wins, key by key: `ds=nocloud;…` of the kernel command line, then of the SMBIOS serial number,
//! then the medium labelled `cidata` or `config-2`, then what the network has (a server named by `s=`, or the cloud that the
//! firmware tells of), then the copy kept from an earlier boot.
//!
//! | module | what |
//! |---|---|
//! | [`superblock`] | label and UUID of a file system, read by ourselves |
//! | [`volume`] | files of a vfat or ISO 9660 file system, read by ourselves |
//! | [`bytes`] | what both read from |
//! | [`medium`] | finds the medium and reads NoCloud's |
//! | [`configdrive`] | reads OpenStack's |
//! | [`ovf_env`] | what Azure's metadata service has not |
//! | [`guestinfo`] | what VMware's hypervisor has |
//! | [`command_line`] | cloud-init's forms on the kernel command line |
//! | [`base`] | the document that the kernel command line names |
//! | [`meta`] | `meta-data` |
//! | [`platform`] | which cloud the firmware tells of |
//! | [`exchange`] | what is to be fetched from the network, and what was |
//! | [`instance`] | identity, hand-over to the later stages, cache |

pub mod base;
pub mod bytes;
pub mod command_line;
pub mod configdrive;
pub mod exchange;
pub mod guestinfo;
pub mod instance;
pub mod medium;
pub mod meta;
pub mod ovf_env;
pub mod platform;
pub mod superblock;
pub mod volume;
