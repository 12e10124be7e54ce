//! Updates of the OS, as far as they are the daemon's: who may work on slots and ESP and when, whether a version on trial is
//! good. What is fetched and written is the update service's.
//!
//! | module | what |
//! |---|---|
//! | [`work`] | one job of the update service |
//! | [`esp`] | the EFI system partition, mounted for it |
//! | [`trial`] | blesses or leaves a version on trial |
//! | [`gate`] | the owner's checks |
//! | [`verbs`] | what administrators and the schedule ask for |
//! | [`status`] | what is shown of it |
//! | [`schedule`] | looks for updates by itself |

pub mod esp;
pub mod gate;
pub mod schedule;
pub mod status;
pub mod trial;
pub mod verbs;
pub mod work;
