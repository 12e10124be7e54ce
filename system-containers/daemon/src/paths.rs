//! Every place of the file system the daemon uses, in one value, so that tests run it below a directory of their own.

use std::path::{Path, PathBuf};

/// Where things are. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Put before paths of mount sources and state; `/` on a machine.
    pub root: PathBuf,
    /// cgroup v2 directory that holds one directory a service.
    pub cgroup: PathBuf,
    /// Where echoed log lines and boot progress go.
    pub console: PathBuf,
    /// The daemon's own program, executed again as the runtime's helper.
    pub program: PathBuf,
}

impl Paths {
    /// The layout of a machine.
    pub fn machine() -> Self {
        Self {
            root: "/".into(),
            cgroup: "/sys/fs/cgroup/services".into(),
            console: "/dev/console".into(),
            program: "/proc/self/exe".into(),
        }
    }

    /// `path` (absolute) below the root.
    pub fn below_root(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Folder of all service definitions.
    pub fn definitions(&self) -> PathBuf {
        self.below_root("/services")
    }

    /// Folder of one service's definition, filter and root file system: that of the system image, or of the owner's
    /// services where the system image has none of the name.
    pub fn definition(&self, service: &str) -> PathBuf {
        let own = self.definitions().join(service);
        let added = self.added().join("installed").join(service);
        if !own.exists() && added.exists() { added } else { own }
    }

    /// Everything about services the owner added.
    pub fn added(&self) -> PathBuf {
        self.below_root("/state/added")
    }

    /// Job and answer of the importer.
    pub fn importer(&self) -> PathBuf {
        self.run().join("image-store")
    }

    /// Job and answer of the update service.
    pub fn updater(&self) -> PathBuf {
        self.run().join("update")
    }

    /// Where the ESP is mounted while the update service works.
    pub fn esp(&self) -> PathBuf {
        self.run().join("esp")
    }

    /// Job and answer of the install service.
    pub fn installer(&self) -> PathBuf {
        self.run().join("install")
    }

    /// What is remembered about updates.
    pub fn update_record(&self) -> PathBuf {
        self.below_root(hull_update::record::PATH)
    }

    /// Settings of updates, rendered by cloud-config.
    pub fn update_settings(&self) -> PathBuf {
        self.below_root(hull_update::settings::PATH)
    }

    /// Everything about the machine that lives until power off.
    pub fn run(&self) -> PathBuf {
        self.below_root("/run/hull")
    }

    /// Folder of one service's record and notify directory.
    pub fn service_run(&self, service: &str) -> PathBuf {
        self.run().join("services").join(service)
    }

    /// Folder that holds the service's notify socket and is bind-mounted into it.
    pub fn notify(&self, service: &str) -> PathBuf {
        self.service_run(service).join("notify")
    }

    /// Folder that holds the service's API socket and is bind-mounted into it.
    pub fn api(&self, service: &str) -> PathBuf {
        self.run().join("api").join(service)
    }

    /// The API socket of the host.
    pub fn system_socket(&self) -> PathBuf {
        self.below_root("/run/system-docker.sock")
    }

    /// Folder of one service's log.
    pub fn log(&self) -> PathBuf {
        self.below_root("/state/log")
    }

    /// Files between the services' pipes and their logs.
    pub fn spools(&self) -> PathBuf {
        self.run().join("log")
    }

    /// Exits PID 1 has reported, see [`control::exits`](crate::control::exits).
    pub fn exits(&self) -> PathBuf {
        self.run().join("exits")
    }

    /// The kernel's id of this boot.
    pub fn boot_id(&self) -> PathBuf {
        self.below_root("/proc/sys/kernel/random/boot_id")
    }

    /// When a persistent timer was last run, in seconds since 1970.
    pub fn timer(&self, service: &str) -> PathBuf {
        self.below_root("/state/timers").join(service)
    }

    /// Written by PID 1 before the daemon starts.
    pub fn boot_report(&self) -> PathBuf {
        self.run().join("boot.json")
    }

    /// Exists once the boot was complete.
    pub fn boot_complete(&self) -> PathBuf {
        self.run().join("boot-complete")
    }

    /// Written by cloud-config.
    pub fn cloud_report(&self) -> PathBuf {
        self.run().join("cloud-config/report.json")
    }

    /// Written by live-config while a change of the configuration waits to be confirmed.
    pub fn pending_change(&self) -> PathBuf {
        self.below_root("/state/cloud/live/pending.json")
    }

    /// Host name rendered by cloud-config.
    pub fn hostname(&self) -> PathBuf {
        self.run().join("config/hostname")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_moves_every_path() {
        let paths = Paths { root: "/t".into(), ..Paths::machine() };
        assert_eq!(paths.notify("time"), Path::new("/t/run/hull/services/time/notify"));
        assert_eq!(paths.system_socket(), Path::new("/t/run/system-docker.sock"));
        assert_eq!(Paths::machine().below_root("/state/x"), Path::new("/state/x"));
    }
}
