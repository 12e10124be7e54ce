//! `/_ping`, `/version`, `/info`.

use super::body::{self, Answer, Body};
use super::model::engine::{Component, Info, Platform, Version};
use super::route::{API_VERSION, MIN_API_VERSION};
use crate::clock::WallTime;
use crate::lifecycle::System;
use crate::plan::facts;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue};

/// In Go's words.
pub const ARCHITECTURE: &str = if cfg!(target_arch = "x86_64") { "amd64" } else { std::env::consts::ARCH };

/// Alive; clients read the API version from the headers every answer has.
pub fn ping() -> Answer {
    let mut answer = body::with(StatusCode::OK, "text/plain; charset=utf-8", Body::Whole(Some("OK".into())));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    answer
}

/// `GET /version`.
pub fn version(system: &System) -> Version {
    let daemon = env!("CARGO_PKG_VERSION").to_owned();
    Version {
        platform: Platform { name: "Hull" },
        components: vec![Component { name: "system-daemon", version: daemon }],
        version: os_version(system),
        api_version: API_VERSION,
        min_api_version: MIN_API_VERSION,
        os: "linux",
        arch: ARCHITECTURE,
        kernel_version: kernel(),
    }
}

/// `GET /info`.
pub fn info(system: &System) -> Info {
    let units = system.units.borrow();
    let running = units.values().filter(|unit| unit.init().is_some()).count();
    let version = os_version(system);
    Info {
        id: system.boot_report.root_hash.clone(),
        containers: units.len(),
        containers_running: running,
        containers_paused: units.values().filter(|unit| unit.record.paused).count(),
        containers_stopped: units.len() - running,
        images: units.len(),
        driver: "erofs",
        logging_driver: "json-file",
        cgroup_driver: "none",
        cgroup_version: "2",
        kernel_version: kernel(),
        operating_system: format!("Hull {version}"),
        os_version: version.clone(),
        os_type: "linux",
        architecture: rustix::system::uname().machine().to_string_lossy().into_owned(),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        mem_total: facts::memory(),
        name: system.hostname.borrow().clone(),
        server_version: version,
        warnings: Vec::new(),
        docker_root_dir: "/state",
        system_time: WallTime::now().rfc3339(),
        security_options: vec!["name=seccomp,profile=per-service", "name=cgroupns", "name=no-new-privileges"],
    }
}

fn os_version(system: &System) -> String {
    match system.boot_report.version.as_str() {
        "" => env!("CARGO_PKG_VERSION").into(),
        version => version.into(),
    }
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}
