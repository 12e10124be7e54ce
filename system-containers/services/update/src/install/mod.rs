//! A live system writes itself to a disk: the service `install`, which is a verb of this crate's program.
//!
//! | module | what |
//! |---|---|
//! | [`job`] | what the system daemon asks of it |
//! | [`head`] | the beginning of an installed disk, as a live root carries it |
//! | `table` | the partitions of that beginning (feature `service`) |
//! | `esp` | user data in it (feature `service`) |
//! | `disk` | the disk to write: its size, its sectors, a part of it as a slot (feature `service`) |
//! | `write` | the job carried out (feature `service`) |

#[cfg(feature = "service")]
mod disk;
#[cfg(feature = "service")]
mod esp;
pub mod head;
pub mod job;
#[cfg(feature = "service")]
mod table;
#[cfg(feature = "service")]
#[cfg(test)]
mod testing;
#[cfg(feature = "service")]
mod write;

#[cfg(feature = "service")]
pub use write::install;
