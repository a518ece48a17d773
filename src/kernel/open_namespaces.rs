//! What a run has open of namespaces: [`EACH`] descriptors of each, and of so many namespaces that descriptors go around.
//!
//! A run makes the first thing of all namespaces, then the second of all, and so on in the same order. Where not all of them can be
//! open together, the one that was opened last makes room: it is needed last again. If the first made room, each would be closed
//! just before its next turn.

use super::limits::Descriptors;
use super::route_socket::Netlink;
use crate::model::Name;
use std::collections::BTreeMap;
use std::fs::File;

/// The namespace, and a socket.
const EACH: u64 = 2;
/// What else a run has open at the same time.
const REST: u64 = 40;

/// An open namespace.
pub(super) struct OpenNamespace {
    pub(super) file: File,
    pub(super) netlink: Netlink,
}

/// The namespaces that are open, or in tests anything else.
pub(super) struct OpenNamespaces<T = OpenNamespace> {
    all: BTreeMap<Name, T>,
    newest: Option<Name>,
    most: usize,
}

impl<T> OpenNamespaces<T> {
    pub(super) fn new(descriptors: &Descriptors) -> Self {
        let most = descriptors.most().saturating_sub(REST) / EACH;
        Self::of_at_most(usize::try_from(most).unwrap_or(usize::MAX))
    }

    /// At least one, or nothing could be done.
    fn of_at_most(most: usize) -> Self {
        Self { all: BTreeMap::new(), newest: None, most: most.max(1) }
    }

    pub(super) fn contains(&self, name: &Name) -> bool {
        self.all.contains_key(name)
    }

    pub(super) fn get(&self, name: &Name) -> Option<&T> {
        self.all.get(name)
    }

    /// The one to be closed before another one is opened, where there is no room for that.
    pub(super) fn make_room(&mut self) -> Option<T> {
        if self.all.len() < self.most {
            return None;
        }
        let newest = self.newest.take().and_then(|name| self.all.remove(&name));
        newest.or_else(|| self.all.pop_last().map(|(_, opened)| opened))
    }

    /// After [`OpenNamespaces::make_room`].
    pub(super) fn insert(&mut self, name: Name, opened: T) {
        self.newest = Some(name.clone());
        self.all.insert(name, opened);
    }

    pub(super) fn close(&mut self, name: &Name) {
        self.all.remove(name);
    }

    pub(super) fn close_all(&mut self) {
        self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(namespaces: &mut OpenNamespaces<u8>, name: &str) {
        namespaces.make_room();
        namespaces.insert(name.parse().unwrap(), 0);
    }

    fn are_open(namespaces: &OpenNamespaces<u8>) -> String {
        namespaces.all.keys().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_newest_makes_room() {
        let mut namespaces = OpenNamespaces::of_at_most(2);
        for (name, left) in [("a", "a"), ("b", "a b"), ("c", "a c"), ("d", "a d")] {
            open(&mut namespaces, name);
            assert_eq!(are_open(&namespaces), left);
        }
        namespaces.close(&"d".parse().unwrap());
        open(&mut namespaces, "b");
        assert_eq!(are_open(&namespaces), "a b");
        namespaces.close(&"b".parse().unwrap());
        namespaces.insert("c".parse().unwrap(), 0);
        namespaces.close(&"c".parse().unwrap());
        open(&mut namespaces, "e");
        assert_eq!(are_open(&namespaces), "a e");
    }

    #[test]
    fn one_can_always_be_open() {
        let mut namespaces = OpenNamespaces::of_at_most(0);
        open(&mut namespaces, "a");
        open(&mut namespaces, "b");
        assert_eq!(are_open(&namespaces), "b");
    }
}
