//! A service in the words of Docker's clients.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | names, labels, a line of `docker ps` |
//! | `status.rs` | where it is in its life |
//! | `inspect.rs` | all about it |

mod inspect;
mod status;

pub use inspect::{config, inspect};
pub use status::state;

use super::model;
use crate::clock::WallTime;
use crate::lifecycle::{System, Unit, timer};
use crate::plan;
use hull_image_store::Origin;
use hull_service::{MountType, Network, Service};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

/// Where the image of an added service is from.
fn origin(system: &System, name: &str) -> Option<Origin> {
    system.units.borrow().get(name)?.added.clone()?
}

/// Name and tag of the image of a service.
pub fn image(system: &System, name: &str) -> String {
    if origin(system, name).is_some() {
        return format!("added/{name}:latest");
    }
    match system.boot_report.version.as_str() {
        "" => format!("hull/{name}"),
        version => format!("hull/{name}:{version}"),
    }
}

/// Id of the image of a service. An added one has its own; those of the OS are verified together, by one root hash: it is
/// that hash with the service in its first 16 digits.
pub fn image_id(system: &System, name: &str) -> String {
    if let Some(origin) = origin(system, name) {
        return origin.id.to_string();
    }
    let mut hash = std::hash::DefaultHasher::new();
    name.hash(&mut hash);
    let rest = system.boot_report.root_hash.get(16..).unwrap_or("000000000000000000000000000000000000000000000000");
    format!("sha256:{:016x}{rest}", hash.finish())
}

fn command(service: Option<&Service>) -> Vec<String> {
    service.and_then(|service| plan::process::plan(service).args().clone()).unwrap_or_default()
}

/// Labels of a container: those of its service, and what changes while it is there.
fn container_labels(unit: &Unit, name: &str) -> HashMap<String, String> {
    let next = timer::next_run(unit).map(|next| ("hull.next-run".to_owned(), next));
    let status = unit.status.clone().map(|status| ("hull.status".to_owned(), status));
    let source = unit.added.clone().flatten().map(|origin| ("hull.source".to_owned(), origin.source));
    labels(unit.definition.as_ref(), name).into_iter().chain(next).chain(status).chain(source).collect()
}

/// Description and the like.
pub fn labels(service: Option<&Service>, name: &str) -> HashMap<String, String> {
    let description = service.map(|service| ("hull.description".to_owned(), service.description.clone()));
    description.into_iter().chain([("hull.service".to_owned(), name.to_owned())]).collect()
}

fn network(service: Option<&Service>) -> String {
    let host = service.is_some_and(|service| service.namespaces.network == Network::Host);
    if host { "host" } else { "none" }.into()
}

/// One line of `docker ps`.
pub fn summary(system: &System, name: &str, unit: &Unit) -> model::ContainerSummary {
    let service = unit.definition.as_ref();
    model::ContainerSummary {
        id: Some(unit.record.id.clone()),
        names: Some(vec![format!("/{name}")]),
        image: Some(image(system, name)),
        image_id: Some(image_id(system, name)),
        command: Some(command(service).join(" ")),
        created: Some(unit.record.created.map_or(0, |created| created.seconds)),
        ports: Some(Vec::new()),
        labels: Some(container_labels(unit, name)),
        state: Some(state(unit)),
        status: Some(status::status(unit, WallTime::now())),
        host_config: Some(model::ContainerSummaryHostConfig {
            network_mode: Some(network(service)),
            ..Default::default()
        }),
        // No service is on a network of its own.
        network_settings: Some(model::ContainerSummaryNetworkSettings { networks: Some(HashMap::new()) }),
        mounts: Some(mounts(service)),
        ..Default::default()
    }
}

fn mounts(service: Option<&Service>) -> Vec<model::MountPoint> {
    let one = |mount: &hull_service::Mount| {
        let has = |names: &[&str]| mount.options.iter().any(|option| names.contains(&option.as_str()));
        let propagation = if has(&["shared", "rshared"]) {
            "shared"
        } else if has(&["slave", "rslave"]) {
            "slave"
        } else {
            "private"
        };
        model::MountPoint {
            typ: match mount.kind {
                MountType::Bind => Some(model::MountPointTypeEnum::BIND),
                MountType::Tmpfs => Some(model::MountPointTypeEnum::TMPFS),
                // Docker has no word for it.
                MountType::Overlay => None,
            },
            source: Some(mount.source.clone().unwrap_or_default()),
            destination: Some(mount.target.clone()),
            mode: Some(mount.options.join(",")),
            rw: Some(!has(&["ro"])),
            propagation: Some(propagation.into()),
            ..Default::default()
        }
    };
    service.map(|service| service.mounts.iter().map(one).collect()).unwrap_or_default()
}
