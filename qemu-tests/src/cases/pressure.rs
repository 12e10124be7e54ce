//! Applications take all processors, memory, process numbers and disk: the system stays there for its owner.

use super::docker::pids;
use crate::guest::Guest;
use crate::report::Report;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// Time in which a login and `hull status` answer on a machine of two processors.
const BUDGET: Duration = Duration::from_secs(5);
/// The hogs are at work for as long before anything is asked, as they need to reach their limits.
const RAMP: Duration = Duration::from_secs(20);

const DOCKERFILE: &str =
    "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";

/// Name and shell program of each application.
const HOGS: [(&str, &str); 3] = [
    ("bomb", "bomb() { bomb | bomb & sleep 600; }; bomb"),
    ("memory", "while :; do tail /dev/zero; done"),
    ("disk", "while :; do dd if=/dev/zero of=/fill bs=1M count=512; sync; rm /fill; done"),
];

/// Runs the cases; needs a guest with Docker and what [`build`] makes.
pub fn run(guest: &mut Guest, report: &mut Report) {
    report.case("pressure_finds_its_victims_among_applications", || victims(guest));
    let started = report.value("pressure_applications_start", || {
        let before = pids(guest)?;
        println!("       calm: {:.1} s", login(guest)?.as_secs_f64());
        for (name, program) in HOGS {
            guest.ssh(&format!("docker create --restart always --name {name} hog sh -c '{program}'"))?;
        }
        guest.ssh(&format!("docker start {}", HOGS.map(|(name, _)| name).join(" ")))?;
        std::thread::sleep(RAMP);
        Ok(before)
    });
    let Some(before) = started else { return };
    report.case("pressure_leaves_login_and_status_answering", || {
        // The middle one of three: other machines under test may have the host's processors for a while.
        let mut times = [(); 3].map(|()| login(guest).unwrap_or(Duration::MAX));
        println!("       under pressure: {:.1?} s", times.map(|time| time.as_secs_f64()));
        times.sort_unstable();
        let (took, budget) = (times[1], BUDGET * guest.patience());
        ensure!(took < budget, "login and status took {:.1} s of {:.0}", took.as_secs_f64(), budget.as_secs_f64());
        Ok(())
    });
    report.case("pressure_kills_no_system_container", || {
        let text = guest.host("cd /sys/fs/cgroup/services && grep -H '^oom_kill ' */memory.events")?;
        let hurt: Vec<&str> =
            text.lines().filter(|line| !line.starts_with("docker/") && !line.ends_with(" 0")).collect();
        ensure!(text.contains("console/") && hurt.is_empty(), "{text}");
        guest.retry(30, "true")?;
        let after = pids(guest)?;
        ensure!(before == after, "before:\n{before}\nafter:\n{after}");
        Ok(())
    });
    report.case("pressure_ends_with_the_applications", || {
        guest.retry(60, "docker rm -f bomb memory disk")?;
        guest.retry(60, "docker run --rm hog true").map(drop)
    });
}

/// What the kernel would kill when the machine itself is out of memory, proc_pid_oom_score(5): an application that is small
/// sooner than what a login runs. The services' common protection reaches them only through the cgroup above them.
fn victims(guest: &mut Guest) -> Result<()> {
    let score = |line: &str| -> Result<i32> { Ok(guest.ssh(line)?.trim().parse()?) };
    let login = score("cat /proc/self/oom_score")?;
    let application = score("docker run --rm hog cat /proc/self/oom_score")?;
    ensure!(login < application, "a login has {login}, an application {application}");
    let low = "cat services/memory.low services/console/memory.low";
    let text = guest.host(&format!("cd /sys/fs/cgroup && {low}"))?;
    let lows: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    ensure!(lows.len() == 2 && lows[0] >= lows[1] && lows[1] > 0, "{low}: {text}");
    Ok(())
}

/// Builds the applications' image, `hog`: busybox with all its programs.
pub fn build(guest: &Guest) -> Result<()> {
    guest.ssh(&format!(
        "mkdir -p hog && cp /usr/bin/busybox hog/ && printf '{}' > hog/Dockerfile && docker build -q -t hog hog",
        DOCKERFILE.replace('\n', "\\n")
    ))?;
    Ok(())
}

/// A new ssh connection and the status.
fn login(guest: &Guest) -> Result<Duration> {
    guest.close_ssh();
    let begin = Instant::now();
    let text = guest.ssh("sudo hull status")?;
    ensure!(text.contains("docker"), "{text}");
    Ok(begin.elapsed())
}
