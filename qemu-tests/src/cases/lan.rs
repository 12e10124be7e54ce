//! Networks of the tests' own: a namespace with taps for machines, and on this side real servers, Debian's dnsmasq.

use crate::namespace;
use crate::seed::run as command;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The namespace and its servers, removed when dropped.
#[derive(Debug)]
pub struct Lan {
    namespace: &'static str,
    servers: Vec<Child>,
}

/// The tap of [`Lan::usual`].
pub const TAP: &str = "hull-tap1";
/// Of every server: nothing but what its own options say.
const SERVER: [&str; 11] = [
    "--no-daemon",
    "--conf-file=/dev/null",
    "--no-resolv",
    "--no-hosts",
    "--user=root",
    "--leasefile-ro",
    "--bind-dynamic",
    "--except-interface=lo",
    "--enable-ra",
    "--dhcp-authoritative",
    "--log-dhcp",
];

impl Lan {
    /// A namespace with nothing in it but the loopback interface.
    pub fn new(namespace: &'static str) -> Result<Self> {
        // What a broken-off run left; an error means that there is nothing.
        drop(Command::new("ip").args(["netns", "del", namespace]).output());
        command(Command::new("ip").args(["netns", "add", namespace]))?;
        let lan = Self { namespace, servers: Vec::new() };
        lan.ip("link set lo up")?;
        Ok(lan)
    }

    /// One segment, [`TAP`], with [`Self::lease`].
    pub fn usual(namespace: &'static str, log: &Path) -> Result<Self> {
        let mut lan = Self::new(namespace)?;
        lan.tap(TAP)?;
        lan.lease(TAP, log)?;
        Ok(lan)
    }

    /// Gives machines on a device addresses of 10.77.0.0/24 and 2001:db8:77::/64 by DHCP, with router advertisements, and
    /// answers for `answer.example`.
    pub fn lease(&mut self, device: &str, log: &Path) -> Result<()> {
        self.address(device, "10.77.0.1/24")?;
        self.address(device, "2001:db8:77::1/64")?;
        let options = [
            "--dhcp-range=10.77.0.50,10.77.0.99,1h",
            "--dhcp-range=2001:db8:77::100,2001:db8:77::1ff,64,1h",
            "--dhcp-option=option6:dns-server,[2001:db8:77::1]",
            "--address=/answer.example/10.77.0.42",
        ];
        self.serve(device, &options, log)
    }

    /// Runs ip(8) in the namespace; words are separated by single spaces.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        command(Command::new("ip").args(["-n", self.namespace]).args(arguments.split(' '))).map(drop)
    }

    /// Makes a tap that is up.
    pub fn tap(&self, name: &str) -> Result<()> {
        self.ip(&format!("tuntap add dev {name} mode tap"))?;
        self.ip(&format!("link set {name} up"))
    }

    /// Gives this side an address on a device, usable at once.
    pub fn address(&self, device: &str, address: &str) -> Result<()> {
        let without_detection = if address.contains(':') { " nodad" } else { "" };
        self.ip(&format!("addr add {address} dev {device}{without_detection}"))
    }

    /// Starts a server for names on a device, which does what its options say besides; its log goes to a file.
    pub fn serve(&mut self, device: &str, options: &[&str], log: &Path) -> Result<()> {
        let log = std::fs::File::create(log)?;
        let server = namespace::command(Some(self.namespace), "dnsmasq")
            .args(SERVER)
            .arg(format!("--interface={device}"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("dnsmasq; is dnsmasq-base installed?")?;
        self.servers.push(server);
        Ok(())
    }

    /// Gives the namespace an address that packets to anywhere find: it is the machines' router.
    pub fn answer_at(&self, address: &str) -> Result<()> {
        self.address("lo", address)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for server in &mut self.servers {
            drop(server.kill());
            drop(server.wait());
        }
        drop(Command::new("ip").args(["netns", "del", self.namespace]).output());
    }
}
