//! Media and clouds, alone and together; the first functions also make decisions for other tests.

use super::*;
use crate::seed::command_line::CommandLine;
use crate::seed::exchange::Fetched;
use crate::seed::ovf_env;
use crate::seed::platform::Firmware;

pub(in crate::stage) fn medium(user_data: &str, meta_data: &str) -> Medium {
    Medium {
        device: "/dev/vdb".into(),
        user_data: Some(user_data.into()),
        meta_data: Some(meta_data.into()),
        ..Medium::default()
    }
}

pub(in crate::stage) fn texts(messages: &Messages) -> String {
    messages.list().iter().map(|message| format!("{message}\n")).collect()
}

pub(in crate::stage) fn on(sources: &Sources) -> (Decision, String) {
    let mut messages = Messages::new("cloud-config");
    let decision = decide(sources, &mut messages);
    (decision, texts(&messages))
}

pub(in crate::stage) const GOOD: &str = "#cloud-config\nhostname: web\n";

#[test]
fn datasources() {
    let options = |h: &str, i: &str| Datasource {
        hostname: Some(h.into()),
        instance_id: Some(i.into()),
        ..Datasource::default()
    };
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
                firmware: Firmware { product_uuid: "U".into(), ..Firmware::default() },
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
    let cached = Some(Instance { id: "i-1".into(), medium: medium(GOOD, "instance-id: i-1\n"), ..Instance::default() });
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
    let cached = Some(Instance { id: "i-1".into(), medium: medium(GOOD, "instance-id: i-1\n"), ..Instance::default() });
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

/// A machine in a cloud.
fn in_cloud(uuid: &str) -> Sources {
    let firmware = Firmware { sys_vendor: "Hetzner".into(), product_uuid: uuid.into(), ..Firmware::default() };
    Sources { firmware, ..Sources::default() }
}

fn fetched_medium(user_data: &str) -> Medium {
    let device = "http://169.254.169.254".into();
    Medium { device, origin: Some(Origin::Hetzner), ..medium(user_data, "instance-id: 7\n") }
}

#[test]
fn a_cloud_is_waited_for_then_used_then_kept() {
    let (decision, messages) = on(&in_cloud("u"));
    assert_eq!((decision.datasource.as_str(), decision.instance.progress), ("hetzner", Progress::Awaited));
    assert_eq!(decision.wanted.origin, Some(Origin::Hetzner));
    assert!(!decision.usable && messages.is_empty(), "{messages}");

    let fetched = Fetched { medium: Some(fetched_medium(GOOD)), ..Fetched::default() };
    let (decision, messages) = on(&Sources { fetched: Some(fetched), ..in_cloud("u") });
    assert_eq!((decision.datasource.as_str(), decision.instance.progress), ("hetzner", Progress::Whole));
    assert_eq!((decision.instance.id.as_str(), decision.usable), ("7", true));
    assert!(decision.wanted.is_empty() && messages.is_empty(), "{messages}");

    let cached = decision.instance;
    let (decision, _) = on(&Sources { cached: Some(cached.clone()), ..in_cloud("u") });
    assert_eq!((decision.datasource.as_str(), decision.instance.progress), ("cached", Progress::Whole));
    let (decision, _) = on(&Sources { cached: Some(cached.clone()), ..in_cloud("copy") });
    assert_eq!((decision.datasource.as_str(), decision.instance.progress), ("hetzner", Progress::Awaited));
    let (decision, _) = on(&Sources { cached: Some(cached), ..Sources::default() });
    assert_eq!(decision.datasource, "none");
}

#[test]
fn a_cloud_that_does_not_answer_is_said() {
    let failures = vec!["no answer".to_owned()];
    let wanted = Wanted { origin: Some(Origin::Hetzner), ..Wanted::default() };
    let fetched = Fetched { wanted, failures, ..Fetched::default() };
    let (decision, messages) = on(&Sources { fetched: Some(fetched), ..in_cloud("u") });
    assert_eq!((decision.datasource.as_str(), decision.instance.progress), ("hetzner", Progress::Partial));
    assert!(!decision.usable);
    assert_eq!(messages, "hetzner: no answer\n");
}

#[test]
fn a_medium_goes_before_the_cloud_and_a_disk_copied_to_a_cloud_is_new_there() {
    let seed = medium(GOOD, "instance-id: i-1\n");
    let (decision, _) = on(&Sources { medium: Some(seed.clone()), ..in_cloud("u") });
    assert_eq!((decision.datasource.as_str(), decision.wanted.is_empty()), ("nocloud:/dev/vdb", true));
    let cached = Some(Instance { id: "i-1".into(), medium: seed, ..Instance::default() });
    let (decision, _) = on(&Sources { cached, ..in_cloud("u") });
    assert_eq!((decision.datasource.as_str(), decision.instance.progress), ("hetzner", Progress::Awaited));
}

#[test]
fn a_server_of_the_command_line_goes_before_the_cloud() {
    let datasource = Datasource { seed: Some("http://a/".into()), ..Datasource::default() };
    let command_line = CommandLine { datasource: Some(datasource), ..CommandLine::default() };
    let (decision, _) = on(&Sources { command_line, ..in_cloud("u") });
    assert_eq!(decision.wanted.origin, Some(Origin::NoCloud("http://a/".into())));
    assert_eq!(decision.datasource, "nocloud:http://a/");
}

#[test]
fn include_lists_are_fetched_and_kept() {
    let list = "#cloud-config-archive\n- 'hostname: first'\n- {type: text/x-include-url, content: x}\n";
    let user_data = "#include\nhttp://a/web?sig=secret\n";
    let seed = medium(user_data, "instance-id: i-1\n");
    let (decision, messages) = on(&Sources { medium: Some(seed.clone()), ..Sources::default() });
    assert_eq!((decision.instance.progress, decision.usable), (Progress::Awaited, false));
    assert_eq!(decision.wanted, Wanted { origin: None, include: vec!["http://a/web?sig=secret".into()], base: None });
    assert!(
        messages.contains("user-data line 2 column 1: http://a/… is not here yet") && !messages.contains("secret"),
        "{messages}"
    );

    let includes = [("http://a/web?sig=secret".to_owned(), list.into())].into();
    let fetched = Some(Fetched { includes, ..Fetched::default() });
    let (decision, messages) = on(&Sources { medium: Some(seed.clone()), fetched, ..Sources::default() });
    assert_eq!(decision.config.machine.hostname.as_deref(), Some("first"));
    assert_eq!((decision.instance.progress, decision.usable), (Progress::Whole, true));
    assert!(messages.contains("cannot hold an archive or an include list"), "{messages}");

    let cached = Some(decision.instance);
    let (decision, _) = on(&Sources { medium: Some(seed.clone()), cached, ..Sources::default() });
    assert_eq!((decision.instance.progress, decision.usable), (Progress::Whole, true));

    let fetched = Some(Fetched { failures: vec!["http://a/web: 404".into()], ..Fetched::default() });
    let (decision, messages) = on(&Sources { medium: Some(seed), fetched, ..Sources::default() });
    assert_eq!((decision.instance.progress, decision.usable), (Progress::Partial, false));
    assert!(messages.contains("include list: http://a/web: 404"), "{messages}");
}

#[test]
fn a_machine_that_trusts_what_it_kept_looks_at_nothing_else() {
    let text = "#cloud-config\nhostname: web\nmanual_cache_clean: true\n";
    let (decision, _) = on(&Sources { medium: Some(medium(text, "instance-id: i-1\n")), ..Sources::default() });
    assert!(decision.instance.trusted);
    let cached = Some(decision.instance);
    let stick = Some(medium("#cloud-config\nhostname: evil\n", "instance-id: i-2\n"));
    let (decision, messages) = on(&Sources { medium: stick, cached, ..in_cloud("u") });
    assert_eq!((decision.datasource.as_str(), decision.instance.id.as_str()), ("cached", "i-1"));
    assert_eq!(decision.config.machine.hostname.as_deref(), Some("web"));
    assert!(decision.wanted.is_empty() && decision.instance.trusted);
    assert!(messages.contains("/dev/vdb is not looked at"), "{messages}");
}

#[test]
fn azures_medium_completes_what_its_service_has() {
    let provisioning = ovf_env::tests::with_custom_data("#cloud-config\nhostname: custom\n");
    let firmware = Firmware { chassis_asset_tag: "7783-7084-3265-9085-8269-3286-77".into(), ..Firmware::default() };
    let found = |user_data: Option<&str>| Medium {
        origin: Some(Origin::Azure),
        user_data: user_data.map(Into::into),
        ..fetched_medium("")
    };
    for (user_data, hostname) in [(None, "custom"), (Some("#cloud-config\nhostname: user\n"), "user")] {
        let fetched = Some(Fetched { medium: Some(found(user_data)), ..Fetched::default() });
        let (firmware, provisioning) = (firmware.clone(), provisioning.clone());
        let (decision, _) = on(&Sources { firmware, provisioning, fetched, ..Sources::default() });
        assert_eq!(decision.config.machine.hostname.as_deref(), Some(hostname));
        // Kept, for the medium is gone at the next boot.
        assert!(decision.instance.medium.user_data.is_some());
    }
}

#[test]
fn machines_of_lxd_and_incus_say_how_they_get_user_data() {
    let on_manager = |vendor: &str, board: &str| Firmware {
        sys_vendor: "QEMU".into(),
        board_vendor: vendor.into(),
        board_name: board.into(),
        ..Firmware::default()
    };
    for (firmware, name, command) in [
        (
            on_manager("Canonical Ltd.", "LXD"),
            "LXD",
            "lxc config device add NAME cloud-init disk source=cloud-init:config",
        ),
        (
            on_manager("LinuxContainers", "Incus"),
            "Incus",
            "incus config device add NAME cloud-init disk source=cloud-init:config",
        ),
    ] {
        let without = Sources { firmware, ..Sources::default() };
        let (decision, messages) = on(&without);
        assert_eq!(decision.datasource, "none");
        assert!(messages.contains(command) && messages.lines().count() == 1, "{messages}");

        let with = |user_data: &str| {
            let medium = Some(medium(user_data, "instance-id: i-1\nlocal-hostname: c1\nuser.x: 'y'\n"));
            on(&Sources { medium, ..without.clone() })
        };
        let (decision, messages) = with(GOOD);
        assert_eq!((decision.datasource, messages.as_str()), (format!("nocloud:/dev/vdb on {name}"), ""));
        let (_, messages) = with("#cloud-config\n{}");
        assert!(
            messages.contains(&format!("user-data of nocloud:/dev/vdb on {name} is missing or empty")),
            "{messages}"
        );

        let cached = Some(decision.instance);
        let (decision, messages) = on(&Sources { cached, ..without });
        assert_eq!((decision.datasource.as_str(), messages.as_str()), ("cached", ""));
    }
}
