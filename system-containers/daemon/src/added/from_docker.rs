//! A container as Docker's clients ask for it, in the words of a `service.toml`. Pure.
//!
//! What a service has no word for is refused by its name, never dropped. Nothing is given that was not asked for: no
//! network, no capability, a read-only root.

use hull_image_store::job::Defaults;
use serde_json::{Map, Value};
use toml::Table;

/// A definition, and what the client should know about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Definition {
    /// Text of the `service.toml`.
    pub text: String,
    /// For people.
    pub warnings: Vec<String>,
    /// It goes when it has ended.
    pub removed_at_end: bool,
}

/// Fields that say nothing about the container itself, or what is so anyway.
const IRRELEVANT: [&str; 16] = [
    "AttachStderr",
    "AttachStdin",
    "AttachStdout",
    "CgroupnsMode",
    "ConsoleSize",
    "Domainname",
    "HostConfig",
    "Hostname",
    "IpcMode",
    "Labels",
    "LogConfig",
    "MaskedPaths",
    "NetworkingConfig",
    "OnBuild",
    "ReadonlyPaths",
    "ReadonlyRootfs",
];
/// Nanoseconds of processor time in a second, as a percent of one processor.
const NANO_CPUS_PERCENT: u64 = 10_000_000;

/// The definition of the service `name` out of a body of `POST /containers/create`.
///
/// # Errors
/// What is asked for and cannot be had.
pub fn definition(name: &str, body: &Value, image: &Defaults) -> Result<Definition, String> {
    let mut top = Fields(body.as_object().cloned().unwrap_or_default());
    let mut host = Fields(top.0.remove("HostConfig").and_then(|host| host.as_object().cloned()).unwrap_or_default());
    top.take("Image");
    let mut warnings = Vec::new();

    let entrypoint = top.texts("Entrypoint")?;
    let arguments = top.texts("Cmd")?;
    // An entry point of one's own does without the image's arguments.
    let arguments = match (&entrypoint, arguments) {
        (None, None) => image.command.clone(),
        (_, arguments) => arguments.unwrap_or_default(),
    };
    let command: Vec<String> =
        entrypoint.unwrap_or_else(|| image.entrypoint.clone()).into_iter().chain(arguments).collect();
    if !command.first().is_some_and(|program| program.starts_with('/')) {
        return Err("name the program by its absolute path: services do not search for it".into());
    }

    let mut run = Table::new();
    let mut environment = Table::new();
    for variable in image.environment.iter().cloned().chain(top.texts("Env")?.unwrap_or_default()) {
        let (key, value) = variable.split_once('=').ok_or_else(|| format!("Env: \"{variable}\" has no value"))?;
        environment.insert(key.into(), value.into());
    }
    insert(&mut run, "environment", (!environment.is_empty()).then_some(environment));
    insert(&mut run, "working-directory", top.text("WorkingDir").or(image.working_directory.clone()));
    insert(&mut run, "user", top.text("User").or(image.user.clone()).map(|user| numeric(&user)).transpose()?);
    insert(&mut run, "stop-signal", top.text("StopSignal"));
    insert(&mut run, "stop-timeout", top.number("StopTimeout").map(signed));

    let mut service = Table::new();
    service.insert("description".into(), format!("made by docker create: {}", command.join(" ")).into());
    let policy = host.take("RestartPolicy").and_then(|policy| policy["Name"].as_str().map(str::to_owned));
    match policy.as_deref() {
        None | Some("" | "no") => {
            service.insert("kind".into(), "oneshot".into());
            service.insert("on-demand".into(), true.into());
            run.insert("restart".into(), "never".into());
        }
        Some("always" | "unless-stopped") => {}
        Some("on-failure") => drop(run.insert("restart".into(), "on-failure".into())),
        Some(other) => return Err(format!("RestartPolicy: \"{other}\" is not supported")),
    }
    let process = Table::from_iter([("name".to_owned(), "main".into()), ("command".to_owned(), command.into())]);
    service.insert("process".into(), vec![process].into());
    insert(&mut service, "run", (!run.is_empty()).then_some(run));

    match host.text("NetworkMode").as_deref() {
        Some("host") => {
            let namespaces = Table::from_iter([("network".to_owned(), "host".into())]);
            service.insert("namespaces".into(), namespaces.into());
        }
        Some("none") => {}
        None | Some("default" | "bridge") => {
            warnings.push("it has no network: services have the machine's (--network host) or none".into());
        }
        Some(other) => return Err(format!("NetworkMode: \"{other}\" is not supported: host or none")),
    }

    let mut security = Table::from_iter([("seccomp".to_owned(), vec!["@default"].into())]);
    insert(
        &mut security,
        "capabilities",
        host.texts("CapAdd")?.map(|held| held.into_iter().map(capability).collect::<Vec<_>>()),
    );
    // Nothing is held that was not added.
    host.take("CapDrop");
    insert(&mut security, "oom-score-adj", host.integer("OomScoreAdj"));
    for option in host.texts("SecurityOpt")?.unwrap_or_default() {
        if option.trim_end_matches([':', '=']).trim_end_matches("=true") != "no-new-privileges" {
            return Err(format!("SecurityOpt: \"{option}\" is not supported; no-new-privileges is always set"));
        }
    }
    service.insert("security".into(), security.into());

    let mut mounts = Vec::new();
    for bind in host.texts("Binds")?.unwrap_or_default() {
        mounts.push(bound(&bind)?);
    }
    for (target, options) in host.take("Tmpfs").as_ref().and_then(Value::as_object).into_iter().flatten() {
        let mut mount =
            Table::from_iter([("type".to_owned(), "tmpfs".into()), ("target".to_owned(), target.as_str().into())]);
        let words: Vec<&str> =
            options.as_str().unwrap_or_default().split(',').filter(|word| !word.is_empty()).collect();
        insert(&mut mount, "options", (!words.is_empty()).then_some(words));
        mounts.push(mount);
    }
    insert(&mut service, "mount", (!mounts.is_empty()).then_some(mounts));

    let mut limits = Table::new();
    insert(&mut limits, "memory-max", host.number("Memory").map(|bytes| bytes.to_string()));
    insert(&mut limits, "pids-max", host.number("PidsLimit").map(signed));
    insert(&mut limits, "open-files", files(host.take("Ulimits"))?);
    insert(&mut limits, "cpu-max", host.number("NanoCpus").map(|nano| signed((nano / NANO_CPUS_PERCENT).max(1))));
    insert(&mut service, "limits", (!limits.is_empty()).then_some(limits));

    let removed_at_end = host.take("AutoRemove") == Some(true.into());
    for (key, value) in top.0.iter().chain(&host.0).filter(|(key, _)| !IRRELEVANT.contains(&key.as_str())) {
        if !is_nothing(value) {
            return Err(format!("{key} is not supported by the system daemon: services have no such thing ({name})"));
        }
    }
    let text = toml::to_string(&service).map_err(|error| error.to_string())?;
    Ok(Definition { text, warnings, removed_at_end })
}

/// Fields nobody has taken yet.
struct Fields(Map<String, Value>);

impl Fields {
    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.take(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn number(&mut self, key: &str) -> Option<u64> {
        self.take(key)?.as_u64().filter(|number| *number > 0)
    }

    fn integer(&mut self, key: &str) -> Option<i64> {
        self.take(key)?.as_i64().filter(|number| *number != 0)
    }

    /// A list of texts, or one text for a list of one.
    fn texts(&mut self, key: &str) -> Result<Option<Vec<String>>, String> {
        match self.take(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(vec![text])),
            Some(Value::Array(list)) if list.is_empty() => Ok(None),
            Some(Value::Array(list)) => {
                let texts = list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>();
                texts.map(Some).ok_or_else(|| format!("{key}: expected a list of texts"))
            }
            Some(_) => Err(format!("{key}: expected a list of texts")),
        }
    }
}

/// What clients send where nothing was asked for.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => matches!(number.as_i64(), Some(0 | -1)),
        Value::String(text) => text.is_empty() || text == "default" || text == "private",
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_nothing),
    }
}

fn insert(table: &mut Table, key: &str, value: Option<impl Into<toml::Value>>) {
    if let Some(value) = value {
        table.insert(key.into(), value.into());
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `--ulimit nofile=…`, the one limit a service may have.
fn files(limits: Option<Value>) -> Result<Option<i64>, String> {
    let mut found = None;
    for limit in limits.as_ref().and_then(Value::as_array).into_iter().flatten() {
        match (limit["Name"].as_str(), limit["Soft"].as_i64(), limit["Hard"].as_i64()) {
            (Some("nofile"), Some(soft), Some(hard)) if soft == hard => found = Some(soft),
            _ => return Err("Ulimits: nofile=NUMBER is supported, and no other".into()),
        }
    }
    Ok(found)
}

fn capability(name: String) -> String {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name)
}

/// `uid` or `uid:gid`.
fn numeric(user: &str) -> Result<String, String> {
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    match [uid, gid].iter().all(|id| id.parse::<u32>().is_ok()) {
        true => Ok(format!("{uid}:{gid}")),
        false => Err(format!("User: \"{user}\": services run as numbers, uid:gid")),
    }
}

/// `source:target[:options]`.
fn bound(bind: &str) -> Result<Table, String> {
    let parts: Vec<&str> = bind.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [source, target] => (*source, *target, "rw"),
        [source, target, options] => (*source, *target, *options),
        _ => return Err(format!("Binds: \"{bind}\": source:target or source:target:ro")),
    };
    if !source.starts_with('/') {
        return Err(format!("Binds: \"{bind}\": services have no volumes; name a directory below /state/data"));
    }
    let mut words: Vec<&str> = options.split(',').filter(|word| matches!(*word, "ro" | "rw")).collect();
    words.extend(["nosuid", "nodev"]);
    Ok(Table::from_iter([
        ("source".to_owned(), source.into()),
        ("target".to_owned(), target.into()),
        ("options".to_owned(), words.into()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What the CLI sends for `docker create IMAGE /bin/app`, shortened.
    fn plain() -> Value {
        json!({ "Hostname": "", "User": "", "AttachStdout": true, "Tty": false, "OpenStdin": false, "Env": null,
            "Cmd": ["/bin/app", "-x"], "Image": "web", "Volumes": {}, "WorkingDir": "", "Entrypoint": null, "Labels": {},
            "HostConfig": { "Binds": null, "ContainerIDFile": "", "LogConfig": { "Type": "", "Config": {} },
                "NetworkMode": "default", "PortBindings": {}, "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 },
                "AutoRemove": false, "ConsoleSize": [24, 80], "CapAdd": null, "Privileged": false, "ShmSize": 0,
                "MemorySwappiness": -1, "PidsLimit": 0, "CgroupnsMode": "", "Devices": [] },
            "NetworkingConfig": { "EndpointsConfig": { "default": { "MacAddress": "" } } } })
    }

    fn made(change: impl FnOnce(&mut Value)) -> Result<Definition, String> {
        let mut body = plain();
        change(&mut body);
        let image = Defaults { environment: vec!["PATH=/bin".into()], ..Defaults::default() };
        let made = definition("web", &body, &image)?;
        let service = hull_service::parse("t", &made.text).map_err(|error| format!("{error}: {}", made.text))?;
        let problems = hull_service::added::problems("web", &service);
        assert!(problems.is_empty(), "{problems:?}");
        Ok(made)
    }

    #[test]
    fn a_plain_container_has_nothing_and_runs_when_it_is_started() {
        let found = made(|_| ()).unwrap();
        let service = hull_service::parse("t", &found.text).unwrap();
        assert_eq!(service.processes[0].command, ["/bin/app", "-x"]);
        assert!(service.on_demand && service.security.capabilities.is_empty());
        assert_eq!(service.run.environment["PATH"], "/bin");
        assert!(found.warnings[0].contains("no network") && !found.removed_at_end);
    }

    #[test]
    fn what_was_asked_for_arrives() {
        let found = made(|body| {
            body["Env"] = json!(["A=b=c"]);
            body["User"] = json!("1000");
            let host = body["HostConfig"].as_object_mut().unwrap();
            for (key, value) in [
                ("NetworkMode", json!("host")),
                ("RestartPolicy", json!({ "Name": "always" })),
                ("CapAdd", json!(["CAP_NET_ADMIN", "net_raw"])),
                ("Ulimits", json!([{ "Name": "nofile", "Soft": 1024, "Hard": 1024 }])),
                ("Memory", json!(64 << 20)),
                ("NanoCpus", json!(1_500_000_000)),
                ("Binds", json!(["/state/data/x:/data:ro"])),
                ("Tmpfs", json!({ "/scratch": "size=1M" })),
                ("AutoRemove", json!(true)),
            ] {
                host.insert(key.into(), value);
            }
        });
        let found = found.unwrap();
        let service = hull_service::parse("t", &found.text).unwrap();
        assert_eq!(service.security.capabilities, ["NET_ADMIN", "NET_RAW"]);
        assert_eq!((service.run.user.as_str(), service.run.environment["A"].as_str()), ("1000:1000", "b=c"));
        assert_eq!((service.limits.cpu_max, service.limits.memory_max.as_deref()), (Some(150), Some("67108864")));
        assert_eq!(service.limits.open_files, Some(1024));
        assert_eq!(service.mounts[0].options, ["ro", "nosuid", "nodev"]);
        assert_eq!(service.mounts[1].target, "/scratch");
        assert!(!service.on_demand && found.removed_at_end && found.warnings.is_empty());
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        type Change = fn(&mut Value);
        let cases: [(&str, Change); 8] = [
            ("Privileged", |body| body["HostConfig"]["Privileged"] = json!(true)),
            ("PortBindings", |body| body["HostConfig"]["PortBindings"] = json!({ "80/tcp": [{ "HostPort": "80" }] })),
            ("Tty", |body| body["Tty"] = json!(true)),
            ("absolute path", |body| body["Cmd"] = json!(["sh"])),
            ("as numbers", |body| body["User"] = json!("nobody")),
            ("no volumes", |body| body["HostConfig"]["Binds"] = json!(["data:/data"])),
            ("seccomp=unconfined", |body| body["HostConfig"]["SecurityOpt"] = json!(["seccomp=unconfined"])),
            ("Devices", |body| body["HostConfig"]["Devices"] = json!([{ "PathOnHost": "/dev/sda" }])),
        ];
        for (part, change) in cases {
            let error = made(change).unwrap_err();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
