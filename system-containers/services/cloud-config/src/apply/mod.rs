//! What the later stages do in the console container, one verb a module.
//!
//! | module | what |
//! |---|---|
//! | [`files`] | write_files |
//! | [`mounts`] | mounts |
//! | [`disks`] | disk_setup, fs_setup |
//! | [`swap`] | swap |
//! | [`commands`] | bootcmd, runcmd |
//! | [`scripts`] | scripts and boothooks |
//! | [`host_keys`] | ssh_keys, ssh_genkeytypes, ssh_deletekeys |
//! | [`metadata`] | disable_ec2_metadata |
//! | [`phone`] | phone_home |
//! | [`output`] | output |
//! | [`power`] | power_state |
//! | [`identity`] | /etc/hostname, /etc/hosts, /etc/localtime |
//! | [`program`] | runs a program |
//! | [`engine`] | waits for the user engine |
//! | [`entropy`] | random_seed |
//! | [`message`] | final_message |
//! | [`containers`] | hull: containers |
//! | [`services`] | hull: services |

pub mod commands;
pub mod containers;
pub mod disks;
pub mod engine;
pub mod entropy;
pub mod files;
pub mod host_keys;
pub mod identity;
pub mod message;
pub mod metadata;
pub mod mounts;
pub mod output;
pub mod phone;
pub mod power;
pub mod program;
pub mod scripts;
pub mod services;
pub mod swap;

/// The administrator's command, which mounts and adds services.
pub const HULL: &str = "/usr/bin/hull";
