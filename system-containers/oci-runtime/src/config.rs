//! `config.json`: read, checked, and its paths made absolute. Every message names the file and the key.

use anyhow::{Context, Result, bail, ensure};
use oci_spec::runtime::{LinuxNamespaceType, Process, Spec};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Newest version of the specification that is followed.
pub(crate) const NEWEST: &str = "1.2.0";
/// Oldest one.
pub(crate) const OLDEST: &str = "1.0.0";

/// Name of the file in a bundle.
pub(crate) const NAME: &str = "config.json";

/// A bundle's configuration.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) spec: Spec,
    pub(crate) rootfs: PathBuf,
}

/// Reads and checks the configuration of the bundle in `directory`, an absolute path.
pub(crate) fn load(directory: &Path) -> Result<Config> {
    let file = directory.join(NAME);
    let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let mut spec: Spec = parse(&with_known_flags(text), &file)?;
    check(&spec, directory).with_context(|| file.display().to_string())?;
    let root = spec.root().as_ref().map(|root| directory.join(root.path())).unwrap_or_default();
    let rootfs =
        fs::canonicalize(&root).with_context(|| format!("{}: key root.path: {}", file.display(), root.display()))?;
    ensure!(rootfs.is_dir(), "{}: key root.path: {} is no directory", file.display(), rootfs.display());
    make_absolute(&mut spec, directory);
    Ok(Config { spec, rootfs })
}

/// Reads a process for exec.
pub(crate) fn load_process(file: &Path) -> Result<Process> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let process: Process = parse(&with_known_flags(text), file)?;
    check_process(&process).with_context(|| file.display().to_string())?;
    Ok(process)
}

/// Flags of `process.scheduler`: the specification's name, and what its crate calls them.
const MISNAMED_FLAGS: [(&str, &str); 2] =
    [("SCHED_FLAG_RESET_ON_FORK", "SCHED_RESET_ON_FORK"), ("SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_D_L_OVERRUN")];

/// The text of a configuration or a process with flags as the crate calls them.
fn with_known_flags(text: String) -> String {
    if !MISNAMED_FLAGS.iter().any(|(name, _)| text.contains(name)) {
        return text;
    }
    // What is no JSON is reported when it is read for good.
    let Ok(mut value) = serde_json::from_str::<Value>(&text) else { return text };
    for place in ["/process/scheduler/flags", "/scheduler/flags"] {
        for flag in value.pointer_mut(place).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some((_, known)) = MISNAMED_FLAGS.iter().find(|(name, _)| flag == name) {
                *flag = Value::from(*known);
            }
        }
    }
    value.to_string()
}

/// Parses JSON; a mistake is named with file and key.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, file: &Path) -> Result<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let key = error.path().to_string();
        anyhow::Error::from(error.into_inner()).context(format!("{}: key {key}", file.display()))
    })?;
    json.end().with_context(|| file.display().to_string())?;
    Ok(value)
}

fn check(spec: &Spec, directory: &Path) -> Result<()> {
    check_version(spec.version())?;
    let root = spec.root().as_ref().context("key root: missing")?;
    ensure!(!root.path().as_os_str().is_empty(), "key root.path: empty");
    ensure!(directory.is_absolute(), "the bundle's path is not absolute");
    check_process(spec.process().as_ref().context("key process: missing")?)?;
    for (index, mount) in spec.mounts().iter().flatten().enumerate() {
        let target = mount.destination();
        ensure!(target.is_absolute(), "key mounts[{index}].destination: {} is not absolute", target.display());
        ensure!(target != Path::new("/"), "key mounts[{index}].destination: / is the root itself");
        let dots = target.components().any(|part| part == std::path::Component::ParentDir);
        ensure!(!dots, "key mounts[{index}].destination: {} holds ..", target.display());
    }
    let linux = spec.linux().as_ref().context("key linux: missing")?;
    let mut seen = HashSet::new();
    for (index, namespace) in linux.namespaces().iter().flatten().enumerate() {
        let kind = namespace.typ();
        ensure!(seen.insert(kind as i32), "key linux.namespaces[{index}].type: {kind} is listed twice");
        if let Some(path) = namespace.path() {
            ensure!(path.is_absolute(), "key linux.namespaces[{index}].path: {} is not absolute", path.display());
        }
    }
    let own = |kind: LinuxNamespaceType| seen.contains(&(kind as i32));
    ensure!(own(LinuxNamespaceType::Mount), "key linux.namespaces: a mount namespace is needed");
    for (key, name) in [("hostname", spec.hostname()), ("domainname", spec.domainname())] {
        let set = name.as_ref().is_some_and(|name| !name.is_empty());
        ensure!(!set || own(LinuxNamespaceType::Uts), "key {key}: needs a uts namespace, or it is the host's");
    }
    let mapped = linux.uid_mappings().as_ref().is_some_and(|list| !list.is_empty());
    ensure!(!mapped || own(LinuxNamespaceType::User), "key linux.uidMappings: needs a user namespace");
    for key in linux.sysctl().iter().flatten().map(|(key, _)| key) {
        check_sysctl(key, &own)?;
    }
    check_hooks(spec)
}

/// A parameter of the host's namespace, or of the machine, is not a container's to set.
fn check_sysctl(key: &str, own: &dyn Fn(LinuxNamespaceType) -> bool) -> Result<()> {
    const IPC: [&str; 9] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.msg_next_id",
    ];
    let dotted = key.replace('/', ".");
    let needed = if dotted.starts_with("net.") {
        LinuxNamespaceType::Network
    } else if IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
        LinuxNamespaceType::Ipc
    } else if matches!(dotted.as_str(), "kernel.hostname" | "kernel.domainname") {
        LinuxNamespaceType::Uts
    } else if dotted.starts_with("user.") {
        LinuxNamespaceType::User
    } else {
        bail!("key linux.sysctl.{key}: concerns the whole machine, not the container");
    };
    ensure!(own(needed), "key linux.sysctl.{key}: needs a {needed} namespace");
    Ok(())
}

fn check_hooks(spec: &Spec) -> Result<()> {
    let Some(hooks) = spec.hooks() else { return Ok(()) };
    #[allow(deprecated, reason = "prestart hooks are deprecated in the specification, and used by dockerd")]
    let prestart = hooks.prestart();
    let kinds = [
        ("prestart", prestart),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ];
    for (kind, list) in kinds {
        for (index, hook) in list.iter().flatten().enumerate() {
            let path = hook.path();
            ensure!(path.is_absolute(), "key hooks.{kind}[{index}].path: {} is not absolute", path.display());
            let positive = hook.timeout().is_none_or(|seconds| seconds > 0);
            ensure!(positive, "key hooks.{kind}[{index}].timeout: must be greater than zero");
        }
    }
    Ok(())
}

fn check_process(process: &Process) -> Result<()> {
    let program = process.args().as_ref().and_then(|args| args.first());
    ensure!(program.is_some_and(|program| !program.is_empty()), "key process.args: empty");
    ensure!(process.cwd().is_absolute(), "key process.cwd: {} is not absolute", process.cwd().display());
    let texts = process.args().iter().flatten().chain(process.env().iter().flatten());
    ensure!(texts.into_iter().all(|text| !text.contains('\0')), "key process.args or process.env: holds a NUL byte");
    let mut seen = HashSet::new();
    for (index, limit) in process.rlimits().iter().flatten().enumerate() {
        let kind = limit.typ().to_string();
        ensure!(limit.soft() <= limit.hard(), "key process.rlimits[{index}]: soft is above hard");
        ensure!(seen.insert(kind.clone()), "key process.rlimits[{index}].type: {kind} is listed twice");
    }
    if let Some(score) = process.oom_score_adj() {
        ensure!((-1000..=1000).contains(&score), "key process.oomScoreAdj: {score} is not within -1000 and 1000");
    }
    Ok(())
}

/// Semantic versioning: any 1.x is understood as far as the specification allows, but not one newer than this program.
fn check_version(version: &str) -> Result<()> {
    ensure!(!version.is_empty(), "key ociVersion: missing");
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<u32> = core.split('.').map_while(|part| part.parse().ok()).collect();
    let complete = core.split('.').count() == 3 && numbers.len() == 3;
    ensure!(complete, "key ociVersion: {version} is no version");
    ensure!(numbers[0] == 1, "key ociVersion: {version} is not supported, only 1.x");
    Ok(())
}

/// Sources of bind mounts are relative to the bundle.
fn make_absolute(spec: &mut Spec, directory: &Path) {
    for mount in spec.mounts_mut().iter_mut().flatten() {
        let bind = mount.typ().as_deref() == Some("bind")
            || mount.options().iter().flatten().any(|word| word == "bind" || word == "rbind");
        if let Some(source) = mount.source().clone().filter(|source| bind && source.is_relative()) {
            mount.set_source(Some(directory.join(source)));
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
