//! Random operations on a tree, against a map with one entry a page.
//!
//! After each operation: its result is the model's, the walk of every watched page is the model's, the sim has seen no
//! mistake, no table is lost, and every count of live entries is right. At the end, every page and table comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, RangeInclusive};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{GIB, MIB_2, TestHalf, dose, expect_forgotten, finish, live_tree, range};
use crate::addr::{PhysAddr, UserAddr, VirtAddr};
use crate::paging::address::{HALF_SIZE, Level};
use crate::paging::fake::Lab;
use crate::paging::{Attributes, Entry, MapError, MappedLeaf, PartialBlock, SplitError, TableLimits, Tree};

const PAGE: u64 = 4096;
/// How many operations a tree goes through.
const OPS: RangeInclusive<usize> = if cfg!(miri) { 4..=4 } else { 1..=40 };

#[derive(Clone, Debug)]
enum Op {
    Map { at: usize, pages: u64, output: u64, access: usize, in_pages: bool, budget: Option<usize> },
    Unmap { at: usize, pages: u64 },
    Protect { at: usize, pages: u64, access: usize },
    Split { at: usize, budget: Option<usize> },
}

/// Pages around the borders of tables and of the half.
fn watched() -> Vec<u64> {
    let borders = [0, MIB_2, 2 * MIB_2, GIB, GIB + MIB_2, HALF_SIZE];
    let each_side = if cfg!(miri) { 1 } else { 3 };
    let around =
        |border: u64| (0..2 * each_side).filter_map(move |n| (border + n * PAGE).checked_sub(each_side * PAGE));
    borders.into_iter().flat_map(around).filter(|&page| page < HALF_SIZE).collect()
}

fn any_op() -> impl Strategy<Value = Op> {
    let at = || 0..watched().len();
    let border = || {
        let is_border = |&number: &usize| watched()[number].is_multiple_of(MIB_2);
        select((0..watched().len()).filter(is_border).collect::<Vec<_>>())
    };
    let place = move || prop_oneof![3 => at(), 1 => border()];
    let pages = || {
        let large = if cfg!(miri) { 3 } else { 512 };
        prop_oneof![6 => 0..12_u64, 2 => Just(large), 1 => Just(2 * large + 3)]
    };
    let output = prop_oneof![Just(0), Just(GIB), Just(GIB + 3 * PAGE), (0..64_u64).prop_map(|n| n * PAGE)];
    let budget = || prop_oneof![3 => Just(None), 1 => (0..5_usize).prop_map(Some)];
    prop_oneof![
        5 => (place(), pages(), output, any::<usize>(), any::<bool>(), budget()).prop_map(
            |(at, pages, output, access, in_pages, budget)| Op::Map { at, pages, output, access, in_pages, budget }
        ),
        3 => (place(), pages()).prop_map(|(at, pages)| Op::Unmap { at, pages }),
        2 => (place(), pages(), any::<usize>()).prop_map(|(at, pages, access)| Op::Protect { at, pages, access }),
        1 => (place(), budget()).prop_map(|(at, budget)| Op::Split { at, budget }),
    ]
}

/// One page: where it goes, and the leaf it is part of.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Page<X> {
    output: u64,
    access: X,
    leaf_start: u64,
    leaf_bytes: u64,
}

struct Model<A: TestHalf> {
    pages: BTreeMap<u64, Page<A::Access>>,
}

impl<A: TestHalf> Model<A> {
    fn first_in(&self, start: u64, end: u64) -> Option<u64> {
        self.pages.range(start..end).next().map(|(&page, _)| page)
    }

    fn map(&mut self, start: u64, end: u64, output: u64, access: A::Access, in_pages: bool) {
        let mut at = start;
        while at < end {
            let to = output + (at - start);
            let fits = |size: u64| !in_pages && at.is_multiple_of(size) && to.is_multiple_of(size) && end - at >= size;
            let bytes = if fits(MIB_2) { MIB_2 } else { PAGE };
            for page in (at..at + bytes).step_by(4096) {
                let output = to + (page - at);
                self.pages.insert(page, Page { output, access, leaf_start: at, leaf_bytes: bytes });
            }
            at += bytes;
        }
    }

    fn cut(&self, start: u64, end: u64) -> Option<PartialBlock<A>> {
        let edges = if start < end { vec![start, end - PAGE] } else { vec![] };
        let cuts = |page: &&Page<A::Access>| page.leaf_start < start || page.leaf_start + page.leaf_bytes > end;
        let found = edges.iter().filter_map(|edge| self.pages.get(edge)).find(cuts)?;
        Some(PartialBlock { at: A::from_offset(found.leaf_start), level: Level::Two })
    }

    fn leaves(&self, start: u64, end: u64) -> BTreeSet<(u64, u64)> {
        let pages = self.pages.range(start..end).filter(|(at, page)| **at == page.leaf_start);
        pages.map(|(&at, page)| (at, page.output)).collect()
    }
}

struct Bench<A: TestHalf> {
    lab: Lab,
    tree: Tree<A>,
    model: Model<A>,
    watched: Vec<u64>,
}

impl<A: TestHalf> Bench<A> {
    fn new() -> Self {
        let watched = watched();
        let lab = Lab::new(32, &watched);
        let tree = live_tree::<A>(&lab);
        Self { lab, tree, model: Model { pages: BTreeMap::new() }, watched }
    }

    /// The bounds of `pages` pages from watched page `at` on, cut at the half's end.
    fn bounds(&self, at: usize, pages: u64) -> (u64, u64) {
        let start = self.watched[at];
        (start, (start + pages * PAGE).min(HALF_SIZE))
    }

    fn access(number: usize) -> A::Access {
        A::ACCESSES[number % A::ACCESSES.len()]
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Map { at, pages, output, access, in_pages, budget } => {
                self.lab.tables.set_budget(budget);
                self.map(self.bounds(at, pages), output, Self::access(access), in_pages);
            }
            Op::Unmap { at, pages } => self.unmap(self.bounds(at, pages)),
            Op::Protect { at, pages, access } => self.protect(self.bounds(at, pages), Self::access(access)),
            Op::Split { at, budget } => {
                self.lab.tables.set_budget(budget);
                self.split(self.watched[at]);
            }
        }
        self.lab.tables.set_budget(None);
    }

    fn map(&mut self, (start, end): (u64, u64), output: u64, access: A::Access, in_pages: bool) {
        let tables = self.lab.tables.used();
        let wanted = range(start, end - start);
        let (to, attributes) = (PhysAddr::new(output), Attributes::normal(access));
        let result = if in_pages {
            self.tree.map_pages(&self.lab, wanted, to, attributes)
        } else {
            self.tree.map(&self.lab, wanted, to, attributes)
        };
        match (result, self.model.first_in(start, end)) {
            (Err(MapError::AlreadyMapped { at }), Some(first)) => assert_eq!(at, A::from_offset(first)),
            (Err(MapError::OutOfFrames), None) => {
                assert_eq!(self.lab.tables.used(), tables, "a failed map kept a table")
            }
            (Ok(()), None) => self.model.map(start, end, output, access, in_pages),
            (result, first) => panic!("{result:?}, yet the model's first page is {first:?}"),
        }
    }

    fn unmap(&mut self, (start, end): (u64, u64)) {
        let mut released = BTreeSet::new();
        let lab = &self.lab;
        let result = self.tree.unmap(lab, range(start, end - start), |leaf| {
            expect_forgotten(lab, &leaf);
            released.insert(place(&leaf));
        });
        match self.model.cut(start, end) {
            Some(cut) => assert_eq!((result, released.len()), (Err(cut), 0)),
            None => {
                assert_eq!((result, released), (Ok(()), self.model.leaves(start, end)));
                self.model.pages.retain(|&page, _| page < start || page >= end);
            }
        }
    }

    fn protect(&mut self, (start, end): (u64, u64), access: A::Access) {
        let result = self.tree.protect(&self.lab, range(start, end - start), access);
        match self.model.cut(start, end) {
            Some(cut) => assert_eq!(result, Err(cut)),
            None => {
                assert_eq!(result, Ok(()));
                self.model.pages.range_mut(start..end).for_each(|(_, page)| page.access = access);
            }
        }
    }

    fn split(&mut self, at: u64) {
        let result = self.tree.split(&self.lab, A::from_offset(at));
        let block = self.model.pages.get(&at).copied().filter(|page| page.leaf_bytes > PAGE);
        match (result, block) {
            (Err(SplitError::NotABlock { .. }), None) | (Err(SplitError::OutOfFrames), Some(_)) => {}
            (Err(SplitError::Live { .. }), Some(_)) => assert!(!A::TOLERATES_GAPS),
            (Ok(()), Some(block)) => {
                assert!(A::TOLERATES_GAPS);
                for (&start, page) in self.model.pages.range_mut(block.leaf_start..block.leaf_start + MIB_2) {
                    (page.leaf_start, page.leaf_bytes) = (start, PAGE);
                }
            }
            (result, block) => panic!("{result:?} for {block:?}"),
        }
    }

    fn check(&self) {
        assert_eq!(self.lab.sim.mistakes(), []);
        for &page in &self.watched {
            let mapping = self.tree.walk(&*self.lab.memory, A::from_offset(page + 0x123)).mapping();
            let found = mapping.map(|m| (m.phys.get(), m.attributes.access, m.level.entry_size(), m.rights));
            let expected = self.model.pages.get(&page).map(|page| {
                let access = page.access.into();
                (page.output + 0x123, access, page.leaf_bytes, access.effective(TableLimits::empty()))
            });
            assert_eq!(found, expected, "at {page:#x}");
        }
        self.check_tables();
    }

    /// Each table that is out is found exactly once, and holds as many entries as its parent says.
    fn check_tables(&self) {
        let mut tables = vec![self.tree.root_frame()];
        let _: ControlFlow<()> = self.tree.visit(&*self.lab.memory, range(0, HALF_SIZE), |visited| {
            if let Entry::Table(entry) = visited.entry {
                let live = (0..512).filter(|&index| self.lab.memory.read(entry.frame, index) & 1 == 1).count();
                assert_eq!(usize::from(entry.live), live, "live entries below {:?}", visited.start);
                assert!(live > 0, "an empty table at {:?}", visited.start);
                tables.push(entry.frame);
            }
            ControlFlow::Continue(())
        });
        let distinct: BTreeSet<_> = tables.iter().copied().collect();
        assert_eq!(distinct.len(), tables.len(), "a table is reached twice");
        assert_eq!(distinct, self.lab.tables.used());
    }

    fn end(mut self) {
        let all = self.model.leaves(0, HALF_SIZE);
        let mut released = BTreeSet::new();
        let half = range(0, HALF_SIZE / 2);
        self.tree
            .unmap(&self.lab, half, |leaf| {
                assert!(released.insert(place(&leaf)), "released twice");
            })
            .expect("no block is cut");
        self.check_root_only_above(HALF_SIZE / 2);
        assert_eq!(released, all.range(..(HALF_SIZE / 2, 0)).copied().collect());
        finish(&self.lab, self.tree);
    }

    fn check_root_only_above(&self, offset: u64) {
        let below = self.tree.visit(&*self.lab.memory, range(0, offset), |visited| ControlFlow::Break(visited.start));
        assert_eq!(below, ControlFlow::Continue(()), "something is left of an unmapped half");
    }
}

fn place<A: TestHalf>(leaf: &MappedLeaf<A>) -> (u64, u64) {
    (leaf.start.offset().expect("an address of the half"), leaf.leaf.output.get())
}

fn run<A: TestHalf>(ops: &[Op]) {
    let mut bench = Bench::<A>::new();
    for op in ops {
        bench.apply(op);
        bench.check();
    }
    bench.end();
}

proptest! {
    #![proptest_config(dose(if cfg!(miri) { 1 } else { 96 }))]

    #[test]
    fn a_programs_tree_does_what_the_model_does(ops in vec(any_op(), OPS)) {
        run::<UserAddr>(&ops);
    }

    #[test]
    fn the_kernels_tree_does_what_the_model_does(ops in vec(any_op(), OPS)) {
        run::<VirtAddr>(&ops);
    }
}
