//! Certificates of authorities for console and engine.

use crate::machine::trust::Trust;

/// What the owner adds.
pub const BUNDLE: &str = "ca-certificates.crt";
/// There when the authorities of the OS do not count.
pub const NO_DEFAULTS: &str = "no-default-authorities";

/// One file with all that the owner adds; empty without any.
pub fn bundle(trust: &Trust) -> String {
    let texts = trust.certificates.iter().flatten();
    texts.map(|text| text.trim().lines().map(|line| format!("{}\n", line.trim())).collect::<String>()).collect()
}

/// Names of files for one service, with their content. The second one is there only when the authorities of the OS do
/// not count.
pub fn files(trust: &Trust) -> Vec<(&'static str, String)> {
    let mut files = vec![(BUNDLE, bundle(trust))];
    if trust.defaults == Some(false) {
        files.push((NO_DEFAULTS, String::new()));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_certificates_are_in_one_file() {
        let trust = Trust { certificates: Some(vec![" a\r\n  b".into(), "c\n\n".into()]), defaults: Some(false) };
        assert_eq!(files(&trust), [("ca-certificates.crt", "a\nb\nc\n".into()), ("no-default-authorities", "".into())]);
        assert_eq!(files(&Trust::default()), [("ca-certificates.crt", String::new())]);
    }
}
