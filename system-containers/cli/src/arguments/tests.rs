//! Whole command lines, and what is wrong with some.

use super::*;
use crate::when::When;

fn verb_of(line: &str) -> Result<Verb, String> {
    parse(line.split(' ').map(OsString::from), None).map(|invocation| invocation.verb).map_err(|e| e.to_string())
}

#[test]
fn verbs() {
    let exec = |tty, command: &[&str]| {
        let command = command.iter().map(|word| (*word).into()).collect();
        Verb::Exec(Exec { service: "console".into(), command, interactive: tty, tty })
    };
    for (line, expected) in [
        ("hull", Verb::Help),
        ("hull status", Verb::Status { json: false }),
        ("hull status --json", Verb::Status { json: true }),
        ("hull ps", Verb::Ps { json: false }),
        ("hull inspect time", Verb::Inspect { service: "time".into() }),
        ("hull inspect --confinement time", Verb::Confinement { service: "time".into(), json: false }),
        ("hull inspect time --json --confinement", Verb::Confinement { service: "time".into(), json: true }),
        ("hull exec -it console sh -c -t", exec(true, &["sh", "-c", "-t"])),
        ("hull exec console ls -l", exec(false, &["ls", "-l"])),
        (
            "hull logs -f --tail 5 --since 2m docker",
            Verb::Logs(Logs {
                services: vec!["docker".into()],
                follow: true,
                tail: Some(5),
                since: Some(When::Ago(120)),
                ..Logs::default()
            }),
        ),
        (
            "hull logs -p err -b -1 --until 1h time docker",
            Verb::Logs(Logs {
                services: vec!["time".into(), "docker".into()],
                until: Some(When::Ago(3600)),
                priority: Some(3),
                boot: Some("-1".into()),
                ..Logs::default()
            }),
        ),
        ("hull logs", Verb::Logs(Logs::default())),
        ("hull restart a b", Verb::Lifecycle { action: Lifecycle::Restart, services: vec!["a".into(), "b".into()] }),
        ("hull update", Verb::Update(Update::Status { json: false })),
        ("hull config validate a b", Verb::Config(["config", "validate", "a", "b"].map(OsString::from).into())),
        (
            "hull config apply --confirm-within 5m",
            Verb::Config(["config", "apply", "--confirm-within", "5m"].map(OsString::from).into()),
        ),
        ("hull reboot", Verb::Power(Power::Reboot)),
        ("/usr/sbin/poweroff -f", Verb::Power(Power::Poweroff)),
        ("halt", Verb::Power(Power::Halt)),
        ("/usr/bin/mount", Verb::Mount(Mount::List { kind: None })),
        ("hull mount", Verb::Mount(Mount::List { kind: None })),
        ("umount -l /mnt/a", Verb::Umount { lazy: true, targets: vec!["/mnt/a".into()] }),
        ("swapon -p 5 /dev/vdb", Verb::Swap(Swap::On { devices: vec!["/dev/vdb".into()], priority: Some(5) })),
        ("hull swapoff /dev/vdb", Verb::Swap(Swap::Off { devices: vec!["/dev/vdb".into()] })),
        ("partprobe /dev/vdb", Verb::Rescan { devices: vec!["/dev/vdb".into()] }),
        ("shutdown -h now", Verb::Power(Power::Poweroff)),
        ("shutdown -r now", Verb::Power(Power::Reboot)),
    ] {
        assert_eq!(verb_of(line), Ok(expected), "{line}");
    }
}

#[test]
fn faults_are_named() {
    for (line, part) in [
        ("hull frob", "frob"),
        ("hull logs -p loud", "neither"),
        ("hull logs -b 1", "neither"),
        ("hull logs -b last", "neither"),
        ("hull logs --tail x docker", "no number"),
        ("hull logs --since yesterday docker", "neither"),
        ("hull exec console", "name a command"),
        ("hull restart", "name a service"),
        ("hull rescan", "name a device"),
        ("hull config", "config takes validate"),
        ("hull config --x", "config takes validate"),
        ("hull config change a", "config takes validate"),
        ("mount -a", "no fstab"),
        ("hull inspect --confinement", "one service"),
        ("hull inspect a b", "one service"),
        ("hull restart ../hull/power", "no service name"),
        ("hull status --yaml", "--yaml"),
        ("shutdown 22:00", "only \"now\""),
    ] {
        let error = verb_of(line).unwrap_err();
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn the_option_beats_the_environment() {
    let socket = |line: &str| {
        parse(line.split(' ').map(OsString::from), Some("/env".into())).map(|invocation| invocation.socket).unwrap()
    };
    assert_eq!(socket("hull ps"), Path::new("/env"));
    assert_eq!(socket("hull --socket /a ps"), Path::new("/a"));
    assert_eq!(socket("hull ps --socket=/b"), Path::new("/b"));
    assert_eq!(parse(["hull".into()], None).unwrap().socket, Path::new(SOCKET));
}
