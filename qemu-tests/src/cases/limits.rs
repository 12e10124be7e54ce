//! What a service may use, by the kernel's own figures; five hundred services at once; the log after a power cut.

use super::first_boot::{REGISTRY, user_data};
use super::{image, registry::Registry};
use crate::guest::{Boot, Guest, Site};
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// Services at once.
const MANY: usize = 500;
/// Memory of the machine they run on, in MiB.
const MEMORY: u32 = 2048;
/// What a power cut may take from a log: lines of the last second, and a moment for them to arrive.
const UNSYNCED: Duration = Duration::from_secs(2);

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let Some(registry) = report.value("limits_registry_starts", || Registry::start(&site.work.join("limits-registry")))
    else {
        return;
    };
    let images = report.value("limits_images_are_pushed", || {
        let (busybox, pause) = (image::busybox()?, image::pause());
        let shell = image::push(&registry, &site.work, "shell", &[("bin/busybox", &busybox)])?;
        Ok([shell, image::push(&registry, &site.work, "pause", &[("pause", &pause)])?])
    });
    let Some([shell, pause]) = images else { return };
    let booted = report.value("limits_machine_boots", || {
        let boot = Boot {
            seed: Some(Seed::vfat(user_data(site)?, "limits")),
            services: vec![(REGISTRY.into(), registry.port)],
            memory: MEMORY,
            ..Boot::default()
        };
        let mut guest = Guest::boot(site, "limits", &boot)?;
        guest.wait_complete()?;
        guest.retry(30, "true")?;
        Ok(guest)
    });
    let Some(mut guest) = booted else { return };
    report.case("limits_memory_kill_is_reported_with_victim_and_limit", || memory(&mut guest, &shell));
    report.case("limits_cpu_max_holds", || cpu(&mut guest, &shell));
    report.case("limits_io_max_holds", || io(&mut guest, &shell));
    report.case("limits_500_services_at_once", || many(&mut guest, &pause));
    report.case("limits_logs_survive_a_power_cut", || power_cut(&mut guest, &shell));
}

/// Adds a service that runs a shell script, and starts it.
fn add(guest: &Guest, name: &str, digest: &str, script: &str, tables: &str) -> Result<()> {
    let definition = format!(
        "description = \"{name}\"\n[[process]]\nname = \"main\"\ncommand = [\"/bin/busybox\", \"sh\", \"-c\", '''{script}''']\n\
         [run]\nstop-signal = \"SIGKILL\"\n[security]\nseccomp = [\"@default\"]\n{tables}"
    );
    install(guest, name, &format!("registry.invalid/shell@{digest}"), &definition)
}

fn install(guest: &Guest, name: &str, reference: &str, definition: &str) -> Result<()> {
    guest.ssh(&format!("cat > {name}.toml <<'END'\n{definition}\nEND\n"))?;
    let options = format!("--definition {name}.toml --mirror http://{REGISTRY} --yes {reference}");
    guest.root(&format!("hull service add {name} {options}")).map(drop)
}

fn memory(guest: &mut Guest, digest: &str) -> Result<()> {
    add(
        guest,
        "hog",
        digest,
        "/bin/busybox tail /dev/zero; /bin/busybox sleep 1000",
        "[limits]\nmemory-max = \"16M\"\n",
    )?;
    guest.retry(30, "sudo hull status | grep 'killed for want of memory'")?;
    let text = guest.root("hull status; hull logs hog; system-docker inspect -f oom={{.State.OOMKilled}} hog")?;
    ensure!(text.contains("killed for want of memory: busybox") && text.contains("limit memory-max 16M"), "{text}");
    ensure!(text.contains("oom=true"), "{text}");
    guest.root("hull service remove hog").map(drop)
}

fn cpu(guest: &mut Guest, digest: &str) -> Result<()> {
    add(guest, "spin", digest, "while :; do :; done", "[limits]\ncpu-max = 20\n")?;
    guest.retry(30, "sudo hull ps | grep -E '^spin +ready'")?;
    let usage = "awk '/usage_usec/ {print $2}' /sys/fs/cgroup/services/spin/cpu.stat; cut -d ' ' -f 1 /proc/uptime";
    let mut read = || -> Result<[f64; 2]> {
        let text = guest.host(usage)?;
        let mut numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
        Ok([numbers.next().context("no figure")?, numbers.next().context("no time")?])
    };
    let before = read()?;
    std::thread::sleep(Duration::from_secs(10));
    let after = read()?;
    let share = (after[0] - before[0]) / 1e6 / (after[1] - before[1]) * 100.0;
    println!("       {share:.1} % of a processor used, 20 % allowed");
    ensure!((5.0..23.0).contains(&share), "{share:.1} % used");
    guest.root("hull service remove spin").map(drop)
}

fn io(guest: &mut Guest, digest: &str) -> Result<()> {
    let script = "now() { /bin/busybox cut -d . -f 1 /proc/uptime; }; t=$(now); \
        /bin/busybox dd if=/dev/zero of=/data/f bs=64k count=128 conv=fsync; echo written in $(( $(now) - t )) s; \
        /bin/busybox rm /data/f; exec /bin/busybox sleep 1000";
    let tables = "[[mount]]\nsource = \"/state/services/writer\"\ntarget = \"/data\"\n\
        [limits]\nio-max = [{ device = \"system-disk\", write-bytes = \"1M\" }]\n";
    add(guest, "writer", digest, script, tables)?;
    let text = guest.retry(60, "sudo hull logs writer | grep 'written in'")?;
    let limit = guest.host("cat /sys/fs/cgroup/services/writer/io.max")?;
    ensure!(limit.contains("wbps=1048576"), "{limit}");
    let took = text.split("written in ").nth(1).and_then(|rest| rest.split(' ').next()).context("no time")?;
    println!("       8 MiB at 1 MiB/s: {took} s");
    ensure!(took.parse::<u32>()? > 5, "8 MiB were written in {took} s");
    guest.root("hull service remove writer").map(drop)
}

fn many(guest: &mut Guest, digest: &str) -> Result<()> {
    let definition = "description = \"one of many\"\n[[process]]\nname = \"pause\"\ncommand = [\"/pause\"]\n\
        [run]\nstop-signal = \"SIGKILL\"\n[security]\nseccomp = [\"pause\", \"execve\", \"exit_group\"]\n";
    install(guest, "many0", &format!("registry.invalid/pause@{digest}"), definition)?;
    let copy = format!(
        "cd /state/added && i=1; while [ $i -lt {MANY} ]; do cp -a installed/many0 installed/many$i; cp -a enabled/many0 enabled/many$i; i=$((i+1)); done; ls installed | grep -c many"
    );
    let text = guest.host_within(&copy, 60)?;
    ensure!(text.trim().ends_with(&MANY.to_string()), "{text}");
    let available = |guest: &mut Guest| -> Result<i64> {
        let text =
            guest.host("sync; echo 3 > /proc/sys/vm/drop_caches; awk '/MemAvailable/ {print $2}' /proc/meminfo")?;
        text.split_whitespace().find_map(|word| word.parse().ok()).context("no figure")
    };
    let before = available(guest)?;
    let started = Instant::now();
    guest.host("kill -9 $(pidof system-daemon)")?;
    let ready = "sudo hull ps | grep -cE '^many[0-9]+ +ready'";
    let deadline = Duration::from_secs(60) * guest.patience();
    let mut first = None;
    loop {
        let count = guest.ssh(&format!("{ready} || true"))?.trim().parse::<usize>().unwrap_or(0);
        let passed = started.elapsed();
        first = first.or((count > 1).then_some((count, passed)));
        if count == MANY {
            let (at, since) = first.unwrap_or((0, Duration::ZERO));
            let seconds = (passed - since).as_secs_f64().max(0.1);
            println!(
                "       {MANY} ready {:.1} s after the daemon's start, {:.1} a second",
                passed.as_secs_f64(),
                (MANY - at) as f64 / seconds
            );
            break;
        }
        ensure!(passed < deadline, "{count} of {MANY} are ready after {:.0} s", passed.as_secs_f64());
        std::thread::sleep(Duration::from_millis(500));
    }
    let used = before - available(guest)?;
    println!("       {} KiB a container, all in all", used / MANY as i64);
    for command in ["hull ps", "system-docker ps"] {
        let now = "cut -d ' ' -f 1 /proc/uptime";
        let text = guest.root(&format!("{now}; {command} >/dev/null; {now}"))?;
        let times: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        println!("       {command}: {:.1} s", times.last().unwrap_or(&0.0) - times.first().unwrap_or(&0.0));
    }
    let text = guest.host("ls /sys/fs/cgroup/services | grep -c many; dmesg | grep -ci 'out of memory' || true")?;
    ensure!(text.split_whitespace().any(|word| word == MANY.to_string()), "{text}");
    // The next case is about something else.
    guest.host("rm -rf /state/added/enabled/many*; kill -9 $(pidof system-daemon)")?;
    guest.retry(60, "! ls /sys/fs/cgroup/services | grep many && sudo hull ps").map(drop)
}

fn power_cut(guest: &mut Guest, digest: &str) -> Result<()> {
    let script = "i=0; while :; do echo line $i; i=$((i+1)); /bin/busybox usleep 20000; done";
    add(guest, "counter", digest, script, "")?;
    guest.retry(30, "sudo hull logs -n 1 counter | grep line")?;
    let numbers = |text: &str| -> Vec<u64> {
        text.lines().filter_map(|line| line.rsplit_once("line ")?.1.trim().parse().ok()).collect()
    };
    let seen = guest.root("hull logs -n 1 counter")?;
    let seen = *numbers(&seen).last().context("nothing was logged")?;
    std::thread::sleep(guest.budget(UNSYNCED));
    guest.cut_power();
    guest.start()?;
    guest.wait_complete()?;
    guest.retry(30, "true")?;
    let text = guest.root("hull logs -b -1 counter")?;
    let kept = numbers(&text);
    let last = *kept.last().context("nothing is left")?;
    println!(
        "       {} lines kept; the last one seen before the cut was {seen}, the last one kept is {last}",
        kept.len()
    );
    ensure!(last >= seen, "line {seen} was seen long before the cut, and is lost: {last} is the last");
    ensure!(kept.windows(2).all(|pair| pair[1] == pair[0] + 1) && kept[0] == 0, "the log has a gap: {kept:?}");
    Ok(())
}
