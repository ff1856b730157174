//! The numbers of processes and threads, and how they are drawn.
//!
//! A process's number is also its first group's and, if it becomes a session leader, its session's. So a number is
//! *taken* as long as anything bears it: a process from the drawing on, a zombie until it is reaped, a group or session
//! that has outlived its leader; and for some time after that, lest a program that has kept the number means somebody
//! else by it ([`Recent`]). What bears which number is the [`Tree`](super::tree::Tree)'s to say.

use core::fmt;

use crate::sched::Tid;

/// The largest process number.
pub const MAX_PID: u32 = 99_999;
/// How many freed numbers are kept back.
pub const RECENT: usize = 128;
/// What is added to a thread's own number where a program sees it, so that it is no process's.
pub const THREAD_OFFSET: u32 = 100_000;
/// A thread's own number is from 1 up to this.
const MAX_THREAD: u64 = 0x8_0000;
/// So many random draws fail before the numbers are taken in turn: with that many taken there is little left to guess.
const DRAWS: u32 = 64;

/// A process's number. Zero is the system's own process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Pid(pub u32);

impl Pid {
    /// The process of the kernel itself.
    pub const SYSTEM: Self = Self(0);
    /// The first process, which adopts orphans.
    pub const INIT: Self = Self(1);
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How process numbers follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Numbering {
    /// Each is drawn at random, so that nobody can tell how many processes there were or which comes next.
    #[default]
    Random,
    /// Each is one more than the last.
    Sequential,
}

/// Where process numbers come from.
pub(super) struct Numbers {
    numbering: Numbering,
    /// The last one given out.
    last: u32,
    recent: Recent,
}

impl Numbers {
    pub(super) const fn new() -> Self {
        Self { numbering: Numbering::Random, last: 0, recent: Recent::new() }
    }

    pub(super) fn set_numbering(&mut self, numbering: Numbering) {
        self.numbering = numbering;
    }

    /// A number that is not recent and not `taken`. The very first is 1, all others are from 2 on. `None` if there is
    /// none left.
    pub(super) fn draw(&mut self, uniform: &mut dyn FnMut(u64) -> u64, taken: impl Fn(Pid) -> bool) -> Option<Pid> {
        let free = |number| !self.recent.contains(number) && !taken(Pid(number));
        let drawn = match self.numbering {
            _ if self.last == 0 => Some(1),
            Numbering::Sequential => in_turn_after(self.last, free),
            Numbering::Random => (0..DRAWS)
                .map(|_| 2 + below(uniform(u64::from(MAX_PID - 1)), MAX_PID - 1))
                .find(|&number| free(number))
                .or_else(|| in_turn_after(2 + below(uniform(u64::from(MAX_PID - 1)), MAX_PID - 1), free)),
        }?;
        self.last = drawn;
        Some(Pid(drawn))
    }

    /// A process has gone and with it the claim to its number.
    pub(super) fn free(&mut self, pid: Pid) {
        self.recent.push(pid.0);
    }

    #[cfg(test)]
    pub(super) fn is_recent(&self, pid: Pid) -> bool {
        self.recent.contains(pid.0)
    }
}

/// Where random numbers come from.
pub(super) trait Source {
    /// A number below `bound`, each as likely as any other.
    fn uniform(&mut self, bound: u64) -> u64;

    /// Puts one or more such numbers at the beginning of `out`, which is not empty, and says how many.
    fn several(&mut self, bound: u64, out: &mut [u64; STOCK]) -> usize {
        out[0] = self.uniform(bound);
        1
    }
}

impl<F: FnMut(u64) -> u64> Source for F {
    fn uniform(&mut self, bound: u64) -> u64 {
        self(bound)
    }
}

/// How many pairs are drawn ahead.
pub(super) const STOCK: usize = 16;

/// Pairs of both numbers of a new process, its own and its thread's, drawn ahead: a draw costs more than all else about a
/// number, and several cost little more than one. An even draw among the pairs is an even and independent draw of each.
pub(super) struct Pairs {
    drawn: [u64; STOCK],
    left: usize,
}

impl Pairs {
    pub(super) const fn new() -> Self {
        Self { drawn: [0; STOCK], left: 0 }
    }

    /// What stands for the first draw of each.
    pub(super) fn next(&mut self, source: &mut impl Source) -> (u64, u64) {
        const PIDS: u64 = MAX_PID as u64 - 1;
        if self.left == 0 {
            self.left = source.several(PIDS * MAX_THREAD, &mut self.drawn).clamp(1, STOCK);
        }
        self.left -= 1;
        let drawn = self.drawn[self.left % STOCK];
        (drawn / MAX_THREAD, drawn % MAX_THREAD)
    }
}

/// What a source draws for a pair of which the process's number is drawn as `pid` and the thread's as `thread`.
#[cfg(test)]
pub(super) const fn both(pid: u64, thread: u64) -> u64 {
    pid * MAX_THREAD + thread
}

/// A source whose first draw is `drawn`.
pub(super) fn beginning_with(drawn: u64, uniform: &mut dyn FnMut(u64) -> u64) -> impl FnMut(u64) -> u64 {
    let mut first = Some(drawn);
    move |bound| first.take().unwrap_or_else(|| uniform(bound))
}

/// The next number after `last` that is free, going round to 2.
fn in_turn_after(last: u32, free: impl Fn(u32) -> bool) -> Option<u32> {
    (last + 1..=MAX_PID).chain(2..=last.min(MAX_PID)).find(|&number| number > 1 && free(number))
}

/// `drawn` as a number below `bound`, which it is if the source keeps its word.
fn below(drawn: u64, bound: u32) -> u32 {
    u32::try_from(drawn).unwrap_or(u32::MAX) % bound
}

/// A thread's own number, 1 to 0x80000, which nobody has.
pub(super) fn draw_thread(uniform: &mut dyn FnMut(u64) -> u64, taken: impl Fn(u32) -> bool) -> u32 {
    // There are more than a hundred times as many numbers as there can be threads.
    loop {
        let number = 1 + u32::try_from(uniform(MAX_THREAD) % MAX_THREAD).unwrap_or_default();
        if !taken(number) {
            return number;
        }
    }
}

/// The number by which a program knows a thread other than a process's main one.
pub(super) const fn visible(number: u32) -> Tid {
    Tid(number + THREAD_OFFSET)
}

/// The last [`RECENT`] numbers that were freed: a ring for their order and a bit each, so that nobody searches it.
struct Recent {
    ring: [u32; RECENT],
    next: usize,
    bits: [u64; WORDS],
}

const WORDS: usize = (MAX_PID as usize + 1).div_ceil(64);

impl Recent {
    const fn new() -> Self {
        Self { ring: [0; RECENT], next: 0, bits: [0; WORDS] }
    }

    fn contains(&self, number: u32) -> bool {
        let (word, bit) = place(number);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Takes `number` in and lets the oldest go.
    fn push(&mut self, number: u32) {
        let oldest = core::mem::replace(&mut self.ring[self.next], number);
        self.next = (self.next + 1) % RECENT;
        let (word, bit) = place(oldest);
        self.bits[word] &= !bit;
        let (word, bit) = place(number);
        self.bits[word] |= bit;
    }
}

fn place(number: u32) -> (usize, u64) {
    (number as usize / 64, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::vec::Vec;

    use super::*;

    /// A source that answers with these numbers, modulo the bound.
    fn answers<const N: usize>(numbers: [u64; N]) -> impl FnMut(u64) -> u64 + use<N> {
        let mut numbers = numbers.into_iter();
        move |bound| numbers.next().expect("one more draw than the test foresaw") % bound
    }

    fn used(numbers: &mut Numbers) {
        assert_eq!(numbers.draw(&mut answers([]), |_| false), Some(Pid(1)));
    }

    #[test]
    fn f55_the_first_pid_is_1_and_the_others_are_from_2_to_99999() {
        let mut numbers = Numbers::new();
        used(&mut numbers);
        let mut source = answers([0, u64::from(MAX_PID) - 2]);
        assert_eq!(numbers.draw(&mut source, |_| false), Some(Pid(2)));
        assert_eq!(numbers.draw(&mut source, |_| false), Some(Pid(MAX_PID)));
    }

    #[test]
    fn f55_pids_are_uniform_over_the_whole_range() {
        let mut numbers = Numbers::new();
        used(&mut numbers);
        let mut asked = Vec::new();
        let mut source = |bound| {
            asked.push(bound);
            7
        };
        assert_eq!(numbers.draw(&mut source, |_| false), Some(Pid(9)));
        assert_eq!(asked, [u64::from(MAX_PID - 1)], "one draw over exactly the numbers 2 ..= 99,999");
    }

    #[test]
    fn f55_one_draw_is_even_over_all_pairs_of_a_pid_and_a_thread() {
        let mut asked = Vec::new();
        let mut source = |bound| {
            asked.push(bound);
            both(7, 11)
        };
        assert_eq!(Pairs::new().next(&mut source), (7, 11));
        assert_eq!(asked, [u64::from(MAX_PID - 1) * MAX_THREAD], "as many as there are pairs");
        let last = |bound: u64| bound - 1;
        assert_eq!(Pairs::new().next(&mut { last }), (u64::from(MAX_PID) - 2, MAX_THREAD - 1));
    }

    #[test]
    fn pairs_that_were_drawn_ahead_are_used_up_before_others_are_drawn() {
        /// Draws three at a time, and never the same.
        struct Three(u64);

        impl Source for Three {
            fn uniform(&mut self, _: u64) -> u64 {
                self.0 += 1;
                both(self.0, 100 + self.0)
            }

            fn several(&mut self, bound: u64, out: &mut [u64; STOCK]) -> usize {
                out[..3].fill_with(|| self.uniform(bound));
                3
            }
        }

        let (mut pairs, mut source) = (Pairs::new(), Three(0));
        let mut all = (0..9).map(|_| pairs.next(&mut source)).collect::<Vec<_>>();
        assert_eq!(source.0, 9, "none was drawn in vain");
        all.sort_unstable();
        assert_eq!(all, (1..=9).map(|number| (number, 100 + number)).collect::<Vec<_>>(), "each was used once");
    }

    #[test]
    fn a_pair_that_is_taken_is_followed_by_new_draws() {
        let mut numbers = Numbers::new();
        used(&mut numbers);
        let mut later = answers([41]);
        assert_eq!(numbers.draw(&mut beginning_with(40, &mut later), |pid| pid == Pid(42)), Some(Pid(43)));
    }

    #[test]
    fn f54_a_taken_pid_is_drawn_again() {
        let mut numbers = Numbers::new();
        used(&mut numbers);
        assert_eq!(numbers.draw(&mut answers([40, 41]), |pid| pid == Pid(42)), Some(Pid(43)));
    }

    #[test]
    fn f54_f56_a_freed_pid_is_kept_back_until_128_others_were_freed() {
        let mut numbers = Numbers::new();
        used(&mut numbers);
        numbers.free(Pid(500));
        assert_eq!(numbers.draw(&mut answers([498, 600]), |_| false), Some(Pid(602)));
        (1_000..1_127).for_each(|number| numbers.free(Pid(number)));
        assert!(numbers.is_recent(Pid(500)), "127 others");
        numbers.free(Pid(2_000));
        assert_eq!(numbers.draw(&mut answers([498]), |_| false), Some(Pid(500)));
    }

    #[test]
    fn f55_sequential_numbers_skip_what_is_taken_and_go_round_to_2() {
        let mut numbers = Numbers::new();
        numbers.set_numbering(Numbering::Sequential);
        let mut none = answers([]);
        assert_eq!(numbers.draw(&mut none, |_| false), Some(Pid(1)));
        assert_eq!(numbers.draw(&mut none, |pid| pid == Pid(2)), Some(Pid(3)));
        assert_eq!(numbers.draw(&mut none, |pid| pid.0 > 3), Some(Pid(2)));
    }

    #[test]
    fn a_source_that_repeats_itself_still_gives_a_number() {
        let mut numbers = Numbers::new();
        used(&mut numbers);
        let mut stuck = |_| 5;
        assert_eq!(numbers.draw(&mut stuck, |pid| pid == Pid(7)), Some(Pid(8)));
        assert_eq!(numbers.draw(&mut stuck, |_| true), None);
    }

    #[test]
    fn f53_thread_numbers_are_1_to_80000_hex_and_drawn_again_while_taken() {
        assert_eq!(draw_thread(&mut answers([0]), |_| false), 1);
        assert_eq!(draw_thread(&mut answers([0x7_ffff]), |_| false), 0x8_0000);
        let taken = BTreeSet::from([4, 9]);
        assert_eq!(draw_thread(&mut answers([3, 8, 3, 20]), |number| taken.contains(&number)), 21);
        assert_eq!((visible(1), visible(0x8_0000)), (Tid(100_001), Tid(624_288)));
    }
}
