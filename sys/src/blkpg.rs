//! BLKPG: tells the kernel about one partition added or resized on a disk that is in use, where rereading the whole
//! table would fail with `EBUSY` (`include/uapi/linux/blkpg.h`). BLKRRPART: has it read the whole table of a disk that is not.

use rustix::io::Errno;
use rustix::ioctl::{NoArg, Opcode, Setter, ioctl, opcode};
use std::ffi::{c_int, c_longlong, c_void};
use std::os::fd::AsFd;

const BLKPG: Opcode = opcode::none(0x12, 105);
/// `include/uapi/linux/fs.h`.
const BLKRRPART: Opcode = opcode::none(0x12, 95);
const ADD_PARTITION: c_int = 1;
const RESIZE_PARTITION: c_int = 3;

#[repr(C)]
struct Partition {
    start: c_longlong,
    length: c_longlong,
    number: c_int,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

#[repr(C)]
struct Argument {
    operation: c_int,
    flags: c_int,
    length: c_int,
    data: *mut c_void,
}

/// Adds partition `number` at byte `start` with `length` bytes; its device node exists when this returns.
///
/// Errors: `EBUSY` when the number is taken or the range overlaps another partition.
pub fn add(disk: impl AsFd, number: u32, start: u64, length: u64) -> Result<(), Errno> {
    call(disk, ADD_PARTITION, number, start, length)
}

/// Sets the length in bytes of partition `number`, which may be open; `start` must be its present one.
pub fn resize(disk: impl AsFd, number: u32, start: u64, length: u64) -> Result<(), Errno> {
    call(disk, RESIZE_PARTITION, number, start, length)
}

/// Has the kernel read the partition table of `disk` again; the nodes of its partitions are made anew.
///
/// Errors: `EBUSY` when a partition is in use, `EINVAL` for a device that has no partitions.
pub fn reread(disk: impl AsFd) -> Result<(), Errno> {
    // SAFETY: BLKRRPART takes no argument.
    unsafe { ioctl(disk, NoArg::<BLKRRPART>::new()) }
}

fn call(disk: impl AsFd, operation: c_int, number: u32, start: u64, length: u64) -> Result<(), Errno> {
    let mut partition = Partition {
        start: start.try_into().map_err(|_| Errno::OVERFLOW)?,
        length: length.try_into().map_err(|_| Errno::OVERFLOW)?,
        number: number.try_into().map_err(|_| Errno::INVAL)?,
        device_name: [0; 64],
        volume_name: [0; 64],
    };
    let argument = Argument {
        operation,
        flags: 0,
        length: size_of::<Partition>().try_into().map_err(|_| Errno::INVAL)?,
        data: (&raw mut partition).cast(),
    };
    // SAFETY: BLKPG takes a `struct blkpg_ioctl_arg`; its data pointer names `partition`, which outlives the call.
    unsafe { ioctl(disk, Setter::<BLKPG, Argument>::new(argument)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_kernels_size() {
        assert_eq!((BLKPG, BLKRRPART), (0x1269, 0x125f));
        assert_eq!(size_of::<Partition>(), 152);
        assert_eq!(size_of::<Argument>(), 24);
    }

    #[test]
    fn a_file_is_not_a_disk() -> Result<(), Box<dyn std::error::Error>> {
        let file = std::fs::File::open("/proc/self/exe")?;
        assert!(add(&file, 5, 1 << 20, 1 << 20).is_err() && reread(&file).is_err());
        assert_eq!(add(&file, 5, u64::MAX, 1), Err(Errno::OVERFLOW));
        Ok(())
    }
}
