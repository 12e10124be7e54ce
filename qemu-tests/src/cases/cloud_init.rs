//! User data as other machines have it: a compressed MIME message of all kinds of parts with a network configuration of
//! version 1; once, again on the same instance, and on a new one.

use super::esp;
use super::first_boot::answers;
use crate::guest::{Boot, Guest, Site, USER};
use crate::report::Report;
use crate::seed::{Seed, run as run_tool};
use anyhow::{Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// The address that QEMU's DHCP server would give as well: forwarded ports go there.
const NETWORK: &str = "version: 1
config:
- type: physical
  name: eth0
  subnets:
  - {type: static, address: 10.0.2.15/24, gateway: 10.0.2.2}
- {type: nameserver, address: [10.0.2.3], search: [example]}
";

/// Content type and content of each part; `key` is the user's public key, `host_key` the host's private one.
fn parts(key: &str, host_key: &str) -> Vec<(&'static str, String)> {
    let host_key = host_key.replace('\n', "\n    ");
    let first = format!(
        "#cloud-config
user: {USER}
password: correct horse
chpasswd: {{expire: false}}
ssh_pwauth: yes
ssh_authorized_keys: ['{key}']
groups: [{{operators: [{USER}]}}]
ntp: {{servers: [ntp.example]}}
hostname: parts
runcmd:
- echo command >> /var/lib/order
- [sh, -c, 'echo $INSTANCE_ID > /var/lib/instance']
package_upgrade: true
ssh_keys:
  ed25519_private: |
    {host_key}
"
    );
    let second = "#cloud-config
merge_how: 'list(append)+dict(recurse_list)+str()'
runcmd:
- echo appended >> /var/lib/order
";
    let says = |file: &str, word: &str| format!("#!/bin/sh\r\necho {word} >> /var/lib/{file}\r\n");
    vec![
        ("text/cloud-config", first),
        ("text/cloud-config", second.into()),
        // As many have it: the type is wrong, and the first line tells.
        ("text/plain", says("order", "script")),
        ("text/x-shellscript-per-boot", says("boots", "boot")),
        ("text/cloud-boothook", "#cloud-boothook\n#!/bin/sh\necho hook >> /var/lib/hooks\n".into()),
        ("text/part-handler", "#part-handler\ndef list_types(): return []\n".into()),
        ("text/x-shellscript", "#!/usr/bin/python3\nprint('never')\n".into()),
    ]
}

fn message(key: &str, host_key: &str) -> Result<Vec<u8>> {
    let mut text = "Content-Type: multipart/mixed; boundary=\"==part==\"\nMIME-Version: 1.0\n\n".to_owned();
    for (kind, content) in parts(key, host_key) {
        text += &format!("--==part==\nContent-Type: {kind}; charset=\"utf-8\"\n\n{content}\n");
    }
    let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
    compressed.write_all((text + "--==part==--\n").as_bytes())?;
    Ok(compressed.finish()?)
}

fn seed(site: &Site, host: &HostKey, instance: &str) -> Result<Seed> {
    let key = site.public_key()?;
    let message = message(&key, host.private.trim())?;
    Ok(Seed { network_config: Some(NETWORK.into()), ..Seed::vfat(message, instance) })
}

/// What OpenStack gives: the user's key comes with the meta data.
fn drive(site: &Site) -> Result<Seed> {
    let key = site.public_key()?;
    let meta = serde_json::json!({"uuid": "drive-1", "hostname": "drive.example", "public_keys": {"run": key}});
    Ok(Seed::drive(format!("#cloud-config\nuser: {USER}\n"), &meta.to_string()))
}

/// Made for this run.
struct HostKey {
    private: String,
    public: String,
}

impl HostKey {
    fn make() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("key");
        run_tool(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&file))?;
        let read = |path: &Path| std::fs::read_to_string(path);
        Ok(Self { private: read(&file)?, public: read(&file.with_extension("pub"))?.trim().to_owned() })
    }
}

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let Some(host) = report.value("a_host_key_is_made", HostKey::make) else { return };
    let booted = report.value("parts_of_a_message_lead_to_a_login", || {
        let boot = Boot { seed: Some(seed(site, &host, "one")?), ..Boot::default() };
        let mut guest = Guest::boot(site, "cloud-init", &boot)?;
        guest.wait_complete()?;
        guest.retry(60, "test -e /var/lib/instance && grep -q script /var/lib/order")?;
        Ok(guest)
    });
    let Some(mut guest) = booted else { return };
    applied(&mut guest, report);
    report.case("the_host_key_is_the_one_given", || {
        let text = guest.root("cat /etc/ssh/keys/ssh_host_ed25519_key.pub")?;
        ensure!(text.trim() == host.public, "{text} instead of {}", host.public);
        Ok(())
    });
    report.case("a_boot_of_the_same_instance_repeats_what_belongs_to_a_boot", || {
        guest.reboot_by_ssh()?;
        guest.wait_console_times("boot complete", 2, 90)?;
        done(&mut guest, 1, 2)
    });
    report.case("a_new_instance_does_everything_again", || {
        restart(&mut guest, &seed(site, &host, "two")?)?;
        guest.wait_complete()?;
        guest.retry(60, "grep -q two /var/lib/instance")?;
        done(&mut guest, 2, 3)
    });
    report.case("a_configuration_drive_is_read", || {
        restart(&mut guest, &drive(site)?)?;
        guest.wait_complete()?;
        let text = guest.retry(60, "hostname; sudo hull status")?;
        ensure!(
            text.starts_with("drive\n") && text.contains("configdrive:/dev/sr0, instance drive-1, commands "),
            "{text}"
        );
        Ok(())
    });
    report.case("user_data_on_the_efi_system_partition_is_read", || {
        esp::lay(&mut guest)?;
        off(&mut guest)?;
        guest.set_seed(None)?;
        guest.start()?;
        guest.wait_complete()?;
        esp::is_read(&mut guest)
    });
    report.case("power_state_ends_the_machine_when_all_is_done", || {
        let text = "#cloud-config\nmanual_cache_clean: true\npower_state: {mode: poweroff, message: goodbye}\n";
        restart(&mut guest, &Seed::vfat(text, "three"))?;
        guest.wait_console("goodbye: poweroff in 0 s", 90)?;
        guest.wait_off(30).map(drop)
    });
    report.case("a_machine_that_trusts_what_it_kept_looks_at_no_medium", || {
        guest.set_seed(Some(&Seed::vfat("#cloud-config\nhostname: another\n", "four")))?;
        guest.start()?;
        guest.wait_complete()?;
        let text = guest.hull("status")?;
        ensure!(text.contains("cached, instance three"), "{text}");
        Ok(())
    });
}

fn off(guest: &mut Guest) -> Result<()> {
    guest.hull("poweroff").ok();
    guest.wait_off(30).map(drop)
}

/// Off, and on again with another medium.
fn restart(guest: &mut Guest, seed: &Seed) -> Result<()> {
    off(guest)?;
    guest.set_seed(Some(seed))?;
    guest.start()
}

/// How often things of an instance and of a boot were done.
fn done(guest: &mut Guest, instances: usize, boots: usize) -> Result<()> {
    let count = |word: &str, file: &str, times: usize| format!("test $(grep -cx {word} /var/lib/{file}) = {times}");
    let all = [("appended", "order", instances), ("script", "order", instances), ("boot", "boots", boots)];
    guest.retry(60, &all.map(|(word, file, times)| count(word, file, times)).join(" && "))?;
    let text = guest.ssh("cat /var/lib/order /var/lib/hooks")?;
    let count = |word: &str| text.lines().filter(|line| *line == word).count();
    ensure!(["command", "appended", "script"].map(count) == [instances; 3] && count("hook") == boots, "{text}");
    Ok(())
}

fn applied(guest: &mut Guest, report: &mut Report) {
    let password =
        "ssh -o BatchMode=yes -o PubkeyAuthentication=no -o StrictHostKeyChecking=no 127.0.0.1 true 2>&1; true";
    let checks = [
        ("the_default_user_has_another_name_and_groups", "id", "(operators)"),
        ("a_password_is_hashed", "sudo grep ^tester: /etc/shadow", ":$6$"),
        ("ssh_takes_passwords_when_asked_to", password, "(publickey,password)"),
        ("time_servers_are_set", "sudo cat /run/hull-config/time/hull.sources", "server ntp.example iburst"),
        ("commands_know_their_instance", "cat /var/lib/instance", "one"),
        ("a_static_address_of_version_1_is_set", "ip -4 route show default", "via 10.0.2.2 dev eth0 proto static"),
        ("so_are_name_servers", "sudo cat /run/hull-config/network/10-eth0.network", "DNS=10.0.2.3"),
        ("a_part_handler_is_reported", "sudo hull status", "part handler"),
        ("a_missing_interpreter_is_named", "sudo hull status", "python3"),
        ("packages_are_reported", "sudo hull status", "package_upgrade"),
    ];
    answers(guest, report, &checks);
    report.case("scripts_and_commands_ran_once", || done(guest, 1, 1));
}
