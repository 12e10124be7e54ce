//! Method and path to a route. Pure.

use super::server::Scope;
use super::update;
use hyper::Method;

/// Version of the Docker Engine API that is spoken.
pub const API_VERSION: &str = "1.44";
/// Oldest version clients may ask for: the oldest Docker itself accepts.
pub const MIN_API_VERSION: &str = "1.24";

/// What is done to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Bring up.
    Start,
    /// Take down.
    Stop,
    /// Both.
    Restart,
    /// Send a signal.
    Kill,
    /// Freeze.
    Pause,
    /// Let go on.
    Unpause,
}

/// An endpoint with the names in its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `GET|HEAD /_ping`
    Ping,
    /// `GET /version`
    Version,
    /// `GET /info`
    Info,
    /// `GET /containers/json`
    List,
    /// `GET /containers/{id}/json`
    Inspect(String),
    /// `GET /containers/{id}/logs`
    Logs(String),
    /// `POST /containers/{id}/start|stop|restart|kill|pause|unpause`
    Change(String, Verb),
    /// `GET /containers/{id}/top`
    Top(String),
    /// `GET /containers/{id}/stats`
    Stats(String),
    /// `POST /containers/{id}/wait`
    Wait(String),
    /// `POST /containers/{id}/attach`
    Attach(String),
    /// `GET /containers/{id}/changes`
    Changes(String),
    /// `GET /containers/{id}/export`
    Export(String),
    /// `HEAD /containers/{id}/archive`
    ArchiveStat(String),
    /// `GET /containers/{id}/archive`
    ArchiveGet(String),
    /// `PUT /containers/{id}/archive`
    ArchivePut(String),
    /// `GET /images/json`
    Images,
    /// `GET /images/{name}/json`
    ImageInspect(String),
    /// `GET /images/{name}/history`
    ImageHistory(String),
    /// `GET /system/df`
    DiskUsage,
    /// `GET /events`
    Events,
    /// `GET /volumes`
    Volumes,
    /// `POST /containers/{id}/exec`
    ExecCreate(String),
    /// `POST /exec/{id}/start`
    ExecStart(String),
    /// `GET /exec/{id}/json`
    ExecInspect(String),
    /// `POST /exec/{id}/resize`
    ExecResize(String),
    /// `GET /hull/status`
    Status,
    /// `GET /hull/logs`
    MergedLogs,
    /// `GET /hull/confinement/{id}`
    Confinement(String),
    /// `POST /hull/power`
    Power,
    /// `POST /hull/reload`
    Reload,
    /// `GET /hull/services`
    Services,
    /// `POST /hull/services`
    ServiceAdd,
    /// `POST /hull/services/{name}/enable`
    ServiceEnable(String),
    /// `POST /hull/services/{name}/disable`
    ServiceDisable(String),
    /// `DELETE /hull/services/{name}`
    ServiceRemove(String),
    /// `POST /hull/uploads`
    Upload,
    /// `POST /hull/mounts`
    Mount,
    /// `DELETE /hull/mounts`
    Unmount,
    /// `POST /hull/swaps`
    SwapOn,
    /// `DELETE /hull/swaps`
    SwapOff,
    /// `POST /hull/rescan`
    Rescan,
    /// `GET /hull/install`
    Disks,
    /// `POST /hull/install`
    Install,
    /// `GET /hull/update`
    Update,
    /// `POST /hull/update/check|fetch|apply|rollback`
    UpdateAct(update::Verb),
    /// `POST /hull/update/hold`
    UpdateHold,
    /// `POST /images/load`
    ImageLoad,
    /// `POST /images/create`
    ImagePull,
    /// `GET /images/{name}/get`
    ImageSave(String),
    /// `GET /images/get`
    ImagesSave,
    /// `DELETE /images/{name}`
    ImageRemove(String),
    /// `POST /images/{name}/tag`
    ImageTag(String),
    /// `DELETE /containers/{id}`
    Remove(String),
    /// `POST /containers/create`
    Create,
    /// `POST /containers/{id}/rename`
    Rename(String),
    /// Anything else.
    Unsupported,
}

impl Route {
    /// Finds the route; a leading `/v1.xx` is accepted and not looked at.
    pub fn find(method: &Method, path: &str) -> Self {
        let path = path.trim_matches('/');
        let path = match path.split_once('/') {
            Some((version, rest)) if is_version(version) => rest,
            _ => path,
        };
        let parts: Vec<&str> = path.split('/').collect();
        let get = method == Method::GET;
        let post = method == Method::POST;
        let delete = method == Method::DELETE;
        match parts.as_slice() {
            ["_ping"] if get || method == Method::HEAD => Self::Ping,
            ["version"] if get => Self::Version,
            ["info"] if get => Self::Info,
            ["containers", "json"] if get => Self::List,
            ["containers", id, "json"] if get => Self::Inspect((*id).into()),
            ["containers", id, "logs"] if get => Self::Logs((*id).into()),
            ["containers", id, "top"] if get => Self::Top((*id).into()),
            ["containers", id, "stats"] if get => Self::Stats((*id).into()),
            ["containers", id, "changes"] if get => Self::Changes((*id).into()),
            ["containers", id, "export"] if get => Self::Export((*id).into()),
            ["containers", id, "archive"] if get => Self::ArchiveGet((*id).into()),
            ["containers", id, "archive"] if method == Method::HEAD => Self::ArchiveStat((*id).into()),
            ["containers", id, "archive"] if method == Method::PUT => Self::ArchivePut((*id).into()),
            ["images", "json"] if get => Self::Images,
            ["images", "load"] if post => Self::ImageLoad,
            ["images", "create"] if post => Self::ImagePull,
            ["images", "get"] if get => Self::ImagesSave,
            ["images", name @ .., "get"] if get && !name.is_empty() => Self::ImageSave(name.join("/")),
            ["images", name @ .., "tag"] if post && !name.is_empty() => Self::ImageTag(name.join("/")),
            ["images", name @ ..] if delete && !name.is_empty() => Self::ImageRemove(name.join("/")),
            ["containers", id] if delete => Self::Remove((*id).into()),
            // A name may hold slashes.
            ["images", name @ .., "json"] if get && !name.is_empty() => Self::ImageInspect(name.join("/")),
            ["images", name @ .., "history"] if get && !name.is_empty() => Self::ImageHistory(name.join("/")),
            ["system", "df"] if get => Self::DiskUsage,
            ["events"] if get => Self::Events,
            ["volumes"] if get => Self::Volumes,
            ["containers", id, "exec"] if post => Self::ExecCreate((*id).into()),
            ["containers", "create"] if post => Self::Create,
            ["containers", id, "rename"] if post => Self::Rename((*id).into()),
            ["containers", id, verb] if post => match *verb {
                "start" => Self::Change((*id).into(), Verb::Start),
                "stop" => Self::Change((*id).into(), Verb::Stop),
                "restart" => Self::Change((*id).into(), Verb::Restart),
                "kill" => Self::Change((*id).into(), Verb::Kill),
                "pause" => Self::Change((*id).into(), Verb::Pause),
                "unpause" => Self::Change((*id).into(), Verb::Unpause),
                "wait" => Self::Wait((*id).into()),
                "attach" => Self::Attach((*id).into()),
                _ => Self::Unsupported,
            },
            ["exec", id, "start"] if post => Self::ExecStart((*id).into()),
            ["exec", id, "json"] if get => Self::ExecInspect((*id).into()),
            ["exec", id, "resize"] if post => Self::ExecResize((*id).into()),
            ["hull", "status"] if get => Self::Status,
            ["hull", "logs"] if get => Self::MergedLogs,
            ["hull", "confinement", id] if get => Self::Confinement((*id).into()),
            ["hull", "power"] if post => Self::Power,
            ["hull", "reload"] if post => Self::Reload,
            ["hull", "services"] if get => Self::Services,
            ["hull", "services"] if post => Self::ServiceAdd,
            ["hull", "services", name, "enable"] if post => Self::ServiceEnable((*name).into()),
            ["hull", "services", name, "disable"] if post => Self::ServiceDisable((*name).into()),
            ["hull", "services", name] if delete => Self::ServiceRemove((*name).into()),
            ["hull", "uploads"] if post => Self::Upload,
            ["hull", "mounts"] if post => Self::Mount,
            ["hull", "mounts"] if delete => Self::Unmount,
            ["hull", "swaps"] if post => Self::SwapOn,
            ["hull", "swaps"] if delete => Self::SwapOff,
            ["hull", "rescan"] if post => Self::Rescan,
            ["hull", "install"] if get => Self::Disks,
            ["hull", "install"] if post => Self::Install,
            ["hull", "update"] if get => Self::Update,
            ["hull", "update", "check"] if post => Self::UpdateAct(update::Verb::Check),
            ["hull", "update", "fetch"] if post => Self::UpdateAct(update::Verb::Fetch),
            ["hull", "update", "apply"] if post => Self::UpdateAct(update::Verb::Apply),
            ["hull", "update", "rollback"] if post => Self::UpdateAct(update::Verb::Rollback),
            ["hull", "update", "hold"] if post => Self::UpdateHold,
            _ => Self::Unsupported,
        }
    }

    /// Whether a socket of this scope serves the route.
    pub fn allowed(&self, scope: Scope) -> bool {
        scope == Scope::Admin || matches!(self, Self::Ping | Self::Power)
    }
}

fn is_version(text: &str) -> bool {
    text.strip_prefix("v1.").is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        for (method, path, route) in [
            (Method::HEAD, "/_ping", Route::Ping),
            (Method::GET, "/v1.44/version", Route::Version),
            (Method::GET, "/v1.44/containers/json", Route::List),
            (Method::GET, "/containers/time/json", Route::Inspect("time".into())),
            (Method::POST, "/v1.24/containers/time/kill", Route::Change("time".into(), Verb::Kill)),
            (Method::POST, "/exec/ab/resize", Route::ExecResize("ab".into())),
            (Method::GET, "/hull/logs", Route::MergedLogs),
            (Method::POST, "/hull/power", Route::Power),
            (Method::POST, "/hull/reload", Route::Reload),
            (Method::GET, "/images/hull/time:1/json", Route::ImageInspect("hull/time:1".into())),
            (Method::GET, "/v1.44/images/json", Route::Images),
            (Method::PUT, "/containers/time/archive", Route::ArchivePut("time".into())),
            (Method::GET, "/hull/confinement/time", Route::Confinement("time".into())),
            (Method::GET, "/hull/power", Route::Unsupported),
            (Method::POST, "/hull/services/web/enable", Route::ServiceEnable("web".into())),
            (Method::DELETE, "/hull/services/web", Route::ServiceRemove("web".into())),
            (Method::POST, "/hull/mounts", Route::Mount),
            (Method::DELETE, "/hull/mounts", Route::Unmount),
            (Method::DELETE, "/hull/swaps", Route::SwapOff),
            (Method::GET, "/hull/install", Route::Disks),
            (Method::POST, "/hull/install", Route::Install),
            (Method::DELETE, "/v1.44/images/a/b:1", Route::ImageRemove("a/b:1".into())),
            (Method::POST, "/images/a/b/tag", Route::ImageTag("a/b".into())),
            (Method::GET, "/images/a/b:1/get", Route::ImageSave("a/b:1".into())),
            (Method::POST, "/images/create", Route::ImagePull),
            (Method::DELETE, "/containers/web", Route::Remove("web".into())),
            (Method::POST, "/containers/create", Route::Create),
            (Method::POST, "/v1.44/containers/a/rename", Route::Rename("a".into())),
            (Method::POST, "/commit", Route::Unsupported),
            (Method::GET, "/vx/version", Route::Unsupported),
            (Method::GET, "/", Route::Unsupported),
        ] {
            assert_eq!(Route::find(&method, path), route, "{method} {path}");
        }
    }

    #[test]
    fn a_power_socket_can_end_the_machine_and_nothing_else() {
        assert!(Route::Power.allowed(Scope::Power) && Route::Ping.allowed(Scope::Power));
        let mounts = [Route::Mount, Route::Unmount, Route::SwapOn, Route::SwapOff, Route::Rescan];
        let others = [
            Route::Status,
            Route::Reload,
            Route::MergedLogs,
            Route::List,
            Route::ExecCreate("a".into()),
            Route::Unsupported,
        ];
        for route in mounts.into_iter().chain(others) {
            assert!(!route.allowed(Scope::Power), "{route:?}");
            assert!(route.allowed(Scope::Admin));
        }
    }
}
