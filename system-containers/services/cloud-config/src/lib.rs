//! User data to machine configuration: the `cloud-config` program of Hull.
//!
//! | stage | where | module |
//! |---|---|---|
//! | `compile` | own service, before network and engine | [`stage::compile`] |
//! | `fetch` | service `metadata`, behind the network | [`fetch`] |
//! | `apply` | console container, before the logins | [`stage::apply`] |
//! | `final` | console container, in the background | [`stage::last`] |
//!
//! | module | what |
//! |---|---|
//! | [`document`] | YAML and TOML to one tree with places |
//! | [`seed`] | where the data comes from: NoCloud medium, configuration drive, kernel command line, SMBIOS; cache |
//! | [`fetch`] | metadata services of clouds, servers and include lists |
//! | [`userdata`] | the data itself: format, cloud-config keys |
//! | [`live`] | a machine configuration put in force while the machine runs |
//! | [`machine`] | machine configuration: schema, fragments, network |
//! | [`render`] | machine configuration to the files of the services |
//! | [`account`] | users and groups in `/etc`, home directories, sudo |
//! | [`apply`] | files, mounts, commands |
//! | [`verbs`] | `hull config`: a file's verdict, what is in force |
//! | [`attempts`] | what is tried again |
//! | [`report`], [`store`], [`paths`] | messages, files, directories |

pub mod account;
pub mod apply;
pub mod attempts;
pub mod document;
pub mod fetch;
pub mod live;
pub mod machine;
pub mod paths;
pub mod render;
pub mod report;
pub mod seed;
pub mod stage;
pub mod store;
pub mod userdata;
pub mod verbs;
