//! Where everything lives; the service's and the console's `service.toml` set the variables.

use std::path::PathBuf;

/// Set by the panic hook for the second run.
pub const AFTER_PANIC: &str = "HULL_AFTER_PANIC";
/// What the second run says.
pub const PANICKED: &str = "not used: this program failed on it; please report that with the user data";

/// Directories of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Files rendered for the services, `HULL_CONFIG_DIR`.
    pub config: PathBuf,
    /// `report.json` and stamps of this boot, `HULL_REPORT_DIR`.
    pub report: PathBuf,
    /// What is wanted from the network and what was found there, `HULL_METADATA_DIR`.
    pub metadata: PathBuf,
    /// Certificates of authorities, PEM, `HULL_ROOTS`.
    pub roots: PathBuf,
    /// Machine configuration fragments of the owner, `HULL_STATE_CONFIG`.
    pub state_config: PathBuf,
    /// Instance, cached user data and semaphores, `HULL_CLOUD_STATE`.
    pub cloud_state: PathBuf,
    /// Fragments shipped with the OS, `HULL_DEFAULT_CONFIG`.
    pub default_config: PathBuf,
    /// The owner's `/etc/docker`, `HULL_ENGINE_ETC`.
    pub engine_etc: PathBuf,
    /// Socket of the user engine, `HULL_ENGINE_SOCKET`.
    pub engine_socket: PathBuf,
    /// The program is running again after it panicked: user data is not looked at, `HULL_AFTER_PANIC`.
    pub recovering: bool,
    /// Root of the tree that `apply` changes; only tests use another than `/`.
    pub root: PathBuf,
}

impl Paths {
    /// A tree of a test's own.
    #[cfg(test)]
    pub(crate) fn below(directory: &std::path::Path) -> Self {
        let at = |name: &str| directory.join(name);
        Self {
            config: at("run/config"),
            report: at("run/report"),
            metadata: at("run/metadata"),
            roots: at("roots"),
            state_config: at("state/config"),
            cloud_state: at("state/cloud"),
            default_config: at("usr"),
            engine_etc: at("etc/docker"),
            engine_socket: at("none"),
            recovering: false,
            root: at("root"),
        }
    }

    /// From the environment. Who logs in has none of it: the defaults are the console's paths.
    pub fn from_environment() -> Self {
        let get = |name: &str, default: &str| PathBuf::from(std::env::var_os(name).unwrap_or_else(|| default.into()));
        Self {
            config: get("HULL_CONFIG_DIR", "/run/hull-config"),
            report: get("HULL_REPORT_DIR", "/run/hull-cloud-config"),
            metadata: get("HULL_METADATA_DIR", "/run/hull/metadata"),
            roots: get("HULL_ROOTS", "/usr/share/ca-certificates/mozilla"),
            state_config: get("HULL_STATE_CONFIG", "/state/config"),
            cloud_state: get("HULL_CLOUD_STATE", "/state/cloud"),
            default_config: get("HULL_DEFAULT_CONFIG", "/usr/share/hull/config.d"),
            engine_etc: get("HULL_ENGINE_ETC", "/state/etc/docker"),
            engine_socket: get("HULL_ENGINE_SOCKET", "/run/engine/docker.sock"),
            recovering: std::env::var_os(AFTER_PANIC).is_some(),
            root: "/".into(),
        }
    }

    /// A path below [`Paths::root`].
    pub fn below_root(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}
