//! The dependency graph: who waits for whom. Pure.

use super::load::Broken;
use std::collections::{BTreeMap, BTreeSet};

/// Dependencies of services that can be started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    /// Service → services that must have become ready, failed or ended before it starts.
    pub after: BTreeMap<String, BTreeSet<String>>,
    /// Service → services that must be ready (or ended well) before it starts.
    pub requires: BTreeMap<String, BTreeSet<String>>,
}

/// One service's own wishes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edges {
    /// `after` of the definition.
    pub after: Vec<String>,
    /// `requires` of the definition.
    pub requires: Vec<String>,
}

/// Builds the graph. A service on a cycle is broken, and the reason names the cycle. A name nobody has is passed over
/// in `after` (a service may be absent from an image) and breaks the service in `requires`.
pub fn build(edges: &BTreeMap<String, Edges>) -> (Graph, Vec<Broken>) {
    let mut broken = BTreeMap::new();
    for (name, edge) in edges {
        if let Some(missing) = edge.requires.iter().find(|other| !edges.contains_key(*other)) {
            broken.insert(name.clone(), format!("{name} requires \"{missing}\", which is no service of this system"));
        }
    }
    let all: BTreeMap<&str, BTreeSet<&str>> = edges
        .iter()
        .map(|(name, edge)| {
            let others = edge.after.iter().chain(&edge.requires).map(String::as_str);
            (name.as_str(), others.filter(|other| edges.contains_key(*other)).collect())
        })
        .collect();
    for name in edges.keys() {
        if let Some(cycle) = cycle_through(&all, name) {
            broken.insert(name.clone(), format!("the services wait for each other: {}", cycle.join(" → ")));
        }
    }

    let mut graph = Graph::default();
    for (name, edge) in edges.iter().filter(|(name, _)| !broken.contains_key(*name)) {
        let known = |other: &&String| edges.contains_key(*other) && !broken.contains_key(*other);
        graph.after.insert(name.clone(), edge.after.iter().filter(known).cloned().collect());
        graph.requires.insert(name.clone(), edge.requires.iter().cloned().collect());
    }
    (graph, broken.into_iter().map(|(service, reason)| Broken { service, reason }).collect())
}

/// The shortest cycle that comes back to `start`, its name at both ends.
fn cycle_through<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut frontier = vec![start];
    while !frontier.is_empty() {
        let mut next = Vec::new();
        for &name in &frontier {
            for &other in edges.get(name).into_iter().flatten() {
                if other == start {
                    let mut path = vec![start, name];
                    let mut current = name;
                    while current != start {
                        current = came_from.get(current)?;
                        path.push(current);
                    }
                    path.reverse();
                    return Some(path);
                }
                if !came_from.contains_key(other) {
                    came_from.insert(other, name);
                    next.push(other);
                }
            }
        }
        frontier = next;
    }
    None
}

impl Graph {
    /// Services that wait for `service`, so that a stop takes them first.
    pub fn dependents<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a str> {
        self.after
            .iter()
            .chain(&self.requires)
            .filter(move |(_, others)| others.contains(service))
            .map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edges(list: &[(&str, &[&str], &[&str])]) -> BTreeMap<String, Edges> {
        let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        list.iter()
            .map(|(name, after, requires)| (name.to_string(), Edges { after: own(after), requires: own(requires) }))
            .collect()
    }

    #[test]
    fn cycle_is_named_and_the_rest_stays() {
        let (graph, broken) = build(&edges(&[
            ("a", &["b"], &[]),
            ("b", &[], &["c"]),
            ("c", &["a"], &[]),
            ("d", &["a"], &[]),
            ("e", &["d", "absent"], &[]),
        ]));
        assert_eq!(broken.len(), 3);
        assert_eq!(broken[0].reason, "the services wait for each other: a → b → c → a");
        assert_eq!(graph.after.keys().collect::<Vec<_>>(), ["d", "e"]);
        assert!(graph.after["d"].is_empty());
        assert_eq!(graph.dependents("d").collect::<Vec<_>>(), ["e"]);
    }

    #[test]
    fn self_cycle_and_missing_requirement() {
        let (_, broken) = build(&edges(&[("a", &["a"], &[]), ("b", &[], &["absent"])]));
        assert_eq!(broken[0].reason, "the services wait for each other: a → a");
        assert!(broken[1].reason.contains("absent"));
    }

    proptest! {
        /// Whatever the edges: what is left can be ordered completely, and only services on cycles are taken out.
        #[test]
        fn what_is_left_has_an_order(pairs in proptest::collection::vec((0_u8..12, 0_u8..12), 0..40)) {
            let mut list: BTreeMap<String, Edges> = (0..12).map(|n| (format!("s{n}"), Edges::default())).collect();
            for (from, to) in &pairs {
                list.get_mut(&format!("s{from}")).unwrap().after.push(format!("s{to}"));
            }
            let (graph, broken) = build(&list);
            let mut done = BTreeSet::new();
            while let Some(next) = graph.after.iter().find(|(name, after)| !done.contains(*name) && after.is_subset(&done)) {
                done.insert(next.0.clone());
            }
            prop_assert_eq!(done.len(), graph.after.len());
            prop_assert_eq!(done.len() + broken.len(), 12);
            for Broken { service, .. } in &broken {
                let mut reached = BTreeSet::new();
                let mut work = vec![service.clone()];
                while let Some(name) = work.pop() {
                    for other in &list[&name].after {
                        if reached.insert(other.clone()) {
                            work.push(other.clone());
                        }
                    }
                }
                prop_assert!(reached.contains(service), "{} is on no cycle", service);
            }
        }
    }
}
