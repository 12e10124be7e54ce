//! Descriptors the daemon leaves with PID 1, so that they outlive it: above all the read ends of its services' log pipes.

use std::fmt;

/// Three for each of 1300 services; PID 1 may have 8192 files open.
const CAPACITY: usize = 4096;

/// Descriptors by name, in the order they came.
#[derive(Debug)]
pub(crate) struct FdStore<F>(Vec<(String, F)>);

/// The store holds [`CAPACITY`] descriptors.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store is full ({CAPACITY} descriptors)")
    }
}

impl<F> FdStore<F> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Keeps `fd`, closing the one of the same name before it.
    pub(crate) fn put(&mut self, name: String, fd: F) -> Result<(), Full> {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.0 == name) {
            entry.1 = fd;
        } else if self.0.len() < CAPACITY {
            self.0.push((name, fd));
        } else {
            return Err(Full);
        }
        Ok(())
    }

    /// Closes the descriptor of this name; says whether there was one.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|entry| entry.0 != name);
        self.0.len() < before
    }

    pub(crate) fn get(&self, name: &str) -> Option<&F> {
        self.0.iter().find(|entry| entry.0 == name).map(|entry| &entry.1)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|entry| entry.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn put_replaces_and_remove_forgets() {
        let mut store = FdStore::new();
        for (name, fd) in [("a", 1), ("b", 2), ("a", 3)] {
            assert_eq!(store.put(name.into(), fd), Ok(()));
        }
        assert_eq!(store.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((store.get("a"), store.get("c")), (Some(&3), None));
        assert!(store.remove("a") && !store.remove("a"));
        assert_eq!(store.names().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_full_store_takes_replacements_only() {
        let mut store = FdStore::new();
        for index in 0..CAPACITY {
            assert_eq!(store.put(index.to_string(), index), Ok(()));
        }
        assert_eq!(store.put("more".into(), 0), Err(Full));
        assert_eq!(store.put("0".into(), 7), Ok(()));
        assert_eq!(store.get("0"), Some(&7));
    }
}
