//! `hull: services`: services the owner adds, by name.

use super::names::is_web_url;
use crate::document::{Fields, Node};
use crate::report::{Messages, Place};
use hull_service::added::is_name;

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedService {
    /// Where the entry stands.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// Text of its `service.toml`.
    pub definition: String,
    /// Its image; without one the definition's own reference counts.
    pub image: Option<Image>,
    /// Servers asked before the registry.
    pub mirrors: Vec<String>,
    /// It is to run: whoever writes the user data allows what the definition asks for.
    pub enabled: bool,
}

/// Where the image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// In a registry, with its digest.
    Reference(String),
    /// A file of the console.
    Archive(String),
}

/// Reads the mapping; a service with a mistake is left out.
pub fn read(node: &Node, path: &str, messages: &mut Messages) -> Vec<AddedService> {
    let Some(entries) = node.map() else {
        messages.error(node.place, path, format!("expected services by name, found {}", node.describe()));
        return Vec::new();
    };
    entries
        .iter()
        .filter_map(|entry| one(&entry.key, &entry.node, &format!("{path}.{}", entry.key), messages))
        .collect()
}

fn one(name: &str, node: &Node, path: &str, messages: &mut Messages) -> Option<AddedService> {
    let before = messages.errors();
    let mut fields = Fields::new(node, path, messages)?;
    let definition = fields.text("definition", messages);
    let reference = fields.checked("image", is_reference, "a reference with a digest, host/name@sha256:…", messages);
    let archive = fields.checked("archive", |text| text.starts_with('/'), "an absolute path", messages);
    let mirrors = fields.texts("mirrors", true, is_web_url, "a URL such as https://mirror.example", messages);
    let enabled = fields.boolean("enabled", messages).unwrap_or(true);
    let place = fields.place();
    fields.deny_rest(messages);
    if !is_name(name) {
        messages.error(place, path, "a service's name is a-z, 0-9 and -, at most 40 of them, and begins with a letter");
    }
    if definition.is_none() && node.get("definition").is_none() {
        messages.error(place, path, "definition: the text of its service.toml is needed");
    }
    if reference.is_some() && archive.is_some() {
        messages.error(place, path, "image or archive, not both");
    }
    if messages.errors() > before {
        return None;
    }
    let image = reference.map(Image::Reference).or(archive.map(Image::Archive));
    Some(AddedService {
        place,
        name: name.into(),
        definition: definition?,
        image,
        mirrors: mirrors.unwrap_or_default(),
        enabled,
    })
}

/// The daemon looks closer; here it must only be no option and no path.
fn is_reference(text: &str) -> bool {
    text.contains("@sha256:") && text.starts_with(|first: char| first.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::userdata::cloud_config::CloudConfig;

    fn load(text: &str) -> (Vec<AddedService>, String) {
        let mut messages = Messages::new("user-data");
        let config = CloudConfig::parse(text, &mut messages).unwrap();
        (config.services.unwrap_or_default(), messages.list().iter().map(|message| format!("{message}\n")).collect())
    }

    #[test]
    fn services_by_name() {
        let text = "hull:\n  hostname: a\n  services:\n    web:\n      image: r.example/web@sha256:0\n      \
                    mirrors: [http://10.0.2.2:5000]\n      enabled: no\n      definition: |\n        description = 'x'\n";
        let (services, messages) = load(text);
        assert_eq!(messages, "");
        assert_eq!((services[0].name.as_str(), services[0].enabled), ("web", false));
        assert_eq!(services[0].image, Some(Image::Reference("r.example/web@sha256:0".into())));
        assert_eq!(services[0].definition, "description = 'x'\n");
    }

    #[test]
    fn mistakes_cost_one_service() {
        let sound = "    good: {definition: x}\n";
        for (entry, part) in [
            ("web: {}", "hull.services.web: definition"),
            ("web: {definition: x, image: web}", "line 3 column 33 hull.services.web.image: expected a reference"),
            ("web: {definition: x, image: --a@sha256:0}", "hull.services.web.image"),
            ("web: {definition: x, archive: web.tar}", "absolute path"),
            ("web: {definition: x, image: a@sha256:0, archive: /a}", "not both"),
            ("Web: {definition: x}", "begins with a letter"),
            ("web: {definition: x, privileged: true}", "privileged: unknown key"),
            ("web: 3", "hull.services.web: expected a mapping"),
        ] {
            let (services, messages) = load(&format!("hull:\n  services:\n    {entry}\n{sound}"));
            assert!(messages.contains(part), "{entry}: {messages}");
            assert_eq!(services.len(), 1, "{entry}");
        }
        assert!(load("hull: {services: [a]}").1.contains("expected services by name"));
    }
}
