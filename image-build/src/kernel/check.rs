//! Compares a complete kernel configuration with what was asked for. Pure: text in, violations out.
//!
//! Three sources of demands: the `required` and `forbidden` lists say what the operating system cannot do without
//! and must never have; the fragments say what we asked the configuration program for, which it drops without an
//! error where a dependency is missing or a later kernel renamed the option.

use std::collections::HashMap;
use std::fmt;

/// One demand that a configuration does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// A line of the `required` list has another value, or none.
    Required {
        /// The line as the list has it: `CONFIG_X=value`.
        wanted: String,
        /// The value found; none when the option is off or unknown to this kernel.
        found: Option<String>,
    },
    /// An option of the `forbidden` list is on.
    Forbidden {
        /// The option.
        name: String,
        /// Its value.
        found: String,
    },
    /// A setting in a fragment has no effect.
    Dishonoured {
        /// The line as the fragment has it.
        wanted: String,
        /// The value found; none when the option is off or unknown to this kernel.
        found: Option<String>,
    },
    /// A line of a list is neither empty, a comment, nor of that list's form.
    Malformed {
        /// `required` or `forbidden`.
        list: &'static str,
        /// The line.
        line: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |found: &Option<String>| found.clone().unwrap_or_else(|| "off or unknown".into());
        match self {
            Self::Required { wanted, found } => write!(out, "required {wanted}, but it is {}", value(found)),
            Self::Forbidden { name, found } => write!(out, "forbidden {name} is {found}"),
            Self::Dishonoured { wanted, found } => {
                write!(out, "fragment line \"{wanted}\" has no effect: the option is {}", value(found))
            }
            Self::Malformed { list, line } => write!(out, "the {list} list has a line it cannot have: {line}"),
        }
    }
}

/// Compares `config` with the lists `required` (lines `CONFIG_X=value`) and `forbidden` (lines `CONFIG_X`).
/// Empty lines and `#` comments are skipped in both.
pub(crate) fn check(config: &str, required: &str, forbidden: &str) -> Vec<Violation> {
    let values = values(config);
    let mut violations = Vec::new();
    for line in entries(required) {
        match setting(line) {
            Some((name, Some(wanted))) if values.get(name) == Some(&wanted) => {}
            Some((name, Some(_))) => {
                violations.push(Violation::Required { wanted: line.into(), found: at(&values, name) })
            }
            _ => violations.push(Violation::Malformed { list: "required", line: line.into() }),
        }
    }
    for line in entries(forbidden) {
        if !is_name(line) {
            violations.push(Violation::Malformed { list: "forbidden", line: line.into() });
        } else if let Some(found) = at(&values, line) {
            violations.push(Violation::Forbidden { name: line.into(), found });
        }
    }
    violations
}

/// Settings of `fragments` that `config` does not have.
pub(crate) fn dishonoured(config: &str, fragments: &str) -> Vec<Violation> {
    let values = values(config);
    fragments
        .lines()
        .filter_map(|line| Some((line, setting(line)?)))
        .filter(|(_, (name, wanted))| values.get(name) != wanted.as_ref())
        .map(|(line, (name, _))| Violation::Dishonoured { wanted: line.into(), found: at(&values, name) })
        .collect()
}

/// Reads one line of a configuration or fragment: `CONFIG_X=value`, or `# CONFIG_X is not set`, whose value is none.
/// Anything else is no setting.
pub(super) fn setting(line: &str) -> Option<(&str, Option<&str>)> {
    if let Some(name) = line.strip_prefix("# ").and_then(|rest| rest.strip_suffix(" is not set")) {
        return is_name(name).then_some((name, None));
    }
    let (name, value) = line.split_once('=')?;
    is_name(name).then_some((name, Some(value)))
}

fn values(config: &str) -> HashMap<&str, &str> {
    config.lines().filter_map(setting).filter_map(|(name, value)| Some((name, value?))).collect()
}

fn at(values: &HashMap<&str, &str>, name: &str) -> Option<String> {
    values.get(name).map(ToString::to_string)
}

fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn is_name(text: &str) -> bool {
    text.strip_prefix("CONFIG_")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str =
        "# a comment\nCONFIG_SMP=y\nCONFIG_NR_CPUS=512\n# CONFIG_MODULES is not set\nCONFIG_LSM=\"yama,bpf\"\n";

    #[test]
    fn lines() {
        for (line, expected) in [
            ("CONFIG_SMP=y", Some(("CONFIG_SMP", Some("y")))),
            ("CONFIG_EMPTY=\"\"", Some(("CONFIG_EMPTY", Some("\"\"")))),
            ("# CONFIG_MODULES is not set", Some(("CONFIG_MODULES", None))),
            ("# CONFIG_MODULES=y", None),
            ("# what is not set", None),
            ("CONFIG_=y", None),
            ("config_smp=y", None),
            ("CONFIG_A B=y", None),
            ("", None),
        ] {
            assert_eq!(setting(line), expected, "{line}");
        }
    }

    #[test]
    fn lists() {
        let required = |wanted: &str, found: Option<&str>| {
            vec![Violation::Required { wanted: wanted.into(), found: found.map(Into::into) }]
        };
        let malformed = |list, line: &str| vec![Violation::Malformed { list, line: line.into() }];
        for (wants, bans, expected) in [
            ("CONFIG_SMP=y\n\n# why\nCONFIG_NR_CPUS=512", "# why\nCONFIG_MODULES\nCONFIG_KEXEC", vec![]),
            ("CONFIG_LSM=\"yama,bpf\"", "", vec![]),
            ("CONFIG_NR_CPUS=64", "", required("CONFIG_NR_CPUS=64", Some("512"))),
            ("CONFIG_MODULES=y", "", required("CONFIG_MODULES=y", None)),
            ("CONFIG_DM_VERITY=y", "", required("CONFIG_DM_VERITY=y", None)),
            // A prefix of a name is another option.
            ("CONFIG_NR=y", "CONFIG_NR", required("CONFIG_NR=y", None)),
            ("", "CONFIG_SMP", vec![Violation::Forbidden { name: "CONFIG_SMP".into(), found: "y".into() }]),
            ("CONFIG_SMP", "", malformed("required", "CONFIG_SMP")),
            ("", "CONFIG_SMP=y", malformed("forbidden", "CONFIG_SMP=y")),
        ] {
            assert_eq!(check(CONFIG, wants, bans), expected, "{wants:?} {bans:?}");
        }
    }

    #[test]
    fn fragments() {
        for (fragment, expected) in [
            ("# reason\nCONFIG_SMP=y\n# CONFIG_MODULES is not set\n# CONFIG_UNKNOWN is not set\n", vec![]),
            ("CONFIG_GONE=y", vec![("CONFIG_GONE=y", None)]),
            ("CONFIG_NR_CPUS=64", vec![("CONFIG_NR_CPUS=64", Some("512"))]),
            ("# CONFIG_SMP is not set", vec![("# CONFIG_SMP is not set", Some("y"))]),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(wanted, found)| Violation::Dishonoured {
                    wanted: wanted.into(),
                    found: found.map(str::to_owned),
                })
                .collect();
            assert_eq!(dishonoured(CONFIG, fragment), expected, "{fragment}");
        }
    }
}
