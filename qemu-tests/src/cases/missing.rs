//! What is usually there is not: user data, network card, room for a state partition; or the state disk is full.

use super::first_boot::user_data;
use super::user_data::{login, message};
use crate::guest::{Boot, Guest, Site};
use crate::machine::Network;
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Result, ensure};

const AUTOLOGIN: &str = "hull.autologin=ttyS0";

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    report.case("no_user_data_and_no_network_card_lead_to_a_login", || {
        let boot = Boot { network: Network::None, kernel_options: AUTOLOGIN.into(), ..Boot::default() };
        let mut guest = Guest::boot(site, "nothing", &boot)?;
        login(&mut guest)?;
        message(&mut guest, "there is no user data")
    });
    report.case("no_state_disk_leads_to_a_login_and_a_message", || {
        let boot = Boot { disk_size: None, kernel_options: AUTOLOGIN.into(), ..Boot::default() };
        let mut guest = Guest::boot(site, "no-state", &boot)?;
        login(&mut guest)?;
        message(&mut guest, "state")
    });
    report.case("no_password_lets_anybody_in", || {
        // Small, because it is filled later.
        let disk_size = Some(4 << 30);
        let boot = Boot { seed: Some(Seed::vfat(user_data(site)?, "password")), disk_size, ..Boot::default() };
        let mut guest = Guest::boot(site, "password", &boot)?;
        guest.wait_complete()?;
        guest.retry(30, "true")?;
        let text = guest.root("cut -d: -f1,2 /etc/shadow")?;
        for line in text.lines() {
            let hash = line.split(':').nth(1).unwrap_or_default();
            ensure!(hash.starts_with(['!', '*']), "{line}");
        }
        full_state_disk(&mut guest)
    });
}

/// Fills the state disk to the last block, cuts the power, and expects a login and a message.
fn full_state_disk(guest: &mut Guest) -> Result<()> {
    // What any user may take in one go, and then root's reserve.
    guest.host("fallocate -l $(df -k /state | awk 'END {print $4}')K /state/data/srv/filler")?;
    guest.host_within("cat /dev/zero > /state/data/srv/reserve 2>/dev/null; sync", 60)?;
    guest.cut_power();
    guest.start()?;
    // dockerd does not start without a block to write to; the login does not need one.
    guest.retry(60, "true")?;
    let status = guest.ssh("sudo hull status")?;
    ensure!(status.contains("full"), "hull status does not say that the state disk is full: {status}");
    Ok(())
}
