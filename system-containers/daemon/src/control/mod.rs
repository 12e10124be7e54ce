//! The control channel to PID 1: reaped processes and stop requests in, liveness and stored descriptors out.
//!
//! | module | what |
//! |---|---|
//! | [`message`] | text of the messages, pure |
//! | [`channel`] | the sequenced-packet socket |
//! | [`exits`] | reported exits that must not be forgotten |

pub mod channel;
pub mod exits;
pub mod message;

pub use channel::Channel;
pub use message::{FromInit, Power, ToInit};
