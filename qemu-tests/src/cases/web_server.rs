//! A static web server on this machine that answers ranges: busybox' httpd.

use crate::guest::free_port;
use anyhow::{Context, Result, ensure};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server, ended when dropped.
#[derive(Debug)]
pub struct WebServer {
    /// Loopback port.
    pub port: u16,
    process: Child,
}

const START_DEADLINE: Duration = Duration::from_secs(60);

impl WebServer {
    /// Serves the files below `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        let port = free_port()?;
        let process = Command::new("busybox")
            .args(["httpd", "-f", "-p", &format!("127.0.0.1:{port}"), "-h"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("busybox httpd; is busybox-static installed?")?;
        let server = Self { port, process };
        let deadline = Instant::now() + START_DEADLINE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(Instant::now() < deadline, "the web server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
