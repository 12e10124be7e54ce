//! How a service says, or shows, that it works.
//!
//! | module | what |
//! |---|---|
//! | [`notify`] | the sd_notify(3) socket of one service |
//! | [`probe`] | one question asked from outside |

pub mod notify;
pub mod probe;
