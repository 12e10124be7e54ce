//! `hull: containers`: containers and Compose projects for the user engine, by name.
//!
//! ```text
//! <name>: { image: …, ports: …, … }            one container: a service of the Compose specification
//! <name>: { compose: { services: … } }         a project, as a mapping or as the text of the file
//!         { archives: [/path, …] }             with either: images to load first, as docker save writes them
//! ```
//! Only what Hull has to know is looked at; everything else of a definition is Compose's.

use crate::document::json::for_yaml;
use crate::document::{Fields, Node, Value};
use crate::report::{Messages, Place, quote};
use hull_service::added::is_name;
use serde_json::{Map, Value as Json, json};

/// One project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Where the entry stands.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// The Compose file.
    pub file: String,
    /// Image archives in the console's file system.
    pub archives: Vec<String>,
}

/// Reads the mapping; a project with a mistake is left out.
pub fn read(node: &Node, path: &str, messages: &mut Messages) -> Vec<Project> {
    let Some(entries) = node.map() else {
        messages.error(node.place, path, format!("expected containers by name, found {}", node.describe()));
        return Vec::new();
    };
    entries
        .iter()
        .filter_map(|entry| one(&entry.key, &entry.node, &format!("{path}.{}", quote(&entry.key)), messages))
        .collect()
}

fn one(name: &str, node: &Node, path: &str, messages: &mut Messages) -> Option<Project> {
    let before = messages.errors();
    let mut fields = Fields::new(node, path, messages)?;
    let place = fields.place();
    let archives = fields.texts("archives", true, |text| text.starts_with('/'), "an absolute path", messages);
    if !is_name(name) {
        let text = "expected a name of a-z, 0-9 and -, at most 40 of them, that begins with a letter";
        messages.error(place, path, text);
    }
    let file = match fields.take("compose") {
        Some(project) => {
            fields.deny_rest(messages);
            project_file(project, &format!("{path}.compose"), messages)
        }
        None => container_file(name, node, path, messages),
    };
    (messages.errors() == before).then_some(())?;
    Some(Project { place, name: name.into(), file: file?, archives: archives.unwrap_or_default() })
}

/// A whole file.
fn project_file(node: &Node, path: &str, messages: &mut Messages) -> Option<String> {
    match &node.value {
        Value::Map(_) => {
            for entry in node.get("services").and_then(Node::map).unwrap_or_default() {
                remark(&entry.node, &format!("{path}.services.{}", quote(&entry.key)), messages);
            }
            Some(for_yaml(&node.to_json()))
        }
        Value::Scalar(scalar) if node.text().is_some() => Some(scalar.text.clone()),
        _ => {
            let text = format!("expected a Compose file as a mapping or as text, found {}", node.describe());
            messages.error(node.place, path, text);
            None
        }
    }
}

/// One container; it comes back after a restart of engine or machine unless it says otherwise.
fn container_file(name: &str, node: &Node, path: &str, messages: &mut Messages) -> Option<String> {
    if node.get("image").and_then(Node::text).is_none() {
        messages.error(node.place, path, "image is needed, or compose with a whole project");
        return None;
    }
    remark(node, path, messages);
    let Json::Object(mut service) = node.to_json() else { return None };
    service.remove("archives");
    service.entry("restart").or_insert_with(|| "unless-stopped".into());
    service.entry("container_name").or_insert_with(|| name.into());
    let services = Map::from_iter([(name.to_owned(), Json::Object(service))]);
    Some(for_yaml(&json!({ "services": services })))
}

/// What is pulled by tag may be something else tomorrow.
fn remark(service: &Node, path: &str, messages: &mut Messages) {
    if let Some(image) =
        service.get("image").filter(|image| !image.text().is_some_and(|text| text.contains("@sha256:")))
    {
        let text = "without @sha256:…, so another machine or another day may get another image";
        messages.info(image.place, &format!("{path}.image"), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::userdata::testing::parsed;

    fn load(text: &str) -> (Vec<Project>, String) {
        parsed(text, |node, messages| read(node, "hull.containers", messages))
    }

    #[test]
    fn containers_and_projects() {
        let text = "web: {image: 'nginx@sha256:0', ports: [80:80, '8080:8080'], restart: no, archives: [/srv/a.tar]}\n\
                    db: {image: 'db@sha256:1', environment: {A: 0755, B: 1.5}}\n\
                    shop: {compose: {services: {a: {image: 'a@sha256:2'}}, volumes: {data: }}}\n\
                    text: {compose: \"services: {}\\n\"}\n";
        let (projects, messages) = load(text);
        assert_eq!(messages, "");
        let files: Vec<&str> = projects.iter().map(|project| project.file.as_str()).collect();
        assert_eq!(
            files,
            [
                r#"{"services":{"web":{"container_name":"web","image":"nginx@sha256:0","ports":["80:80","8080:8080"],"restart":"no"}}}"#,
                r#"{"services":{"db":{"container_name":"db","environment":{"A":"0755","B":1.5},"image":"db@sha256:1","restart":"unless-stopped"}}}"#,
                r#"{"services":{"a":{"image":"a@sha256:2"}},"volumes":{"data":null}}"#,
                "services: {}\n",
            ]
        );
        assert_eq!(projects[0].archives, ["/srv/a.tar"]);
    }

    #[test]
    fn mistakes_cost_one_project() {
        for (entry, part) in [
            ("web: {}", "hull.containers.web: image is needed"),
            ("web: 3", "hull.containers.web: expected a mapping"),
            ("Web: {image: a}", "expected a name of a-z"),
            ("web: {image: a, archives: [a.tar]}", "absolute path"),
            ("web: {compose: [a]}", "line 1 column 16 hull.containers.web.compose: expected a Compose file"),
            ("web: {compose: {}, image: a}", "web.image: unknown key"),
        ] {
            let (projects, messages) = load(&format!("{entry}\ngood: {{image: 'a@sha256:0'}}\n"));
            assert!(messages.contains(part), "{entry}: {messages}");
            assert_eq!(projects.len(), 1, "{entry}");
        }
        assert!(load("[a]").1.contains("expected containers by name"));
        let (projects, messages) = load("web: {image: nginx}");
        assert_eq!(projects.len(), 1);
        assert!(messages.contains("hull.containers.web.image: without @sha256:"), "{messages}");
    }
}
