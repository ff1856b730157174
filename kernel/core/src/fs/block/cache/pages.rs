//! The pages that are there, by number, and what is about each.

use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Range;

use super::BATCH;
use crate::addr::PhysFrame;

/// How many pages are looked at, at most, to find one that can go.
const MOST_LOOKS: usize = 256;

struct Slot {
    frame: PhysFrame,
    /// Its bytes are not there yet.
    filling: bool,
    /// Its bytes of a moment ago are on their way to the disk.
    writing: bool,
    /// Somebody had it since the last look for one that can go.
    used: bool,
    pins: u32,
}

/// What there is of a page.
pub(super) enum Look {
    /// It, pinned once more.
    There(PhysFrame),
    /// Somebody reads it.
    Filling,
    /// Nothing.
    Missing,
}

/// Which pages may go for a new one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Evict {
    /// Those that nobody had lately, for what may never be wanted.
    Idle,
    /// Any, if there is none of these near.
    Any,
}

/// All of them.
pub(super) struct Pages {
    all: BTreeMap<u64, Slot>,
    /// Those whose bytes the disk has not.
    dirty: BTreeSet<u64>,
    /// Where the next look for one that can go begins.
    hand: u64,
    /// The page behind the last that was read, and how many were.
    ahead: (u64, u64),
}

impl Pages {
    pub(super) const fn new() -> Self {
        Self { all: BTreeMap::new(), dirty: BTreeSet::new(), hand: 0, ahead: (0, 1) }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn dirty(&self) -> usize {
        self.dirty.len()
    }

    pub(super) fn pin(&mut self, index: u64) -> Look {
        match self.all.get_mut(&index) {
            None => Look::Missing,
            Some(slot) if slot.filling => Look::Filling,
            Some(slot) => {
                slot.pins = slot.pins.saturating_add(1);
                slot.used = true;
                Look::There(slot.frame)
            }
        }
    }

    pub(super) fn unpin(&mut self, index: u64) {
        if let Some(slot) = self.all.get_mut(&index) {
            slot.pins = slot.pins.saturating_sub(1);
        }
    }

    pub(super) fn is_known(&self, index: u64) -> bool {
        self.all.contains_key(&index)
    }

    /// How many pages to read from `index` on, before `last`: twice as many each time as long as one reads on where the
    /// last one ended.
    pub(super) fn read_ahead(&mut self, index: u64, last: u64) -> u64 {
        let (next, before) = self.ahead;
        let wanted = if index == next { before.saturating_mul(2).min(BATCH) } else { 1 };
        self.ahead = (index.saturating_add(wanted), wanted);
        wanted.min(last.saturating_sub(index)).max(1)
    }

    /// The page is going to be read into `frame`; pinned, or not. Says whether it was not known before.
    pub(super) fn insert_filling(&mut self, index: u64, frame: PhysFrame, pinned: bool) -> bool {
        self.insert(index, Slot { frame, filling: true, writing: false, used: pinned, pins: u32::from(pinned) })
    }

    /// The page has these bytes. Says whether it is the only dirty one; `None` if it was known before.
    pub(super) fn insert_dirty(&mut self, index: u64, frame: PhysFrame) -> Option<bool> {
        self.insert(index, Slot { frame, filling: false, writing: false, used: true, pins: 0 })
            .then(|| self.mark_dirty(index))
    }

    fn insert(&mut self, index: u64, slot: Slot) -> bool {
        match self.all.entry(index) {
            alloc::collections::btree_map::Entry::Occupied(_) => false,
            alloc::collections::btree_map::Entry::Vacant(place) => {
                place.insert(slot);
                true
            }
        }
    }

    /// Says whether it is the only dirty one.
    pub(super) fn mark_dirty(&mut self, index: u64) -> bool {
        let first = self.dirty.is_empty();
        self.dirty.insert(index);
        first
    }

    /// The frame of a page that is being read.
    pub(super) fn filling(&self, index: u64) -> Option<PhysFrame> {
        self.all.get(&index).filter(|slot| slot.filling).map(|slot| slot.frame)
    }

    /// Its bytes are there.
    pub(super) fn filled(&mut self, index: u64) {
        if let Some(slot) = self.all.get_mut(&index) {
            slot.filling = false;
        }
    }

    /// Its bytes could not be had.
    pub(super) fn remove_filling(&mut self, index: u64) -> Option<PhysFrame> {
        self.filling(index)?;
        self.all.remove(&index).map(|slot| slot.frame)
    }

    /// The next dirty pages in a row, from `from` on and before `end`, that nobody is writing: they are being written now, and
    /// not dirty.
    pub(super) fn take_dirty(&mut self, from: u64, end: u64) -> Option<Range<u64>> {
        let free = |all: &BTreeMap<u64, Slot>, index: &u64| all.get(index).is_some_and(|slot| !slot.writing);
        let first = self.dirty.range(from..end).copied().find(|index| free(&self.all, index))?;
        let most = first.saturating_add(BATCH).min(end);
        let mut last = first;
        while last < most && self.dirty.contains(&last) && free(&self.all, &last) {
            self.dirty.remove(&last);
            if let Some(slot) = self.all.get_mut(&last) {
                slot.writing = true;
            }
            last = last.saturating_add(1);
        }
        Some(first..last)
    }

    /// The frame of a page that is being written.
    pub(super) fn writing(&self, index: u64) -> Option<PhysFrame> {
        self.all.get(&index).filter(|slot| slot.writing).map(|slot| slot.frame)
    }

    /// Its bytes of a moment ago are on the disk, or it is dirty again.
    pub(super) fn written(&mut self, index: u64, succeeded: bool) {
        if let Some(slot) = self.all.get_mut(&index) {
            slot.writing = false;
            if !succeeded {
                self.dirty.insert(index);
            }
        }
    }

    /// Takes a page out that can go, one that was not used lately if there is any near. Looks at some only.
    pub(super) fn evict(&mut self, which: Evict) -> Option<PhysFrame> {
        let mut used = None;
        for _ in 0..MOST_LOOKS.min(self.all.len().saturating_mul(2)) {
            let next = self.all.range_mut(self.hand..).next();
            let Some((&index, slot)) = next else {
                self.hand = 0;
                continue;
            };
            self.hand = index.saturating_add(1);
            if slot.pins > 0 || slot.filling || slot.writing || self.dirty.contains(&index) {
                continue;
            }
            if core::mem::take(&mut slot.used) {
                if which == Evict::Any {
                    used = used.or(Some(index));
                }
            } else {
                used = Some(index);
                break;
            }
        }
        self.all.remove(&used?).map(|slot| slot.frame)
    }

    /// Takes a page out that can go, from the one at `from` on, and says where it was.
    pub(super) fn evict_from(&mut self, from: u64) -> Option<(u64, PhysFrame)> {
        let dirty = &self.dirty;
        let can_go =
            |index: &u64, slot: &Slot| slot.pins == 0 && !slot.filling && !slot.writing && !dirty.contains(index);
        let (&index, _) = self.all.range(from..).find(|(index, slot)| can_go(index, slot))?;
        self.all.remove(&index).map(|slot| (index, slot.frame))
    }

    /// Takes a page out, whatever it is.
    pub(super) fn pop(&mut self) -> Option<PhysFrame> {
        self.all.pop_first().map(|(_, slot)| slot.frame)
    }
}
