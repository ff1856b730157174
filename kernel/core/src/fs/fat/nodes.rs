//! Which files are in use: one node for each, however often it is looked up.
//!
//! The table knows nodes by the place of their entry and does not keep them: a node goes with its last user, and takes itself
//! out. A file's number is the place of its entry, too, as long as nobody who moved away from there is still in use: a
//! number stays with its node.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::{Arc, Weak};

use super::node::Node;
use crate::hal::Cpu;

/// Numbers that are no places begin here.
const NO_PLACES: u64 = 1 << 48;

pub(super) struct Nodes<C: Cpu> {
    by_place: BTreeMap<u64, Weak<Node<C>>>,
    /// The numbers of nodes whose entries are elsewhere, or gone.
    moved: BTreeSet<u64>,
    next: u64,
}

impl<C: Cpu> Nodes<C> {
    pub(super) const fn new() -> Self {
        Self { by_place: BTreeMap::new(), moved: BTreeSet::new(), next: NO_PLACES }
    }

    /// Whether nobody uses any.
    pub(super) fn is_empty(&self) -> bool {
        self.by_place.is_empty() && self.moved.is_empty()
    }

    /// The node whose entry is at this place, if somebody uses it.
    pub(super) fn get(&self, place: u64) -> Option<Arc<Node<C>>> {
        self.by_place.get(&place)?.upgrade()
    }

    /// The number for a node whose entry is at this place.
    pub(super) fn number(&mut self, place: u64) -> u64 {
        if !self.moved.contains(&place) {
            return place;
        }
        self.next = self.next.saturating_add(1);
        self.moved.insert(self.next);
        self.next
    }

    pub(super) fn insert(&mut self, place: u64, node: &Arc<Node<C>>) {
        self.by_place.insert(place, Arc::downgrade(node));
    }

    /// The entry of the node is not at `from` any more, but at `to`, or gone.
    pub(super) fn relocate(&mut self, from: Option<u64>, to: Option<u64>, number: u64, node: &Weak<Node<C>>) {
        self.forget(from, node);
        self.moved.insert(number);
        if let Some(to) = to {
            self.by_place.insert(to, Weak::clone(node));
        }
    }

    /// Nobody uses the node any more.
    pub(super) fn remove(&mut self, place: Option<u64>, number: u64, node: &Weak<Node<C>>) {
        self.forget(place, node);
        self.moved.remove(&number);
    }

    fn forget(&mut self, place: Option<u64>, node: &Weak<Node<C>>) {
        // Another may have come in its place already.
        if let Some(place) = place
            && self.by_place.get(&place).is_some_and(|there| there.ptr_eq(node))
        {
            self.by_place.remove(&place);
        }
    }
}
