//! User data: which format it is, and the cloud-config keys in it.
//!
//! | module | keys |
//! |---|---|
//! | [`mod@format`] | none: gzip, `#cloud-config`, `#!` and what is not supported |
//! | [`cloud_config`] | the document, hostname, fqdn, timezone, `hull` |
//! | [`users`] | users, ssh_authorized_keys |
//! | [`files`] | write_files |
//! | [`mounts`] | mounts |
//! | [`commands`] | runcmd, bootcmd |
//! | [`services`] | hull: services |
//! | [`hints`] | everything else: what to do instead |

pub mod cloud_config;
pub mod commands;
pub mod files;
pub mod format;
pub mod hints;
pub mod mounts;
pub mod names;
pub mod services;
pub mod users;

pub use cloud_config::CloudConfig;
