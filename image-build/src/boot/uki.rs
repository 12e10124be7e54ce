//! Unified kernel image for systemd-stub (UAPI.5): the stub with what it needs as sections.

use super::pe::{Section, append};
use anyhow::{Context, Result};
use std::path::Path;

/// Parts of one UKI.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    /// systemd-stub.
    pub(crate) stub: &'a Path,
    /// Compressed kernel.
    pub(crate) kernel: &'a Path,
    /// Compressed initrd.
    pub(crate) initrd: &'a Path,
    /// Kernel command line.
    pub(crate) command_line: &'a str,
    /// os-release(5): title and version in the boot menu.
    pub(crate) os_release: &'a str,
    /// Kernel release.
    pub(crate) release: &'a str,
}

/// The image as bytes.
pub(crate) fn make(parts: &Parts<'_>) -> Result<Vec<u8>> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("{}", path.display()));
    let text = |text: &str| text.as_bytes().to_vec();
    let sections = [
        Section { name: ".osrel", data: text(parts.os_release) },
        Section { name: ".cmdline", data: text(parts.command_line) },
        Section { name: ".uname", data: text(parts.release) },
        Section { name: ".initrd", data: read(parts.initrd)? },
        // Last: the kernel unpacks itself in place, past the end of its section.
        Section { name: ".linux", data: read(parts.kernel)? },
    ];
    append(read(parts.stub)?, &sections).with_context(|| format!("{}", parts.stub.display()))
}
