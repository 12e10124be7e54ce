//! What a release is made of, as SPDX 2.3 (ISO/IEC 5962) in JSON.

use crate::manifest::Carried;
use hull_update::trust::Stamp;
use serde_json::{Value, json};

/// The document. Made of the image's own facts, so that the same image has the same one.
pub(crate) fn document(version: &str, root_hash: &str, time: u64, packages: &[Carried]) -> Value {
    let image = "SPDXRef-Hull";
    let mut listed = vec![json!({
        "SPDXID": image,
        "name": "hull",
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
    })];
    let mut relationships = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": image,
    })];
    for (number, package) in packages.iter().enumerate() {
        let id = format!("SPDXRef-Package-{number}");
        relationships.push(json!({
            "spdxElementId": image,
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": id,
        }));
        listed.push(json!({
            "SPDXID": id,
            "name": package.name,
            "versionInfo": package.version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "sourceInfo": format!("Debian source package {}", package.source),
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": format!("pkg:deb/debian/{}@{}", escape(&package.name), escape(&package.version)),
            }],
        }));
    }
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("hull-{version}"),
        "documentNamespace": format!("https://spdx.org/spdxdocs/hull-{version}-{root_hash}"),
        "creationInfo": { "created": Stamp(time).rfc3339(), "creators": ["Tool: hull-image-build"] },
        "packages": listed,
        "relationships": relationships,
    })
}

/// Percent-encoding of the package URL specification.
fn escape(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_~:".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_described_and_contained() {
        let package = Carried { name: "libstdc++6".into(), version: "14.2.0-19".into(), source: "gcc-14".into() };
        let document = document("1.2.0", "ab", 1_704_067_199, &[package]);
        assert_eq!(document["creationInfo"]["created"], "2023-12-31T23:59:59Z");
        let listed = &document["packages"][1];
        assert_eq!(listed["externalRefs"][0]["referenceLocator"], "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19");
        assert_eq!(document["relationships"][1]["relatedSpdxElement"], listed["SPDXID"]);
        assert_eq!(document["relationships"].as_array().unwrap().len(), 2);
    }
}
