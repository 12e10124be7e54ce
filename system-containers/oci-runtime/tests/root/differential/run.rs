//! Runs one bundle under one runtime and sorts what its program saw into fields.

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

/// Field → value, lines joined. `outcome` says how the runtime ended.
pub(super) type Seen = BTreeMap<String, String>;

/// Kinds of namespaces, as `/proc/<pid>/ns` names them.
const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// A runtime and the options before its verb.
pub(super) struct Runtime<'a> {
    pub(super) words: &'a [&'a str],
}

/// What is written otherwise in two runs of the same bundle.
pub(super) struct Names {
    /// A namespace and the word for it.
    known: Vec<(String, &'static str)>,
    /// The test's own directory.
    directory: String,
}

impl Names {
    /// `joined` is a process whose namespaces bundles name by path.
    pub(super) fn new(joined: i64, directory: &Path) -> Self {
        let of = |process: String, word: &'static str| {
            let link = move |kind| fs::read_link(format!("/proc/{process}/ns/{kind}")).expect("namespace");
            NAMESPACES.iter().map(move |kind| (link(kind).display().to_string(), word))
        };
        let known = of("thread-self".to_owned(), "host").chain(of(joined.to_string(), "joined")).collect();
        Self { known, directory: directory.display().to_string() }
    }

    fn namespace(&self, link: &str) -> String {
        let kind = link.split(':').next().unwrap_or_default();
        let word = self.known.iter().find(|(known, _)| known == link).map_or("own", |(_, word)| word);
        format!("{kind} {word}")
    }
}

/// Runs `bundle`; a runtime that refuses it has seen nothing but that.
pub(super) fn run(runtime: &Runtime<'_>, id: &str, bundle: &Path, terminal: bool, names: &Names) -> Seen {
    let mut command = Command::new(runtime.words[0]);
    command.args(&runtime.words[1..]).arg("run").arg("--bundle").arg(bundle).arg(id);
    let (text, status, said) = if terminal { on_terminal(command) } else { piped(command) };
    let mut seen = sort(&text, id, names);
    // Messages differ; that something was refused does not.
    let ended = if seen.is_empty() { "refused".to_owned() } else { format!("ended {status:?}") };
    seen.insert("outcome".to_owned(), ended);
    seen.insert("said".to_owned(), said);
    seen
}

fn piped(mut command: Command) -> (String, Option<i32>, String) {
    // Not /dev/null: crun and runc make the container's user the owner of its streams.
    let (stdin, _closed) = rustix::pipe::pipe().expect("pipe");
    let output =
        command.stdin(stdin).output().unwrap_or_else(|error| unreachable!("{command:?} (install Debian's): {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), output.status.code(), text(&output.stderr))
}

/// The same with a terminal for all three streams.
fn on_terminal(mut command: Command) -> (String, Option<i32>, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("terminal");
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave: OwnedFd = ioctl_tiocgptpeer(&master, flags).expect("terminal");
    let end = || Stdio::from(slave.try_clone().expect("descriptor"));
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("run");
    drop((command, slave));
    let mut text = Vec::new();
    // EIO once nobody has it open any more.
    if let Err(error) = File::from(master).read_to_end(&mut text) {
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()), "{error}");
    }
    let text = String::from_utf8_lossy(&text).replace('\r', "");
    (text.clone(), child.wait().expect("wait").code(), text)
}

fn sort(text: &str, id: &str, names: &Names) -> Seen {
    let mut seen = Seen::new();
    for (field, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        let value = value.replace(&names.directory, "DIR");
        let (field, value) = match field {
            "mountinfo" => mount(&value),
            "namespaces" => (field.to_owned(), names.namespace(&value)),
            // Other keys are those of other sessions.
            "keyring" if !own_keyring(&value, id) => continue,
            "keyring" => (field.to_owned(), "own".to_owned()),
            "hooks" => (field.to_owned(), state(&value)),
            _ => (field.to_owned(), value.replace('\t', " ")),
        };
        let lines = seen.entry(field).or_default();
        if *lines == "own\n" {
            continue;
        }
        lines.push_str(&value);
        lines.push('\n');
    }
    for (_, value) in seen.iter_mut().filter(|(field, _)| *field == "env" || field.starts_with("mount ")) {
        let mut lines: Vec<&str> = value.lines().collect();
        lines.sort_unstable();
        *value = lines.join("\n");
    }
    seen
}

/// Names of session keyrings under ours, crun and runc.
fn own_keyring(line: &str, id: &str) -> bool {
    let Some(name) = line.strip_prefix("keyring ") else { return false };
    let name = name.trim_end_matches(':');
    name == id || name.strip_prefix("_ses.") == Some(id) || name.starts_with("hull.")
}

/// A line of `mountinfo` (proc_pid_mountinfo(5)) without numbers: a field for each mount point.
fn mount(line: &str) -> (String, String) {
    let (place, system) = line.split_once(" - ").expect("mountinfo");
    let words: Vec<&str> = place.split(' ').collect();
    let [_, _, _, root, target, options, tags @ ..] = words.as_slice() else { unreachable!("{line}") };
    // Names of terminals and of v1 hierarchies are the host's.
    let tags: Vec<&str> = tags.iter().filter_map(|tag| tag.split(':').next()).collect();
    // Shown or not depending on the call it was mounted by.
    let system = system.replace(",uuid=on", "");
    (format!("mount {target}"), format!("{root} {options} {} - {system}", tags.join(" ")))
}

/// Name of a hook and the state it was handed, without what differs from run to run.
fn state(line: &str) -> String {
    let (name, text) = line.split_once(' ').unwrap_or((line, ""));
    let Ok(mut state) = serde_json::from_str::<Value>(text) else { return line.to_owned() };
    if let Some(pid) = state.get_mut("pid") {
        *pid = Value::from(pid.as_i64().is_some_and(|pid| pid > 0));
    }
    format!("{name} {state}")
}
