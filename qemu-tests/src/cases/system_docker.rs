//! Every verb of Debian's docker client against the system daemon, as `system-docker` in the console; then, on the same
//! machine, applications that take all they get.

use super::first_boot::user_data;
use super::{pressure, runtimes};
use crate::guest::{Boot, Guest, Site};
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Result, ensure};

/// A service nothing else in the scenario waits for.
const SERVICE: &str = "time";

/// Name of the case, command line of the shell, what its output must contain.
const ANSWERED: [(&str, &str, &[&str]); 38] = [
    ("version", "system-docker version", &["Server: Hull", "API version"]),
    ("info", "system-docker info", &["Cgroup Version: 2", "Containers: "]),
    ("ps", "system-docker ps -a --no-trunc", &["console", "docker", "cloud-config"]),
    ("ps_filter", "echo found $(system-docker ps -q --filter name=time | wc -l)", &["found 1\n"]),
    ("images", "system-docker images", &["hull/time"]),
    ("inspect", "system-docker inspect -f {{.State.Status}}/{{.HostConfig.ReadonlyRootfs}} time", &["running/true"]),
    ("image_inspect", "system-docker image inspect -f {{.Os}}/{{.Architecture}} hull/time", &["linux/amd64"]),
    ("history", "system-docker history hull/time", &["IMAGE"]),
    ("logs", "system-docker logs --tail 3 --timestamps time 2>&1", &["T", "Z "]),
    ("logs_since", "echo found $(system-docker logs --since 1s acpi 2>&1 | wc -l)", &["found 0\n"]),
    (
        "logs_follow",
        "system-docker logs -f -t --tail 1 time >/tmp/l 2>&1 & for i in $(seq 60); do grep -qE ^20[0-9-]+T /tmp/l && break; sleep 1; done; kill $!; grep -qE ^20[0-9-]+T /tmp/l && echo followed",
        &["followed\n"],
    ),
    ("top", "system-docker top time", &["PID", "/usr/sbin/chronyd"]),
    ("stats", "system-docker stats --no-stream time", &["MEM USAGE", "time"]),
    ("exec", "system-docker exec time /usr/sbin/chronyd --version", &["chronyd"]),
    ("exec_exit_code", "system-docker exec console sh -c 'exit 42'; echo $?", &["42"]),
    (
        "exec_environment",
        "system-docker exec -e A=b -w /tmp -u 1:1 console sh -c 'echo $A $PWD $(id -u)'",
        &["b /tmp 1"],
    ),
    ("exec_stdin", "echo typed | system-docker exec -i console cat", &["typed"]),
    ("exec_terminal", "system-docker exec -t console tty", &["/dev/pts/"]),
    (
        "attach",
        "system-docker attach --no-stdin --sig-proxy=false time >/tmp/a 2>&1 & sleep 20; system-docker restart time; for i in $(seq 60); do grep -q starting /tmp/a && break; sleep 1; done; kill $!; grep starting /tmp/a",
        &["chronyd"],
    ),
    ("pause", "system-docker pause time && system-docker inspect -f {{.State.Status}} time", &["paused"]),
    ("unpause", "system-docker unpause time && system-docker inspect -f {{.State.Status}} time", &["running"]),
    ("kill", "system-docker kill -s HUP syslog && system-docker inspect -f {{.State.Status}} syslog", &["running"]),
    ("restart", "system-docker restart time && system-docker inspect -f {{.State.Status}} time", &["running"]),
    ("stop", "system-docker stop time && system-docker inspect -f {{.State.Status}} time", &["exited"]),
    ("wait", "echo code $(system-docker wait time)", &["code 0\n"]),
    ("start", "system-docker start time && system-docker inspect -f {{.State.Running}} time", &["true"]),
    ("cp_out", "system-docker cp time:/etc/passwd - | tar -xO", &["_chrony"]),
    ("diff", "system-docker diff time; echo status $?", &["status 0\n"]),
    ("export", "system-docker export time | tar -t", &["usr/sbin/chronyd"]),
    ("system_df", "system-docker system df", &["Images", "Local Volumes"]),
    // Images of services are parts of the OS; what may be done with others is in the scenario of added services.
    ("rm_of_the_os", "system-docker rm -f time 2>&1 || true", &["part of the OS"]),
    ("rename_of_the_os", "system-docker rename time clock 2>&1 || true", &["keeps its name"]),
    ("run_of_the_os", "system-docker run --pull never hull/time 2>&1 || true", &["No such image"]),
    ("rmi_of_the_os", "system-docker rmi hull/time 2>&1 || true", &["is the image of a service"]),
    ("save_of_the_os", "system-docker save hull/time -o /tmp/x 2>&1 || true", &["No such image"]),
    ("pull_without_a_digest", "system-docker pull busybox 2>&1 || true", &["append @sha256"]),
    ("load_of_no_archive", "echo | system-docker load 2>&1 || true", &["cut off"]),
    (
        "events",
        "system-docker events --since 10m --until 0s --filter container=time",
        &["container stop", "container start"],
    ),
];

/// What the daemon has no use for: the client's exit code is 1 and the sentence names what was asked.
const REFUSED: [(&str, &str); 4] = [
    ("commit", "system-docker commit time"),
    ("push", "system-docker push hull/time"),
    ("import", "echo | system-docker import -"),
    ("network", "system-docker network ls"),
];

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let booted = report.value("system_docker_machine_boots", || {
        let boot = Boot { seed: Some(Seed::vfat(user_data(site)?, "system-docker")), ..Boot::default() };
        let mut guest = Guest::boot(site, "system-docker", &boot)?;
        guest.wait_complete()?;
        guest.retry(30, "true")?;
        Ok(guest)
    });
    let Some(mut guest) = booted else { return };
    verbs(&guest, report);
    let built = report.case("an_image_is_built", || pressure::build(&guest));
    if built {
        runtimes::run(&mut guest, report);
        pressure::run(&mut guest, report);
    }
}

fn verbs(guest: &Guest, report: &mut Report) {
    for (name, line, wanted) in ANSWERED {
        report.case(&format!("system_docker_{name}"), || answered(guest, line, wanted));
    }
    report.case("system_docker_cp_in", || {
        let text = guest.root("echo put > /tmp/put && system-docker cp /tmp/put console:/tmp/got && cat /tmp/got")?;
        ensure!(text.ends_with("put\n"), "{text}");
        let text = guest.root("system-docker cp /tmp/put time:/usr/x 2>&1 || true")?;
        ensure!(text.contains("Read-only file system"), "{text}");
        Ok(())
    });
    for (name, line) in REFUSED {
        report.case(&format!("system_docker_{name}_is_refused"), || refused(guest, line));
    }
    report.case("system_docker_left_every_service_healthy", || {
        answered(guest, &format!("system-docker ps --filter name={SERVICE}"), &["Up "])
    });
}

fn answered(guest: &Guest, line: &str, wanted: &[&str]) -> Result<()> {
    let text = guest.root(line)?;
    for want in wanted {
        ensure!(text.contains(want), "{line}: {text:?} does not contain {want:?}");
    }
    Ok(())
}

fn refused(guest: &Guest, line: &str) -> Result<()> {
    let text = guest.root(&format!("{line} 2>&1; echo status $?"))?;
    ensure!(text.contains("not supported by the system daemon"), "{line}: {text:?}");
    ensure!(text.contains("status 1"), "{line}: {text:?}");
    Ok(())
}
