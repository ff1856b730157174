//! The names in a directory.
//!
//! They are sorted by their hash and then by themselves: a lookup compares numbers and one name, and whoever makes names
//! whose hashes are the same gets the order of the names instead. Each name also has a cookie, a number that grows
//! with each new name and never comes back; a reader of the directory goes on behind the last cookie that he saw, so
//! whatever comes and goes meanwhile, he sees each name that stays exactly once. A name that is given to what has another
//! name here takes over that one's cookie, so that who renames while he reads comes to an end.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::mem;

use crate::fs::path::hash;

/// A name. Those of the archive stay where they lie.
#[derive(Clone)]
pub(in crate::fs) enum Name {
    Archive(&'static [u8]),
    Own(Arc<[u8]>),
}

impl Name {
    /// A copy of `name`.
    pub(super) fn copy(name: &[u8]) -> Self {
        Self::Own(Arc::from(name))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Archive(name) => name,
            Self::Own(name) => name,
        }
    }
}

/// The names of one directory, and what they stand for.
pub(super) struct Names<N> {
    by_name: BTreeMap<Key, Entry<N>>,
    by_cookie: BTreeMap<u64, Key>,
    next_cookie: u64,
}

struct Entry<N> {
    cookie: u64,
    node: N,
}

/// The first cookie of a name; those before it are for `.` and `..`.
pub(super) const FIRST_COOKIE: u64 = 2;

impl<N: Clone> Names<N> {
    pub(super) const fn new() -> Self {
        Self { by_name: BTreeMap::new(), by_cookie: BTreeMap::new(), next_cookie: FIRST_COOKIE }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&N> {
        self.by_name.get(&probe(name) as &dyn Sought).map(|entry| &entry.node)
    }

    /// Adds a name that is not there.
    pub(super) fn insert(&mut self, name: Name, node: N) {
        let cookie = self.next_cookie;
        self.next_cookie = cookie.saturating_add(1);
        self.put(name, Entry { cookie, node });
    }

    /// Takes a name out.
    pub(super) fn remove(&mut self, name: &[u8]) -> Option<N> {
        let entry = self.by_name.remove(&probe(name) as &dyn Sought)?;
        self.by_cookie.remove(&entry.cookie);
        Some(entry.node)
    }

    /// Lets a name that is there stand for something else, and returns what it stood for.
    pub(super) fn replace(&mut self, name: &[u8], node: N) -> Option<N> {
        let entry = self.by_name.get_mut(&probe(name) as &dyn Sought)?;
        Some(mem::replace(&mut entry.node, node))
    }

    /// Gives what is under the name `from` the name `to`, which is not there.
    pub(super) fn rename(&mut self, from: &[u8], to: Name) {
        if let Some(entry) = self.by_name.remove(&probe(from) as &dyn Sought) {
            self.put(to, entry);
        }
    }

    /// The first name whose cookie is `cookie` or more.
    pub(super) fn next_from(&self, cookie: u64) -> Option<(u64, Name, N)> {
        let (&cookie, key) = self.by_cookie.range(cookie..).next()?;
        let entry = self.by_name.get(key as &dyn Sought)?;
        Some((cookie, key.name.clone(), entry.node.clone()))
    }

    /// Takes something out, whatever it is. The names are not to be looked up any more.
    pub(super) fn pop(&mut self) -> Option<N> {
        self.by_cookie.clear();
        self.by_name.pop_last().map(|(_, entry)| entry.node)
    }

    fn put(&mut self, name: Name, entry: Entry<N>) {
        let key = Key { hash: hash(name.bytes()), name };
        self.by_cookie.insert(entry.cookie, key.clone());
        self.by_name.insert(key, entry);
    }
}

#[derive(Clone)]
struct Key {
    hash: u32,
    name: Name,
}

/// What is compared: a name in the directory, or one that is looked for and need not be owned.
trait Sought {
    fn parts(&self) -> (u32, &[u8]);
}

impl Sought for Key {
    fn parts(&self) -> (u32, &[u8]) {
        (self.hash, self.name.bytes())
    }
}

impl Sought for (u32, &[u8]) {
    fn parts(&self) -> (u32, &[u8]) {
        *self
    }
}

impl<'a> Borrow<dyn Sought + 'a> for Key {
    fn borrow(&self) -> &(dyn Sought + 'a) {
        self
    }
}

impl PartialEq for dyn Sought + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Sought + '_ {}

impl PartialOrd for dyn Sought + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn Sought + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

fn probe(name: &[u8]) -> (u32, &[u8]) {
    (hash(name), name)
}
