//! User data to machine configuration: the `cloud-config` program of Hull.
//!
//! | stage | where | module |
//! |---|---|---|
//! | `compile` | own service, before network and engine | [`stage::compile`] |
//! | `apply` | console container, before the logins | [`stage::apply`] |
//! | `final` | console container, in the background | [`stage::last`] |
//!
//! | module | what |
//! |---|---|
//! | [`document`] | YAML and TOML to one tree with places |
//! | [`seed`] | where the data comes from: NoCloud medium, kernel command line, SMBIOS; cache |
//! | [`userdata`] | the data itself: format, cloud-config keys |
//! | [`machine`] | machine configuration: schema, fragments, network |
//! | [`render`] | machine configuration to the files of the services |
//! | [`account`] | users and groups in `/etc`, home directories, sudo |
//! | [`apply`] | files, mounts, commands |
//! | [`report`], [`store`], [`paths`] | messages, files, directories |

pub mod account;
pub mod apply;
pub mod document;
pub mod machine;
pub mod paths;
pub mod render;
pub mod report;
pub mod seed;
pub mod stage;
pub mod store;
pub mod userdata;
