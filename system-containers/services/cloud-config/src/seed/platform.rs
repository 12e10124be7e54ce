//! Which cloud this machine runs in, told by its firmware. A metadata service is asked on such a signal only: at its
//! link-local address anybody on the network could answer.
//!
//! | platform | signal (SMBIOS, in `/sys/class/dmi/id`) |
//! |---|---|
//! | Amazon EC2 | `product_uuid` begins with `ec2`, also in Microsoft's byte order; under Xen `/sys/hypervisor/uuid` |
//! | Google Compute Engine | `product_name` `Google Compute Engine`, `product_serial` `GoogleCloud-…` |
//! | Azure | `chassis_asset_tag` `7783-7084-3265-9085-8269-3286-77` |
//! | OpenStack | `product_name` `OpenStack Nova`, `OpenStack Compute`; `chassis_asset_tag` the same, or of a cloud built on it |
//! | DigitalOcean, Hetzner, Scaleway, Vultr | `sys_vendor` |
//! | Alibaba | `product_name` `Alibaba Cloud ECS` |
//! | Oracle | `chassis_asset_tag` `OracleCloud.com` |
//!
//! Of LXD and Incus (`board_vendor`, `board_name`) there is a [`Manager`] and no metadata service: what they have is on a medium.
//!
//! `ds=ec2` and the like on the kernel command line name one without a signal.

use serde::{Deserialize, Serialize};
use std::path::Path;

/// Asset tag of every machine of Azure's.
const AZURE_TAG: &str = "7783-7084-3265-9085-8269-3286-77";
/// Asset tags of clouds built on OpenStack, beside Nova's own names.
const OPENSTACK_TAGS: [&str; 4] = ["OpenTelekomCloud", "SAP CCloud VM", "HUAWEICLOUD", "Samsung Cloud Platform"];
const OPENSTACK_PRODUCTS: [&str; 2] = ["OpenStack Nova", "OpenStack Compute"];

/// A cloud with a metadata service, or a server that a person named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A web server with NoCloud's files; the URL they are below, with `/` at its end.
    NoCloud(String),
    /// Amazon EC2 and what speaks its protocol.
    Ec2,
    /// Google Compute Engine.
    Gce,
    /// Microsoft Azure.
    Azure,
    /// OpenStack's metadata service; a configuration drive goes before it.
    OpenStack,
    /// Hetzner Cloud.
    Hetzner,
    /// DigitalOcean.
    DigitalOcean,
    /// Vultr.
    Vultr,
    /// Oracle Cloud Infrastructure.
    Oracle,
    /// Scaleway.
    Scaleway,
    /// Alibaba Cloud.
    Alibaba,
}

impl Origin {
    /// The clouds.
    pub const PLATFORMS: [Self; 10] = [
        Self::Ec2,
        Self::Gce,
        Self::Azure,
        Self::OpenStack,
        Self::Hetzner,
        Self::DigitalOcean,
        Self::Vultr,
        Self::Oracle,
        Self::Scaleway,
        Self::Alibaba,
    ];

    /// Name in `ds=`, in reports and in templates' `v1.platform`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoCloud(_) => "nocloud",
            Self::Ec2 => "ec2",
            Self::Gce => "gce",
            Self::Azure => "azure",
            Self::OpenStack => "openstack",
            Self::Hetzner => "hetzner",
            Self::DigitalOcean => "digitalocean",
            Self::Vultr => "vultr",
            Self::Oracle => "oracle",
            Self::Scaleway => "scaleway",
            Self::Alibaba => "alibaba",
        }
    }

    /// `v1.cloud_name` of templates, which cloud-init has other names for in two cases.
    pub fn cloud(&self) -> &'static str {
        match self {
            Self::Ec2 => "aws",
            Self::Alibaba => "aliyun",
            other => other.name(),
        }
    }

    /// The datasource as reports show it.
    pub fn datasource(&self) -> String {
        match self {
            Self::NoCloud(url) => format!("nocloud:{url}"),
            other => other.name().to_owned(),
        }
    }

    /// The cloud that `ds=` names.
    pub fn named(name: &str) -> Option<Self> {
        let alias = if name == "aliyun" { "alibaba" } else { name };
        Self::PLATFORMS.into_iter().find(|platform| platform.name() == alias)
    }
}

/// A manager of virtual machines that gives user data on a NoCloud medium, to machines that were given the device for it. Its
/// socket below `/dev` is an agent's, which is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// LXD.
    Lxd,
    /// Incus.
    Incus,
}

impl Manager {
    /// As reports show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lxd => "LXD",
            Self::Incus => "Incus",
        }
    }

    /// Its client.
    pub fn client(self) -> &'static str {
        match self {
            Self::Lxd => "lxc",
            Self::Incus => "incus",
        }
    }
}

/// What the firmware says; texts are trimmed, and empty where there is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firmware {
    /// Manufacturer of the system.
    pub sys_vendor: String,
    /// Its product.
    pub product_name: String,
    /// Its serial number.
    pub product_serial: String,
    /// Its UUID.
    pub product_uuid: String,
    /// Manufacturer of the board.
    pub board_vendor: String,
    /// Its product.
    pub board_name: String,
    /// Asset tag of the chassis.
    pub chassis_asset_tag: String,
    /// UUID given by Xen.
    pub hypervisor_uuid: String,
}

impl Firmware {
    /// Reads it below a root directory.
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default().trim().to_owned();
        let dmi = |name: &str| text(&format!("sys/class/dmi/id/{name}"));
        Self {
            sys_vendor: dmi("sys_vendor"),
            product_name: dmi("product_name"),
            product_serial: dmi("product_serial"),
            product_uuid: dmi("product_uuid"),
            board_vendor: dmi("board_vendor"),
            board_name: dmi("board_name"),
            chassis_asset_tag: dmi("chassis_asset_tag"),
            hypervisor_uuid: text("sys/hypervisor/uuid"),
        }
    }

    /// The cloud, on a positive signal.
    pub fn platform(&self) -> Option<Origin> {
        let tag = self.chassis_asset_tag.as_str();
        let by_product = || match self.product_name.as_str() {
            "Google Compute Engine" => Some(Origin::Gce),
            "Alibaba Cloud ECS" => Some(Origin::Alibaba),
            name if OPENSTACK_PRODUCTS.contains(&name) => Some(Origin::OpenStack),
            _ => None,
        };
        let by_tag = || match tag {
            AZURE_TAG => Some(Origin::Azure),
            "OracleCloud.com" => Some(Origin::Oracle),
            tag if OPENSTACK_PRODUCTS.contains(&tag) || OPENSTACK_TAGS.contains(&tag) => Some(Origin::OpenStack),
            _ => None,
        };
        let by_vendor = || match self.sys_vendor.as_str() {
            "DigitalOcean" => Some(Origin::DigitalOcean),
            "Hetzner" => Some(Origin::Hetzner),
            "Scaleway" => Some(Origin::Scaleway),
            "Vultr" => Some(Origin::Vultr),
            _ => None,
        };
        let by_serial = || self.product_serial.starts_with("GoogleCloud-").then_some(Origin::Gce);
        let by_uuid = || {
            let uuids = [&self.product_uuid, &self.hypervisor_uuid];
            uuids.into_iter().any(|uuid| is_ec2(uuid)).then_some(Origin::Ec2)
        };
        by_product().or_else(by_tag).or_else(by_vendor).or_else(by_serial).or_else(by_uuid)
    }

    /// Whose virtual machine it is, as far as that matters.
    pub fn manager(&self) -> Option<Manager> {
        match (self.board_vendor.as_str(), self.board_name.as_str()) {
            ("Canonical Ltd.", "LXD") => Some(Manager::Lxd),
            ("LinuxContainers", "Incus") => Some(Manager::Incus),
            _ => None,
        }
    }

    /// Whether VMware's hypervisor runs it.
    pub fn is_vmware(&self) -> bool {
        self.product_name.contains("VMware")
    }

    /// Tells this machine from a copy of it; `None` where the firmware tells nothing.
    pub fn machine(&self) -> Option<String> {
        let parts = [&self.product_uuid, &self.product_serial, &self.hypervisor_uuid];
        parts.iter().any(|part| !part.is_empty()).then(|| {
            let parts: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
            parts.join(" ").trim().to_owned()
        })
    }

    /// A seed's URL with `__dmi.<keyword of dmidecode(8)>__` replaced, so that one line fits many machines.
    pub fn filled_in(&self, url: &str) -> String {
        let fields = [
            ("system-manufacturer", &self.sys_vendor),
            ("system-product-name", &self.product_name),
            ("system-serial-number", &self.product_serial),
            ("system-uuid", &self.product_uuid),
            ("chassis-asset-tag", &self.chassis_asset_tag),
        ];
        fields.into_iter().fold(url.to_owned(), |url, (name, value)| url.replace(&format!("__dmi.{name}__"), value))
    }
}

/// `ec2…`, or with the first group's bytes turned round `xx2…ec` as in `45e12aec-…`.
fn is_ec2(uuid: &str) -> bool {
    let uuid = uuid.to_ascii_lowercase();
    let turned = uuid
        .split('-')
        .next()
        .is_some_and(|group| group.len() == 8 && group.as_bytes().get(4) == Some(&b'2') && group.ends_with("ec"));
    uuid.starts_with("ec2") || turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_by_their_signals() {
        let none = Firmware::default;
        for (firmware, expected) in [
            (none(), None),
            (Firmware { sys_vendor: "QEMU".into(), product_name: "Standard PC".into(), ..none() }, None),
            (Firmware { product_uuid: "EC2F1A2B-0000-0000-0000-000000000001".into(), ..none() }, Some(Origin::Ec2)),
            (Firmware { product_uuid: "45E12AEC-DCD1-B213-94ED-01234ABCDEF".into(), ..none() }, Some(Origin::Ec2)),
            (Firmware { product_uuid: "45E13AEC-DCD1-B213-94ED-01234ABCDEF".into(), ..none() }, None),
            (Firmware { hypervisor_uuid: "ec2deadb-0000-0000-0000-000000000001".into(), ..none() }, Some(Origin::Ec2)),
            (Firmware { product_name: "Google Compute Engine".into(), ..none() }, Some(Origin::Gce)),
            (Firmware { product_serial: "GoogleCloud-0123".into(), ..none() }, Some(Origin::Gce)),
            (Firmware { chassis_asset_tag: AZURE_TAG.into(), ..none() }, Some(Origin::Azure)),
            (Firmware { product_name: "OpenStack Nova".into(), ..none() }, Some(Origin::OpenStack)),
            (Firmware { chassis_asset_tag: "HUAWEICLOUD".into(), ..none() }, Some(Origin::OpenStack)),
            (Firmware { chassis_asset_tag: "OpenStack Compute".into(), ..none() }, Some(Origin::OpenStack)),
            (Firmware { sys_vendor: "Hetzner".into(), ..none() }, Some(Origin::Hetzner)),
            (Firmware { sys_vendor: "DigitalOcean".into(), ..none() }, Some(Origin::DigitalOcean)),
            (Firmware { sys_vendor: "Vultr".into(), ..none() }, Some(Origin::Vultr)),
            (Firmware { sys_vendor: "Scaleway".into(), ..none() }, Some(Origin::Scaleway)),
            (Firmware { chassis_asset_tag: "OracleCloud.com".into(), ..none() }, Some(Origin::Oracle)),
            (Firmware { product_name: "Alibaba Cloud ECS".into(), ..none() }, Some(Origin::Alibaba)),
        ] {
            assert_eq!(firmware.platform(), expected, "{firmware:?}");
        }
    }

    #[test]
    fn managers_by_the_board() {
        let directory = tempfile::tempdir().unwrap();
        let dmi = directory.path().join("sys/class/dmi/id");
        std::fs::create_dir_all(&dmi).unwrap();
        for (vendor, board, expected) in [
            ("Canonical Ltd.", "LXD", Some(Manager::Lxd)),
            ("LinuxContainers", "Incus", Some(Manager::Incus)),
            ("Canonical Ltd.", "", None),
            ("somebody", "LXD", None),
            ("", "", None),
        ] {
            for (name, text) in [("sys_vendor", "QEMU"), ("board_vendor", vendor), ("board_name", board)] {
                std::fs::write(dmi.join(name), format!("{text}\n")).unwrap();
            }
            let firmware = Firmware::read(directory.path());
            assert_eq!((firmware.manager(), firmware.platform()), (expected, None), "{firmware:?}");
        }
    }

    #[test]
    fn names_go_both_ways() {
        for platform in Origin::PLATFORMS {
            assert_eq!(Origin::named(platform.name()), Some(platform.clone()));
            assert_eq!(serde_json::to_string(&platform).unwrap(), format!("\"{}\"", platform.name()));
        }
        assert_eq!(Origin::named("aliyun"), Some(Origin::Alibaba));
        assert_eq!(Origin::named("nocloud"), None);
    }

    #[test]
    fn seeds_are_filled_in() {
        let firmware = Firmware { product_uuid: "u-1".into(), product_serial: "s".into(), ..Firmware::default() };
        let url = "http://a/__dmi.system-uuid__/__dmi.system-serial-number__/__dmi.x__/";
        assert_eq!(firmware.filled_in(url), "http://a/u-1/s/__dmi.x__/");
    }

    #[test]
    fn a_copy_of_a_machine_is_another_one() {
        let uuid = |uuid: &str| Firmware { product_uuid: uuid.into(), ..Firmware::default() }.machine();
        assert_eq!(uuid(""), None);
        assert_eq!(uuid("AB"), uuid("ab"));
        assert_ne!(uuid("ab"), uuid("ac"));
    }
}
