//! Microsoft Azure's instance metadata service, and its host, which has to be told that the machine is ready: without that
//! the cloud takes the machine for one that failed.
//!
//! ```text
//! GET  http://169.254.169.254/metadata/instance?api-version=2021-08-01&extended=true     header Metadata: true
//! GET  http://168.63.129.16/machine/?comp=goalstate
//! POST http://168.63.129.16/machine?comp=health
//! ```
//! Documentation: "Azure Instance Metadata Service", "Azure Linux VM provisioning without cloud-init". The older
//! custom data is on a medium: [`ovf_env`](crate::seed::ovf_env).

use super::found::{self, Found, text};
use super::session::Session;
use super::transport::{Request, Transport};
use crate::document::json::for_yaml;
use crate::document::xml;
use crate::seed::medium::Medium;
use anyhow::{Context, ensure};
use serde_json::{Value, json};

const ADDRESS: &str = "http://169.254.169.254";
const HOST: &str = "http://168.63.129.16";
const AGENT: [(&str, &str); 2] = [("x-ms-agent-name", "hull"), ("x-ms-version", "2012-11-30")];

/// Reads everything.
pub fn read(session: &mut Session<'_>) -> anyhow::Result<Medium> {
    session.at(ADDRESS).headers.push(("Metadata", "true".into()));
    let root = session.json("/metadata/instance?api-version=2021-08-01&extended=true")?;
    let compute = root.get("compute").context("no compute in the answer")?;
    let profile = compute.get("osProfile").unwrap_or(&Value::Null);
    let keys = compute.get("publicKeys").and_then(Value::as_array).into_iter().flatten();
    let found = Found {
        instance_id: Some(text(compute, "vmId").context("no compute.vmId in the answer")?),
        hostname: text(profile, "computerName").or_else(|| text(compute, "name")),
        public_keys: keys.flat_map(|key| found::keys(key.get("keyData"))).collect(),
        region: text(compute, "location"),
        zone: text(compute, "zone"),
        user_data: found::base64(compute, "userData")?,
        vendor_data: text(profile, "adminUsername").map(|name| administrator(&name)),
        document: compute.clone(),
        network_config: None,
    };
    Ok(found.into_medium(&session.base))
}

/// The account that the cloud's form asks for is the default user; user data can name another.
fn administrator(name: &str) -> Vec<u8> {
    format!("#cloud-config\n{}\n", for_yaml(&json!({ "user": name }))).into_bytes()
}

/// Tells the host that the machine is ready.
pub fn report_ready(transport: &impl Transport) -> anyhow::Result<()> {
    let mut session = Session::new(transport);
    session.at(HOST).headers = AGENT.map(|(name, value)| (name, value.to_owned())).into();
    let state = session.text("/machine/?comp=goalstate")?.context("no goal state")?;
    let field = |name: &str| element(&state, name).with_context(|| format!("no {name} in the goal state"));
    let [incarnation, container, instance] = [field("Incarnation")?, field("ContainerId")?, field("InstanceId")?];
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Health><GoalStateIncarnation>{incarnation}</GoalStateIncarnation><Container><ContainerId>{container}</ContainerId><RoleInstanceList><Role><InstanceId>{instance}</InstanceId><Health><State>Ready</State></Health></Role></RoleInstanceList></Container></Health>"
    );
    let answer = session.send(Request {
        method: "POST",
        url: "/machine?comp=health".into(),
        headers: vec![("Content-Type", "text/xml; charset=utf-8".into())],
        body: Some(body.into_bytes()),
        ..Request::default()
    })?;
    ensure!((200..300).contains(&answer.status), "{HOST}/machine?comp=health: status {}", answer.status);
    Ok(())
}

/// Text of an element. It goes back into XML as it is, so nothing but what ids are made of is taken.
fn element(xml: &str, name: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    xml::text(xml, name).filter(|text| !text.is_empty() && text.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_ids_or_nothing() {
        let xml = "<a><ContainerId> c-1 </ContainerId><InstanceId>x&lt;y</InstanceId></a>";
        assert_eq!(element(xml, "ContainerId").as_deref(), Some("c-1"));
        assert_eq!((element(xml, "InstanceId"), element(xml, "Incarnation")), (None, None));
    }
}
