//! Base configuration of an instance: fetched once for it, by this boot or an earlier one. Pure.

use super::sources::Sources;
use crate::report::{Messages, Place};
use crate::seed::base::{Base, Location};
use crate::seed::instance::Instance;

/// Where it is; nobody looks for it where user data is not looked for.
pub fn location(sources: &Sources) -> Option<&Location> {
    sources.command_line.base.as_ref().filter(|_| !sources.command_line.disabled)
}

/// What is here of it for the instance `id`.
pub fn known(sources: &Sources, id: &str) -> Option<Base> {
    let location = location(sources)?;
    let fetched = sources.fetched.as_ref().and_then(|fetched| fetched.base.as_ref());
    let kept = || sources.cached.as_ref().filter(|cached| cached.id == id).and_then(|cached| cached.base.as_ref());
    fetched.or_else(kept).filter(|base| base.location == *location).cloned()
}

/// Where it has to be fetched from.
pub fn missing(sources: &Sources, instance: &Instance) -> Option<Location> {
    location(sources).filter(|_| instance.base.is_none()).cloned()
}

/// Why it is not here.
pub fn say(sources: &Sources, messages: &mut Messages) {
    let failure = sources.fetched.as_ref().and_then(|fetched| fetched.base_failure.as_ref());
    if let Some((text, location)) = failure.zip(location(sources)) {
        let mut own = Messages::new(location.name.text());
        own.error(Place::default(), "", text.as_str());
        messages.append(own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::base::Name;
    use crate::seed::command_line::CommandLine;
    use crate::seed::exchange::Fetched;
    use crate::seed::instance::Progress;
    use crate::stage::decide::tests::{GOOD, medium, on};

    const BASE: &str = "#cloud-config\nhostname: base\ntimezone: UTC\nruncmd: [a]\n";

    fn at(name: Name, url: &str) -> Location {
        Location { name, url: url.into() }
    }

    fn booted(name: Name, url: &str) -> Sources {
        let command_line = CommandLine { base: Some(at(name, url)), ..CommandLine::default() };
        Sources { command_line, ..Sources::default() }
    }

    fn fetched(name: Name, document: Option<&str>) -> Option<Fetched> {
        let base = Some(Base { location: at(name, "http://a"), document: document.map(Into::into) });
        Some(Fetched { base, ..Fetched::default() })
    }

    #[test]
    fn it_is_waited_for_then_used_then_kept() {
        let name = Name::CloudConfigUrl;
        let (decision, messages) = on(&booted(name, "http://a"));
        assert_eq!((decision.datasource.as_str(), decision.instance.progress), ("cmdline", Progress::Awaited));
        assert_eq!((decision.wanted.base, decision.usable), (Some(at(name, "http://a")), false));
        assert_eq!(messages, "");
        let id = decision.instance.id;

        let (decision, messages) = on(&Sources { fetched: fetched(name, Some(BASE)), ..booted(name, "http://a") });
        assert_eq!(
            (decision.instance.progress, decision.usable, decision.wanted.is_empty()),
            (Progress::Whole, true, true)
        );
        assert_eq!((decision.config.machine.hostname.as_deref(), messages.as_str()), (Some("base"), ""));
        assert_eq!(decision.instance.id, id);

        let cached = Some(decision.instance);
        let (decision, _) = on(&Sources { cached: cached.clone(), ..booted(name, "http://a") });
        assert_eq!((decision.instance.progress, decision.config.runcmd.is_some()), (Progress::Whole, true));
        let (decision, _) = on(&Sources { cached: cached.clone(), ..booted(name, "http://b") });
        assert_eq!((decision.instance.progress, decision.config.runcmd.is_some()), (Progress::Awaited, false));
        assert_ne!(decision.instance.id, id);
        let (decision, _) = on(&Sources { cached, ..Sources::default() });
        assert!(decision.config.runcmd.is_none() && decision.instance.base.is_none());
    }

    #[test]
    fn everything_else_goes_before_it() {
        let name = Name::CloudConfigUrl;
        let mut sources = booted(name, "http://a");
        sources.command_line.cloud_config = Some("timezone: Europe/Vienna".into());
        let seed = medium(GOOD, "instance-id: i-1\n");
        let with_medium = Sources { medium: Some(seed), ..sources };
        let (decision, messages) = on(&Sources { fetched: fetched(name, Some(BASE)), ..with_medium.clone() });
        let machine = &decision.config.machine;
        assert_eq!((machine.hostname.as_deref(), machine.timezone.as_deref()), (Some("web"), Some("Europe/Vienna")));
        assert_eq!((decision.config.runcmd.is_some(), messages.as_str()), (true, ""));
        assert_eq!((decision.datasource.as_str(), decision.instance.id.as_str()), ("nocloud:/dev/vdb", "i-1"));
        // The same instance by its own word, and another document.
        let cached = Some(decision.instance);
        let mut sources = Sources { cached, ..with_medium };
        assert_eq!(on(&sources).0.instance.progress, Progress::Whole);
        sources.command_line.base = Some(at(name, "http://b"));
        let decision = on(&sources).0;
        assert_eq!((decision.instance.progress, decision.instance.base), (Progress::Awaited, None));
    }

    #[test]
    fn without_it_the_rest_is_used_and_the_next_boot_asks_again() {
        let failure = Some(Fetched { base_failure: Some("http://a/…: status 404".into()), ..Fetched::default() });
        let sources = Sources { fetched: failure, ..booted(Name::CloudConfigUrl, "http://a") };
        let seed = Some(medium(GOOD, "instance-id: i-1\n"));
        let (decision, messages) = on(&Sources { medium: seed.clone(), ..sources.clone() });
        assert_eq!((decision.instance.progress, decision.usable), (Progress::Whole, true));
        assert_eq!(messages, "cloud-config-url: http://a/…: status 404\n");
        let cached = Some(decision.instance);
        let (decision, _) = on(&Sources { medium: seed, cached, ..booted(Name::CloudConfigUrl, "http://a") });
        assert_eq!(decision.instance.progress, Progress::Awaited);
        // Nobody has a key.
        let (_, messages) = on(&sources);
        assert!(messages.contains("hull.autologin"), "{messages}");
    }

    #[test]
    fn faults_in_it_are_its_own() {
        for (name, document, expected, used) in [
            (
                Name::CloudConfigUrl,
                Some("#cloud-config\nhostname: a\nfoo: 1\n"),
                "cloud-config-url line 3 column 1 foo: ignored",
                true,
            ),
            (Name::CloudConfigUrl, Some("#cloud-config\na: b: c\n"), "cloud-config-url line 2", false),
            (
                Name::CloudConfigUrl,
                Some("#cloud-config-archive\n- 'hostname: a'\n"),
                "cloud-config-url line 2 column 1: expected a mapping",
                false,
            ),
            (Name::Url, None, "url: what is there does not begin with", false),
        ] {
            let (decision, messages) = on(&Sources { fetched: fetched(name, document), ..booted(name, "http://a") });
            assert!(messages.contains(expected), "{messages}");
            assert_eq!(decision.config.machine.hostname.is_some(), used, "{expected}");
            assert_eq!(decision.instance.progress, Progress::Whole);
        }
    }

    #[test]
    fn nobody_looks_for_it_when_user_data_is_not_looked_for() {
        let mut sources = booted(Name::CloudConfigUrl, "http://a");
        sources.command_line.disabled = true;
        assert!(on(&sources).0.wanted.is_empty());
    }
}
