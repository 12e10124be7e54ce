//! `final`: services of the owner's, deferred files, runcmd and scripts, each as often as it is due, when the user
//! engine answers; then containers. The order is that of [`order`].
//!
//! The stamp is written after the work, so a power failure in between makes the work start over. A machine that
//! reboots out of its own runcmd would do so for ever; after `MAX_ATTEMPTS` beginnings the work counts as done.

use super::apply::{instance, set, write_files};
use super::rest;
use super::stamp::Stamp;
use super::user_data::{self, UserData};
use crate::apply::commands::{self, Setting};
use crate::apply::output::Redirection;
use crate::apply::{HULL, containers, engine, message, metadata, phone, power, scripts, services};
use crate::paths::{PANICKED, Paths};
use crate::report::{Final, Messages, Place, Report};
use crate::seed::instance::Progress;
use crate::store;
use crate::userdata::cloud_config::CloudConfig;
use crate::userdata::format::When;
use crate::userdata::power::PowerState;
use crate::userdata::scripts::{Due, Work, order};
use std::path::Path;
use std::time::Duration;

/// How long commands wait for the engine; they run without it after that.
const ENGINE_LIMIT: Duration = Duration::from_secs(120);
/// Beginnings without an end.
const MAX_ATTEMPTS: u32 = 3;
/// The engine's client.
const DOCKER: &str = "docker";
/// Of iproute2.
const IP: &str = "ip";
/// Content of the stamp of what is done once in the life of the machine.
const MACHINE: &str = "machine";

/// Runs the stage.
pub fn run(paths: &Paths) -> anyhow::Result<()> {
    rest::bring(paths, Path::new(HULL), rest::Limits::BOOT)?;
    run_within(paths, ENGINE_LIMIT)
}

fn run_within(paths: &Paths, engine_limit: Duration) -> anyhow::Result<()> {
    let mut report = Report::load(&paths.report);
    report.final_stage = Final::Running;
    report.save(&paths.report)?;
    let mut messages = Messages::new("user-data");
    let (good, end) = carry_out(paths, report.datasource != "none", engine_limit, &mut messages);
    // Other stages may have added to it meanwhile.
    let mut report = Report::load(&paths.report);
    report.final_stage = if good { Final::Done } else { Final::Failed };
    report.take(&messages);
    report.save(&paths.report)?;
    let Some(End { message, power, instance_id }) = end else { return Ok(()) };
    if let Some(text) = message {
        message::print(&text, &message::Variables::now(&report));
    }
    let Some(power) = power else { return Ok(()) };
    let mut messages = Messages::new("user-data");
    let setting = Setting { directory: &paths.cloud_state, instance_id: &instance_id, deadline: None, output: None };
    power::end(Path::new(HULL), &power, setting, &mut messages);
    report.take(&messages);
    report.save(&paths.report)
}

/// What the owner wants when all is done and said.
struct End {
    message: Option<String>,
    power: Option<PowerState>,
    instance_id: String,
}

/// Whether all of it went well, and what comes after it.
fn carry_out(paths: &Paths, has_data: bool, engine_limit: Duration, messages: &mut Messages) -> (bool, Option<End>) {
    let instance = match instance(paths) {
        Ok(instance) => instance,
        Err(error) => {
            messages.error(Place::default(), "final", format!("{error:#}"));
            return (false, None);
        }
    };
    if paths.recovering {
        messages.error(Place::default(), "final", PANICKED);
        return (false, None);
    }
    if !has_data {
        return (true, None);
    }
    if instance.progress != Progress::Whole {
        let text = "commands, files and services wait until all of the user data is here: the next boot tries again";
        messages.error(Place::default(), "", text);
        return (false, None);
    }
    let id = instance.id.as_str();
    let before = messages.errors();
    let data = user_data::again(&instance, messages);
    services::add(paths, Path::new(HULL), data.config.services.as_deref().unwrap_or_default(), id, messages);
    let stamps = Stamps::new(paths);
    let mut due = stamps.due(&data, id);
    if (due.instance || due.once) && begin(&paths.cloud_state, id) > MAX_ATTEMPTS {
        let text = format!("begun {MAX_ATTEMPTS} times and never finished; not tried again for this instance");
        messages.error(Place::default(), "runcmd", text);
        stamps.set(due, id, messages);
        due = Due { instance: false, once: false };
    }
    let deferred = Stamp::new(&paths.cloud_state, "deferred");
    if due.instance && !deferred.is_set(id) {
        write_files(paths, &data.config, true, messages);
        // Some are appended to: commands may take long, and be cut off.
        set(&deferred, id, messages);
    }
    run_all(paths, &data, due, id, engine_limit, messages);
    if let Some(projects) = &data.config.containers {
        engine::wait(&paths.engine_socket, engine_limit);
        containers::run(paths, DOCKER, projects, id, containers::PATIENCE, messages);
    }
    if due.instance || due.once {
        // What commands have written is theirs to make durable, and few do; the stamps say that it is there.
        rustix::fs::sync();
    }
    stamps.set(due, id, messages);
    tell(paths, &data.config, id, messages);
    let (message, power) = (data.config.final_message, data.config.power.filter(|_| due.instance));
    (messages.errors() == before, Some(End { message, power, instance_id: instance.id }))
}

/// Tells whoever wants to know, and closes what nobody here needs any more.
fn tell(paths: &Paths, config: &CloudConfig, id: &str, messages: &mut Messages) {
    // Whoever waits for the call waits for ever, and a call may take minutes.
    let called = Stamp::new(&paths.cloud_state, "phone");
    if let Some(call) = config.phone.as_ref().filter(|_| !called.is_set(id)) {
        phone::home(&paths.root, call, id, phone::PAUSE, messages);
        set(&called, id, messages);
    }
    if config.disable_metadata == Some(true) {
        metadata::close(IP, messages);
    }
}

/// Runs what is due; waits for the engine if there is anything.
fn run_all(paths: &Paths, data: &UserData, due: Due, id: &str, engine_limit: Duration, messages: &mut Messages) {
    let runcmd = data.config.runcmd.as_deref().unwrap_or_default();
    let mut work = order(&data.scripts, due);
    work.retain(|work| !runcmd.is_empty() || *work != Work::Runcmd);
    if work.is_empty() {
        return;
    }
    if !engine::wait(&paths.engine_socket, engine_limit) {
        let text = format!("the engine did not answer within {} s; run without it", engine_limit.as_secs());
        messages.warning(Place::default(), "runcmd", text);
    }
    let streams = data.config.output.as_ref().and_then(|output| output.last.as_ref());
    let output = Redirection::of(&paths.root, streams, messages);
    let setting = Setting { directory: &paths.cloud_state, instance_id: id, deadline: None, output: output.as_ref() };
    for work in work {
        match work {
            Work::Runcmd => commands::run_list("runcmd", runcmd, setting, messages),
            Work::Script(script) => scripts::run_script(script, setting, messages),
        };
    }
    if let Some(output) = output {
        output.close();
    }
}

/// What was done.
struct Stamps {
    instance: Stamp,
    once: Stamp,
}

impl Stamps {
    fn new(paths: &Paths) -> Self {
        Self { instance: Stamp::new(&paths.cloud_state, "scripts"), once: Stamp::new(&paths.cloud_state, "once") }
    }

    fn due(&self, data: &UserData, id: &str) -> Due {
        let has_once = data.scripts.iter().any(|script| script.when == When::Once);
        Due { instance: !self.instance.is_set(id), once: has_once && !self.once.is_set(MACHINE) }
    }

    fn set(&self, due: Due, id: &str, messages: &mut Messages) {
        if due.instance {
            set(&self.instance, id, messages);
        }
        if due.once {
            set(&self.once, MACHINE, messages);
        }
    }
}

/// Counts this beginning for the instance. A state that cannot be written counts as the first one.
fn begin(directory: &Path, id: &str) -> u32 {
    let path = directory.join("scripts.attempts");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let before =
        text.split_once('\n').filter(|(_, of)| *of == id).and_then(|(count, _)| count.parse().ok()).unwrap_or(0);
    let count = before + 1;
    match store::write(&path, format!("{count}\n{id}").as_bytes(), 0o600) {
        Ok(()) => count,
        Err(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::instance::Instance;
    use crate::seed::medium::Medium;

    fn prepare(paths: &Paths, user_data: &str) {
        let medium = Medium { device: "/dev/vdb".into(), user_data: Some(user_data.into()), ..Medium::default() };
        Instance { id: "i-1".into(), medium, ..Instance::default() }.save(&paths.report).unwrap();
        Report { datasource: "nocloud:/dev/vdb".into(), ..Report::default() }.save(&paths.report).unwrap();
    }

    #[test]
    fn without_all_of_the_user_data_nothing_is_run() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        prepare(&paths, "#cloud-config\nruncmd: ['true']\n");
        let mut instance = Instance::load(&paths.report).unwrap().unwrap();
        instance.progress = Progress::Partial;
        instance.save(&paths.report).unwrap();
        run_within(&paths, Duration::ZERO).unwrap();
        let report = Report::load(&paths.report);
        assert_eq!(report.final_stage, Final::Failed);
        assert!(report.messages[0].text.contains("the next boot tries again"), "{report:?}");
        assert!(!Stamps::new(&paths).instance.is_set("i-1"));
    }

    #[test]
    fn commands_run_once_and_faults_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let counter = directory.path().join("count");
        prepare(&paths, &format!("#cloud-config\nruncmd:\n- echo x >> {}\n- no-such-command-x\n", counter.display()));
        run_within(&paths, Duration::ZERO).unwrap();
        let report = Report::load(&paths.report);
        let texts: Vec<String> = report.messages.iter().map(ToString::to_string).collect();
        assert_eq!(report.final_stage, Final::Failed);
        assert!(
            texts[0].contains("engine did not answer")
                && texts[1] == "user-data line 4 column 3 runcmd[1]: exited with status 127",
            "{texts:?}"
        );
        run_within(&paths, Duration::ZERO).unwrap();
        assert_eq!(std::fs::read_to_string(&counter).unwrap(), "x\n");
    }

    #[test]
    fn what_a_power_cut_leaves_undone_is_done_and_the_rest_is_not_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let text = format!(
            "#cloud-config\nwrite_files: [{{path: /log, content: x, append: true, defer: true, owner: '{}'}}]\nruncmd: ['true']\nphone_home: {{url: '{url}', tries: 1}}\n",
            rustix::process::getuid().as_raw()
        );
        prepare(&paths, &text);
        let calls = std::thread::spawn(move || {
            // Two are heard, the second after a cut; a third would be refused and reported.
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                std::io::Read::read(&mut stream, &mut [0; 4096]).unwrap();
                std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            }
        });
        run_within(&paths, Duration::ZERO).unwrap();
        // Within the commands, and within the call.
        for stamp in ["scripts", "phone"] {
            std::fs::remove_file(paths.cloud_state.join(format!("{stamp}.stamp"))).unwrap();
            run_within(&paths, Duration::ZERO).unwrap();
        }
        calls.join().unwrap();
        assert_eq!(std::fs::read_to_string(paths.root.join("log")).unwrap(), "x");
        let report = Report::load(&paths.report);
        assert!(report.messages.iter().all(|message| !message.text.contains("phone_home")), "{report:?}");
        assert_eq!(std::fs::read_to_string(paths.cloud_state.join("scripts.attempts")).unwrap(), "2\ni-1");
    }

    #[test]
    fn output_goes_where_it_is_to_go() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let text = "#cloud-config\noutput: {all: '>> /var/log/out'}\nruncmd: [echo one, 'echo two >&2']\n";
        prepare(&paths, text);
        run_within(&paths, Duration::ZERO).unwrap();
        assert_eq!(std::fs::read_to_string(paths.root.join("var/log/out")).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn scripts_and_empty_data_end_well() {
        for text in ["#!/bin/sh\ntest \"$INSTANCE_ID\" = i-1\n", "#cloud-config\n", ""] {
            let directory = tempfile::tempdir().unwrap();
            let paths = Paths::below(directory.path());
            prepare(&paths, text);
            run_within(&paths, Duration::ZERO).unwrap();
            assert_eq!(Report::load(&paths.report).final_stage, Final::Done, "{text}");
        }
    }

    /// A message whose scripts write their names down, and the names it wrote in a boot.
    struct Scripts {
        paths: Paths,
        file: std::path::PathBuf,
    }

    impl Scripts {
        fn boot(&self, instance_id: &str, parts: &[(&str, &str)]) -> String {
            let mut text = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n".to_owned();
            for (kind, name) in parts {
                let line = format!("echo {name} >> {}", self.file.display());
                let content = match *kind {
                    "cloud-config" => format!("runcmd: ['{line}']"),
                    _ => format!("#!/bin/sh\n{line}\n"),
                };
                let head = format!("Content-Type: text/{kind}\nContent-Disposition: x; filename={name}");
                text += &format!("--B\n{head}\n\n{content}\n");
            }
            prepare(&self.paths, &format!("{text}--B--\n"));
            let mut instance = Instance::load(&self.paths.report).unwrap().unwrap();
            instance.id = instance_id.into();
            instance.save(&self.paths.report).unwrap();
            std::fs::write(&self.file, "").unwrap();
            run_within(&self.paths, Duration::ZERO).unwrap();
            assert_eq!(Report::load(&self.paths.report).final_stage, Final::Done);
            std::fs::read_to_string(&self.file).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        }
    }

    #[test]
    fn scripts_run_as_often_as_they_are_due() {
        let directory = tempfile::tempdir().unwrap();
        let scripts = Scripts { paths: Paths::below(directory.path()), file: directory.path().join("out") };
        let parts = [
            ("x-shellscript", "z.sh"),
            ("x-shellscript", "a.sh"),
            ("cloud-config", "runcmd"),
            ("x-shellscript-per-instance", "instance"),
            ("x-shellscript-per-boot", "boot"),
            ("x-shellscript-per-once", "once"),
        ];
        assert_eq!(scripts.boot("i-1", &parts), "once boot instance a.sh runcmd z.sh");
        assert_eq!(scripts.boot("i-1", &parts), "boot");
        assert_eq!(scripts.boot("i-2", &parts), "boot instance a.sh runcmd z.sh");
        // The stamp of an earlier version says nothing of what is done once.
        std::fs::remove_file(scripts.paths.cloud_state.join("once.stamp")).unwrap();
        assert_eq!(scripts.boot("i-2", &parts), "once boot");
    }

    #[test]
    fn work_that_never_ends_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        for expected in 1..=5 {
            assert_eq!(begin(directory.path(), "i-1"), expected);
        }
        assert_eq!(begin(directory.path(), "i-2"), 1);
        let paths = Paths::below(directory.path());
        prepare(&paths, "#cloud-config\nruncmd: ['exit 1']\n");
        store::write(&paths.cloud_state.join("scripts.attempts"), b"3\ni-1", 0o600).unwrap();
        run_within(&paths, Duration::ZERO).unwrap();
        let report = Report::load(&paths.report);
        assert!(report.messages[0].text.contains("never finished") && report.messages.len() == 1, "{report:?}");
    }
}
