//! `/_ping`, `/version`, `/info`, `/volumes`.

use super::body::{self, Answer, Body};
use super::model::{
    SystemInfo, SystemInfoCgroupDriverEnum, SystemInfoCgroupVersionEnum, SystemVersion, SystemVersionComponents,
    SystemVersionPlatform, VolumeListResponse, int64,
};
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
pub fn version(system: &System) -> SystemVersion {
    let daemon = SystemVersionComponents {
        name: "system-daemon".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..Default::default()
    };
    SystemVersion {
        platform: Some(SystemVersionPlatform { name: "Hull".into() }),
        components: Some(vec![daemon]),
        version: Some(os_version(system)),
        api_version: Some(API_VERSION.into()),
        min_api_version: Some(MIN_API_VERSION.into()),
        os: Some("linux".into()),
        arch: Some(ARCHITECTURE.into()),
        kernel_version: Some(kernel()),
        ..Default::default()
    }
}

/// `GET /info`.
pub fn info(system: &System) -> SystemInfo {
    let units = system.units.borrow();
    let running = units.values().filter(|unit| unit.init().is_some()).count();
    let version = os_version(system);
    let security = ["name=seccomp,profile=per-service", "name=cgroupns", "name=no-new-privileges"];
    SystemInfo {
        // Of the image, for want of one of the machine.
        id: Some(system.boot_report.root_hash.clone()),
        containers: Some(int64(units.len())),
        containers_running: Some(int64(running)),
        containers_paused: Some(int64(units.values().filter(|unit| unit.record.paused).count())),
        containers_stopped: Some(int64(units.len() - running)),
        images: Some(int64(units.len())),
        driver: Some("erofs".into()),
        logging_driver: Some("json-file".into()),
        cgroup_driver: Some(SystemInfoCgroupDriverEnum::NONE),
        cgroup_version: Some(SystemInfoCgroupVersionEnum::_2),
        kernel_version: Some(kernel()),
        operating_system: Some(format!("Hull {version}")),
        os_version: Some(version.clone()),
        os_type: Some("linux".into()),
        architecture: Some(rustix::system::uname().machine().to_string_lossy().into_owned()),
        ncpu: Some(std::thread::available_parallelism().map_or(1, |cpus| int64(cpus.get()))),
        mem_total: Some(int64(facts::memory())),
        name: Some(system.hostname.borrow().clone()),
        server_version: Some(version),
        warnings: Some(Vec::new()),
        docker_root_dir: Some("/state".into()),
        system_time: Some(WallTime::now().rfc3339()),
        security_options: Some(security.map(str::to_owned).into()),
        ..Default::default()
    }
}

/// `GET /volumes`: none; services keep their data where their definitions say.
pub fn volumes() -> VolumeListResponse {
    VolumeListResponse { volumes: Some(Vec::new()), warnings: Some(Vec::new()) }
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
