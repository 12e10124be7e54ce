//! Users and groups of the console container.
//!
//! | module | what |
//! |---|---|
//! | [`database`] | passwd(5), group(5), shadow(5) as text: foreign lines stay |
//! | [`home`] | home directory and `authorized_keys`, without following links out of it |
//! | [`sudo`] | rules for sudoers(5) |
//! | [`password`] | passwords, hashed by the system's own tool |
//! | [`ensure`] | makes the users of the user data exist |

pub mod database;
pub mod ensure;
pub mod home;
pub mod password;
pub mod sudo;
