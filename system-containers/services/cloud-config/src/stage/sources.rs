//! What the outside world says, gathered before anything is decided.

use crate::report::{Messages, Place};
use crate::seed::command_line::{self, CommandLine, Datasource};
use crate::seed::instance::Instance;
use crate::seed::medium::{self, Medium};
use std::path::Path;

/// Everything the compile stage decides on.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The kernel command line.
    pub command_line: CommandLine,
    /// `ds=` in the SMBIOS serial number.
    pub smbios: Option<Datasource>,
    /// SMBIOS product UUID.
    pub product_uuid: Option<String>,
    /// The medium, if there is one.
    pub medium: Option<Medium>,
    /// What an earlier boot used.
    pub cached: Option<Instance>,
}

/// Reads them all; `cloud_state` holds the cache.
pub fn gather(cloud_state: &Path, messages: &mut Messages) -> Sources {
    let mut kernel = Messages::new("kernel command line");
    let text = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let command_line = command_line::parse(&text, &mut kernel);
    messages.append(kernel);
    if command_line.disabled {
        messages.info(
            Place::default(),
            "",
            "user data is not looked for: cloud-init=disabled on the kernel command line",
        );
        return Sources { command_line, ..Sources::default() };
    }
    let mut firmware = Messages::new("SMBIOS serial number");
    let serial = std::fs::read_to_string("/sys/class/dmi/id/product_serial").unwrap_or_default();
    let smbios = serial.split_whitespace().find_map(|word| command_line::parse_datasource(word, &mut firmware));
    messages.append(firmware);
    let mut seed = Messages::new("nocloud");
    let medium = medium::read(&mut seed);
    messages.append(seed);
    let cached = Instance::load(cloud_state).unwrap_or_else(|error| {
        messages.error(Place::default(), "", format!("the user data kept from an earlier boot is not used: {error:#}"));
        None
    });
    let product_uuid = std::fs::read_to_string("/sys/class/dmi/id/product_uuid").ok();
    Sources { command_line, smbios, product_uuid, medium, cached }
}
