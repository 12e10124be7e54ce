//! An expanded list as names out of the kernel's own table, whatever libseccomp knows.

use super::groups::Expanded;
use hull_service::confinement::SYSTEM_CALLS;

/// The calls the list asks for, sorted. Calls newer than the image's kernel do not exist there and are left out.
pub(crate) fn listed(list: &Expanded) -> Vec<String> {
    let allowed = |call: &&&str| {
        let is_removed = list.removed.iter().any(|name| name.text == ***call);
        !is_removed && (list.all_known || list.allowed.iter().any(|name| name.text == ***call))
    };
    SYSTEM_CALLS.iter().filter(allowed).map(|call| (*call).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Groups, compile};

    fn expand(list: &[&str]) -> Expanded {
        let list: Vec<String> = list.iter().map(|item| (*item).to_owned()).collect();
        Groups::parse("[groups]\n").unwrap().expand(&list).unwrap()
    }

    #[test]
    fn names_are_the_lists() {
        assert_eq!(listed(&expand(&["write", "read", "not_in_this_kernel?"])), ["read", "write"]);
        let known = listed(&expand(&["@known", "!read"]));
        assert_eq!(known.len(), SYSTEM_CALLS.len() - 1);
        assert!(!known.contains(&"read".to_owned()));
    }

    #[test]
    fn what_libseccomp_does_not_know_is_listed_and_not_let_through() {
        let groups = Groups::parse("[groups]\n").unwrap();
        let filter = compile(&groups, &["@known".into()]).unwrap();
        assert_eq!(filter.listed.len(), SYSTEM_CALLS.len());
        assert!(filter.calls.len() > 300 && filter.calls.contains(&"mount".to_owned()));
        assert!(filter.calls.iter().all(|call| filter.listed.contains(call)));
    }
}
