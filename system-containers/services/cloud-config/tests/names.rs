//! What the network service does with the files that are rendered here: `names` waits until udev is done with the cards that
//! are given names. Run with the busybox of this machine on folders in place of `/sys/class/net` and `/run/udev/data`.

use hull_cloud_config::document::yaml;
use hull_cloud_config::machine::network;
use hull_cloud_config::render::networkd;
use hull_cloud_config::report::Messages;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../network/rootfs/usr/libexec/hull/names");
/// Named by its address, by the name it had, and not at all.
const NETWORK: &str = "version: 2
ethernets:
  uplink: {match: {macaddress: '52:54:00:00:00:AA'}, set-name: front}
  eth1: {set-name: back}
  eth2: {dhcp4: true}
";
/// Given to udev in seconds.
const LIMIT: &str = "1";

/// Renders, makes cards (name, address, number) of which udev knows some, and returns how long `names` waits.
fn waits(text: &str, cards: &[(&str, &str, u32)], known: &[u32]) -> std::io::Result<Duration> {
    let folder = tempfile::tempdir()?;
    let [links, class, database] = ["links", "class", "data"].map(|name| folder.path().join(name));
    for path in [&links, &class, &database] {
        std::fs::create_dir(path)?;
    }
    let mut messages = Messages::new("t");
    let node = yaml::parse(text, &mut messages).expect("YAML");
    for (name, content) in networkd::files(network::read(&node, "", &mut messages).as_ref()) {
        std::fs::write(links.join(name), content)?;
    }
    for (name, address, number) in cards {
        let card = class.join(name);
        std::fs::create_dir(&card)?;
        std::fs::write(card.join("address"), format!("{address}\n"))?;
        std::fs::write(card.join("ifindex"), format!("{number}\n"))?;
    }
    for number in known {
        std::fs::write(database.join(format!("n{number}")), "")?;
    }
    let start = Instant::now();
    let folders: [&Path; 3] = [&links, &class, &database];
    let status = Command::new("busybox").args(["sh", SCRIPT]).args(folders).arg(LIMIT).status()?;
    assert!(status.success(), "{status}");
    Ok(start.elapsed())
}

#[test]
fn only_cards_that_are_given_names_are_waited_for() {
    const FIRST: [(&str, &str, u32); 3] =
        [("eth0", "52:54:00:00:00:aa", 2), ("eth1", "52:54:00:00:00:bb", 3), ("eth2", "52:54:00:00:00:cc", 4)];
    const NAMED: [(&str, &str, u32); 2] = [("front", "52:54:00:00:00:aa", 2), ("back", "52:54:00:00:00:bb", 3)];
    for (name, text, cards, known, waits_for_udev) in [
        ("udev has not begun", NETWORK, &FIRST[..], &[][..], true),
        ("the card with the address is missing", NETWORK, &FIRST, &[3, 4], true),
        ("the card with the name is missing", NETWORK, &FIRST, &[2, 4], true),
        ("udev is done", NETWORK, &NAMED, &[2, 3], false),
        ("a name changes at the next boot", NETWORK, &FIRST, &[2, 3, 4], false),
        ("the cards are not there", NETWORK, &FIRST[2..], &[], false),
        ("nothing is named", "version: 2\nethernets: {eth0: {dhcp4: true}}\n", &FIRST, &[], false),
        ("nothing is configured", "config: disabled\n", &FIRST, &[], false),
    ] {
        let time = waits(text, cards, known).unwrap();
        assert_eq!(time >= Duration::from_secs(1), waits_for_udev, "{name}: {time:?}");
    }
}
