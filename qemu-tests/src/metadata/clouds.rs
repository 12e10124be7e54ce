//! What clouds say and answer. Values are made up; forms are those of their documentation.

use std::fmt::Write;

/// A cloud.
#[derive(Debug, Clone)]
pub struct Cloud {
    /// Its name as a datasource.
    pub name: &'static str,
    /// Options of QEMU's `-smbios`.
    pub smbios: &'static [&'static str],
    /// Addresses of its service.
    pub addresses: &'static [&'static str],
    /// Identity that the service gives.
    pub instance: &'static str,
    /// Header that each GET needs.
    header: Option<(&'static str, &'static str)>,
    pages: Vec<(String, String)>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

const LINK_LOCAL: &[&str] = &["169.254.169.254"];
const TOKEN: &str = "AQAEAbc==";
const GOAL_STATE: &str = "<?xml version=\"1.0\"?><GoalState><Incarnation>1</Incarnation><Container><ContainerId>c-1</ContainerId>\
    <RoleInstanceList><RoleInstance><InstanceId>r-1</InstanceId></RoleInstance></RoleInstanceList></Container></GoalState>";

impl Cloud {
    /// All clouds, with user data and a key for the default user.
    pub fn all(user_data: &str, key: &str) -> Vec<Self> {
        vec![
            hetzner(user_data, key),
            ec2(user_data, key),
            gce(user_data, key),
            azure(user_data, key),
            openstack(user_data, key),
            digitalocean(user_data, key),
            vultr(user_data, key),
            oracle(user_data, key),
            scaleway(user_data, key),
            alibaba(user_data, key),
        ]
    }

    fn new(name: &'static str, smbios: &'static [&'static str], addresses: &'static [&'static str]) -> Self {
        Self { name, smbios, addresses, instance: "i-7", header: None, pages: Vec::new() }
    }

    fn page(mut self, path: &str, text: impl Into<String>) -> Self {
        self.pages.push((path.to_owned(), text.into()));
        self
    }

    /// What the service answers.
    pub fn answer<'h>(
        &self,
        method: &str,
        path: &str,
        header: &impl Fn(&str) -> Option<&'h str>,
        port: u16,
        body: &[u8],
    ) -> Answer {
        let status = |status| Answer { status, body: Vec::new() };
        let is_health = path == "/machine?comp=health" && self.name == "azure";
        match method {
            "PUT" if path == "/latest/api/token" && matches!(self.name, "ec2" | "alibaba") => {
                return Answer { status: 200, body: TOKEN.into() };
            }
            "POST" if is_health => {
                let is_ready = String::from_utf8_lossy(body).contains("<State>Ready</State>");
                return status(if is_ready { 200 } else { 400 });
            }
            "GET" => {}
            _ => return status(405),
        }
        let is_host = path.starts_with("/machine/");
        let allowed = is_host || self.header.is_none_or(|(name, value)| header(name) == Some(value));
        let from_root = self.name != "scaleway" || !path.contains("_data/") || port < 1024;
        if !allowed || !from_root {
            return status(if from_root { 401 } else { 403 });
        }
        match self.pages.iter().find(|(known, _)| known == path) {
            Some((_, text)) => Answer { status: 200, body: text.as_bytes().to_vec() },
            None => status(404),
        }
    }
}

fn hetzner(user_data: &str, key: &str) -> Cloud {
    let smbios = &["type=1,manufacturer=Hetzner,product=vServer,serial=7,uuid=11111111-0000-4000-8000-000000000001"];
    let metadata = format!(
        "availability-zone: fsn1-dc14\nhostname: hetzner\ninstance-id: i-7\nnetwork-config:\n  config:\n  - name: eth0\n    subnets:\n    - {{type: dhcp}}\n    - {{type: static6, address: '2001:db8:7::1/64'}}\n    type: physical\n  version: 1\npublic-keys:\n- {key}\nregion: eu-central\n"
    );
    Cloud::new("hetzner", smbios, LINK_LOCAL)
        .page("/hetzner/v1/metadata", metadata)
        .page("/hetzner/v1/userdata", user_data)
}

/// A tree of EC2's kind: each path with its value, and its directories.
fn tree(mut cloud: Cloud, root: &str, leaves: &[(&str, &str)]) -> Cloud {
    let mut directories = std::collections::BTreeMap::<String, std::collections::BTreeSet<String>>::new();
    for (path, value) in leaves {
        cloud = cloud.page(&format!("{root}{path}"), *value);
        let mut parent = String::new();
        for part in path.split_inclusive('/') {
            // `public-keys/0/` is listed as `0=name`.
            let shown = if parent == "public-keys/" { part.replace('/', "=key") } else { part.to_owned() };
            directories.entry(parent.clone()).or_default().insert(shown);
            parent.push_str(part);
        }
    }
    for (path, names) in directories {
        let list = names.iter().fold(String::new(), |mut list, name| {
            // Writing to a string does not fail.
            writeln!(list, "{name}").ok();
            list
        });
        cloud = cloud.page(&format!("{root}{path}"), list);
    }
    cloud
}

fn ec2(user_data: &str, key: &str) -> Cloud {
    let smbios = &["type=1,manufacturer=Amazon EC2,product=t3.small,uuid=ec2a0000-0000-4000-8000-000000000002"];
    let cloud = Cloud::new("ec2", smbios, LINK_LOCAL);
    let cloud = Cloud { header: Some(("x-aws-ec2-metadata-token", TOKEN)), instance: "i-6", ..cloud };
    let leaves = [
        ("ami-id", "ami-1"),
        ("instance-id", "i-6"),
        ("local-hostname", "ec2"),
        ("placement/availability-zone", "eu-west-1a"),
        ("placement/region", "eu-west-1"),
        ("public-keys/0/openssh-key", key),
    ];
    tree(cloud, "/2021-03-23/meta-data/", &leaves).page("/2021-03-23/user-data", user_data)
}

fn alibaba(user_data: &str, key: &str) -> Cloud {
    let smbios =
        &["type=1,manufacturer=Alibaba Cloud,product=Alibaba Cloud ECS,uuid=11111111-0000-4000-8000-000000000010"];
    let cloud = Cloud::new("alibaba", smbios, &["100.100.100.200"]);
    let cloud = Cloud { header: Some(("x-aliyun-ecs-metadata-token", TOKEN)), ..cloud };
    let leaves = [
        ("instance-id", "i-7"),
        ("hostname", "alibaba"),
        ("zone-id", "eu-central-1a"),
        ("public-keys/0/openssh-key", key),
    ];
    tree(cloud, "/2016-01-01/meta-data/", &leaves).page("/2016-01-01/user-data", user_data)
}

fn gce(user_data: &str, key: &str) -> Cloud {
    let smbios = &[
        "type=1,manufacturer=Google,product=Google Compute Engine,serial=GoogleCloud-7,uuid=11111111-0000-4000-8000-000000000003",
    ];
    let document = serde_json::json!({
        "instance": {
            "id": 7_000_000_000_000_000_007_u64, "name": "gce", "hostname": "gce.c.p.internal", "zone": "projects/1/zones/europe-west1-b",
            "attributes": {"user-data": user_data, "ssh-keys": format!("me:{key}")},
        },
        "project": {"attributes": {}},
    });
    let cloud = Cloud::new("gce", smbios, LINK_LOCAL);
    Cloud { header: Some(("metadata-flavor", "Google")), instance: "7000000000000000007", ..cloud }
        .page("/computeMetadata/v1/?recursive=true&alt=json", document.to_string())
}

fn azure(user_data: &str, key: &str) -> Cloud {
    let smbios = &[
        "type=1,manufacturer=Microsoft Corporation,product=Virtual Machine,uuid=11111111-0000-4000-8000-000000000004",
        "type=3,asset=7783-7084-3265-9085-8269-3286-77",
    ];
    let document = serde_json::json!({"compute": {
        "vmId": "i-7", "name": "azure", "location": "westeurope", "userData": base64(user_data.as_bytes()),
        "osProfile": {"computerName": "azure", "adminUsername": "azureuser"},
        "publicKeys": [{"keyData": key, "path": "/home/azureuser/.ssh/authorized_keys"}],
    }});
    let cloud = Cloud::new("azure", smbios, &["169.254.169.254", "168.63.129.16"]);
    Cloud { header: Some(("metadata", "true")), ..cloud }
        .page("/metadata/instance?api-version=2021-08-01&extended=true", document.to_string())
        .page("/machine/?comp=goalstate", GOAL_STATE)
}

fn openstack(user_data: &str, key: &str) -> Cloud {
    let smbios =
        &["type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,uuid=11111111-0000-4000-8000-000000000005"];
    let document = serde_json::json!({"uuid": "i-8", "hostname": "openstack", "public_keys": {"k": key}});
    Cloud { instance: "i-8", ..Cloud::new("openstack", smbios, LINK_LOCAL) }
        .page("/openstack", "2012-08-10\n2018-08-27\nlatest")
        .page("/openstack/2018-08-27/meta_data.json", document.to_string())
        .page("/openstack/2018-08-27/user_data", user_data)
        .page("/openstack/2018-08-27/vendor_data.json", vendor_data("vendor"))
        .page("/openstack/2018-08-27/vendor_data2.json", vendor_data("vendor2"))
}

/// Writes the file `/etc/NAME`.
fn vendor_data(name: &str) -> String {
    let document = format!("#cloud-config\nwrite_files: [{{path: /etc/{name}}}]\n");
    serde_json::json!({"cloud-init": document}).to_string()
}

fn digitalocean(user_data: &str, key: &str) -> Cloud {
    let smbios = &["type=1,manufacturer=DigitalOcean,product=Droplet,uuid=11111111-0000-4000-8000-000000000006"];
    let document =
        serde_json::json!({"droplet_id": 7, "hostname": "digitalocean", "public_keys": [key], "user_data": user_data});
    Cloud { instance: "7", ..Cloud::new("digitalocean", smbios, LINK_LOCAL) }
        .page("/metadata/v1.json", document.to_string())
}

fn vultr(user_data: &str, key: &str) -> Cloud {
    let smbios = &["type=1,manufacturer=Vultr,product=VC2,uuid=11111111-0000-4000-8000-000000000007"];
    let document = serde_json::json!({
        "instance-v2-id": "i-7", "hostname": "vultr", "public-keys": [key], "user-data": user_data, "region": {"regioncode": "FRA"},
    });
    Cloud { header: Some(("metadata-token", "cloudinit")), ..Cloud::new("vultr", smbios, LINK_LOCAL) }
        .page("/v1.json", document.to_string())
}

fn oracle(user_data: &str, key: &str) -> Cloud {
    let smbios = &["type=1,uuid=11111111-0000-4000-8000-000000000008", "type=3,asset=OracleCloud.com"];
    let document = serde_json::json!({
        "id": "i-7", "hostname": "oracle", "canonicalRegionName": "eu-frankfurt-1",
        "metadata": {"ssh_authorized_keys": key, "user_data": base64(user_data.as_bytes())},
    });
    Cloud { header: Some(("authorization", "Bearer Oracle")), ..Cloud::new("oracle", smbios, LINK_LOCAL) }
        .page("/opc/v2/instance/", document.to_string())
}

fn scaleway(user_data: &str, key: &str) -> Cloud {
    let smbios = &["type=1,manufacturer=Scaleway,product=SCW-DEV1-S,uuid=11111111-0000-4000-8000-000000000009"];
    let document = serde_json::json!({
        "id": "i-7", "hostname": "scaleway", "ssh_public_keys": [{"key": key}], "location": {"zone_id": "fr-par-1"},
    });
    Cloud::new("scaleway", smbios, &["169.254.42.42"])
        .page("/conf?format=json", document.to_string())
        .page("/user_data/cloud-init", user_data)
}

fn base64(data: &[u8]) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(data)
}
