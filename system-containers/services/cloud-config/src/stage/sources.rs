//! What the outside world says, gathered before anything is decided.

use crate::paths::Paths;
use crate::report::{Messages, Place};
use crate::seed::command_line::{self, CommandLine, Datasource};
use crate::seed::exchange::Fetched;
use crate::seed::guestinfo;
use crate::seed::instance::Instance;
use crate::seed::medium::{self, Medium};
use crate::seed::ovf_env::{self, Provisioning};
use crate::seed::platform::{Firmware, Origin};
use std::path::Path;

/// Everything the compile stage decides on.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The kernel command line.
    pub command_line: CommandLine,
    /// `ds=` in the SMBIOS serial number.
    pub smbios: Option<Datasource>,
    /// SMBIOS.
    pub firmware: Firmware,
    /// The medium, if there is one.
    pub medium: Option<Medium>,
    /// What was fetched from the network in this boot.
    pub fetched: Option<Fetched>,
    /// Azure's provisioning medium.
    pub provisioning: Provisioning,
    /// What an earlier boot used.
    pub cached: Option<Instance>,
}

/// Reads them all.
pub fn gather(paths: &Paths, messages: &mut Messages) -> Sources {
    let mut kernel = Messages::new("kernel command line");
    let text = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let mut command_line = command_line::parse(&text, &mut kernel);
    messages.append(kernel);
    if command_line.disabled {
        messages.info(
            Place::default(),
            "",
            "user data is not looked for: cloud-init=disabled on the kernel command line",
        );
        return Sources { command_line, ..Sources::default() };
    }
    let mut serial = Messages::new("SMBIOS serial number");
    let firmware = Firmware::read(Path::new("/"));
    let words = firmware.product_serial.split_whitespace();
    let mut smbios = words.into_iter().find_map(|word| command_line::parse_datasource(word, &mut serial));
    messages.append(serial);
    for datasource in [&mut command_line.datasource, &mut smbios].into_iter().flatten() {
        datasource.seed = datasource.seed.take().map(|url| firmware.filled_in(&url));
    }
    let mut seed = Messages::new("seed medium");
    let hypervisor = |messages: &mut Messages| firmware.is_vmware().then(|| guestinfo::read(messages)).flatten();
    let medium = medium::read(&mut seed).or_else(|| hypervisor(&mut seed));
    let cached = Instance::load(&paths.cloud_state).unwrap_or_else(|error| {
        messages.error(Place::default(), "", format!("the user data kept from an earlier boot is not used: {error:#}"));
        None
    });
    let provisioning = match firmware.platform() {
        Some(Origin::Azure) => ovf_env::read(&mut seed),
        _ => Provisioning::default(),
    };
    messages.append(seed);
    let fetched = Fetched::load(&paths.metadata).unwrap_or_else(|error| {
        let failures = vec![format!("what was fetched is not used: {error:#}")];
        Some(Fetched { failures, ..Fetched::default() })
    });
    Sources { command_line, smbios, firmware, medium, fetched, provisioning, cached }
}
