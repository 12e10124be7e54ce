//! OpenStack's metadata service: the files of a configuration drive at a web server, and read as those.
//!
//! ```text
//! GET /openstack                                   versions, one a line
//! GET /openstack/<version>/<file of the drive>
//! GET /latest/meta-data/instance-id                where meta_data.json has none
//! ```

use super::session::Session;
use crate::report::Messages;
use crate::seed::configdrive;
use crate::seed::medium::{Form, Medium};
use anyhow::{Context, ensure};
use std::collections::BTreeMap;

const ADDRESS: &str = "http://169.254.169.254";

/// Reads everything.
pub fn read(session: &mut Session<'_>) -> anyhow::Result<Medium> {
    session.at(ADDRESS);
    let list = session.text("/openstack")?.context("/openstack: status 404")?;
    let offered: Vec<&str> = list.lines().map(|line| line.trim().trim_end_matches('/')).collect();
    let version = configdrive::VERSIONS.into_iter().find(|version| offered.contains(version)).unwrap_or("latest");
    let mut files = BTreeMap::new();
    for name in configdrive::FILES {
        let path = format!("openstack/{version}/{name}");
        if let Some(content) = session.get(&format!("/{path}"))? {
            files.insert(path, content);
        }
    }
    ensure!(!files.is_empty(), "nothing at {ADDRESS}/openstack/{version}/");
    let mut messages = Messages::new("openstack");
    let medium = configdrive::read(|path| Ok(files.get(path).cloned()), ADDRESS, &mut messages);
    session.remarks.extend(messages.list().iter().map(|message| message.text.clone()));
    Ok(Medium { device: ADDRESS.to_owned(), form: Form::ConfigDrive, ..medium })
}
