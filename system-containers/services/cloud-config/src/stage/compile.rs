//! `compile`: user data to machine configuration, machine configuration to the services' files.

use super::sources::{self, Sources};
use crate::document::yaml;
use crate::machine::{Network, fragments, network};
use crate::paths::{PANICKED, Paths};
use crate::render;
use crate::report::{Final, Messages, Place, Report};
use crate::seed::instance::{Instance, identity};
use crate::seed::medium::Medium;
use crate::seed::meta;
use crate::store;
use crate::userdata::cloud_config::CloudConfig;
use crate::userdata::format::{self, Format};
use crate::userdata::names;

/// The owner's daemon.json: as large as anybody's.
const MAX_DAEMON_JSON: u64 = 1 << 20;
const FRAGMENT_HEADER: &str = "# Made from user data at every boot; put your own settings into other files.\n";

/// What was decided.
#[derive(Debug, Clone)]
pub struct Decision {
    /// For the report.
    pub datasource: String,
    /// For the later stages.
    pub instance: Instance,
    /// The document.
    pub config: CloudConfig,
    /// Worth keeping as the last good one.
    pub usable: bool,
}

/// Runs the stage.
pub fn run(paths: &Paths) -> anyhow::Result<()> {
    let mut messages = Messages::new("cloud-config");
    let sources = if paths.recovering {
        let mut own = Messages::new("user-data");
        own.error(Place::default(), "", PANICKED);
        messages.append(own);
        Sources::default()
    } else {
        sources::gather(&paths.cloud_state, &mut messages)
    };
    let decision = decide(&sources, &mut messages);
    let mut report = Report {
        datasource: decision.datasource.clone(),
        instance_id: decision.instance.id.clone(),
        messages: Vec::new(),
        final_stage: Final::Pending,
    };
    carry_out(paths, &decision, &mut messages);
    report.take(&messages);
    decision.instance.save(&paths.report)?;
    report.save(&paths.report)
}

/// Chooses medium, identity and document. Pure.
pub fn decide(sources: &Sources, messages: &mut Messages) -> Decision {
    let command_line = sources.command_line.cloud_config.as_deref();
    let cached = sources.cached.as_ref().map(|instance| &instance.medium).filter(|medium| !medium.device.is_empty());
    let mut candidates = Vec::new();
    if let Some(medium) = &sources.medium {
        candidates.push((format!("nocloud:{}", medium.device), medium));
    }
    let same_instance = |medium: &Medium| {
        let known = sources.cached.as_ref().map(|cached| cached.id.as_str());
        chosen_id(sources, medium).is_none_or(|id| Some(id.as_str()) == known)
    };
    if let Some(medium) = cached {
        if sources.medium.as_ref().is_none_or(same_instance) {
            candidates.push(("cached".to_owned(), medium));
        }
    }
    for (number, (datasource, medium)) in candidates.iter().enumerate() {
        if let Some(config) = document(medium.user_data.as_deref().unwrap_or_default(), command_line, messages) {
            if number > 0 {
                let text = "the user data cannot be used; the last good one of this machine is";
                messages.warning(Place::default(), "", text);
            }
            return finish(sources, datasource.clone(), (*medium).clone(), config, true, messages);
        }
    }
    let nothing = Medium::default();
    let medium = candidates.first().map_or(&nothing, |(_, medium)| *medium).clone();
    let datasource = match candidates.first() {
        Some((datasource, _)) => datasource.clone(),
        None if sources.command_line.datasource.is_some() || command_line.is_some() => "cmdline".into(),
        None if sources.smbios.is_some() => "smbios".into(),
        None => "none".into(),
    };
    let usable = candidates.is_empty();
    let config = document(&[], command_line, messages).unwrap_or_default();
    finish(sources, datasource, medium, config, usable, messages)
}

/// The document of user data with the command line's below it; `None` when user data cannot be used at all.
fn document(user_data: &[u8], command_line: Option<&str>, messages: &mut Messages) -> Option<CloudConfig> {
    let mut own = Messages::new("user-data");
    let format = format::recognise(user_data, &mut own);
    let config = match &format {
        Format::CloudConfig(text) => CloudConfig::parse(text, &mut own),
        Format::Script(_) => Some(CloudConfig::default()),
        Format::None => (own.errors() == 0).then(CloudConfig::default),
    };
    messages.append(own);
    let mut kernel = Messages::new("kernel command line");
    let lower = command_line.and_then(|text| CloudConfig::parse(text, &mut kernel)).unwrap_or_default();
    messages.append(kernel);
    config.map(|config| config.or(lower))
}

fn chosen_id(sources: &Sources, medium: &Medium) -> Option<String> {
    let of_medium = meta::parse(medium.meta_data.as_deref().unwrap_or_default(), &mut Messages::default()).instance_id;
    let given = [sources.command_line.datasource.as_ref(), sources.smbios.as_ref()];
    given.into_iter().flatten().find_map(|datasource| datasource.instance_id.clone()).or(of_medium)
}

fn finish(
    sources: &Sources,
    datasource: String,
    medium: Medium,
    mut config: CloudConfig,
    usable: bool,
    messages: &mut Messages,
) -> Decision {
    let mut own = Messages::new("meta-data");
    let meta = meta::parse(medium.meta_data.as_deref().unwrap_or_default(), &mut own);
    messages.append(own);
    let options = [sources.command_line.datasource.as_ref(), sources.smbios.as_ref()];
    let id_of = |index: usize| options[index].and_then(|datasource| datasource.instance_id.as_deref());
    let user_data = medium.user_data.clone().unwrap_or_default();
    let identified =
        [user_data.as_slice(), sources.command_line.cloud_config.as_deref().unwrap_or_default().as_bytes()];
    let chosen = [id_of(0), id_of(1), meta.instance_id.as_deref()];
    let id = identity(chosen, sources.product_uuid.as_deref(), &identified.concat());
    if let Some(cached) = sources.cached.as_ref().filter(|cached| cached.id == id) {
        if cached.medium.user_data.as_deref().unwrap_or_default() != user_data && usable {
            let text = "changed, but the instance-id is the same: users that exist, files and commands are not done again; change the instance-id of meta-data for that";
            let mut own = Messages::new("user-data");
            own.warning(Place::default(), "", text);
            messages.append(own);
        }
    }
    let hostname = options.into_iter().flatten().find_map(|datasource| datasource.hostname.clone()).or(meta.hostname);
    let hostname = hostname.filter(|name| {
        let good = names::is_host(name);
        if !good {
            messages.error(Place::default(), "local-hostname", "not used: not a host name");
        }
        good
    });
    if user_data.trim_ascii().is_empty()
        && sources.command_line.cloud_config.is_none()
        && !sources.command_line.disabled
    {
        warn_of_nothing(&datasource, messages);
    }
    set_network(sources, &medium, &mut config, messages);
    let machine = &mut config.machine;
    if config.preserve_hostname == Some(true) {
        (machine.hostname, machine.fqdn) = (None, None);
    } else if machine.hostname.is_none() && machine.fqdn.is_none() {
        machine.hostname.clone_from(&hostname);
    }
    let command_line = sources.command_line.cloud_config.clone();
    let instance = Instance { id, medium, command_line, hostname, public_keys: meta.public_keys };
    Decision { datasource, instance, config, usable }
}

/// Without user data nobody has a key, which is worth knowing before one tries to log in.
fn warn_of_nothing(datasource: &str, messages: &mut Messages) {
    let text = match datasource {
        "none" => "there is no user data: no volume labelled cidata, nothing on the kernel command line".to_owned(),
        from => format!("the user data of {from} is empty"),
    };
    let mut own = Messages::new("user-data");
    own.warning(Place::default(), "", format!("{text}; the kernel option hull.autologin=TTY opens the console"));
    messages.append(own);
}

/// `hull: network` wins over `network-config=` of the command line, that over the medium's file.
fn set_network(sources: &Sources, medium: &Medium, config: &mut CloudConfig, messages: &mut Messages) {
    let given = [
        ("network-config of the kernel command line", sources.command_line.network_config.as_deref()),
        ("network-config", medium.network_config.as_deref()),
    ];
    for (name, content) in given {
        let Some(content) = content.filter(|content| !content.trim_ascii().is_empty()) else { continue };
        if config.machine.network.is_some() {
            messages.info(Place::default(), name, "not used: another network configuration wins");
            continue;
        }
        let mut own = Messages::new(name);
        config.machine.network = read_network(content, &mut own);
        messages.append(own);
    }
}

fn read_network(content: &[u8], messages: &mut Messages) -> Option<Network> {
    let text = format::unpack(content)
        .and_then(|content| String::from_utf8(content).map_err(|_| "not used: a byte that is not UTF-8".to_owned()));
    let root = match text {
        Ok(text) => yaml::parse(&text, messages),
        Err(text) => {
            messages.error(Place::default(), "", text);
            return None;
        }
    };
    match root {
        Ok(root) if root.is_null() => None,
        Ok(root) => network::read(&root, "", messages),
        Err(error) => {
            messages.error(error.place, "", format!("not used: {}", error.text));
            None
        }
    }
}

/// Writes fragment, cache and rendered files; whatever fails is reported and the rest is done.
fn carry_out(paths: &Paths, decision: &Decision, messages: &mut Messages) {
    let mut stored = true;
    if decision.usable && decision.datasource != "none" {
        let fragment = toml::to_string(&decision.config.machine).map_err(anyhow::Error::from).and_then(|text| {
            let path = paths.state_config.join(fragments::USER_DATA_FRAGMENT);
            store::write(&path, format!("{FRAGMENT_HEADER}{text}").as_bytes(), 0o600)
        });
        let cache = decision.instance.save(&paths.cloud_state);
        for result in [&fragment, &cache] {
            if let Err(error) = result {
                messages.error(Place::default(), "", format!("user data is not kept for the next boot: {error:#}"));
            }
        }
        stored = fragment.is_ok();
    }
    let last_good = paths.cloud_state.join("last-good");
    let mut config = fragments::load(&paths.default_config, &paths.state_config, &last_good, messages);
    if !stored {
        config = config.overlaid_with(decision.config.machine.clone());
    }
    let mut own = Messages::new("/etc/docker/daemon.json");
    let daemon_json = store::read_bounded(&paths.engine_etc.join("daemon.json"), MAX_DAEMON_JSON)
        .and_then(|content| content.map(String::from_utf8).transpose().map_err(anyhow::Error::from));
    let daemon_json = daemon_json.unwrap_or_else(|error| {
        own.error(Place::default(), "", format!("not used: {error:#}"));
        None
    });
    let plan = render::plan(&config, daemon_json.as_deref(), &mut own);
    messages.append(own);
    if let Err(error) = render::write(&paths.config, &plan) {
        messages.error(Place::default(), "", format!("the configuration of the services is incomplete: {error:#}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::command_line::{CommandLine, Datasource};

    fn medium(user_data: &str, meta_data: &str) -> Medium {
        Medium {
            device: "/dev/vdb".into(),
            user_data: Some(user_data.into()),
            meta_data: Some(meta_data.into()),
            network_config: None,
        }
    }

    fn texts(messages: &Messages) -> String {
        messages.list().iter().map(|message| format!("{message}\n")).collect()
    }

    fn on(sources: &Sources) -> (Decision, String) {
        let mut messages = Messages::new("cloud-config");
        let decision = decide(sources, &mut messages);
        (decision, texts(&messages))
    }

    const GOOD: &str = "#cloud-config\nhostname: web\n";

    #[test]
    fn datasources() {
        let options = |h: &str, i: &str| Datasource { hostname: Some(h.into()), instance_id: Some(i.into()) };
        let cached =
            || Some(Instance { id: "old".into(), medium: medium(GOOD, "instance-id: old\n"), ..Instance::default() });
        for (name, sources, datasource, id, hostname) in [
            (
                "medium",
                Sources { medium: Some(medium(GOOD, "instance-id: i-1\n")), ..Sources::default() },
                "nocloud:/dev/vdb",
                "i-1",
                Some("web"),
            ),
            (
                "command line over SMBIOS over medium",
                Sources {
                    command_line: CommandLine { datasource: Some(options("c", "i-c")), ..CommandLine::default() },
                    smbios: Some(options("s", "i-s")),
                    medium: Some(medium("", "instance-id: i-1\nlocal-hostname: m\n")),
                    ..Sources::default()
                },
                "nocloud:/dev/vdb",
                "i-c",
                Some("c"),
            ),
            (
                "SMBIOS alone",
                Sources { smbios: Some(options("s", "i-s")), ..Sources::default() },
                "smbios",
                "i-s",
                Some("s"),
            ),
            (
                "cc alone",
                Sources {
                    command_line: CommandLine { cloud_config: Some("hostname: k".into()), ..CommandLine::default() },
                    product_uuid: Some("U".into()),
                    ..Sources::default()
                },
                "cmdline",
                "u-3c8c9a7bd7c6",
                Some("k"),
            ),
            ("medium gone", Sources { cached: cached(), ..Sources::default() }, "cached", "old", Some("web")),
            ("nothing", Sources::default(), "none", "nocloud-e3b0c44298fc", None),
        ] {
            let (decision, messages) = on(&sources);
            assert_eq!(decision.datasource, datasource, "{name}");
            assert_eq!(decision.config.machine.hostname.as_deref(), hostname, "{name}");
            if name != "cc alone" {
                assert_eq!(decision.instance.id, id, "{name}");
            }
            let warned = ["command line over SMBIOS over medium", "SMBIOS alone", "nothing"].contains(&name);
            assert_eq!(messages.contains("hull.autologin"), warned, "{name}: {messages}");
            assert_eq!(messages.lines().count(), usize::from(warned), "{name}: {messages}");
        }
    }

    #[test]
    fn broken_user_data_falls_back_to_the_last_good_one_of_the_same_machine() {
        let cached =
            Some(Instance { id: "i-1".into(), medium: medium(GOOD, "instance-id: i-1\n"), ..Instance::default() });
        let broken = "#cloud-config\nhostname: a: b\n";
        let (decision, messages) = on(&Sources {
            medium: Some(medium(broken, "instance-id: i-1\n")),
            cached: cached.clone(),
            ..Sources::default()
        });
        assert_eq!((decision.datasource.as_str(), decision.usable), ("cached", true));
        assert!(messages.contains("user-data line 2") && messages.contains("last good one"), "{messages}");
        let (decision, _) =
            on(&Sources { medium: Some(medium(broken, "instance-id: i-2\n")), cached, ..Sources::default() });
        assert_eq!((decision.datasource.as_str(), decision.usable), ("nocloud:/dev/vdb", false));
        assert_eq!(decision.config.machine.hostname, None);
    }

    #[test]
    fn changed_user_data_with_the_same_chosen_id_is_said() {
        let cached =
            Some(Instance { id: "i-1".into(), medium: medium(GOOD, "instance-id: i-1\n"), ..Instance::default() });
        let changed = medium("#cloud-config\nhostname: other\n", "instance-id: i-1\n");
        let (decision, messages) =
            on(&Sources { medium: Some(changed.clone()), cached: cached.clone(), ..Sources::default() });
        assert!(messages.contains("instance-id is the same"), "{messages}");
        assert_eq!(decision.config.machine.hostname.as_deref(), Some("other"));
        let without_id = Medium { meta_data: None, ..changed };
        let (decision, messages) = on(&Sources { medium: Some(without_id), cached, ..Sources::default() });
        assert_eq!(messages, "");
        assert_ne!(decision.instance.id, "i-1");
    }

    #[test]
    fn network_of_user_data_wins_over_the_file() {
        let network = |id: &str| format!("version: 2\nethernets: {{{id}: {{dhcp4: true}}}}\n").into_bytes();
        let mut seed = medium("#cloud-config\nhull: {network: {version: 2, ethernets: {a: {dhcp4: true}}}}\n", "");
        seed.network_config = Some(network("b"));
        let (decision, messages) = on(&Sources { medium: Some(seed.clone()), ..Sources::default() });
        assert!(decision.config.machine.network.unwrap().ethernets.contains_key("a"));
        assert!(messages.contains("another network configuration wins"), "{messages}");
        seed.user_data = None;
        let (decision, _) = on(&Sources { medium: Some(seed), ..Sources::default() });
        assert!(decision.config.machine.network.unwrap().ethernets.contains_key("b"));
    }

    #[test]
    fn files_are_written_and_an_unwritable_state_is_survived() {
        let directory = tempfile::tempdir().unwrap();
        let mut paths = Paths {
            config: directory.path().join("config"),
            report: directory.path().join("report"),
            state_config: directory.path().join("state/config"),
            cloud_state: directory.path().join("state/cloud"),
            default_config: directory.path().join("usr"),
            engine_etc: directory.path().join("docker"),
            engine_socket: "/nonexistent".into(),
            recovering: false,
            root: directory.path().into(),
        };
        let (decision, _) = on(&Sources { medium: Some(medium(GOOD, "")), ..Sources::default() });
        let mut messages = Messages::new("cloud-config");
        carry_out(&paths, &decision, &mut messages);
        assert_eq!(texts(&messages), "");
        assert_eq!(std::fs::read_to_string(paths.config.join("hostname")).unwrap(), "web\n");
        assert!(
            std::fs::read_to_string(paths.state_config.join("50-user-data.toml"))
                .unwrap()
                .contains("hostname = \"web\"")
        );
        assert!(Instance::load(&paths.cloud_state).unwrap().is_some());

        std::fs::write(directory.path().join("file"), "").unwrap();
        paths.state_config = directory.path().join("file/config");
        paths.cloud_state = directory.path().join("file/cloud");
        std::fs::remove_file(paths.config.join("hostname")).unwrap();
        carry_out(&paths, &decision, &mut messages);
        assert_eq!(std::fs::read_to_string(paths.config.join("hostname")).unwrap(), "web\n");
        assert!(texts(&messages).contains("not kept for the next boot"));
    }
}
