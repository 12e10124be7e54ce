//! Services the owner adds: by user data out of a real registry, by hand out of an archive; upgraded, damaged, removed.

use super::first_boot::{REGISTRY, user_data};
use super::{image, registry::Registry};
use crate::guest::{Boot, Guest, Site};
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Result, ensure};

/// A program that says who it is, for ever.
const DEFINITION: &str = "description = \"test agent\"
[[process]]
name = \"agent\"
command = [\"/bin/busybox\", \"sh\", \"-c\", \"/bin/busybox cat /etc/text; while :; do /bin/busybox sleep 1; done\"]
[run]
stop-signal = \"SIGKILL\"
[security]
seccomp = [\"@default\"]
[[mount]]
source = \"/state/services/NAME\"
target = \"/data\"
";

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let Some(registry) =
        report.value("services_registry_starts", || Registry::start(&site.work.join("services-registry")))
    else {
        return;
    };
    let images = report.value("services_images_are_pushed", || {
        let busybox = image::busybox()?;
        let push =
            |text: &[u8]| image::push(&registry, &site.work, "agent", &[("bin/busybox", &busybox), ("etc/text", text)]);
        Ok([push(b"version one\n")?, push(b"version two\n")?])
    });
    let Some([one, two]) = images else { return };
    let booted = report.value("services_machine_boots", || {
        let services = format!(
            "  services:\n    agent:\n      image: registry.invalid/agent@{one}\n      mirrors: ['http://{REGISTRY}']\n      \
             definition: |\n{}    absent:\n      image: registry.invalid/agent@sha256:{}\n      \
             mirrors: ['http://{REGISTRY}']\n      definition: |\n{}",
            indented("agent"),
            "0".repeat(64),
            indented("absent")
        );
        let boot = Boot {
            seed: Some(Seed::vfat(user_data(site)? + &services, "services")),
            services: vec![(REGISTRY.into(), registry.port)],
            ..Boot::default()
        };
        let mut guest = Guest::boot(site, "services", &boot)?;
        guest.wait_complete()?;
        guest.retry(30, "true")?;
        Ok(guest)
    });
    let Some(mut guest) = booted else { return };
    by_user_data(&mut guest, report);
    by_hand(&mut guest, report);
    report.case("services_upgrade_pulls_by_digest_and_asks_only_for_what_is_new", || upgrade(&mut guest, &two));
    report.case("services_outlive_docker_and_a_reboot", || reboot(&mut guest));
    report.case("services_that_were_changed_are_not_started", || damage(&mut guest));
    report.case("services_are_removed_and_leave_their_data", || remove(&mut guest));
}

fn indented(name: &str) -> String {
    DEFINITION.replace("NAME", name).lines().map(|line| format!("        {line}\n")).collect()
}

fn by_user_data(guest: &mut Guest, report: &mut Report) {
    report.case("services_of_user_data_run", || {
        guest.retry(60, "sudo hull ps | grep -E '^agent +ready'")?;
        let text = guest.root("hull service list")?;
        ensure!(text.contains("enabled"), "{text}");
        guest.retry(30, "sudo hull logs agent | grep 'version one'").map(drop)
    });
    report.case("services_of_user_data_that_fail_are_reported_and_harm_nothing", || {
        let text = guest.retry(60, "sudo hull status | grep -A2 hull.services.absent")?;
        ensure!(text.contains("not added") && text.contains("it has no /v2/agent"), "{text}");
        let text = guest.root("hull status | head -4; hull service list")?;
        ensure!(text.contains("complete") && !text.contains("absent "), "{text}");
        Ok(())
    });
    report.case("services_are_confined_as_their_definition_says", || {
        let text = guest.root("hull exec agent /bin/busybox grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status")?;
        for want in ["CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
            ensure!(text.contains(want), "{text}");
        }
        let text = guest.root("hull exec agent /bin/busybox touch /x 2>&1 || true")?;
        ensure!(text.contains("Read-only file system"), "{text}");
        guest.root("hull exec agent /bin/busybox touch /data/kept").map(drop)
    });
}

fn by_hand(guest: &mut Guest, report: &mut Report) {
    report.case("services_are_added_from_an_archive_and_enabled_on_purpose", || {
        let definition = DEFINITION.replace("NAME", "second");
        guest.root(&format!(
            "mkdir -p box && cp /usr/bin/busybox box/ && echo by hand > box/text && cat > second.toml <<'END'\n{definition}END\n"
        ))?;
        guest.root(
            "printf 'FROM scratch\\nCOPY busybox /bin/busybox\\nCOPY text /etc/text\\n' > box/Dockerfile && docker build -q -t second box && docker save second -o second.tar",
        )?;
        let text = guest.root("hull service add second --definition second.toml --archive second.tar 2>&1")?;
        ensure!(text.contains("PLAIN ROOT DAEMON") && text.contains("second is not enabled"), "{text}");
        let text = guest.root("hull service list; hull service enable --yes second")?;
        ensure!(text.contains("disabled") && text.ends_with("second is enabled\n"), "{text}");
        guest.retry(30, "sudo hull logs second | grep 'by hand'").map(drop)
    });
    report.case("services_that_ask_for_too_much_or_are_broken_are_refused", || {
        let text = guest.root(
            "sed 's/seccomp = /capabilities = [\"SYS_MODULE\"]\\nseccomp = /' second.toml > greedy.toml; hull service add greedy --definition greedy.toml --archive second.tar 2>&1; head -c 100000 second.tar > cut.tar; sed s,services/second,services/cut, second.toml > cut.toml; hull service add cut --definition cut.toml --archive cut.tar 2>&1; hull service list",
        )?;
        ensure!(text.contains("SYS_MODULE is never given") && text.contains("cut off"), "{text}");
        ensure!(!text.contains("greedy ") && !text.contains("\ncut "), "{text}");
        Ok(())
    });
    for (name, line, wanted) in [
        ("load", "system-docker load -i second.tar", "Loaded image: second:latest"),
        ("images", "system-docker images", "second"),
        ("tag", "system-docker tag second shop/second:2 && system-docker images", "shop/second"),
        ("save", "system-docker save shop/second:2 -o saved.tar && cmp saved.tar second.tar && echo same", "same"),
        ("image_inspect", "system-docker image inspect -f {{.Os}} second", "linux"),
        (
            "run",
            "system-docker run --rm -e A=b second /bin/busybox sh -c 'cat /etc/text; echo $A; exit 3' 2>&1; echo status $?; system-docker ps -aq --filter name=^c | wc -l",
            "by hand\nb\nstatus 3\n",
        ),
        (
            "create",
            "system-docker create --name one --network host --restart always --memory 32m second /bin/busybox sleep 1000 && system-docker ps -a --filter name=one",
            "Created",
        ),
        (
            "rename",
            "system-docker rename one two && system-docker start two && system-docker ps --filter name=two",
            "Up ",
        ),
        (
            "run_with_a_port",
            "system-docker run -p 80:80 second /bin/busybox true 2>&1 || true",
            "PortBindings is not supported",
        ),
        (
            "run_privileged",
            "system-docker run --privileged second /bin/busybox true 2>&1 || true",
            "Privileged is not supported",
        ),
        ("rm_created", "system-docker rm -f two && hull service list | grep -c two || true", "0"),
        ("rmi", "system-docker rmi second:latest shop/second:2", "Deleted: sha256:"),
        ("rm_running", "system-docker rm second 2>&1 || true", "stop it before"),
        ("rm", "system-docker rm -f second && hull service list | grep -c second || true", "0"),
        ("rm_of_the_os", "system-docker rm -f time 2>&1 || true", "part of the OS"),
    ] {
        report.case(&format!("services_system_docker_{name}"), || {
            let text = guest.root(line)?;
            ensure!(text.contains(wanted), "{line}: {text:?} does not contain {wanted:?}");
            Ok(())
        });
    }
}

fn upgrade(guest: &mut Guest, two: &str) -> Result<()> {
    let options = format!("registry.invalid/agent@{two} --mirror http://{REGISTRY}");
    let text = guest.root(&format!("hull service upgrade agent {options} 2>&1"))?;
    ensure!(text.contains("agent is upgraded"), "{text}");
    guest.retry(30, "sudo hull logs agent | grep 'version two'")?;
    let definition = DEFINITION.replace("NAME", "agent").replace("test agent", "another agent");
    guest.root(&format!("cat > agent.toml <<'END'\n{definition}END\n"))?;
    let text =
        guest.root(&format!("hull service upgrade agent --definition agent.toml {options} 2>&1; hull service list"))?;
    ensure!(text.contains("not enabled") && text.contains("test agent; a new version waits"), "{text}");
    let text = guest.root("hull service enable --yes agent; hull service list")?;
    ensure!(text.contains("agent is enabled") && text.contains("another agent"), "{text}");
    Ok(())
}

fn reboot(guest: &mut Guest) -> Result<()> {
    guest.root("docker rm -f $(docker ps -aq) 2>/dev/null; docker system prune -af; hull stop docker")?;
    let text = guest.root("hull ps | grep ^agent")?;
    ensure!(text.contains("ready"), "{text}");
    guest.reboot_by_ssh()?;
    guest.wait_console_times("boot complete", 2, 90)?;
    guest.retry(30, "sudo hull ps | grep -E '^agent +ready'")?;
    let text = guest.root("hull exec agent /bin/busybox ls /data; hull service list")?;
    ensure!(text.contains("kept") && text.contains("another agent"), "{text}");
    Ok(())
}

fn damage(guest: &mut Guest) -> Result<()> {
    guest.host("echo changed > /state/added/installed/agent/rootfs/etc/text")?;
    guest.root("hull restart agent 2>&1 || true")?;
    let text = guest.retry(30, "sudo hull status | grep -A3 'etc/text is not what was added'")?;
    ensure!(text.contains("hull service upgrade"), "{text}");
    Ok(())
}

fn remove(guest: &mut Guest) -> Result<()> {
    guest.root("hull service remove agent")?;
    let text = guest.host("ls /state/added/installed /state/added/incoming /state/services/agent; echo end")?;
    ensure!(!text.contains("rootfs") && text.contains("kept"), "{text}");
    let text = guest.root("hull ps; hull service list")?;
    ensure!(!text.contains("agent"), "{text}");
    Ok(())
}
