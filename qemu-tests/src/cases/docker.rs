//! Docker does real work, and cannot be used to take the system's containers away.

use super::first_boot::REGISTRY;
use super::mounts;
use crate::guest::Guest;
use crate::report::Report;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const DOCKERFILE: &str = r#"FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /www && echo built > /www/index.html
CMD ["/bin/httpd", "-f", "-p", "80", "-h", "/www"]
"#;

/// Runs the cases in their order: later ones use the image that the first one builds.
pub fn run(guest: &mut Guest, report: &mut Report) {
    let image = format!("{REGISTRY}/box:1");
    let built = report.case("docker_build_with_run_steps", || {
        guest.ssh(&format!(
            "mkdir -p box && cp /usr/bin/busybox box/ && cat > box/Dockerfile <<'END'\n{DOCKERFILE}END\n"
        ))?;
        guest.ssh(&format!("docker build -q -t {image} -t box box")).map(drop)
    });
    if !built {
        return;
    }
    for plugin in ["buildx", "compose"] {
        report.case(&format!("docker_{plugin}_is_there"), || guest.ssh(&format!("docker {plugin} version")).map(drop));
    }
    report.case("docker_push_and_pull_with_a_real_registry", || {
        guest.ssh(&format!("docker push -q {image} && docker rmi {image} && docker pull -q {image}")).map(drop)
    });
    report.case("docker_save_and_load", || {
        let text = guest.ssh(
            "docker tag box saved && docker save saved -o box.tar && docker rmi saved && docker load -i box.tar",
        )?;
        ensure!(text.contains("Loaded image: saved"), "{text}");
        Ok(())
    });
    report.case("docker_published_port_is_reached_from_outside", || {
        guest.ssh("docker run -d --name web -p 8080:80 box")?;
        let text = fetch(guest.ports[1].0)?;
        ensure!(text.contains("built"), "{text}");
        Ok(())
    });
    report.case("docker_exec_logs_and_exit_codes", || {
        let text = guest.ssh("docker exec web cat /www/index.html; docker run --name hello box echo hello; docker logs hello; docker run --rm box sh -c 'exit 7'; echo $?")?;
        ensure!(text == "built\nhello\nhello\n7\n", "{text}");
        Ok(())
    });
    report.case("docker_volumes_are_the_paths_the_user_sees", || {
        let text = guest.root("mkdir -p /srv/shared && echo seen > /srv/shared/f && docker run --rm -v /srv/shared:/v box sh -c 'cat /v/f; echo back > /v/g' && cat /srv/shared/g")?;
        ensure!(text == "seen\nback\n", "{text}");
        Ok(())
    });
    report.case("docker_sees_what_the_user_mounts_later", || {
        let text = guest.root("mkdir -p /mnt/late && mount -t tmpfs tmpfs /mnt/late && echo late > /mnt/late/f && docker run --rm -v /mnt/late:/v box cat /v/f; umount /mnt/late")?;
        ensure!(text == "late\n", "{text}");
        Ok(())
    });
    mounts::run(guest, report);
    report.case("docker_user_network_resolves_names", || {
        guest.ssh("docker network create net1 && docker run -d --name server --network net1 box")?;
        let text = guest.ssh("docker run --rm --network net1 box wget -q -O - http://server/")?;
        ensure!(text == "built\n", "{text}");
        Ok(())
    });
    report.case("docker_limits_are_cgroup_v2_limits", || {
        let text = guest.ssh("docker run --rm -m 64m --cpus 0.5 --pids-limit 50 box sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/pids.max'")?;
        ensure!(text == "67108864\n50000 100000\n50\n", "{text}");
        Ok(())
    });
    report.case("docker_stop_ends_a_container", || {
        guest.ssh("docker stop -t 1 server")?;
        let text = guest.ssh("docker inspect -f '{{.State.Running}}' server")?;
        ensure!(text == "false\n", "{text}");
        Ok(())
    });
    report.case("docker_rm_and_prune_leave_the_system_alone", || {
        let before = pids(guest)?;
        guest.ssh("docker rm -f $(docker ps -aq) && docker system prune -af")?;
        let after = pids(guest)?;
        ensure!(before == after, "before:\n{before}\nafter:\n{after}");
        Ok(())
    });
}

/// Name and first process of all services, one a line.
pub fn pids(guest: &Guest) -> Result<String> {
    let status: serde_json::Value = serde_json::from_str(&guest.ssh("sudo hull status --json")?)?;
    let services = status["services"].as_array().context("no services in the status")?;
    Ok(services.iter().map(|service| format!("{} {}\n", service["name"], service["pid"])).collect())
}

/// For a container's first answer under emulation.
const FETCH_DEADLINE: Duration = Duration::from_secs(120);

/// GET / from a forwarded port; tried again while the container starts.
fn fetch(port: u16) -> Result<String> {
    let deadline = Instant::now() + FETCH_DEADLINE;
    loop {
        let mut text = String::new();
        let result = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            stream.read_to_string(&mut text)
        });
        match result {
            Ok(count) if count > 0 => return Ok(text),
            _ if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(300)),
            Ok(_) => anyhow::bail!("port {port} answers nothing"),
            Err(error) => return Err(error).with_context(|| format!("port {port}")),
        }
    }
}
