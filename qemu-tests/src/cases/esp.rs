//! User data on the machine's own EFI system partition, as a person lays it there who has the disk in another machine.

use crate::guest::Guest;
use anyhow::{Result, ensure};

const MOUNT: &str = "busybox mkdir -p /run/esp && busybox mount -t vfat -o iocharset=iso8859-1 /dev/vda2 /run/esp";
const WRITE: &str = "echo instance-id: beside > /run/esp/meta-data \
    && printf '#cloud-config\\nhostname: beside\\n' > /run/esp/user-data";

/// Writes it from within a running machine; the next boot without a medium reads it.
pub(super) fn lay(guest: &mut Guest) -> Result<()> {
    guest.host(&format!("{MOUNT} && {WRITE}; status=$?; busybox umount /run/esp && exit $status")).map(drop)
}

/// Whether this boot has read it.
pub(super) fn is_read(guest: &mut Guest) -> Result<()> {
    let text = guest.hull("status")?;
    ensure!(text.contains("nocloud:/dev/vda2, instance beside, commands "), "{text}");
    let name = guest.host("busybox hostname")?;
    ensure!(name.contains("beside"), "the machine's name is {name}");
    Ok(())
}
