//! The daemon itself.

use serde::Serialize;

/// `GET /version`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Version {
    /// Name of the platform.
    pub platform: Platform,
    /// Parts.
    pub components: Vec<Component>,
    /// Of the OS.
    pub version: String,
    /// Spoken version.
    pub api_version: &'static str,
    /// Oldest accepted version.
    #[serde(rename = "MinAPIVersion")]
    pub min_api_version: &'static str,
    /// `linux`.
    pub os: &'static str,
    /// In Go's words.
    pub arch: &'static str,
    /// Of the running kernel.
    pub kernel_version: String,
}

/// Name of the platform.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Platform {
    /// For people.
    pub name: &'static str,
}

/// A part and its version.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Component {
    /// For people.
    pub name: &'static str,
    /// Its version.
    pub version: String,
}

/// `GET /info`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    /// Slot, for want of a machine-wide id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Services.
    pub containers: usize,
    /// Those with a process.
    pub containers_running: usize,
    /// Those that are frozen.
    pub containers_paused: usize,
    /// The others.
    pub containers_stopped: usize,
    /// One each service.
    pub images: usize,
    /// `erofs`.
    pub driver: &'static str,
    /// `json-file`.
    pub logging_driver: &'static str,
    /// `none`.
    pub cgroup_driver: &'static str,
    /// `2`.
    pub cgroup_version: &'static str,
    /// Of the running kernel.
    pub kernel_version: String,
    /// Name and version of the OS.
    pub operating_system: String,
    /// Version of the OS.
    #[serde(rename = "OSVersion")]
    pub os_version: String,
    /// `linux`.
    #[serde(rename = "OSType")]
    pub os_type: &'static str,
    /// As uname(2) says it.
    pub architecture: String,
    /// Processors.
    #[serde(rename = "NCPU")]
    pub cpus: usize,
    /// Bytes.
    pub mem_total: u64,
    /// Host name.
    pub name: String,
    /// Of the OS.
    pub server_version: String,
    /// Of messages for people.
    pub warnings: Vec<String>,
    /// Where state is.
    pub docker_root_dir: &'static str,
    /// RFC 3339.
    pub system_time: String,
    /// Enabled everywhere.
    pub security_options: Vec<&'static str>,
}

/// `GET /volumes`: services keep their data where their definitions say.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volumes {
    /// None.
    pub volumes: [(); 0],
    /// None.
    pub warnings: [(); 0],
}
