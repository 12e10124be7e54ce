//! Commands on a VM over ssh, all over one connection.

use crate::namespace;
use crate::seed::run;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a VM's sshd is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Behind a port of this machine's loopback interface.
    Forwarded(u16),
    /// At the VM's own address, as seen in a network namespace.
    Own {
        /// The namespace's name.
        namespace: String,
        /// IPv4 or IPv6.
        address: String,
    },
}

/// How to log in; there is a connection as soon as there was a command.
#[derive(Debug)]
pub struct Ssh {
    /// Where to.
    pub target: Target,
    /// As whom.
    pub user: &'static str,
    /// The private key.
    pub key: PathBuf,
    /// Socket of the connection.
    pub control: PathBuf,
}

impl Ssh {
    /// Runs a shell line; fails on a status other than 0.
    pub fn run(&self, line: &str) -> Result<String> {
        run(self.command().arg(line))
    }

    /// Copies a file to a path the user can write.
    pub fn upload(&self, from: &Path, to: &str) -> Result<()> {
        let file = std::fs::File::open(from).with_context(|| format!("{}", from.display()))?;
        run(self.command().arg(format!("cat > {to}")).stdin(file)).map(drop)
    }

    /// Ends the connection.
    pub fn close(&self) {
        // Fails when there is none, which is as well.
        drop(self.options().args(["-O", "exit"]).arg(self.address()).output());
    }

    /// All but the line.
    fn command(&self) -> Command {
        let mut ssh = self.options();
        ssh.arg(self.address());
        ssh
    }

    fn address(&self) -> &str {
        match &self.target {
            Target::Forwarded(_) => "127.0.0.1",
            Target::Own { address, .. } => address,
        }
    }

    fn options(&self) -> Command {
        let (namespace, port) = match &self.target {
            Target::Forwarded(port) => (None, *port),
            Target::Own { namespace, .. } => (Some(namespace.as_str()), 22),
        };
        let mut ssh = namespace::command(namespace, "ssh");
        ssh.args(["-q", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=60", "-o", "ControlMaster=auto"])
            // A machine whose power is cut says no farewell.
            .args(["-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=6"])
            .args(["-o", "ControlPersist=60", "-o"])
            .arg(format!("ControlPath={}", self.control.display()))
            .arg("-i")
            .arg(&self.key)
            .args(["-p", &port.to_string(), "-l", self.user]);
        ssh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_reached_by_port_or_address() {
        for (target, begin, end) in [
            (Target::Forwarded(4000), "ssh -q", "-p 4000 -l tester 127.0.0.1"),
            (
                Target::Own { namespace: "n".into(), address: "2001:db8::1".into() },
                "ip netns exec n ssh -q",
                "-p 22 -l tester 2001:db8::1",
            ),
        ] {
            let ssh = Ssh { target, user: "tester", key: "k".into(), control: "c".into() };
            let command = ssh.command();
            let words: Vec<_> = [command.get_program()]
                .into_iter()
                .chain(command.get_args())
                .filter_map(|word| word.to_str())
                .collect();
            let text = words.join(" ");
            assert!(text.starts_with(begin) && text.ends_with(end), "{text}");
        }
    }
}
