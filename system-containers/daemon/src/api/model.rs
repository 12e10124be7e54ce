//! JSON shapes of the Docker Engine API: those of `bollard-stubs`, generated from Docker's own description of it.
//!
//! | endpoint | shape |
//! |---|---|
//! | `/containers/json`, `/containers/{id}/json` | [`ContainerSummary`], [`ContainerInspectResponse`] |
//! | `/containers/{id}/top`, `/wait`, `/stats` | [`ContainerTopResponse`], [`ContainerWaitResponse`], [`ContainerStatsResponse`] |
//! | `/containers/{id}/changes` | [`FilesystemChange`] |
//! | `/containers/{id}/exec`, `/exec/{id}/*` | [`ExecConfig`], [`ExecCreated`], [`ExecStartConfig`], [`ExecInspectResponse`] |
//! | `/images/*` | [`ImageSummary`], [`ImageInspect`], [`HistoryResponseItem`] |
//! | `/version`, `/info`, `/system/df`, `/volumes` | [`SystemVersion`], [`SystemInfo`], [`SystemDataUsageResponse`], [`VolumeListResponse`] |
//! | `/events` | [`Event`] |
//! | every error | [`ErrorResponse`] |
//!
//! A field that is `None` is left out, which clients in Go read as zero. So `None` stands only where a thing means nothing
//! here; what is none or empty here is said, as `[]`, `""` or 0.
//!
//! Own types only for what the crate lacks: [`ExecCreated`], and the fields of [`Event`] that Docker's description leaves
//! out. `/hull/*` has its own, beside its endpoints; so has the header of [`super::archive`].

pub use bollard_stubs::models::{
    ContainerBlkioStatEntry, ContainerBlkioStats, ContainerConfig, ContainerCpuStats, ContainerCpuUsage,
    ContainerCreateResponse, ContainerInspectResponse, ContainerMemoryStats, ContainerPidsStats, ContainerState,
    ContainerStateStatusEnum, ContainerStatsResponse, ContainerSummary, ContainerSummaryHostConfig,
    ContainerSummaryNetworkSettings, ContainerSummaryStateEnum, ContainerTopResponse, ContainerWaitResponse,
    ErrorResponse, EventActor, EventMessage, EventMessageScopeEnum, EventMessageTypeEnum, ExecConfig,
    ExecInspectResponse, ExecStartConfig, FilesystemChange, Health, HealthStatusEnum, HistoryResponseItem, HostConfig,
    HostConfigLogConfig, ImageConfig, ImageInspect, ImageInspectRootFs, ImageSummary, MountPoint, MountPointTypeEnum,
    NetworkSettings, ProcessConfig, RestartPolicy, RestartPolicyNameEnum, SystemDataUsageResponse, SystemInfo,
    SystemInfoCgroupDriverEnum, SystemInfoCgroupVersionEnum, SystemVersion, SystemVersionComponents,
    SystemVersionPlatform, VolumeListResponse,
};
use serde::Serialize;

/// Answer of `POST /containers/{id}/exec`: the crate's own writes `id`, which clients that mind the case do not find.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExecCreated {
    /// 64 hexadecimal digits.
    pub id: String,
}

/// One line of `GET /events`. Docker goes on sending the three fields of API 1.21, and clients go on reading them.
#[derive(Debug, Serialize)]
pub struct Event {
    /// The action once more.
    pub status: String,
    /// Container id.
    pub id: String,
    /// Image.
    pub from: String,
    /// What the description has.
    #[serde(flatten)]
    pub message: EventMessage,
}

/// Numbers of the API are Go's `int64`; what is larger counts as the largest.
pub fn int64(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
