//! Keys of cloud-config that reach beyond the console: a data disk, swap, authorities, name servers, a container, a call home; and that
//! nothing of the disk is lost on a new instance.

use crate::guest::{Boot, DATA_DISK, Guest, Site, USER, free_port};
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Where the guest calls.
const HOME: &str = "10.0.2.100:8080";
/// Where it sends its logs.
const LOGS: &str = "10.0.2.101:5514";
/// For the call, which comes after everything else; under emulation that is late.
const CALL: Duration = Duration::from_secs(600);

/// An image that no registry has, in an archive alone.
const IMAGE: &str = "(mkdir /root/app && cp /usr/bin/busybox /root/app/ && tar -C /root/app -c . | docker import - app:1 && docker save app:1 > /srv/app.tar && docker rmi app:1)";

fn user_data(key: &str) -> String {
    format!(
        "#cloud-config
user: {USER}
hostname: keys
ssh_authorized_keys: ['{key}']
disable_root: false
ssh_genkeytypes: [rsa]
device_aliases: {{data: {DATA_DISK}}}
disk_setup:
  data: {{table_type: gpt, layout: [50, [50, 82]]}}
fs_setup:
- {{label: keys-data, filesystem: ext4, device: data.1}}
- {{label: keys-swap, filesystem: swap, device: data, partition: 2}}
- {{filesystem: ext4, device: /dev/vda, partition: none, overwrite: true}}
mounts:
- [data.1, /srv/data]
- [LABEL=keys-swap, none, swap, 'sw,pri=7']
swap: {{filename: /swap.img, size: 16M}}
ca_certs:
  trusted: [\"-----BEGIN CERTIFICATE-----\\nMIIBa2V5cw==\\n-----END CERTIFICATE-----\"]
manage_resolv_conf: true
resolv_conf: {{nameservers: [10.0.2.3], searchdomains: [keys.example]}}
random_seed: {{data: some}}
disable_ec2_metadata: true
output: {{all: '| tee -a /var/log/output.log'}}
runcmd:
- echo printed by runcmd
- test -e /srv/app.tar || {IMAGE}
hull:
  containers:
    app: {{image: 'app:1', archives: [/srv/app.tar], command: [/busybox, httpd, -f, -p, '8099'], network_mode: host}}
phone_home: {{url: 'http://{HOME}/up/$INSTANCE_ID', post: [hostname, pub_key_rsa], tries: 3}}
final_message: 'keys are done after $UPTIME s, $datasource'
packages: [git]
rsyslog: {{remotes: {{keys: '@@{LOGS}'}}}}
"
    )
}

/// What the second instance has besides.
const SECOND: &str = "fqdn: second.keys.example
ssh_deletekeys: true
mount_default_fields: [none, none, auto, 'defaults,noatime']
";

/// Gives lines on.
fn collect(port: u16) -> Result<Receiver<String>> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let lines = BufReader::new(stream).lines();
            // Nobody waits any more.
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
        }
    });
    Ok(receiver)
}

/// Answers one request and gives it on.
fn listen(port: u16) -> Result<Receiver<String>> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
            while !text.windows(12).any(|window| window == b"pub_key_rsa=") {
                match stream.read(&mut buffer) {
                    Ok(length) if length > 0 => text.extend(&buffer[..length]),
                    _ => break,
                }
            }
            // Who has gone does not want the answer.
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
            drop(sender.send(String::from_utf8_lossy(&text).into_owned()));
        }
    });
    Ok(receiver)
}

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let booted = report.value("keys_of_all_kinds_lead_to_a_login", || {
        let (port, log_port) = (free_port()?, free_port()?);
        let calls = listen(port)?;
        let logs = collect(log_port)?;
        let seed = Seed::vfat(user_data(&site.public_key()?), "one");
        let boot = Boot {
            seed: Some(seed),
            services: vec![(HOME.into(), port), (LOGS.into(), log_port)],
            data_size: Some(256 << 20),
            ..Boot::default()
        };
        let mut guest = Guest::boot(site, "cloud-config", &boot)?;
        guest.wait_complete()?;
        guest.retry(30, "true")?;
        Ok((guest, calls, logs))
    });
    let Some((mut guest, calls, logs)) = booted else { return };
    report.case("a_data_disk_is_partitioned_formatted_and_mounted", || {
        let text = guest.root("mount -t ext4; cat /proc/swaps")?;
        ensure!(text.contains(" on /srv/data type ext4 (rw"), "{text}");
        let swaps = text.lines().filter(|line| line.ends_with('7') || line.contains("swap.img"));
        ensure!(swaps.count() == 2, "{text}");
        Ok(())
    });
    report.case("console_and_engine_believe_the_authority", || {
        let text = guest.root("tail -n 3 /etc/ssl/certs/ca-certificates.crt; tail -n 3 /etc/ssl/cert.pem | wc -l")?;
        ensure!(text.contains("MIIBa2V5cw=="), "{text}");
        let text = guest.hull("exec docker sh -c 'cat $SSL_CERT_FILE; busybox ls $SSL_CERT_DIR/ | busybox wc -l'")?;
        let count = text.lines().last().and_then(|line| line.trim().parse::<u32>().ok());
        ensure!(text.contains("MIIBa2V5cw==") && count > Some(50), "{text}");
        Ok(())
    });
    report.case("names_are_asked_of_the_given_server", || {
        let text = guest.root("cat /run/systemd/resolve/resolv.conf")?;
        ensure!(text.contains("nameserver 10.0.2.3") && text.contains("keys.example"), "{text}");
        Ok(())
    });
    report.case("a_container_of_the_user_data_runs_from_its_archive", || {
        let listed = "docker ps --format '{{.Names}} {{.Image}}' | grep '^app app:1$'";
        guest.retry(120, &format!("{listed} && wget -q -O /tmp/served 127.0.0.1:8099/busybox")).map(drop)
    });
    report.case("the_machine_calls_home_and_says_that_it_is_done", || {
        let call = calls.recv_timeout(CALL).context("no call")?;
        ensure!(
            call.starts_with("POST /up/one HTTP/1.1") && call.contains("hostname=keys&pub_key_rsa=ssh-rsa+"),
            "{call}"
        );
        guest.wait_console("keys are done after ", 60)?;
        guest.wait_console("nocloud:/dev/vd", 60)
    });
    report.case("commands_root_and_the_metadata_address_are_as_asked_for", || {
        let text = guest.root(
            "cat /var/log/output.log; grep -c . /root/.ssh/authorized_keys; ip route show type prohibit; ls /etc/ssh/keys",
        )?;
        for expected in ["printed by runcmd\n", "\n1\n", "169.254.169.254", "ssh_host_rsa_key.pub"] {
            ensure!(text.contains(expected), "{expected}: {text}");
        }
        Ok(())
    });
    report.case("the_report_names_what_was_not_done", || {
        let text = guest.retry(60, "sudo hull status")?;
        for expected in ["packages: ignored: there is no package manager", "/dev/vda: may not be written"] {
            ensure!(text.contains(expected), "{expected}: {text}");
        }
        Ok(())
    });
    report.case("logs_are_sent_where_rsyslog_says", || {
        guest.root("logger sent-by-keys")?;
        let deadline = Instant::now() + CALL;
        while !logs.recv_timeout(deadline.saturating_duration_since(Instant::now()))?.contains("sent-by-keys") {}
        Ok(())
    });
    report.case("a_new_instance_keeps_the_disk", || {
        let host_keys = "cat /etc/ssh/keys/ssh_host_ed25519_key.pub";
        let before = guest.root(&format!("echo mine > /srv/data/file && sync; {host_keys}"))?;
        guest.cut_power();
        guest.set_seed(Some(&Seed::vfat(user_data(&site.public_key()?) + SECOND, "two")))?;
        guest.start()?;
        guest.wait_complete()?;
        let text = guest.retry(60, "cat /srv/data/file; cat /proc/swaps; mount; cat /etc/hosts")?;
        for expected in ["mine\n", "swap.img", "on /srv/data type ext4 (rw,noatime", "second.keys.example"] {
            ensure!(text.contains(expected), "{expected}: {text}");
        }
        ensure!(guest.root(host_keys)? != before, "the host key is that of the instance before: {before}");
        Ok(())
    });
}
