//! What the later stages do in the console container, one verb a module.
//!
//! | module | what |
//! |---|---|
//! | [`files`] | write_files |
//! | [`mounts`] | mounts |
//! | [`commands`] | bootcmd, runcmd, the user's script |
//! | [`identity`] | /etc/hostname, /etc/hosts, /etc/localtime |
//! | [`engine`] | waits for the user engine |
//! | [`services`] | hull: services |

pub mod commands;
pub mod engine;
pub mod files;
pub mod identity;
pub mod mounts;
pub mod services;

/// The administrator's command, which mounts and adds services.
pub const HULL: &str = "/usr/bin/hull";
