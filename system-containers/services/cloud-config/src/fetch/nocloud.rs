//! NoCloud's files on a web server: `ds=nocloud;s=URL`.

use super::session::Session;
use crate::seed::medium::Medium;
use anyhow::ensure;

/// Reads them. A server may lack `vendor-data` and `network-config`, and one of the other two.
pub fn read(session: &mut Session<'_>, url: &str) -> anyhow::Result<Medium> {
    session.at(url);
    let (user_data, meta_data) = (session.file("user-data")?, session.file("meta-data")?);
    ensure!(user_data.is_some() || meta_data.is_some(), "{url}: neither user-data nor meta-data");
    Ok(Medium {
        device: url.to_owned(),
        user_data,
        meta_data,
        vendor_data: session.file("vendor-data")?,
        network_config: session.file("network-config")?,
        ..Medium::default()
    })
}
