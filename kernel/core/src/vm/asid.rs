//! The tags of address spaces in TLBs.

use crate::addr::Asid;
use crate::hal::Cpu;
use crate::sync::{Rank, SpinLock};

const WORDS: usize = 1 << 16 >> 6;

/// All 65,536 of them; both boards have 16 bits. Number 0 belongs to no space.
///
/// Tags are handed out in turn, so that one that comes back rests as long as possible. It need not: a space that ends has
/// been forgotten by all TLBs before its tag comes back.
pub struct Asids<C: Cpu> {
    state: SpinLock<State, C>,
}

struct State {
    taken: [u64; WORDS],
    /// Where the search begins.
    next: u16,
}

impl State {
    const fn new() -> Self {
        // All zeroes: a static of it takes no room in the kernel's image.
        Self { taken: [0; WORDS], next: 0 }
    }

    #[inline]
    fn take(&mut self) -> Option<Asid> {
        // The kernel's own.
        self.taken[0] |= 1;
        let (word, bit) = place(self.next);
        // Mostly it is the next one.
        if let Some(taken) = self.taken.get_mut(word)
            && *taken & 1 << bit == 0
        {
            *taken |= 1 << bit;
            let number = self.next;
            self.next = number.wrapping_add(1);
            return Some(Asid(number));
        }
        self.search(word, bit)
    }

    #[cold]
    #[inline(never)]
    fn search(&mut self, word: usize, bit: u32) -> Option<Asid> {
        let rest = |word: usize| (word, u64::MAX);
        // The first word is looked at twice: from the bit on, and whole when all others are full.
        let first = core::iter::once((word, u64::MAX << bit));
        let order = first.chain((word + 1..WORDS).map(rest)).chain((0..=word).map(rest));
        let (word, free) = order.map(|(word, mask)| (word, !self.taken[word] & mask)).find(|&(_, free)| free != 0)?;
        self.taken[word] |= 1 << free.trailing_zeros();
        let number = u16::try_from(word * 64 + free.trailing_zeros() as usize).ok()?;
        self.next = number.wrapping_add(1);
        Some(Asid(number))
    }
}

impl<C: Cpu> Asids<C> {
    /// All are free.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { state: SpinLock::new(Rank::Asids, State::new()) }
    }

    /// All are free.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { state: SpinLock::new(Rank::Asids, State::new()) }
    }

    /// A tag that no space has; `None` if there are as many spaces as tags.
    pub fn take(&self) -> Option<Asid> {
        self.state.lock().take()
    }

    /// Takes a tag back. Its space was destroyed, and no TTBR holds the tag.
    pub fn give(&self, tag: Asid) {
        let (word, bit) = place(tag.0);
        let mut state = self.state.lock();
        debug_assert!(tag.0 != 0 && state.taken[word] & 1 << bit != 0, "{tag:?} is given back once");
        state.taken[word] &= !(1 << bit);
    }
}

impl<C: Cpu> Default for Asids<C> {
    fn default() -> Self {
        Self::new()
    }
}

fn place(number: u16) -> (usize, u32) {
    (usize::from(number) / 64, u32::from(number) % 64)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::hal::fake::FakeCpu;

    #[test]
    fn each_living_space_has_its_own_tag_and_none_has_zero() {
        let asids = Asids::<FakeCpu>::new();
        let mut taken = HashSet::new();
        while let Some(tag) = asids.take() {
            assert!(tag.0 != 0 && taken.insert(tag), "{tag:?}");
        }
        assert_eq!(taken.len(), (1 << 16) - 1);
        asids.give(Asid(77));
        assert_eq!(asids.take(), Some(Asid(77)));
        assert_eq!(asids.take(), None);
    }

    #[test]
    fn a_tag_that_came_back_rests_until_the_others_had_their_turn() {
        let asids = Asids::<FakeCpu>::new();
        let first = asids.take();
        first.into_iter().for_each(|tag| asids.give(tag));
        assert_eq!((first, asids.take()), (Some(Asid(1)), Some(Asid(2))));
        for _ in 3..1 << 16 {
            assert!(asids.take().is_some());
        }
        assert_eq!(asids.take(), Some(Asid(1)));
    }
}
