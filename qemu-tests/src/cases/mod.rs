//! What is tested on the real image. A scenario is one VM (booted once or more); its cases are named oracles.
//!
//! | scenario | what it shows |
//! |---|---|
//! | [`first_boot`] | UEFI, user data, confinement, Docker at work, a disk of the owner's, kills, reboot, power button |
//! | [`firmware`] | BIOS with 512 MiB, ISO seed, `hull poweroff`, clean file systems, a grown disk, user data on the ESP |
//! | [`user_data`] | malformed, empty, huge and hostile user data |
//! | [`cloud_init`] | a message of many parts, a static network, the same instance again, a new one |
//! | [`clouds`] | user data of clouds: fake metadata services at the real addresses |
//! | [`live_config`] | `hull config apply`, confirmed, not confirmed, with the console gone and the power cut |
//! | [`cloud_config`] | keys of user data that reach beyond the console: disks, swap, authorities, name servers |
//! | [`missing`] | nothing at all: no user data, no network card, no state disk; a full one |
//! | [`network`] | names, static addresses, routes, a bond with a VLAN; DHCP, router advertisements and DNS from real servers; none |
//! | [`ipv6`] | a network without IPv4: logins, names, images, published ports |
//! | [`system_docker`] | every verb of the docker client on the system daemon; our runtime under dockerd; a machine under pressure |
//! | [`services`] | services the owner adds, by user data and by hand |
//! | [`limits`] | what a service may use, by the kernel's own figures; 500 services at once; power cut while logs are written |
//! | [`update`] | a release fetched, tried, found good, rolled back; with UEFI and BIOS |
//! | [`images`] | the image in other forms, each on the hardware of its platform |
//! | [`install`] | the live system written to a disk, which boots by UEFI and BIOS |
//! | [`tampering`] | bits flipped in the root partition |
//! | [`power`] | power cut at any instant, from the first boot to a rollback; two VMs of its own |
//! | [`faults`] | updates that go wrong, one after another: what brings the version before back, and when |

pub mod cloud_config;
pub mod cloud_init;
pub mod clouds;
pub mod confinement;
pub mod docker;
pub mod esp;
pub mod faults;
pub mod firmware;
pub mod first_boot;
pub mod image;
pub mod images;
pub mod install;
pub mod ipv6;
pub mod kills;
pub mod lan;
pub mod limits;
pub mod live_config;
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
pub mod vlan;
pub mod web_server;

use crate::guest::Site;
use crate::report::Report;

/// One VM's story.
pub type Scenario = fn(&Site, &mut Report);

/// All scenarios, the longest first so that two at a time end together.
pub const SCENARIOS: [(&str, Scenario); 21] = [
    ("faults-uefi", faults::uefi),
    ("faults-bios", faults::bios),
    ("first-boot", first_boot::run),
    ("user-data", user_data::run),
    ("system-docker", system_docker::run),
    ("missing", missing::run),
    ("services", services::run),
    ("limits", limits::run),
    ("cloud-init", cloud_init::run),
    ("clouds", clouds::run),
    ("live-config", live_config::run),
    ("cloud-config", cloud_config::run),
    ("update-uefi", update::run),
    ("update-bios", update::bios),
    ("firmware", firmware::run),
    ("network", network::run),
    ("ipv6", ipv6::run),
    ("images", images::run),
    ("install", install::run),
    ("tampering", tampering::run),
    (ALONE, power::run),
];

/// The scenario that runs after the others: it has two VMs at a time itself.
pub const ALONE: &str = "power";
