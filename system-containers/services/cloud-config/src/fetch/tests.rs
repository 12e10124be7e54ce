//! Metadata services as their documentation shows them, and what they do when they do not work.

use super::transport::{Answer, Request, Transport};
use super::*;
use crate::attempts::Final;
use crate::report::Messages;
use crate::seed::meta::{self, Meta};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const QUICK: Patience =
    Patience { whole: Duration::from_millis(200), first: Duration::from_millis(1), longest: Duration::from_millis(2) };

/// Answers by method and URL, in turn; the last of each stays.
#[derive(Debug, Default)]
pub(super) struct Cloud {
    answers: RefCell<BTreeMap<String, Vec<Answer>>>,
    /// A header that each request needs.
    header: Option<(&'static str, &'static str)>,
    pub(super) seen: RefCell<Vec<Request>>,
}

impl Cloud {
    pub(super) fn with(self, what: &str, status: u16, body: &str) -> Self {
        let answer = Answer { status, location: None, body: body.into() };
        self.answers.borrow_mut().entry(what.to_owned()).or_default().push(answer);
        self
    }

    pub(super) fn get(self, url: &str, body: &str) -> Self {
        self.with(&format!("GET {url}"), 200, body)
    }

    pub(super) fn redirect(self, url: &str, location: &str) -> Self {
        let answer = Answer { status: 302, location: Some(location.into()), body: Vec::new() };
        self.answers.borrow_mut().insert(format!("GET {url}"), vec![answer]);
        self
    }

    fn needs(self, name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    fn fetch(&self, origin: Origin) -> Fetched {
        all(Wanted { origin: Some(origin), ..Wanted::default() }, self, QUICK)
    }
}

impl Transport for Cloud {
    fn send(&self, request: &Request) -> anyhow::Result<Answer> {
        self.seen.borrow_mut().push(request.clone());
        let mut answers = self.answers.borrow_mut();
        let Some(list) = answers.get_mut(&format!("{} {}", request.method, request.url)) else {
            return Ok(Answer { status: 404, ..Answer::default() });
        };
        let allowed = self.header.is_none_or(|(name, value)| {
            request.method != "GET" || request.headers.iter().any(|header| *header == (name, value.to_owned()))
        });
        if !allowed {
            return Ok(Answer { status: 401, ..Answer::default() });
        }
        let answer = if list.len() > 1 { list.remove(0) } else { list[0].clone() };
        anyhow::ensure!(answer.status != 0, "connection reset");
        Ok(answer)
    }
}

fn meta(fetched: &Fetched) -> Meta {
    let mut messages = Messages::new("meta-data");
    let content = fetched.medium.as_ref().expect("a medium").meta_data.clone().expect("meta-data");
    let meta = meta::parse(&content, &mut messages);
    assert_eq!(messages.list(), []);
    meta
}

fn user_data(fetched: &Fetched) -> Option<&str> {
    std::str::from_utf8(fetched.medium.as_ref()?.user_data.as_deref()?).ok()
}

const LINK_LOCAL: &str = "http://169.254.169.254";
const USER_DATA: &str = "#cloud-config\nhostname: web\n";

fn amazon() -> Cloud {
    let at = |path: &str| format!("{LINK_LOCAL}/2021-03-23/{path}");
    Cloud::default()
        .with(&format!("PUT {LINK_LOCAL}/latest/api/token"), 200, "TOKEN==")
        .needs("X-aws-ec2-metadata-token", "TOKEN==")
        .get(&at("meta-data/"), "ami-id\nhostname\niam/\ninstance-id\nlocal-hostname\nplacement/\npublic-keys/\n")
        .get(&at("meta-data/ami-id"), "ami-1")
        .get(&at("meta-data/hostname"), "ip-10-0-0-1.internal")
        .get(&at("meta-data/instance-id"), "i-0abc")
        .get(&at("meta-data/local-hostname"), "ip-10-0-0-1.internal ip-10-0-0-1.example")
        .get(&at("meta-data/placement/"), "availability-zone\nregion")
        .get(&at("meta-data/placement/availability-zone"), "eu-west-1a")
        .get(&at("meta-data/placement/region"), "eu-west-1")
        .get(&at("meta-data/public-keys/"), "0=my key")
        .get(&at("meta-data/public-keys/0/openssh-key"), "ssh-ed25519 AAA me\n")
        .get(&at("meta-data/iam/"), "security-credentials/")
        .get(&at("user-data"), USER_DATA)
}

#[test]
fn ec2_with_a_token() {
    let cloud = amazon();
    let fetched = cloud.fetch(Origin::Ec2);
    assert_eq!(fetched.failures, [] as [&str; 0]);
    let meta = meta(&fetched);
    assert_eq!(meta.instance_id.as_deref(), Some("i-0abc"));
    assert_eq!(meta.hostname.as_deref(), Some("ip-10-0-0-1.internal"));
    assert_eq!(meta.public_keys, ["ssh-ed25519 AAA me"]);
    assert_eq!(user_data(&fetched), Some(USER_DATA));
    let text = String::from_utf8(fetched.medium.unwrap().meta_data.unwrap()).unwrap();
    assert!(
        text.contains("\"availability-zone\":\"eu-west-1a\"") && text.contains("\"region\":\"eu-west-1\""),
        "{text}"
    );
    assert!(!cloud.seen.borrow().iter().any(|request| request.url.contains("/iam/")));
}

#[test]
fn ec2_of_before_tokens_and_without_user_data() {
    let cloud = Cloud::default()
        .get(&format!("{LINK_LOCAL}/2009-04-04/meta-data/"), "instance-id")
        .get(&format!("{LINK_LOCAL}/2009-04-04/meta-data/instance-id"), "i-1");
    let fetched = cloud.fetch(Origin::Ec2);
    assert_eq!((meta(&fetched).instance_id.as_deref(), user_data(&fetched)), (Some("i-1"), None));
}

#[test]
fn ec2_at_its_ipv6_address() {
    let there = "http://[fd00:ec2::254]";
    let cloud = Cloud::default()
        .with(&format!("PUT {LINK_LOCAL}/latest/api/token"), 0, "")
        .with(&format!("PUT {there}/latest/api/token"), 200, "T")
        .get(&format!("{there}/2021-03-23/meta-data/"), "instance-id")
        .get(&format!("{there}/2021-03-23/meta-data/instance-id"), "i-6");
    let fetched = cloud.fetch(Origin::Ec2);
    assert_eq!(meta(&fetched).instance_id.as_deref(), Some("i-6"));
    assert_eq!(fetched.medium.unwrap().device, there);
}

#[test]
fn a_tree_without_end_ends() {
    let at = |path: &str| format!("{LINK_LOCAL}/2021-03-23/meta-data/{path}");
    let mut cloud = Cloud::default().get(&at("instance-id"), "i").get(&at(""), "a/\ninstance-id");
    for depth in 1..20 {
        cloud = cloud.get(&at(&"a/".repeat(depth)), "a/");
    }
    assert!(cloud.fetch(Origin::Ec2).failures[0].contains("the tree has no end"));
    let wide: String = (0..400).map(|number| format!("n{number}\n")).collect();
    let cloud = Cloud::default().get(&at("instance-id"), "i").get(&at(""), &wide);
    assert!(cloud.fetch(Origin::Ec2).failures[0].contains("the tree has no end"));
}

#[test]
fn alibaba() {
    let at = |path: &str| format!("http://100.100.100.200/2016-01-01/{path}");
    let cloud = Cloud::default()
        .with("PUT http://100.100.100.200/latest/api/token", 200, "T")
        .needs("X-aliyun-ecs-metadata-token", "T")
        .get(&at("meta-data/"), "hostname\ninstance-id\npublic-keys/\nzone-id")
        .get(&at("meta-data/hostname"), "ali")
        .get(&at("meta-data/instance-id"), "i-ali")
        .get(&at("meta-data/zone-id"), "eu-central-1a")
        .get(&at("meta-data/public-keys/"), "skp-1/")
        .get(&at("meta-data/public-keys/skp-1/"), "openssh-key")
        .get(&at("meta-data/public-keys/skp-1/openssh-key"), "ssh-rsa ALI")
        .get(&at("user-data"), USER_DATA)
        .get(&at("vendor-data"), "#cloud-config\ntimezone: UTC\n");
    let fetched = cloud.fetch(Origin::Alibaba);
    let meta = meta(&fetched);
    assert_eq!((meta.instance_id.as_deref(), meta.hostname.as_deref()), (Some("i-ali"), Some("ali")));
    assert_eq!(meta.public_keys, ["ssh-rsa ALI"]);
    assert!(fetched.medium.unwrap().vendor_data.is_some());
}

#[test]
fn gce() {
    let document = r##"{"instance": {"id": 1234567890123456789, "name": "web", "hostname": "web.c.p.internal",
        "zone": "projects/1/zones/europe-west1-b", "attributes": {"user-data": "I2Nsb3VkLWNvbmZpZwp7fQo=",
        "user-data-encoding": "base64", "ssh-keys": "me:ssh-ed25519 AAA me", "startup-script": "#!/bin/sh\necho ü\n"},
        "serviceAccounts": {"default": {"email": "x"}}}, "project": {"attributes": {"ssh-keys": "you:ssh-rsa BBB"}}}"##;
    let url = format!("{LINK_LOCAL}/computeMetadata/v1/?recursive=true&alt=json");
    let cloud = Cloud::default().needs("Metadata-Flavor", "Google").get(&url, document);
    let fetched = cloud.fetch(Origin::Gce);
    let meta = meta(&fetched);
    assert_eq!(meta.instance_id.as_deref(), Some("1234567890123456789"));
    assert_eq!(meta.hostname.as_deref(), Some("web.c.p.internal"));
    assert_eq!(meta.public_keys, ["ssh-ed25519 AAA me", "ssh-rsa BBB"]);
    assert_eq!(user_data(&fetched), Some("#cloud-config\n{}\n"));
    let vendor = fetched.medium.unwrap().vendor_data.unwrap();
    let mut messages = Messages::new("vendor-data");
    let split = crate::userdata::parts::split(&vendor, "vendor-data", &BTreeMap::new(), &mut messages);
    assert_eq!(messages.list(), []);
    assert_eq!(
        (split.parts[0].name.as_str(), &split.parts[0].content[..]),
        ("startup-script", "#!/bin/sh\necho ü\n".as_bytes())
    );
}

const HEALTH: &str = "http://168.63.129.16";
const GOAL: &str = "<GoalState><Incarnation>1</Incarnation><Container><ContainerId>c-1</ContainerId>\
    <RoleInstanceList><RoleInstance><InstanceId>r-1</InstanceId></RoleInstance></RoleInstanceList></Container></GoalState>";

fn microsoft(compute: &str) -> Cloud {
    let url = format!("{LINK_LOCAL}/metadata/instance?api-version=2021-08-01&extended=true");
    Cloud::default()
        .get(&url, &format!("{{\"compute\": {compute}}}"))
        .get(&format!("{HEALTH}/machine/?comp=goalstate"), GOAL)
        .with(&format!("POST {HEALTH}/machine?comp=health"), 200, "")
}

#[test]
fn azure() {
    let compute = r#"{"vmId": "v-1", "name": "web", "location": "westeurope", "userData": "I2Nsb3VkLWNvbmZpZwo=",
        "osProfile": {"adminUsername": "azureuser", "computerName": "web1"},
        "publicKeys": [{"keyData": "ssh-rsa AAA", "path": "/home/azureuser/.ssh/authorized_keys"}]}"#;
    let cloud = microsoft(compute);
    let fetched = cloud.fetch(Origin::Azure);
    assert_eq!((fetched.failures.len(), fetched.remarks.len()), (0, 0));
    let meta = meta(&fetched);
    assert_eq!((meta.instance_id.as_deref(), meta.hostname.as_deref()), (Some("v-1"), Some("web1")));
    assert_eq!(meta.public_keys, ["ssh-rsa AAA"]);
    assert_eq!(user_data(&fetched), Some("#cloud-config\n"));
    let vendor = String::from_utf8(fetched.medium.unwrap().vendor_data.unwrap()).unwrap();
    assert_eq!(vendor, "#cloud-config\n{\"user\":\"azureuser\"}\n");
    let seen = cloud.seen.borrow();
    let body = String::from_utf8(seen.last().unwrap().body.clone().unwrap()).unwrap();
    assert!(body.contains("<State>Ready</State>") && body.contains("<ContainerId>c-1</ContainerId>"), "{body}");
}

#[test]
fn azure_whose_host_does_not_listen() {
    let url = format!("{LINK_LOCAL}/metadata/instance?api-version=2021-08-01&extended=true");
    let cloud = Cloud::default().get(&url, r#"{"compute": {"vmId": "v-1"}}"#);
    let fetched = cloud.fetch(Origin::Azure);
    assert!(fetched.medium.is_some());
    assert!(fetched.failures[0].contains("does not know that this machine is ready: no goal state"));
}

#[test]
fn openstack() {
    let at = |path: &str| format!("{LINK_LOCAL}/openstack/{path}");
    let cloud = Cloud::default()
        .get(&format!("{LINK_LOCAL}/openstack"), "2012-08-10\n2018-08-27\n2020-10-14\nlatest\n")
        .get(
            &at("2018-08-27/meta_data.json"),
            r#"{"uuid": "u-1", "hostname": "os", "public_keys": {"k": "ssh-rsa A"}}"#,
        )
        .get(&at("2018-08-27/user_data"), USER_DATA)
        .get(&at("2018-08-27/network_data.json"), "{\"links\": []}")
        .get(&at("2018-08-27/vendor_data.json"), "not JSON");
    let fetched = cloud.fetch(Origin::OpenStack);
    assert_eq!(meta(&fetched).instance_id.as_deref(), Some("u-1"));
    assert_eq!(user_data(&fetched), Some(USER_DATA));
    assert!(fetched.medium.unwrap().network_config.is_some());
    assert!(fetched.remarks[0].contains("not valid JSON"), "{:?}", fetched.remarks);
}

#[test]
fn hetzner() {
    let document = "availability-zone: fsn1-dc14\nhostname: htz\ninstance-id: 42\npublic-keys:\n- ssh-ed25519 AAA\n\
        network-config:\n  version: 1\n  config:\n  - type: physical\n    name: eth0\n    subnets:\n    - {type: dhcp4}\n\
        vendor_data: \"#cloud-config\\n\nruncmd: [\n'a\nb']\\n\"\n";
    let cloud = Cloud::default()
        .get(&format!("{LINK_LOCAL}/hetzner/v1/metadata"), document)
        .get(&format!("{LINK_LOCAL}/hetzner/v1/userdata"), USER_DATA);
    let fetched = cloud.fetch(Origin::Hetzner);
    assert_eq!(fetched.failures, [] as [&str; 0]);
    let meta = meta(&fetched);
    assert_eq!((meta.instance_id.as_deref(), meta.hostname.as_deref()), (Some("42"), Some("htz")));
    let network = String::from_utf8(fetched.medium.clone().unwrap().network_config.unwrap()).unwrap();
    assert!(network.contains("\"name\":\"eth0\""), "{network}");
    assert_eq!(user_data(&fetched), Some(USER_DATA));
}

#[test]
fn clouds_with_one_document() {
    let key = "ssh-ed25519 AAA";
    for (origin, header, url, document, more) in [
        (
            Origin::DigitalOcean,
            None,
            "http://169.254.169.254/metadata/v1.json",
            r##"{"droplet_id": 7, "hostname": "one", "public_keys": ["ssh-ed25519 AAA"], "user_data": "#cloud-config\n"}"##,
            None,
        ),
        (
            Origin::Vultr,
            Some(("Metadata-Token", "cloudinit")),
            "http://169.254.169.254/v1.json",
            r##"{"instance-v2-id": "7", "hostname": "one", "public-keys": "ssh-ed25519 AAA\n", "user-data": "#cloud-config\n"}"##,
            None,
        ),
        (
            Origin::Oracle,
            Some(("Authorization", "Bearer Oracle")),
            "http://169.254.169.254/opc/v2/instance/",
            r##"{"id": "7", "hostname": "one", "metadata": {"ssh_authorized_keys": "ssh-ed25519 AAA", "user_data": "I2Nsb3VkLWNvbmZpZwo="}}"##,
            None,
        ),
        (
            Origin::Scaleway,
            None,
            "http://169.254.42.42/conf?format=json",
            r##"{"id": "7", "hostname": "one", "tags": ["AUTHORIZED_KEY=ssh-ed25519_AAA"], "ssh_public_keys": []}"##,
            Some("http://169.254.42.42/user_data/cloud-init"),
        ),
    ] {
        let mut cloud = Cloud { header, ..Cloud::default() }.get(url, document);
        if let Some(url) = more {
            cloud = cloud.get(url, "#cloud-config\n");
        }
        let fetched = cloud.fetch(origin.clone());
        assert_eq!(fetched.failures, [] as [&str; 0], "{origin:?}");
        let meta = meta(&fetched);
        assert_eq!((meta.instance_id.as_deref(), meta.hostname.as_deref()), (Some("7"), Some("one")), "{origin:?}");
        assert_eq!(meta.public_keys, [key], "{origin:?}");
        assert_eq!(user_data(&fetched), Some("#cloud-config\n"), "{origin:?}");
    }
}

#[test]
fn a_server_of_ones_own() {
    let cloud = Cloud::default()
        .redirect("http://a/seed/user-data", "http://b/user-data")
        .get("http://b/user-data", USER_DATA)
        .get("http://a/seed/meta-data", "instance-id: i-1\n");
    let fetched = cloud.fetch(Origin::NoCloud("http://a/seed/".into()));
    assert_eq!((meta(&fetched).instance_id.as_deref(), user_data(&fetched)), (Some("i-1"), Some(USER_DATA)));
    let fetched = Cloud::default().fetch(Origin::NoCloud("http://a/".into()));
    assert!(fetched.failures[0].starts_with("http://a/: neither user-data nor meta-data"), "{:?}", fetched.failures);
    let cloud = Cloud::default().redirect("https://a/user-data", "http://b/");
    let fetched = cloud.fetch(Origin::NoCloud("https://a/".into()));
    assert!(fetched.failures[0].contains("from https to http"), "{:?}", fetched.failures);
    let cloud = Cloud::default().redirect("http://a/user-data", "http://a/user-data");
    assert!(cloud.fetch(Origin::NoCloud("http://a/".into())).failures[0].contains("more than 5 redirects"));
}

#[test]
fn what_does_not_work_at_first_is_tried_again() {
    let half = "{\"droplet_id\": 7, \"host";
    let url = "http://169.254.169.254/metadata/v1.json";
    for (status, body) in [(0, ""), (500, "later"), (404, ""), (429, ""), (200, half), (200, "[]"), (200, "{}")] {
        let what = format!("GET {url}");
        let cloud = Cloud::default().with(&what, status, body).with(&what, 200, r#"{"droplet_id": 7}"#);
        let fetched = cloud.fetch(Origin::DigitalOcean);
        assert_eq!(fetched.failures, [] as [&str; 0], "{status}");
        assert_eq!(meta(&fetched).instance_id.as_deref(), Some("7"));
        let cloud = Cloud::default().with(&what, status, body);
        let fetched = cloud.fetch(Origin::DigitalOcean);
        assert!(fetched.medium.is_none() && fetched.failures[0].contains("the next boot tries again"), "{fetched:?}");
    }
}

#[test]
fn include_lists_within_one_another() {
    let wanted = Wanted {
        include: vec!["http://a/1?sig=secret".into(), "http://a/none".into(), "x:".into()],
        ..Wanted::default()
    };
    let cloud = Cloud::default()
        .get("http://a/1?sig=secret", "#include\nhttp://a/2\nhttp://a/1?sig=secret\n")
        .with("GET http://a/2", 503, "")
        .with("GET http://a/2", 200, "#include-once\nhttp://a/3\n")
        .get("http://a/3", USER_DATA);
    let fetched = all(wanted, &cloud, QUICK);
    assert_eq!(
        fetched.includes.keys().map(String::as_str).collect::<Vec<_>>(),
        ["http://a/1?sig=secret", "http://a/2", "http://a/3"]
    );
    assert_eq!(fetched.failures, ["http://a/…: status 404", "a URL: status 404"]);
    assert!(cloud.seen.borrow().iter().filter(|request| request.url == "http://a/none").count() == 1);
}

#[test]
fn lists_in_fetched_user_data_are_followed_and_bounded() {
    let url = "http://169.254.169.254/metadata/v1.json";
    let many: String = (0..300).map(|number| format!("http://a/{number}\\n")).collect();
    let document = format!("{{\"droplet_id\": 7, \"user_data\": \"#include\\n{many}\"}}");
    let mut cloud = Cloud::default().get(url, &document);
    for number in 0..300 {
        cloud = cloud.get(&format!("http://a/{number}"), "#cloud-config\n");
    }
    let fetched = cloud.fetch(Origin::DigitalOcean);
    assert_eq!(fetched.includes.len(), crate::userdata::parts::MAX_PARTS);
    assert!(fetched.failures[0].contains("more than 100 URLs"), "{:?}", fetched.failures);
}

#[test]
fn an_error_that_is_final_is_told_at_once() {
    let mut attempts = Attempts::new(Patience { whole: Duration::from_secs(3600), ..QUICK });
    let mut count = 0;
    let error = attempts.until("x", || -> anyhow::Result<()> {
        count += 1;
        Err(anyhow::Error::from(Final("no".into())).context("http://a"))
    });
    assert_eq!((format!("{:#}", error.unwrap_err()).as_str(), count), ("http://a: no", 1));
}
