//! Clouds: the same disk as a machine of one after the other, with the cloud's own user data service at its real address.

use super::lan::{Lan, TAP};
use crate::guest::{Boot, Guest, Site};
use crate::machine::Network;
use crate::metadata::Service;
use crate::metadata::clouds::Cloud;
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

const NAMESPACE: &str = "hull-clouds";
/// Clouds that a machine is booted in, before OpenStack; the others' services are read by the host tests.
const BOOTED: [&str; 4] = ["hetzner", "ec2", "gce", "azure"];
/// Requests that fail at first.
const TROUBLE: usize = 5;
/// For what comes once the user data is here.
const DEADLINE: Duration = Duration::from_secs(360);

/// Says in the status that the commands ran, and restarts the engine by an option of its own.
const USER_DATA: &str = "## template: jinja
#cloud-config
hostname: in-{{ v1.platform }}
runcmd:
- echo {{ v1.instance_id }} > /var/lib/fetched
hull: {engine: {insecure-registries: ['registry.example:5000']}}
";

/// Leaves out what the cloud says besides: its name for the machine, its key, its first vendor data.
const SPARING: &str = "#cloud-config
preserve_hostname: true
allow_public_ssh_keys: false
vendor_data: {enabled: false}
hostname: unwanted
runcmd: [touch /var/lib/sparing]
";
const UNWANTED_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVud2FudGVkdW53YW50ZWR1bndhbnRlZHVud2E= unwanted";
/// Where the console's files are.
const CONSOLE_ETC: &str = "/state/etc/console/upper";
const CONSOLE_VAR: &str = "/state/services/console/var/upper";

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let started = report.value("a_network_of_clouds_starts", || {
        let lan = Lan::usual(NAMESPACE, &site.work.join("clouds-dnsmasq.log"))?;
        let key = site.public_key()?;
        // Azure's user data comes by the medium, as with `az vm create --custom-data`.
        let without = |cloud: Cloud| Cloud::all("", &key).into_iter().find(|other| other.name == cloud.name);
        let clouds: Vec<Cloud> = Cloud::all(USER_DATA, &key)
            .into_iter()
            .filter(|cloud| BOOTED.contains(&cloud.name))
            .filter_map(|cloud| if cloud.name == "azure" { without(cloud) } else { Some(cloud) })
            .collect();
        let mut addresses: Vec<&str> = clouds.iter().flat_map(|cloud| cloud.addresses).copied().collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.iter().try_for_each(|address| lan.answer_at(address))?;
        Ok((lan, clouds))
    });
    let Some((_lan, clouds)) = started else { return };
    let prepared = report.value("a_machine_is_made", || {
        let taps = Some((NAMESPACE.into(), vec![TAP.to_owned()]));
        Guest::prepare(site, "clouds", &Boot { network: Network::None, taps, ..Boot::default() })
    });
    let Some(mut guest) = prepared else { return };
    for (number, cloud) in clouds.iter().enumerate() {
        let name = format!("user_data_of_{}", cloud.name);
        let good = report.value(&name, || in_cloud(&mut guest, cloud, if number == 0 { TROUBLE } else { 0 }));
        if good.is_none() {
            return;
        }
    }
    let sparing = Cloud::all(SPARING, UNWANTED_KEY).into_iter().find(|cloud| cloud.name == "openstack");
    let Some(last) = report.value("what_the_cloud_says_besides_can_be_left_out", || {
        let cloud = sparing.context("no such cloud")?;
        left_out(&mut guest, &cloud)?;
        Ok(cloud)
    }) else {
        return;
    };
    report.case("a_cloud_is_asked_once_for_an_instance", || again(&mut guest, &last));
    report.case("a_cloud_that_does_not_answer_delays_no_login", || unanswered(&mut guest, &clouds[0]));
}

fn in_cloud(guest: &mut Guest, cloud: &Cloud, trouble: usize) -> Result<()> {
    let medium = (cloud.name == "azure").then(|| Seed::azure(USER_DATA));
    guest.set_seed(medium.as_ref())?;
    let service = boot(guest, cloud, trouble)?;
    guest.set_seed(None)?;
    let name = guest.host("busybox hostname")?;
    ensure!(name.contains(&format!("in-{}", cloud.name)), "the machine's name is {name}");
    let keys = guest.host("busybox cat /state/data/home/*/.ssh/authorized_keys")?;
    ensure!(keys.contains("ssh-"), "no key: {keys}");
    let fetched = guest.host(&format!("busybox cat {CONSOLE_VAR}/lib/fetched"))?;
    ensure!(fetched.contains(cloud.instance), "the commands are those of {fetched}");
    let engine = guest.host("busybox cat /run/hull/config/docker/daemon.json")?;
    ensure!(engine.contains("registry.example"), "{engine}");
    if cloud.name == "azure" {
        let seen = service.seen();
        ensure!(seen.iter().any(|request| request.starts_with("POST ")), "the cloud was not told: {seen:?}");
    }
    off(guest)
}

/// As a machine of the cloud, until its commands have run.
fn boot(guest: &mut Guest, cloud: &Cloud, trouble: usize) -> Result<Service> {
    let service = Service::start(cloud, Some(NAMESPACE), trouble)?;
    guest.set_smbios(cloud.smbios.iter().map(|option| (*option).to_owned()).collect());
    guest.start()?;
    guest.wait_complete()?;
    let expected = format!("{}, instance {}, commands done", cloud.name, cloud.instance);
    status(guest, &expected).with_context(|| format!("requests: {:?}", service.seen()))?;
    Ok(service)
}

fn left_out(guest: &mut Guest, cloud: &Cloud) -> Result<()> {
    let _service = boot(guest, cloud, 0)?;
    let name = guest.host("busybox hostname")?;
    ensure!(name.trim() == "hull", "the machine's name is {name}");
    let keys = guest.host("busybox cat /state/data/home/*/.ssh/authorized_keys")?;
    ensure!(!keys.contains("unwanted"), "{keys}");
    let files = guest.host(&format!("busybox ls {CONSOLE_ETC}"))?;
    let is_there = |name: &str| files.split_whitespace().any(|file| file == name);
    ensure!(is_there("vendor2") && !is_there("vendor"), "{files}");
    off(guest)
}

fn again(guest: &mut Guest, cloud: &Cloud) -> Result<()> {
    let service = Service::start(cloud, Some(NAMESPACE), 0)?;
    guest.start()?;
    guest.wait_complete()?;
    status(guest, &format!("cached, instance {}, commands done", cloud.instance))?;
    ensure!(service.seen().is_empty(), "asked again: {:?}", service.seen());
    off(guest)
}

/// Nobody listens at the address of the first cloud any more, and the machine is another one.
fn unanswered(guest: &mut Guest, cloud: &Cloud) -> Result<()> {
    guest.set_smbios(cloud.smbios.iter().map(|option| option.replace("000000000001", "0000000000ff")).collect());
    guest.start()?;
    guest.wait_console("login:", 60)?;
    guest.wait_complete()?;
    status(
        guest,
        "hetzner, instance 11111111-0000-4000-8000-0000000000ff-e3b0c44298fc, commands waiting for the user data",
    )?;
    off(guest)
}

fn status(guest: &mut Guest, expected: &str) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        // The daemon may be busy.
        let text = guest.hull("status").unwrap_or_else(|error| format!("{error:#}"));
        if text.contains(expected) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "no {expected:?} in: {text}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn off(guest: &mut Guest) -> Result<()> {
    guest.hull("poweroff").ok();
    guest.wait_off(30).map(drop)
}
