//! A real registry on this machine: Debian's docker-registry.

use crate::guest::free_port;
use crate::namespace::{self, within};
use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A running registry, ended when dropped.
#[derive(Debug)]
pub struct Registry {
    /// Port, on the loopback interface unless it was started elsewhere.
    pub port: u16,
    process: Child,
}

const START_DEADLINE: Duration = Duration::from_secs(60);

impl Registry {
    /// Starts a registry on the loopback interface that stores below `work`.
    pub fn start(work: &Path) -> Result<Self> {
        Self::start_at(work, None, SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)), "")
    }

    /// Starts one for `https:` as `name` at an address of a network namespace; returns its authority's certificate, in PEM.
    pub fn start_trusted(work: &Path, namespace: &str, address: SocketAddr, name: &str) -> Result<(Self, String)> {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let authority = parameters.self_signed(&key)?.pem();
        let issuer = Issuer::new(parameters, key);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([name.to_owned()])?.signed_by(&key, &issuer)?.pem();
        let directory = directory(work)?;
        let write = |file: &str, text: String| -> Result<String> {
            let path = directory.join(file);
            std::fs::write(&path, text)?;
            Ok(path.display().to_string())
        };
        let (certificate, key) = (write("certificate.pem", certificate)?, write("key.pem", key.serialize_pem())?);
        let tls = format!(", tls: {{certificate: '{certificate}', key: '{key}'}}");
        Ok((Self::start_at(work, Some(namespace), address, &tls)?, authority))
    }

    fn start_at(work: &Path, namespace: Option<&str>, address: SocketAddr, tls: &str) -> Result<Self> {
        let directory = directory(work)?;
        let configuration = directory.join("config.yml");
        std::fs::write(
            &configuration,
            format!(
                "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: '{}'}}\nhttp: {{addr: '{address}'{tls}}}\n",
                directory.join("data").display()
            ),
        )?;
        let log = std::fs::File::create(directory.join("log"))?;
        let process = namespace::command(namespace, "docker-registry")
            .arg("serve")
            .arg(&configuration)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("docker-registry; is the package installed?")?;
        let registry = Self { port: address.port(), process };
        let deadline = Instant::now() + START_DEADLINE;
        while within(namespace, move || Ok(TcpStream::connect(address)?)).is_err() {
            ensure!(Instant::now() < deadline, "the registry does not answer, see {}", directory.join("log").display());
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(registry)
    }
}

/// What a registry has below `work`.
fn directory(work: &Path) -> Result<PathBuf> {
    let directory = work.join("registry");
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
