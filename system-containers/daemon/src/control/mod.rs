//! The control channel to PID 1: reaped processes and stop requests in, liveness and stored descriptors out.
//!
//! | module | what |
//! |---|---|
//! | [`message`] | text of the messages, pure |
//! | [`channel`] | the sequenced-packet socket |

pub mod channel;
pub mod message;

pub use channel::Channel;
pub use message::{FromInit, Power, ToInit};
