//! Which medium this boot uses, which instance this machine is, and what its user data says. Pure.
//!
//! ```text
//! local medium > server named by s= > the cloud > copy kept from an earlier boot      the first that can be used
//! ```
//! What the network has is not fetched here: [`Decision::wanted`] says what has to be, and the stage runs again when it
//! was. A machine that kept what it fetched in an earlier boot asks nobody.
//!
//! A machine whose user data said `manual_cache_clean` uses what it kept and nothing else: somebody with a stick at hand does
//! not make it another instance.

use super::base;
use super::network;
use super::sources::Sources;
use super::user_data::{self, UserData};
use crate::machine::Network;
use crate::report::{Messages, Place};
use crate::seed::command_line::Datasource;
use crate::seed::exchange::Wanted;
use crate::seed::instance::{Instance, Progress, identity};
use crate::seed::medium::Medium;
use crate::seed::meta;
use crate::seed::platform::Origin;
use crate::userdata::cloud_config::CloudConfig;
use crate::userdata::names;

/// What LXD and Incus write where nobody gave them user data.
const NO_USER_DATA: &[u8] = b"#cloud-config\n{}";

/// What was decided.
#[derive(Debug, Clone)]
pub struct Decision {
    /// For the report.
    pub datasource: String,
    /// For the later stages.
    pub instance: Instance,
    /// The document.
    pub config: CloudConfig,
    /// Network of the kernel command line, for this boot alone.
    pub network: Option<Network>,
    /// What has to be fetched before the user data is whole.
    pub wanted: Wanted,
    /// Worth keeping as the last good one.
    pub usable: bool,
}

/// A medium that may be used.
struct Candidate<'s> {
    datasource: String,
    medium: &'s Medium,
}

/// Chooses medium, identity and document.
pub fn decide(sources: &Sources, messages: &mut Messages) -> Decision {
    warn_of_trust(sources, messages);
    let mut unusable = None;
    for Candidate { datasource, medium } in candidates(sources) {
        let identified = identify(sources, medium.clone());
        let data = read(&identified.0, messages);
        if data.usable {
            if unusable.is_some() {
                let text = "the user data cannot be used; the last good one of this machine is";
                messages.warning(Place::default(), "", text);
            }
            return finish(sources, datasource, identified, data, messages);
        }
        unusable.get_or_insert((datasource, identified, data));
    }
    if let Some((datasource, identified, data)) = unusable {
        return finish(sources, datasource, identified, data, messages);
    }
    let datasource = match origin(sources) {
        Some(origin) => origin.datasource(),
        None => without_medium(sources).to_owned(),
    };
    let identified = identify(sources, Medium::default());
    let data = read(&identified.0, messages);
    finish(sources, datasource, identified, data, messages)
}

fn without_medium(sources: &Sources) -> &'static str {
    match sources.command_line.datasource {
        None if sources.command_line.cloud_config.is_some() || base::location(sources).is_some() => "cmdline",
        None if sources.smbios.is_some() => "smbios",
        None => "none",
        Some(_) => "cmdline",
    }
}

/// The options of `ds=`, the first wins.
fn options(sources: &Sources) -> impl Iterator<Item = &Datasource> {
    [&sources.command_line.datasource, &sources.smbios].into_iter().flatten()
}

/// Where in the network the data of this machine is.
fn origin(sources: &Sources) -> Option<Origin> {
    let seed = options(sources).find_map(|options| options.seed.clone());
    let named = || options(sources).find_map(|options| options.platform.clone());
    seed.map(Origin::NoCloud).or_else(named).or_else(|| sources.firmware.platform())
}

/// The kept copy, if nothing else counts.
fn trusted(sources: &Sources) -> Option<&Instance> {
    sources.cached.as_ref().filter(|cached| cached.trusted && !cached.medium.device.is_empty())
}

fn warn_of_trust(sources: &Sources, messages: &mut Messages) {
    if let Some((_, medium)) = trusted(sources).zip(sources.medium.as_ref()) {
        let text = format!(
            "{} is not looked at: manual_cache_clean in the user data kept from before; remove /state/cloud/instance.json for another",
            medium.device
        );
        let mut own = Messages::new("seed medium");
        own.warning(Place::default(), "", text);
        messages.append(own);
    }
}

/// As reports show it: whoever made the machine knows where it is better than which device it is.
fn name_of(sources: &Sources, medium: &Medium) -> String {
    match sources.firmware.manager().filter(|_| medium.origin.is_none()) {
        Some(manager) => format!("{} on {}", medium.datasource(), manager.name()),
        None => medium.datasource(),
    }
}

fn kept(cached: &Instance) -> Candidate<'_> {
    Candidate { datasource: "cached".to_owned(), medium: &cached.medium }
}

fn candidates(sources: &Sources) -> Vec<Candidate<'_>> {
    if let Some(cached) = trusted(sources) {
        return vec![kept(cached)];
    }
    let fetched = sources.fetched.as_ref().and_then(|fetched| fetched.medium.as_ref());
    let first = sources.medium.as_ref().or(fetched);
    let first = first.map(|medium| Candidate { datasource: name_of(sources, medium), medium });
    let cached = sources.cached.as_ref().filter(|cached| is_ours(sources, cached));
    let same_instance = |medium: &Medium| {
        let known = cached.map(|cached| cached.id.as_str());
        chosen_id(sources, medium).is_none_or(|id| Some(id.as_str()) == known)
    };
    let cached = cached.filter(|cached| same_instance(first.as_ref().map_or(&cached.medium, |first| first.medium)));
    first.into_iter().chain(cached.map(kept)).collect()
}

/// Whether a kept copy is of this machine. What came from a medium is, unless the firmware tells of a cloud: then the
/// disk was copied to there. What was fetched belongs to the machine that fetched it.
fn is_ours(sources: &Sources, cached: &Instance) -> bool {
    let of_here = || cached.medium.origin.is_none() || cached.machine == sources.firmware.machine();
    let from_here = sources.medium.is_some() || cached.medium.origin == origin(sources);
    !cached.medium.device.is_empty() && from_here && of_here()
}

/// All layers of the user data.
fn read(instance: &Instance, messages: &mut Messages) -> UserData {
    let mut own = Messages::new("user-data");
    let data = user_data::read(instance, &mut own);
    messages.append(own);
    data
}

fn chosen_id(sources: &Sources, medium: &Medium) -> Option<String> {
    let of_medium = meta::parse(medium.meta_data.as_deref().unwrap_or_default(), &mut Messages::default()).instance_id;
    options(sources).find_map(|datasource| datasource.instance_id.clone()).or(of_medium)
}

/// The instance that a medium makes this machine, with the messages about its meta-data.
fn identify(sources: &Sources, mut medium: Medium) -> (Instance, Messages) {
    let mut messages = Messages::new("meta-data");
    if medium.origin == Some(Origin::Azure) {
        sources.provisioning.complete(&mut medium);
    }
    let meta = meta::parse(medium.meta_data.as_deref().unwrap_or_default(), &mut messages);
    let options = [sources.command_line.datasource.as_ref(), sources.smbios.as_ref()];
    let id_of = |index: usize| options[index].and_then(|datasource| datasource.instance_id.as_deref());
    let user_data = medium.user_data.as_deref().unwrap_or_default();
    let command_line = sources.command_line.cloud_config.as_deref().unwrap_or_default();
    // What is there is not known yet when the machine needs an identity.
    let url = base::location(sources).map_or("", |location| &location.url);
    let identified = [user_data, command_line.as_bytes(), url.as_bytes()];
    let chosen = [id_of(0), id_of(1), meta.instance_id.as_deref()];
    let id = identity(chosen, &sources.firmware.product_uuid, &identified.concat());
    let hostname = options.into_iter().flatten().find_map(|datasource| datasource.hostname.clone()).or(meta.hostname);
    let hostname = hostname.filter(|name| {
        let good = names::is_host(name);
        if !good {
            messages.error(Place::default(), "local-hostname", "not used: not a host name");
        }
        good
    });
    // What was fetched for this instance, in this boot or an earlier one.
    let kept = sources.cached.as_ref().filter(|cached| cached.id == id).map(|cached| &cached.medium.includes);
    let fetched = sources.fetched.as_ref().map(|fetched| &fetched.includes);
    for (url, content) in [kept, fetched].into_iter().flatten().flatten() {
        medium.includes.insert(url.clone(), content.clone());
    }
    let instance = Instance {
        base: base::known(sources, &id),
        id,
        medium,
        command_line: sources.command_line.cloud_config.clone(),
        hostname,
        public_keys: meta.public_keys,
        progress: Progress::Whole,
        machine: sources.firmware.machine(),
        trusted: false,
    };
    (instance, messages)
}

fn finish(
    sources: &Sources,
    datasource: String,
    (mut instance, about_it): (Instance, Messages),
    data: UserData,
    messages: &mut Messages,
) -> Decision {
    let UserData { mut config, usable, missing, .. } = data;
    messages.append(about_it);
    let mut wanted = Wanted { origin: None, include: missing, base: base::missing(sources, &instance) };
    if instance.medium.device.is_empty() {
        wanted.origin = origin(sources);
    }
    if let Some(fetched) = &sources.fetched {
        say(fetched.wanted.origin.as_ref(), &fetched.failures, &fetched.remarks, messages);
    }
    base::say(sources, messages);
    instance.progress = match &sources.fetched {
        _ if wanted.is_empty() => Progress::Whole,
        None => Progress::Awaited,
        Some(_) if wanted.origin.is_none() && wanted.include.is_empty() => Progress::Whole,
        Some(_) => Progress::Partial,
    };
    instance.trusted = config.trust_kept == Some(true);
    warn_of_change(sources, &instance, usable, messages);
    if instance.progress == Progress::Whole {
        warn_of_nothing(sources, &datasource, &instance, messages);
    }
    network::of_medium(&instance.medium, &mut config.machine, messages);
    let network = network::of_command_line(&sources.command_line, messages);
    let machine = &mut config.machine;
    if config.preserve_hostname == Some(true) {
        (machine.hostname, machine.fqdn) = (None, None);
    } else if machine.hostname.is_none() && machine.fqdn.is_none() {
        machine.hostname.clone_from(&instance.hostname);
    }
    let usable = usable && instance.progress == Progress::Whole;
    Decision { datasource, instance, config, network, wanted, usable }
}

/// What `fetch` has to say.
fn say(origin: Option<&Origin>, failures: &[String], remarks: &[String], messages: &mut Messages) {
    let mut own = Messages::new(origin.map_or_else(|| "include list".to_owned(), Origin::datasource));
    failures.iter().for_each(|text| own.error(Place::default(), "", text.as_str()));
    remarks.iter().for_each(|text| own.warning(Place::default(), "", text.as_str()));
    messages.append(own);
}

fn warn_of_change(sources: &Sources, instance: &Instance, usable: bool, messages: &mut Messages) {
    let Some(cached) = sources.cached.as_ref().filter(|cached| cached.id == instance.id) else { return };
    let text = |medium: &Medium| medium.user_data.clone().unwrap_or_default();
    if usable && text(&cached.medium) != text(&instance.medium) {
        let text = "changed, but the instance-id is the same: users that exist, files and commands are not done again; change the instance-id of meta-data for that";
        let mut own = Messages::new("user-data");
        own.warning(Place::default(), "", text);
        messages.append(own);
    }
}

/// Without user data nobody has a key, which is worth knowing before one tries to log in.
fn warn_of_nothing(sources: &Sources, datasource: &str, instance: &Instance, messages: &mut Messages) {
    let medium = &instance.medium;
    let user_data = medium.user_data.as_deref().unwrap_or_default().trim_ascii();
    let has_data = !user_data.is_empty() && user_data != NO_USER_DATA;
    let has_key = medium.origin.is_some() && !instance.public_keys.is_empty();
    let has_base = instance.base.as_ref().is_some_and(|base| base.document.is_some());
    if has_data || has_key || has_base || sources.command_line.cloud_config.is_some() || sources.command_line.disabled {
        return;
    }
    let text = match (datasource, sources.firmware.manager()) {
        ("none", Some(manager)) => {
            let (name, client) = (manager.name(), manager.client());
            format!(
                "there is no user data: {name} gives it on a disk, which this machine gets by {client} config device add NAME cloud-init disk source=cloud-init:config and a restart"
            )
        }
        ("none", None) => {
            "there is no user data: no volume labelled cidata or config-2, nothing on the kernel command line"
                .to_owned()
        }
        (from, _) => format!("{} of {from} is missing or empty", medium.form.user_file()),
    };
    let mut own = Messages::new("user-data");
    own.warning(Place::default(), "", format!("{text}; the kernel option hull.autologin=TTY opens the console"));
    messages.append(own);
}

#[cfg(test)]
pub(super) mod tests;
