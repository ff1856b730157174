//! The threads whose words fell into one bucket.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::key::Key;
use super::seat::Seat;
use crate::sched::Thread;

/// How many threads are taken out under one hold of a bucket's lock; they are woken after it. In tests, few enough that
/// several holds are common.
pub(super) const BATCH: usize = if cfg!(test) { 4 } else { 32 };

/// Threads to be woken.
pub(super) type Batch<P> = heapless::Vec<Arc<Thread<P>>, BATCH>;

/// Memory for so many entries is kept by a bucket that has become empty.
const KEPT: usize = 16;

/// A thread that waits.
pub(super) struct Entry<P> {
    pub(super) key: Key,
    /// It is woken for any of these bits.
    pub(super) bits: u32,
    pub(super) thread: Arc<Thread<P>>,
    pub(super) seat: Arc<Seat>,
}

/// The entries of one bucket, in the order they came. Everything here happens under the bucket's lock.
pub(super) struct Bucket<P> {
    entries: Vec<Entry<P>>,
}

impl<P> Bucket<P> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// How many threads wait for `key`.
    pub(super) fn waiting(&self, key: &Key) -> usize {
        self.entries.iter().filter(|entry| entry.key == *key).count()
    }

    /// How many threads wait, for whatever.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Makes room for `more` entries. Says whether there is.
    pub(super) fn reserve(&mut self, more: usize) -> bool {
        self.entries.try_reserve(more).is_ok()
    }

    /// Puts an entry at the end; room for it was made. `here` is this bucket's number.
    pub(super) fn push(&mut self, entry: Entry<P>, here: usize) {
        entry.seat.move_to(here);
        self.entries.push(entry);
    }

    /// Takes out those who wait for `key` and one of `bits`, who came first first, until there are `most` of them or
    /// `batch` is full. Says how many.
    pub(super) fn take(&mut self, key: &Key, bits: u32, most: usize, batch: &mut Batch<P>) -> usize {
        let most = most.min(BATCH - batch.len());
        if most == 0 {
            return 0;
        }
        let mut taken = 0;
        let chosen = self.entries.extract_if(.., |entry| entry.key == *key && entry.bits & bits != 0);
        for entry in chosen.take(most) {
            entry.seat.clear();
            taken += 1;
            // There is room: `most` saw to it.
            let _full = batch.push(entry.thread);
        }
        self.give_memory_back();
        taken
    }

    /// Takes out the entry of `seat`, which is here.
    pub(super) fn remove(&mut self, seat: &Arc<Seat>) {
        if let Some(at) = self.entries.iter().position(|entry| Arc::ptr_eq(&entry.seat, seat)) {
            self.entries.remove(at).seat.clear();
        }
        self.give_memory_back();
    }

    /// Moves up to `most` of those who wait for `from` to the end of `other`, which has the number `there`, for `to`;
    /// room for them was made. Says how many.
    pub(super) fn move_out(&mut self, from: &Key, to: Key, most: usize, other: &mut Self, there: usize) -> usize {
        let mut moved = 0;
        for entry in self.entries.extract_if(.., |entry| entry.key == *from).take(most) {
            other.push(Entry { key: to, ..entry }, there);
            moved += 1;
        }
        self.give_memory_back();
        moved
    }

    /// The same where both keys fell into this bucket: they keep their places.
    pub(super) fn rename(&mut self, from: &Key, to: Key, most: usize) -> usize {
        let renamed = self.entries.iter_mut().filter(|entry| entry.key == *from).take(most);
        renamed.map(|entry| entry.key = to).count()
    }

    fn give_memory_back(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > KEPT {
            self.entries = Vec::new();
        }
    }
}
