//! What is tested on the real image. A scenario is one VM (booted once or more); its cases are named oracles.
//!
//! | scenario | what it shows |
//! |---|---|
//! | [`first_boot`] | UEFI, user data, confinement, Docker at work, a disk of the owner's, kills, reboot, power button |
//! | [`firmware`] | BIOS with 512 MiB, ISO seed, `hull poweroff`, clean file systems, a grown disk |
//! | [`user_data`] | malformed, empty, huge and hostile user data |
//! | [`missing`] | nothing at all: no user data, no network card, no state disk; a full one |
//! | [`network`] | DHCP and router advertisements from a real server, static addresses, DNS |
//! | [`system_docker`] | every verb of the docker client on the system daemon; our runtime under dockerd; a machine under pressure |
//! | [`services`] | services the owner adds, by user data and by hand |
//! | [`limits`] | what a service may use, by the kernel's own figures; 500 services at once; power cut while logs are written |
//! | [`update`] | a release fetched, tried, found good, rolled back; with UEFI and BIOS |
//! | [`tampering`] | bits flipped in the root partition |
//! | [`power`] | power cut at any instant, from the first boot to a rollback; two VMs of its own |
//! | [`faults`] | updates that go wrong, one after another: what brings the version before back, and when |

pub mod confinement;
pub mod docker;
pub mod faults;
pub mod firmware;
pub mod first_boot;
pub mod image;
pub mod kills;
pub mod limits;
pub mod missing;
pub mod mounts;
pub mod network;
pub mod power;
pub mod pressure;
pub mod registry;
pub mod runtimes;
pub mod services;
pub mod system_docker;
pub mod tampering;
pub mod update;
pub mod user_data;
pub mod web_server;

use crate::guest::Site;
use crate::report::Report;

/// One VM's story.
pub type Scenario = fn(&Site, &mut Report);

/// All scenarios, the longest first so that two at a time end together.
pub const SCENARIOS: [(&str, Scenario); 14] = [
    ("faults-uefi", faults::uefi),
    ("faults-bios", faults::bios),
    ("first-boot", first_boot::run),
    ("user-data", user_data::run),
    ("system-docker", system_docker::run),
    ("missing", missing::run),
    ("services", services::run),
    ("limits", limits::run),
    ("update-uefi", update::run),
    ("update-bios", update::bios),
    ("firmware", firmware::run),
    ("network", network::run),
    ("tampering", tampering::run),
    (ALONE, power::run),
];

/// The scenario that runs after the others: it has two VMs at a time itself.
pub const ALONE: &str = "power";
