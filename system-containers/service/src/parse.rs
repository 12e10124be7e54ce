//! Text to [`Service`]; reading the file is the caller's.

use crate::schema::Service;
use crate::validate::{Problem, validate};

/// Why a `service.toml` was refused.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Not TOML, an unknown key or a wrong type; the text holds line, column and the offending line.
    #[error("{source_name}: {message}")]
    Syntax {
        /// Path or other name of the text.
        source_name: String,
        /// The TOML parser's report.
        message: String,
    },
    /// Well formed, but the keys contradict each other.
    #[error("{source_name}: {}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid {
        /// Path or other name of the text.
        source_name: String,
        /// Everything found, not only the first.
        problems: Vec<Problem>,
    },
}

/// Parses and checks one service; `source_name` is named in errors.
pub fn parse(source_name: &str, text: &str) -> Result<Service, ParseError> {
    let service: Service = toml::from_str(text).map_err(|error| ParseError::Syntax {
        source_name: source_name.into(),
        message: error.to_string().trim_end().into(),
    })?;
    let problems = validate(&service);
    if problems.is_empty() {
        Ok(service)
    } else {
        Err(ParseError::Invalid { source_name: source_name.into(), problems })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/bin/a\"]\n";

    #[test]
    fn minimal_service_gets_the_strict_defaults() {
        let service = parse("t", MINIMAL).unwrap();
        assert!(service.security.no_new_privs);
        assert!(service.security.capabilities.is_empty());
        assert_eq!(service.namespaces.network, crate::Network::Private);
    }

    #[test]
    fn unknown_key_names_file_line_and_key() {
        let error =
            parse("t/service.toml", &format!("{MINIMAL}[run]\nrestrat = \"always\"\n")).unwrap_err().to_string();
        assert!(error.contains("t/service.toml") && error.contains("line 6") && error.contains("restrat"), "{error}");
    }

    #[test]
    fn every_problem_is_reported() {
        let text = MINIMAL.replace("/bin/a", "a") + "[security]\ncapabilities = [\"CAP_KILL\"]\n";
        let error = parse("t", &text).unwrap_err().to_string();
        assert!(error.contains("absolute") && error.contains("CAP_KILL"), "{error}");
    }

    #[test]
    fn health_and_descriptors_are_checked() {
        let two = "[[process]]\nname = \"b\"\ncommand = [\"/b\"]\n";
        for (text, key) in [
            ("[health]\nwatchdog = 5\n[run]\nfd-store-max = 4\n".to_owned(), None),
            ("[health]\nretries = 2\n".into(), Some("health: set")),
            ("[health]\nwatchdog = 0\n".into(), Some("health.watchdog")),
            (format!("{two}[health]\nwatchdog = 5\n"), Some("health.watchdog")),
            (format!("{two}[run]\nfd-store-max = 1\n"), Some("run.fd-store-max")),
            ("[run]\nfd-store-max = 65\n".into(), Some("run.fd-store-max")),
        ] {
            let result = parse("t", &format!("{MINIMAL}{text}")).map_err(|error| error.to_string());
            match key {
                None => assert!(result.is_ok(), "{text}: {result:?}"),
                Some(key) => assert!(result.as_ref().is_err_and(|error| error.contains(key)), "{text}: {result:?}"),
            }
        }
    }

    #[test]
    fn timers_are_checked() {
        for (kind, timer, key) in [
            ("oneshot", "calendar = \"0 3 * * *\"\njitter = 60\npersistent = true", None),
            ("oneshot", "after-boot = 60\ninterval = 3600", None),
            ("daemon", "interval = 5", Some("timer: only")),
            ("oneshot", "jitter = 5", Some("timer: set")),
            ("oneshot", "calendar = \"0 3 * *\"", Some("timer.calendar")),
            ("oneshot", "interval = 0", Some("timer.interval")),
            ("oneshot", "interval = 9\npersistent = true", Some("timer.persistent")),
        ] {
            let text = format!("kind = \"{kind}\"\n{MINIMAL}[timer]\n{timer}\n");
            let result = parse("t", &text).map_err(|error| error.to_string());
            match key {
                None => assert!(result.is_ok(), "{text}: {result:?}"),
                Some(key) => assert!(result.as_ref().is_err_and(|error| error.contains(key)), "{text}: {result:?}"),
            }
        }
    }

    #[test]
    fn limits_are_checked() {
        for (text, key) in [
            ("memory-swap-max = \"0\"\noom-group = true\ncpu-max = 150\nio-weight = 10", None),
            ("io-max = [{ device = \"system-disk\", read-bytes = \"10M\", write-operations = 100 }]", None),
            ("memory-swap-max = \"much\"", Some("limits.memory-swap-max")),
            ("io-max = [{ device = \"sda\" }]", Some("limits.io-max.device")),
            ("io-max = [{ device = \"/dev/sda\", write-bytes = \"x\" }]", Some("limits.io-max.write-bytes")),
            ("io-weight = 0", Some("limits.io-weight")),
            ("cpu-max = 0", Some("limits.cpu-max")),
        ] {
            let result = parse("t", &format!("{MINIMAL}[limits]\n{text}\n")).map_err(|error| error.to_string());
            match key {
                None => assert!(result.is_ok(), "{text}: {result:?}"),
                Some(key) => assert!(result.as_ref().is_err_and(|error| error.contains(key)), "{text}: {result:?}"),
            }
        }
    }
}
