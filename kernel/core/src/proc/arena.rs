//! Where the nodes of the process tree live, and the lists that run through them.
//!
//! A node is named by its [`Slot`], a list is a first and a last slot, and each node has a [`Link`] for each [`Chain`]
//! that it can be in. So the tree is plain data under one lock: no reference counts to keep, no pointer that could
//! outlive what it points to, and a test can make one of numbers.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use super::map::NoMemory;

/// The name of a node: its place, counted from 1, so that one that may be missing takes no more room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot(NonZeroU32);

impl Slot {
    /// The name of the node at `index`; `None` where there are no names left.
    fn at(index: usize) -> Option<Self> {
        u32::try_from(index).ok()?.checked_add(1).and_then(NonZeroU32::new).map(Self)
    }

    const fn index(self) -> usize {
        (self.0.get() - 1) as usize
    }
}

enum Place<T> {
    /// And the next free place.
    Free(Option<Slot>),
    Used(T),
}

/// Nodes, named by slots.
pub(super) struct Arena<T> {
    places: Vec<Place<T>>,
    free: Option<Slot>,
}

impl<T> Arena<T> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: None }
    }

    /// Puts `node` somewhere.
    #[inline]
    pub(super) fn insert(&mut self, node: T) -> Result<Slot, NoMemory> {
        let slot = match self.free {
            Some(slot) => slot,
            None => self.grow()?,
        };
        let place = &mut self.places[slot.index()];
        // Where the node goes is told first, so that it is put together there.
        let Place::Free(next) = *place else { unreachable!("what is free has no node") };
        self.free = next;
        *place = Place::Used(node);
        Ok(slot)
    }

    /// One more free place, for there is none.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) -> Result<Slot, NoMemory> {
        let slot = Slot::at(self.places.len()).ok_or(NoMemory)?;
        self.places.try_reserve(1).map_err(|_| NoMemory)?;
        self.places.push(Place::Free(None));
        self.free = Some(slot);
        Ok(slot)
    }

    /// Takes the node out.
    ///
    /// # Panics
    ///
    /// When there is none: a slot is given up once.
    pub(super) fn remove(&mut self, slot: Slot) -> T {
        match core::mem::replace(&mut self.places[slot.index()], Place::Free(self.free)) {
            Place::Used(node) => {
                self.free = Some(slot);
                node
            }
            Place::Free(_) => unreachable!("a slot is given up once"),
        }
    }

    /// Drops the node where it is.
    ///
    /// # Panics
    ///
    /// When there is none: a slot is given up once.
    pub(super) fn discard(&mut self, slot: Slot) {
        let place = &mut self.places[slot.index()];
        assert!(matches!(place, Place::Used(_)), "a slot is given up once");
        *place = Place::Free(self.free);
        self.free = Some(slot);
    }

    /// The node at `slot`.
    ///
    /// # Panics
    ///
    /// When there is none: slots are kept no longer than their nodes.
    #[inline]
    pub(super) fn get(&self, slot: Slot) -> &T {
        match &self.places[slot.index()] {
            Place::Used(node) => node,
            Place::Free(_) => unreachable!("a slot is kept no longer than its node"),
        }
    }

    /// The node at `slot`, to be changed; as [`get`](Self::get).
    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut T {
        match &mut self.places[slot.index()] {
            Place::Used(node) => node,
            Place::Free(_) => unreachable!("a slot is kept no longer than its node"),
        }
    }

    /// The first slot in use after this one, or of all.
    pub(super) fn next_used(&self, after: Option<Slot>) -> Option<Slot> {
        let from = after.map_or(0, |slot| slot.index() + 1);
        let found = self.places.iter().skip(from).position(|place| matches!(place, Place::Used(_)))?;
        Slot::at(from + found)
    }

    /// All nodes, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| match place {
            Place::Used(node) => Some(node),
            Place::Free(_) => None,
        })
    }
}

/// The lists that a process can be in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chain {
    /// Its parent's children.
    Siblings = 0,
    /// Those of its parent's children that have something to report.
    News = 1,
    /// The members of its group.
    Group = 2,
}

/// A node's neighbours in one list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Link {
    previous: Option<Slot>,
    next: Option<Slot>,
}

/// A list of nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct List {
    first: Option<Slot>,
    last: Option<Slot>,
}

/// A node that can be in lists.
pub(super) trait Linked {
    /// Its neighbours in each.
    fn links(&self) -> &[Link; 3];
    /// The same, to be changed.
    fn links_mut(&mut self) -> &mut [Link; 3];
}

impl Link {
    /// The next one.
    pub(super) const fn following(self) -> Option<Slot> {
        self.next
    }
}

impl List {
    pub(super) const EMPTY: Self = Self { first: None, last: None };

    pub(super) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) const fn first(&self) -> Option<Slot> {
        self.first
    }

    /// Puts `slot` first.
    pub(super) fn push_front<T: Linked>(&mut self, nodes: &mut Arena<T>, chain: Chain, slot: Slot) {
        self.insert(nodes, chain, slot, Link { previous: None, next: self.first });
    }

    /// Puts `slot` last.
    pub(super) fn push_back<T: Linked>(&mut self, nodes: &mut Arena<T>, chain: Chain, slot: Slot) {
        self.insert(nodes, chain, slot, Link { previous: self.last, next: None });
    }

    /// Puts `slot` right after `mark`, which is in the list.
    pub(super) fn insert_after<T: Linked>(&mut self, nodes: &mut Arena<T>, chain: Chain, mark: Slot, slot: Slot) {
        let next = nodes.get(mark).links()[chain as usize].next;
        self.insert(nodes, chain, slot, Link { previous: Some(mark), next });
    }

    fn insert<T: Linked>(&mut self, nodes: &mut Arena<T>, chain: Chain, slot: Slot, link: Link) {
        match link.previous {
            Some(previous) => nodes.get_mut(previous).links_mut()[chain as usize].next = Some(slot),
            None => self.first = Some(slot),
        }
        match link.next {
            Some(next) => nodes.get_mut(next).links_mut()[chain as usize].previous = Some(slot),
            None => self.last = Some(slot),
        }
        nodes.get_mut(slot).links_mut()[chain as usize] = link;
    }

    /// Takes out `slot`, which is in the list.
    pub(super) fn remove<T: Linked>(&mut self, nodes: &mut Arena<T>, chain: Chain, slot: Slot) {
        let link = core::mem::take(&mut nodes.get_mut(slot).links_mut()[chain as usize]);
        match link.previous {
            Some(previous) => nodes.get_mut(previous).links_mut()[chain as usize].next = link.next,
            None => self.first = link.next,
        }
        match link.next {
            Some(next) => nodes.get_mut(next).links_mut()[chain as usize].previous = link.previous,
            None => self.last = link.previous,
        }
    }

    /// The slots in the list, first to last.
    pub(super) fn iter<T: Linked>(self, nodes: &Arena<T>, chain: Chain) -> impl Iterator<Item = Slot> {
        core::iter::successors(self.first, move |&slot| nodes.get(slot).links()[chain as usize].next)
    }
}
