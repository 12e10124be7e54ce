//! `linux.cgroupsPath` → a directory of this machine's cgroup v2 hierarchy.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Where the hierarchy is mounted on machines with cgroup v2 alone.
const USUAL: &str = "/sys/fs/cgroup";

/// Containers without a place of their own are below it.
const OURS: &str = "hull-runtime";

/// The cgroup directory of container `id`.
pub(crate) fn directory(asked: Option<&Path>, id: &str) -> Result<PathBuf> {
    Ok(mount()?.join(relative(asked, id)?))
}

/// The directory a process is in now.
pub(crate) fn of_process(pid: i32) -> Result<PathBuf> {
    let file = format!("/proc/{pid}/cgroup");
    let text = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
    let path =
        text.lines().find_map(|line| line.strip_prefix("0::/")).with_context(|| format!("{file}: no cgroup v2"))?;
    Ok(mount()?.join(path))
}

/// Below the hierarchy's root: an absolute path begins there, a relative one and none at all in [`OURS`].
fn relative(asked: Option<&Path>, id: &str) -> Result<PathBuf> {
    let Some(asked) = asked.filter(|path| !path.as_os_str().is_empty()) else { return Ok(Path::new(OURS).join(id)) };
    let text = asked.display();
    let parts: Vec<Component<'_>> = asked.components().collect();
    ensure!(!parts.contains(&Component::ParentDir), "key linux.cgroupsPath: {text} holds ..");
    if asked.to_string_lossy().matches(':').count() == 2 && asked.is_relative() {
        bail!("key linux.cgroupsPath: {text} is systemd's form; there is no systemd here: use the cgroupfs driver");
    }
    let below = asked.strip_prefix("/").map_or_else(|_| Path::new(OURS).join(asked), Path::to_owned);
    ensure!(below.components().next().is_some(), "key linux.cgroupsPath: / is no container's");
    Ok(below)
}

fn mount() -> Result<PathBuf> {
    if Path::new(USUAL).join("cgroup.procs").exists() && Path::new(USUAL).join("cgroup.controllers").exists() {
        return Ok(USUAL.into());
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
    Ok(mount.context("no cgroup v2 hierarchy is mounted: cgroup v1 is not supported")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_the_root_of_the_hierarchy_or_in_our_own_place() {
        for (asked, want) in [
            (None, Some("hull-runtime/c")),
            (Some(""), Some("hull-runtime/c")),
            (Some("/docker/x"), Some("docker/x")),
            (Some("pod/x"), Some("hull-runtime/pod/x")),
            (Some("/"), None),
            (Some("/a/../b"), None),
            (Some("system.slice:docker:x"), None),
        ] {
            let got = relative(asked.map(Path::new), "c").ok();
            assert_eq!(got.as_deref(), want.map(Path::new), "{asked:?}");
        }
    }
}
