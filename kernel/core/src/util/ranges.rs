//! Sets of half-open ranges of `u64`, for the boot memory map: what there is, minus what is taken.
//!
//! A [`RangeSet`] is kept sorted, with no range empty and no two touching, so that a set has exactly one
//! representation and equality means equality of sets. Its capacity is fixed, for it is needed before there is a heap.

use core::fmt;

/// The numbers from `start` up to, but not including, `end`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    start: u64,
    end: u64,
}

impl Span {
    /// The span `start..end`, or `None` where `end` is below `start`.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start <= end { Some(Self { start, end }) } else { None }
    }

    /// `length` numbers from `start` on, or `None` where the end does not fit 64 bits.
    #[must_use]
    pub const fn from_length(start: u64, length: u64) -> Option<Self> {
        match start.checked_add(length) {
            Some(end) => Some(Self { start, end }),
            None => None,
        }
    }

    /// The first number.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.start
    }

    /// One past the last number.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.end
    }

    /// How many numbers there are.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.end - self.start
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `number` is among them.
    #[must_use]
    pub const fn contains(self, number: u64) -> bool {
        self.start <= number && number < self.end
    }

    /// The numbers in both spans; empty where there are none.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        let start = self.start.max(other.start);
        Self { start, end: self.end.min(other.end).max(start) }
    }

    /// The largest span inside this one whose ends are multiples of `align`, a power of two: whole pages of usable
    /// memory.
    #[must_use]
    pub fn shrunk_to(self, align: u64) -> Self {
        debug_assert!(align.is_power_of_two());
        let start = self.start.checked_next_multiple_of(align).unwrap_or(self.end).min(self.end);
        Self { start, end: (self.end & !(align - 1)).max(start) }
    }

    /// The smallest span around this one whose ends are multiples of `align`, a power of two: all pages that a
    /// reservation touches. `None` where its end does not fit 64 bits.
    #[must_use]
    pub fn grown_to(self, align: u64) -> Option<Self> {
        debug_assert!(align.is_power_of_two());
        if self.is_empty() {
            return Some(self);
        }
        Some(Self { start: self.start & !(align - 1), end: self.end.checked_next_multiple_of(align)? })
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}

/// The set would need more than its capacity of ranges. It is as it was before the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full {
    /// What was to be inserted or taken out.
    pub span: Span,
}

/// A set of numbers, held as at most `N` ranges.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RangeSet<const N: usize> {
    /// Sorted; none is empty, no two overlap or touch.
    spans: heapless::Vec<Span, N>,
}

impl<const N: usize> RangeSet<N> {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { spans: heapless::Vec::new() }
    }

    /// Adds the numbers of `span`.
    ///
    /// # Errors
    ///
    /// [`Full`], with the set unchanged, where that takes one range too many.
    pub fn insert(&mut self, span: Span) -> Result<(), Full> {
        if span.is_empty() {
            return Ok(());
        }
        // Everything that overlaps or touches the new span becomes one range with it.
        let first = self.spans.partition_point(|s| s.end < span.start);
        let past = self.spans.partition_point(|s| s.start <= span.end);
        let mut merged = span;
        if let Some(touched) = self.spans.get(first..past)
            && let (Some(low), Some(high)) = (touched.first(), touched.last())
        {
            merged = Span { start: low.start.min(span.start), end: high.end.max(span.end) };
        }
        self.replace(first, past, &[merged], span)
    }

    /// Takes out the numbers of `span`.
    ///
    /// # Errors
    ///
    /// [`Full`], with the set unchanged, where the hole splits a range and there is no room for both halves.
    pub fn subtract(&mut self, span: Span) -> Result<(), Full> {
        if span.is_empty() {
            return Ok(());
        }
        let first = self.spans.partition_point(|s| s.end <= span.start);
        let past = self.spans.partition_point(|s| s.start < span.end);
        let mut rest = heapless::Vec::<Span, 2>::new();
        if let Some(touched) = self.spans.get(first..past)
            && let (Some(low), Some(high)) = (touched.first(), touched.last())
        {
            let halves = [
                Span { start: low.start, end: span.start.max(low.start) },
                Span { start: span.end.min(high.end), end: high.end },
            ];
            rest.extend(halves.into_iter().filter(|half| !half.is_empty()));
        }
        self.replace(first, past, &rest, span)
    }

    /// Keeps only the numbers that are in `other` too.
    ///
    /// # Errors
    ///
    /// [`Full`], with the set unchanged, where the common numbers are in more than `N` ranges.
    pub fn intersect<const M: usize>(&mut self, other: &RangeSet<M>) -> Result<(), Full> {
        let mut common = Self::new();
        for &mine in &self.spans {
            for theirs in other.iter() {
                let span = mine.intersection(theirs);
                common.insert(span)?;
            }
        }
        *self = common;
        Ok(())
    }

    /// Takes out every number of `other`.
    ///
    /// # Errors
    ///
    /// [`Full`] where a hole splits a range and there is no room for both halves; what was taken out before that stays out.
    pub fn subtract_all<const M: usize>(&mut self, other: &RangeSet<M>) -> Result<(), Full> {
        other.iter().try_for_each(|span| self.subtract(span))
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Span> + ExactSizeIterator {
        self.spans.iter().copied()
    }

    /// Whether `number` is in the set.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let at = self.spans.partition_point(|s| s.end <= number);
        self.spans.get(at).is_some_and(|s| s.contains(number))
    }

    /// Whether every number of `span` is in the set.
    #[must_use]
    pub fn covers(&self, span: Span) -> bool {
        let at = self.spans.partition_point(|s| s.end <= span.start);
        span.is_empty() || self.spans.get(at).is_some_and(|s| s.start <= span.start && span.end <= s.end)
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.spans.iter().map(|s| s.length()).sum()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The lowest place for `length` numbers from a multiple of `align` (a power of two) on: where the boot code puts
    /// a table of its own.
    #[must_use]
    pub fn find(&self, length: u64, align: u64) -> Option<Span> {
        debug_assert!(align.is_power_of_two());
        self.iter().find_map(|s| {
            let place = Span::from_length(s.start.checked_next_multiple_of(align)?, length)?;
            (place.end <= s.end).then_some(place)
        })
    }

    /// Puts `with` in the place of the ranges `first..past`.
    fn replace(&mut self, first: usize, past: usize, with: &[Span], span: Span) -> Result<(), Full> {
        let mut spans = heapless::Vec::new();
        let (before, rest) = self.spans.split_at(first.min(past));
        let (_, after) = rest.split_at(past - first.min(past));
        for part in [before, with, after] {
            spans.extend_from_slice(part).map_err(|_| Full { span })?;
        }
        self.spans = spans;
        Ok(())
    }
}

impl<const N: usize> fmt::Debug for RangeSet<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.spans).finish()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn span(start: u64, end: u64) -> Span {
        Span::new(start, end).unwrap()
    }

    fn set<const N: usize>(spans: &[(u64, u64)]) -> RangeSet<N> {
        let mut set = RangeSet::new();
        spans.iter().for_each(|&(start, end)| set.insert(span(start, end)).unwrap());
        set
    }

    #[test]
    fn touching_ranges_become_one() {
        let joined: RangeSet<2> = set(&[(0, 4), (8, 12), (4, 8)]);
        assert_eq!(joined.iter().collect::<Vec<_>>(), [span(0, 12)]);
    }

    #[test]
    fn a_hole_splits_a_range() {
        let mut memory: RangeSet<2> = set(&[(0, 0x4000)]);
        memory.subtract(span(0x1000, 0x2000)).unwrap();
        assert_eq!(memory.iter().collect::<Vec<_>>(), [span(0, 0x1000), span(0x2000, 0x4000)]);
        assert_eq!(memory.total(), 0x3000);
    }

    #[test]
    fn a_full_set_says_so_and_stays_as_it_was() {
        let mut full: RangeSet<2> = set(&[(0, 1), (2, 3)]);
        let before = full.clone();
        assert_eq!(full.insert(span(4, 5)), Err(Full { span: span(4, 5) }));
        assert_eq!(full, before);
        let mut whole: RangeSet<1> = set(&[(0, 9)]);
        assert_eq!(whole.subtract(span(3, 4)), Err(Full { span: span(3, 4) }));
        assert_eq!(whole, set(&[(0, 9)]));
    }

    #[test]
    fn an_insertion_that_joins_needs_no_room() {
        let mut full: RangeSet<2> = set(&[(0, 1), (2, 3)]);
        full.insert(span(1, 2)).unwrap();
        assert_eq!(full, set(&[(0, 3)]));
    }

    #[test]
    fn shrinking_keeps_whole_pages_and_growing_keeps_every_byte() {
        assert_eq!(span(1, 0x2fff).shrunk_to(0x1000), span(0x1000, 0x2000));
        assert!(span(1, 0xfff).shrunk_to(0x1000).is_empty());
        assert!(span(u64::MAX - 1, u64::MAX).shrunk_to(0x1000).is_empty());
        assert_eq!(span(1, 0x1001).grown_to(0x1000), Some(span(0, 0x2000)));
        assert_eq!(span(1, u64::MAX).grown_to(0x1000), None);
    }

    #[test]
    fn a_place_is_found_at_its_alignment() {
        let free: RangeSet<4> = set(&[(1, 5), (6, 30)]);
        assert_eq!(free.find(4, 1), Some(span(1, 5)));
        assert_eq!(free.find(4, 8), Some(span(8, 12)));
        assert_eq!(free.find(25, 1), None);
    }

    #[test]
    fn a_backward_span_is_refused() {
        assert_eq!(Span::new(2, 1), None);
        assert_eq!(Span::from_length(u64::MAX, 1), None);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert(u64, u64),
        Subtract(u64, u64),
        Intersect(u64, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        (0..3, 0u64..64, 0u64..16).prop_map(|(kind, start, length)| match kind {
            0 => Step::Insert(start, length),
            1 => Step::Subtract(start, length),
            _ => Step::Intersect(start, length + 24),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            // No file of past failures: Miri has no file system.
            failure_persistence: None,
            ..ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 })
        })]

        #[test]
        fn ranges_hold_what_a_set_of_numbers_holds(steps in prop::collection::vec(step(), 1..40)) {
            let mut ranges = RangeSet::<64>::new();
            let mut numbers = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Insert(start, length) => {
                        ranges.insert(Span::from_length(start, length).unwrap()).unwrap();
                        numbers.extend(start..start + length);
                    }
                    Step::Subtract(start, length) => {
                        ranges.subtract(Span::from_length(start, length).unwrap()).unwrap();
                        numbers.retain(|n| !(start..start + length).contains(n));
                    }
                    Step::Intersect(start, length) => {
                        ranges.intersect(&set::<1>(&[(start, start + length)])).unwrap();
                        numbers.retain(|n| (start..start + length).contains(n));
                    }
                }
                prop_assert!(ranges.iter().flat_map(|s| s.start()..s.end()).eq(numbers.iter().copied()));
                prop_assert!(ranges.iter().zip(ranges.iter().skip(1)).all(|(a, b)| a.end() < b.start()));
                prop_assert!((0..96).all(|n| ranges.contains(n) == numbers.contains(&n)));
                prop_assert_eq!(ranges.total(), u64::try_from(numbers.len()).unwrap());
            }
        }
    }
}
