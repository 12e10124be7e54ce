//! User data: its parts and their formats, and the cloud-config keys in it.
//!
//! ```text
//! blob ─ parts ─ template ─┬─ cloud-config documents ─ merge ─ CloudConfig ─┬─ Layer
//!                          └─ scripts ──────────────────────────────────────┘
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`mod@format`] | what a part is: types, first lines, gzip |
//! | [`parts`] | a blob to its parts: MIME messages, archives |
//! | [`template`] | jinja templates |
//! | [`merge`] | several documents to one tree |
//! | [`scripts`] | scripts and their order |
//! | [`layer`] | all of one blob, put together |
//!
//! | module | keys |
//! |---|---|
//! | [`cloud_config`] | the document, hostname, fqdn, timezone, `hull` |
//! | [`users`] | users, ssh_authorized_keys |
//! | [`login`] | user, password, chpasswd, ssh_pwauth, groups |
//! | [`host_keys`] | ssh_keys |
//! | [`phone`] | phone_home |
//! | [`output`] | output |
//! | [`power`] | power_state |
//! | [`entropy`] | random_seed |
//! | [`distribution`] | ntp, rsyslog, ca_certs, resolv_conf |
//! | [`files`] | write_files |
//! | [`disks`] | device_aliases, disk_setup, fs_setup |
//! | [`mounts`] | mounts, mount_default_fields |
//! | [`swap`] | swap |
//! | [`commands`] | runcmd, bootcmd |
//! | [`services`] | hull: services |
//! | [`keys`] | the table of all keys: who reads them, or what to do instead |

pub mod cloud_config;
pub mod commands;
pub mod containers;
pub mod disks;
pub mod distribution;
pub mod entropy;
pub mod files;
pub mod format;
pub mod host_keys;
pub mod keys;
pub mod layer;
pub mod login;
pub mod merge;
pub mod mounts;
pub mod names;
pub mod output;
pub mod parts;
pub mod phone;
pub mod power;
pub mod scripts;
pub mod services;
pub mod swap;
pub mod template;
#[cfg(test)]
mod testing;
pub mod users;

pub use cloud_config::CloudConfig;
pub use layer::Layer;
