//! Amazon EC2's instance metadata service, version 2 (with a token, which a forwarded request cannot get), and Alibaba's,
//! which is made after it.
//!
//! ```text
//! PUT /latest/api/token                       a token for the other requests; clouds made after EC2 may have none
//! GET /<version>/meta-data/                   a tree: names, one a line, those of directories with `/`
//! GET /<version>/user-data                    404 without any
//! ```
//! Documentation: Amazon EC2 User Guide, "Use the Instance Metadata Service to access instance metadata".

use super::found::Found;
use super::session::Session;
use super::transport::Request;
use crate::seed::medium::Medium;
use anyhow::{Context, bail};
use serde_json::{Map, Value};

/// Seconds a token is good for: one attempt takes less.
const TOKEN_LIFE: &str = "600";
/// Bounds of the tree; a real one has about 60 leaves, 5 levels deep.
const MAX_REQUESTS: usize = 300;
const MAX_DEPTH: usize = 8;

/// How a cloud speaks the protocol.
#[derive(Debug)]
pub struct Dialect {
    /// Addresses, the first that answers is used.
    addresses: &'static [&'static str],
    /// Versions, the first that is there is used.
    versions: &'static [&'static str],
    /// Header of the token's life and of the token.
    token: [&'static str; 2],
    region: &'static [&'static str],
    zone: &'static [&'static str],
    /// Directories left out: they hold credentials, which have no place in a file.
    secret: &'static [&'static str],
    /// There is vendor data.
    vendor_data: bool,
}

/// Amazon EC2.
pub const AMAZON: Dialect = Dialect {
    addresses: &["http://169.254.169.254", "http://[fd00:ec2::254]"],
    versions: &["2021-03-23", "2018-09-24", "2016-09-02", "2009-04-04"],
    token: ["X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"],
    region: &["placement", "region"],
    zone: &["placement", "availability-zone"],
    secret: &["iam/", "identity-credentials/"],
    vendor_data: false,
};

/// Alibaba Cloud ECS.
pub const ALIBABA: Dialect = Dialect {
    addresses: &["http://100.100.100.200"],
    versions: &["2016-01-01"],
    token: ["X-aliyun-ecs-metadata-token-ttl-seconds", "X-aliyun-ecs-metadata-token"],
    region: &["region-id"],
    zone: &["zone-id"],
    secret: &["ram/"],
    vendor_data: true,
};

/// Reads everything.
pub fn read(session: &mut Session<'_>, dialect: &Dialect) -> anyhow::Result<Medium> {
    let token = token(session, dialect)?;
    session.headers.extend(token.map(|token| (dialect.token[1], token)));
    let version = version(session, dialect)?;
    let mut requests = 0;
    let document = directory(session, dialect, &format!("/{version}/meta-data/"), 0, &mut requests)?;
    let at = |path: &[&str]| {
        let node = path.iter().try_fold(&document, |node, key| node.get(key));
        node.and_then(Value::as_str).map(str::to_owned)
    };
    let hostname = at(&["local-hostname"]).or_else(|| at(&["hostname"]));
    let found = Found {
        instance_id: Some(at(&["instance-id"]).context("no instance-id")?),
        // A list of names when the network has several.
        hostname: hostname.and_then(|names| names.split_whitespace().next().map(str::to_owned)),
        public_keys: public_keys(&document),
        region: at(dialect.region),
        zone: at(dialect.zone),
        user_data: session.get(&format!("/{version}/user-data"))?,
        vendor_data: match dialect.vendor_data {
            true => session.get(&format!("/{version}/vendor-data"))?,
            false => None,
        },
        document,
        ..Found::default()
    };
    Ok(found.into_medium(&session.base))
}

/// Finds the address that answers, and a token if the service has such.
fn token(session: &mut Session<'_>, dialect: &Dialect) -> anyhow::Result<Option<String>> {
    let mut first = None;
    for address in dialect.addresses {
        let headers = vec![(dialect.token[0], TOKEN_LIFE.to_owned())];
        let request = Request { method: "PUT", url: "/latest/api/token".into(), headers, ..Request::default() };
        match session.at(address).send(Request { body: Some(Vec::new()), ..request }) {
            Ok(answer) if answer.status == 200 => {
                let token = String::from_utf8(answer.body)
                    .ok()
                    .filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()) && !token.is_empty());
                return token.map(Some).context("the token is not one");
            }
            Ok(answer) if answer.status >= 500 || answer.status == 429 => {
                bail!("{address}/latest/api/token: status {}", answer.status)
            }
            // Made after EC2 before there were tokens.
            Ok(_) => return Ok(None),
            Err(error) => drop(first.get_or_insert(error)),
        }
    }
    Err(first.unwrap_or_else(|| anyhow::anyhow!("no address")))
}

fn version(session: &Session<'_>, dialect: &Dialect) -> anyhow::Result<&'static str> {
    for version in dialect.versions {
        if session.text(&format!("/{version}/meta-data/instance-id"))?.is_some() {
            return Ok(version);
        }
    }
    bail!("{}: none of the versions {} has an instance-id", session.base, dialect.versions.join(", "))
}

fn directory(
    session: &Session<'_>,
    dialect: &Dialect,
    path: &str,
    depth: usize,
    requests: &mut usize,
) -> anyhow::Result<Value> {
    let mut tree = Map::new();
    let Some(list) = session.text(path)? else { return Ok(Value::Object(tree)) };
    for name in list.lines().map(str::trim).filter(|name| is_wanted(name, dialect)) {
        *requests += 1;
        if *requests > MAX_REQUESTS || depth > MAX_DEPTH {
            bail!("{path}: the tree has no end");
        }
        // `0=name` below public-keys/ is the directory `0/`.
        if let Some((number, _)) = name.split_once('=') {
            if let Some(key) = session.text(&format!("{path}{number}/openssh-key"))? {
                tree.insert(number.to_owned(), key.into());
            }
        } else if let Some(key) = name.strip_suffix('/') {
            tree.insert(key.to_owned(), directory(session, dialect, &format!("{path}{name}"), depth + 1, requests)?);
        } else if let Some(text) = session.text(&format!("{path}{name}"))? {
            tree.insert(name.to_owned(), text.into());
        }
    }
    Ok(Value::Object(tree))
}

/// Alibaba gives directories of names with `openssh-key` in them.
fn public_keys(document: &Value) -> Vec<String> {
    let Some(Value::Object(entries)) = document.get("public-keys") else { return Vec::new() };
    let texts = entries.values().filter_map(|entry| entry.as_str().or_else(|| entry.get("openssh-key")?.as_str()));
    texts.flat_map(str::lines).map(str::to_owned).collect()
}

fn is_wanted(name: &str, dialect: &Dialect) -> bool {
    !name.is_empty()
        && !dialect.secret.contains(&name)
        && (name.contains('=') || name.bytes().all(|byte| byte.is_ascii_graphic()))
}
