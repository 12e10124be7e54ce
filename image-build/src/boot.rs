//! What firmware and boot loaders read: initrd, command line, UKI for UEFI, GRUB for BIOS.
//!
//! | module | what |
//! |---|---|
//! | [`cmdline`] | the kernel command line both ways share |
//! | [`initrd`] | cpio archive with `/init` |
//! | [`pe`] | sections added to a PE file |
//! | [`uki`] | unified kernel image |
//! | [`grub`] | boot sector, core image and configuration |

pub(crate) mod cmdline;
pub(crate) mod grub;
pub(crate) mod initrd;
pub(crate) mod pe;
pub(crate) mod uki;
