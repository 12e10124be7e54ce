//! `fetch`: brings from the network what `compile` wants. Runs in the service `metadata`, behind the network service.
//!
//! | module | what |
//! |---|---|
//! | [`transport`] | requests and answers, by HTTP |
//! | [`session`] | requests to one metadata service; what an answer means |
//! | [`found`] | what a cloud has, brought into the form of a medium |
//! | [`nocloud`] | NoCloud's files on a web server |
//! | [`ec2`] | Amazon EC2, Alibaba |
//! | [`gce`], [`azure`], [`openstack`], [`hetzner`] | the others with a protocol of their own |
//! | [`documents`] | clouds that give everything in one JSON document: DigitalOcean, Oracle, Scaleway, Vultr |
//! | [`includes`] | include lists |
//! | [`base`] | the document that the kernel command line names |
//!
//! A metadata service is often not there yet when a machine starts, answers 500 for a while, or breaks off. So whatever
//! goes wrong is tried again, with growing pauses, until [`Patience`] ends. Nobody waits for it but what needs the user
//! data: logins on the console do not.

pub mod azure;
pub mod base;
pub mod documents;
pub mod ec2;
pub mod found;
pub mod gce;
pub mod hetzner;
pub mod includes;
pub mod nocloud;
pub mod openstack;
pub mod session;
pub mod transport;

use crate::attempts::{Attempts, Patience};
use crate::paths::Paths;
use crate::seed::exchange::{Fetched, Wanted};
use crate::seed::medium::Medium;
use crate::seed::platform::Origin;
use session::Session;
use transport::{Network, Transport};

/// Runs the stage: nothing is wanted on most machines.
pub fn run(paths: &Paths) -> anyhow::Result<()> {
    let Some(wanted) = Wanted::load(&paths.metadata)? else { return Ok(()) };
    let fetched = all(wanted, &Network::new(&paths.roots), Patience::BOOT);
    fetched.save(&paths.metadata)
}

/// Fetches what is wanted.
pub fn all(wanted: Wanted, transport: &impl Transport, patience: Patience) -> Fetched {
    let mut attempts = Attempts::new(patience);
    let mut fetched = Fetched { wanted, ..Fetched::default() };
    if let Some(origin) = fetched.wanted.origin.clone() {
        match attempts.until(&origin.datasource(), || medium(&origin, transport)) {
            Ok((medium, remarks)) => {
                fetched.medium = Some(Medium { origin: Some(origin.clone()), ..medium });
                fetched.remarks = remarks;
            }
            Err(error) => fetched.failures.push(format!("{error:#}; the next boot tries again")),
        }
    }
    includes::fetch(&mut fetched, transport, &mut attempts);
    base::fetch(&mut fetched, transport, &mut attempts);
    if fetched.medium.is_some() && fetched.wanted.origin == Some(Origin::Azure) {
        if let Err(error) = attempts.until("azure", || azure::report_ready(transport)) {
            fetched.failures.push(format!("the cloud does not know that this machine is ready: {error:#}"));
        }
    }
    fetched
}

/// One attempt, with what is good to know about what it found.
fn medium(origin: &Origin, transport: &impl Transport) -> anyhow::Result<(Medium, Vec<String>)> {
    let mut session = Session::new(transport);
    let medium = match origin {
        Origin::NoCloud(url) => nocloud::read(&mut session, url),
        Origin::Ec2 => ec2::read(&mut session, &ec2::AMAZON),
        Origin::Alibaba => ec2::read(&mut session, &ec2::ALIBABA),
        Origin::Gce => gce::read(&mut session),
        Origin::Azure => azure::read(&mut session),
        Origin::OpenStack => openstack::read(&mut session),
        Origin::Hetzner => hetzner::read(&mut session),
        Origin::DigitalOcean => documents::digitalocean(&mut session),
        Origin::Vultr => documents::vultr(&mut session),
        Origin::Oracle => documents::oracle(&mut session),
        Origin::Scaleway => documents::scaleway(&mut session),
    }?;
    Ok((medium, session.remarks))
}

#[cfg(test)]
mod tests;
