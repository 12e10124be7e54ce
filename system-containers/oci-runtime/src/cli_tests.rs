//! Tests of the command line.

use super::*;

fn parsed(line: &str) -> Result<Option<Invocation>> {
    parse(Parser::from_args(line.split_whitespace()))
}

#[test]
fn lines_of_containerds_shim_are_understood() {
    let line =
        "--root /r --log /l --log-format json create --bundle /b --pid-file /p --no-new-keyring --preserve-fds 2 x";
    let invocation = parsed(line).expect("line").expect("command");
    assert!(invocation.global.json_log);
    let Command::Create(create) = invocation.command else { unreachable!() };
    assert_eq!((create.id.as_str(), create.preserve, create.bundle), ("x", 2, Some("/b".into())));

    let line = "--root /r exec --process /p --console-socket /c --detach --pid-file /f x";
    let Command::Exec(exec) = parsed(line).expect("line").expect("command").command else { unreachable!() };
    assert!(exec.detach && exec.command.is_empty());
    assert_eq!((exec.process, exec.console_socket), (Some("/p".into()), Some("/c".into())));

    for (line, want) in [("kill --all x 9", (9, true)), ("kill x SIGTERM", (15, false)), ("kill x", (15, false))] {
        let Command::Kill { signal, all, .. } = parsed(line).expect("line").expect("command").command else {
            unreachable!()
        };
        assert_eq!((signal, all), want, "{line}");
    }
}

#[test]
fn options_of_the_executed_command_are_its_own() {
    let Command::Exec(exec) = parsed("exec -e A=1 x ls -l --tty").expect("line").expect("command").command else {
        unreachable!()
    };
    assert_eq!(exec.command, ["ls", "-l", "--tty"]);
    assert!(!exec.tty);
}

#[test]
fn what_is_not_done_is_refused_by_name() {
    for (line, named) in [
        ("--systemd-cgroup list", "--systemd-cgroup"),
        ("create --no-pivot x", "--no-pivot"),
        ("events x", "--stats"),
        ("checkpoint x", "checkpoint"),
        ("update --memory 1 x", "--memory"),
        ("update x", "--resources"),
        ("start", "ID"),
        ("start a b", "ID"),
        ("kill x NOSUCH", "NOSUCH"),
        ("", "verb"),
    ] {
        let error = parsed(line).expect_err(line);
        assert!(format!("{error:#}").contains(named), "{line}: {error:#}");
    }
}

#[test]
fn signals_have_names_and_numbers() {
    for (text, want) in [
        ("9", Some(9)),
        ("kill", Some(9)),
        ("SIGHUP", Some(1)),
        ("SIGRTMIN+3", Some(37)),
        ("RTMAX-1", Some(63)),
        ("64", Some(64)),
        ("65", None),
        ("0", None),
        ("RTMIN+99", None),
        ("", None),
    ] {
        assert_eq!(signal(text).ok(), want, "{text}");
    }
}
