//! `seccomp-groups.toml` and the expansion of a service's list: groups nest, `!name` is taken out at the end.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The built-in group: all system calls libseccomp knows, of every ABI the kernel runs.
const KNOWN: &str = "known";
/// Groups within groups; more is a loop.
const MAX_DEPTH: usize = 8;

/// Named groups of system calls.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    groups: BTreeMap<String, Vec<String>>,
}

/// One system call name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The name.
    pub text: String,
    /// libseccomp may not know it.
    pub optional: bool,
}

/// A list with its groups resolved.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// Everything known is allowed, `allowed` or not.
    pub all_known: bool,
    /// Allowed by name.
    pub allowed: BTreeSet<Name>,
    /// Taken out of both.
    pub removed: BTreeSet<Name>,
}

impl Groups {
    /// Parses the file's text.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("not the form of [groups]")
    }

    /// Resolves one list.
    pub fn expand(&self, list: &[String]) -> Result<Expanded> {
        let mut expanded = Expanded::default();
        self.expand_into(list, MAX_DEPTH, &mut expanded)?;
        let removed = &expanded.removed;
        expanded.allowed.retain(|name| !removed.iter().any(|other| other.text == name.text));
        Ok(expanded)
    }

    fn expand_into(&self, list: &[String], depth: usize, expanded: &mut Expanded) -> Result<()> {
        for item in list {
            if let Some(group) = item.strip_prefix('@') {
                if group == KNOWN {
                    expanded.all_known = true;
                    continue;
                }
                let members = self.groups.get(group).with_context(|| format!("there is no group \"@{group}\""))?;
                let Some(depth) = depth.checked_sub(1) else { bail!("the group \"@{group}\" contains itself") };
                self.expand_into(members, depth, expanded).with_context(|| format!("in \"@{group}\""))?;
            } else if let Some(name) = item.strip_prefix('!') {
                expanded.removed.insert(Name::new(name));
            } else {
                expanded.allowed.insert(Name::new(item));
            }
        }
        Ok(())
    }
}

impl Name {
    fn new(text: &str) -> Self {
        match text.strip_suffix('?') {
            Some(text) => Self { text: text.into(), optional: true },
            None => Self { text: text.into(), optional: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(list: &[&str]) -> Result<Expanded> {
        let groups = Groups::parse(
            "[groups]\nio = [\"read\", \"write\", \"statmount?\"]\ndefault = [\"@io\", \"exit\"]\nloop = [\"@loop\"]\n",
        )?;
        groups.expand(&list.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn lists_expand() {
        for (list, allowed) in [
            (&["@default"][..], &["exit", "read", "statmount", "write"][..]),
            (&["@default", "!write"], &["exit", "read", "statmount"]),
            (&["!write", "@io", "write"], &["read", "statmount"]),
            (&["@known", "!read"], &[]),
        ] {
            let expanded = expand(list).unwrap();
            assert_eq!(expanded.allowed.iter().map(|name| name.text.as_str()).collect::<Vec<_>>(), allowed, "{list:?}");
        }
        assert!(expand(&["@known"]).unwrap().all_known);
        assert!(expand(&["@io"]).unwrap().allowed.iter().any(|name| name.optional));
    }

    #[test]
    fn unknown_and_looping_groups_are_named() {
        for (list, part) in [(["@nothing"], "@nothing"), (["@loop"], "contains itself")] {
            assert!(format!("{:#}", expand(&list).unwrap_err()).contains(part), "{list:?}");
        }
    }
}
