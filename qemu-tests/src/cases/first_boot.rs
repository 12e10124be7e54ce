//! The main story: an image boots on UEFI with user data, does its work, is hurt, reboots, and is switched off.

use super::{confinement, docker, kills, registry::Registry};
use crate::guest::{Boot, Guest, Site, USER};
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// Where the guest finds the registry.
pub const REGISTRY: &str = "10.0.2.100:5000";
/// Time allowed from the power button to power off, apart from what applications ask for.
const STOP_BUDGET: Duration = Duration::from_secs(15);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(500);

/// User data that most scenarios start from.
pub fn user_data(site: &Site) -> Result<String> {
    let key = site.public_key()?;
    Ok(format!(
        "#cloud-config
hostname: hulltest
timezone: Europe/Berlin
users:
  - name: {USER}
    groups: [docker]
    sudo: ALL=(ALL) NOPASSWD:ALL
    shell: /bin/bash
    ssh_authorized_keys: ['{}']
write_files:
  - path: /etc/hulltest
    permissions: '0640'
    content: written by user data
bootcmd:
  - date >> /var/lib/bootcmd-ran
runcmd:
  - [sh, -c, 'echo once >> /var/lib/runcmd-ran']
packages: [htop]
hull:
  engine:
    insecure-registries: ['{REGISTRY}']
",
        key
    ))
}

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let Some(registry) = report.value("registry_starts", || Registry::start(&site.work)) else { return };
    let booted = report.value("boots_on_uefi_to_boot_complete", || {
        let boot = Boot {
            seed: Some(Seed::vfat(user_data(site)?, "first")),
            services: vec![(REGISTRY.into(), registry.port)],
            ports: vec![8080],
            data_size: Some(64 << 20),
            ..Boot::default()
        };
        let mut guest = Guest::boot(site, "first-boot", &boot)?;
        guest.wait_complete()?;
        guest.retry(30, "true")?;
        Ok(guest)
    });
    let Some(mut guest) = booted else { return };
    applied(&mut guest, report);
    confinement::run(&mut guest, report);
    report.case("root_file_system_refuses_writes", || root_refuses_writes(&mut guest));
    docker::run(&mut guest, report);
    kills::run(&mut guest, report);
    report.case("reboot_keeps_state_and_data", || reboot(&mut guest));
    report.case("acpi_power_button_stops_in_order", || {
        guest.monitor("system_powerdown")?;
        off_within_budget(&mut guest)
    });
}

/// The machine that was told to stop does it in time.
pub fn off_within_budget(guest: &mut Guest) -> Result<()> {
    let time = guest.wait_off(30)?.as_secs_f64();
    println!("       stopped in {time:.1} s");
    ensure!(time < guest.budget(STOP_BUDGET).as_secs_f64(), "stopping took {time:.1} s");
    Ok(())
}

fn applied(guest: &mut Guest, report: &mut Report) {
    let checks: [(&str, &str, &str); 7] = [
        ("user_data_sets_the_hostname", "hostname", "hulltest"),
        ("user_data_sets_the_time_zone", "readlink /etc/localtime", "Europe/Berlin"),
        ("user_data_makes_a_user_in_the_docker_group", "id", "docker"),
        ("user_data_grants_sudo", "sudo id -u", "0"),
        (
            "user_data_writes_files_with_mode",
            "stat -c %a /etc/hulltest; sudo cat /etc/hulltest",
            "640\nwritten by user data",
        ),
        ("user_data_runs_commands_once", "cat /var/lib/runcmd-ran", "once"),
        ("user_data_reports_ignored_keys_in_status", "sudo hull status", "packages"),
    ];
    answers(guest, report, &checks);
    report.case("user_data_reports_ignored_keys_on_the_console", || {
        ensure!(guest.console()?.contains("packages"), "the console does not name the key");
        Ok(())
    });
}

/// One case for each name, command of the user's, and what its output has in it.
pub(super) fn answers(guest: &mut Guest, report: &mut Report, checks: &[(&str, &str, &str)]) {
    for (name, command, want) in checks {
        report.case(name, || {
            // The report of the last stage comes with its end.
            let deadline = guest.deadline(15);
            loop {
                let text = guest.retry(15, command)?;
                if text.contains(want) {
                    return Ok(());
                }
                ensure!(Instant::now() < deadline, "{command}: {text:?} does not contain {want:?}");
                std::thread::sleep(PAUSE);
            }
        });
    }
}

fn root_refuses_writes(guest: &mut Guest) -> Result<()> {
    for path in ["/usr/bin/init", "/services/docker/service.toml", "/new-file"] {
        let answer = guest.host(&format!("echo x >> {path} && echo written || echo refused"))?;
        ensure!(answer.contains("Read-only file system") && answer.contains("refused"), "{path}: {answer}");
    }
    let answer = guest.host("mount -o remount,rw / && echo remounted || echo refused")?;
    ensure!(answer.contains("refused"), "{answer}");
    Ok(())
}

fn reboot(guest: &mut Guest) -> Result<()> {
    guest.root("echo kept > /home/kept; docker volume create kept-volume")?;
    guest.reboot_by_ssh()?;
    guest.wait_console_times("boot complete", 2, 90)?;
    guest.retry(30, "true")?;
    let text =
        guest.root("cat /home/kept; docker volume ls -q; cat /var/lib/runcmd-ran; wc -l < /var/lib/bootcmd-ran")?;
    ensure!(text.contains("kept\n") && text.contains("kept-volume"), "{text}");
    ensure!(text.matches("once").count() == 1, "runcmd ran again: {text}");
    ensure!(text.trim_end().ends_with('2'), "bootcmd did not run on the second boot: {text}");
    Ok(())
}
