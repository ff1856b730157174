//! Random operations on a family of processes, against a map with one entry a page for each.
//!
//! Stores and loads go through the worst translation that some TLB may hold. After each operation: every page of every
//! process reads what the model says, the invariants of [`check`](super::check) hold, and the sim has seen no mistake. At
//! the end everybody exits, and nothing is left.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{PAGE, Supply, check, end, expect_empty, fork, frame_at, start};
use crate::addr::{Asid, PhysFrame, UserAddr};
use crate::paging::fake::Lab;
use crate::paging::sim::Owner;
use crate::paging::tests::{GIB, MIB_2, dose, range};
use crate::paging::{Attributes, MapError, OutOfFrames, Rights, SoftwareBits, UserAccess, UserTree, Write};

/// How many operations a family goes through.
const OPS: RangeInclusive<usize> = 1..=50;
/// How many processes there are at most.
const FAMILY: usize = 5;
/// How many objects there are that can be mapped as shared.
const OBJECTS: usize = 2;
/// The pages that are looked at: on both sides of the borders of tables.
const WATCHED: [u64; 10] =
    [0, PAGE, MIB_2 - PAGE, MIB_2, MIB_2 + PAGE, GIB - PAGE, GIB, GIB + MIB_2 - PAGE, GIB + MIB_2, 3 * GIB];

#[derive(Clone, Debug)]
enum Op {
    Fork { who: usize, divide: Option<(usize, usize)> },
    Exit { who: usize },
    Store { who: usize, at: usize },
    Touch { who: usize, at: usize, pages: u64, access: usize },
    MapShared { who: usize, at: usize, object: usize },
    Unmap { who: usize, from: usize, to: usize },
    Protect { who: usize, from: usize, to: usize, access: usize },
    Unshare { who: usize, at: usize },
}

fn any_op() -> impl Strategy<Value = (Op, Option<usize>)> {
    let who = || 0..FAMILY;
    let at = || 0..WATCHED.len();
    let op = prop_oneof![
        4 => (who(), option::of((at(), 0..3_usize))).prop_map(|(who, divide)| Op::Fork { who, divide }),
        2 => who().prop_map(|who| Op::Exit { who }),
        8 => (who(), at()).prop_map(|(who, at)| Op::Store { who, at }),
        5 => (who(), at(), 1..4_u64, 0..5_usize).prop_map(|(who, at, pages, access)| Op::Touch { who, at, pages, access }),
        1 => (who(), at(), 0..OBJECTS).prop_map(|(who, at, object)| Op::MapShared { who, at, object }),
        2 => (who(), at(), at()).prop_map(|(who, from, to)| Op::Unmap { who, from, to }),
        2 => (who(), at(), at(), 0..5_usize).prop_map(|(who, from, to, access)| Op::Protect { who, from, to, access }),
        1 => (who(), at()).prop_map(|(who, at)| Op::Unshare { who, at }),
    ];
    (op, prop_oneof![4 => Just(None), 1 => (0..4_usize).prop_map(Some)])
}

/// What a page of a process holds.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Content {
    /// This value, its own.
    Private(u32),
    /// Whatever this object holds.
    Shared(usize),
}

#[derive(Clone, Copy, Debug)]
struct Page {
    content: Content,
    access: UserAccess,
}

/// A process: the tree under test, and what a program in it should see.
struct Process {
    asid: u16,
    tree: UserTree,
    pages: BTreeMap<u64, Page>,
}

struct Bench {
    lab: Lab,
    processes: Vec<Process>,
    /// What is in each frame.
    memory: BTreeMap<PhysFrame, u32>,
    objects: [PhysFrame; OBJECTS],
    /// What each object should hold.
    values: [u32; OBJECTS],
    next_value: u32,
    next_asid: u16,
}

impl Bench {
    fn new() -> Self {
        let lab = Lab::new(128, &WATCHED);
        let init = Process { asid: 1, tree: start(&lab, 1), pages: BTreeMap::new() };
        let objects = [(); OBJECTS].map(|()| lab.leaves.allocate(1));
        let memory = objects.iter().map(|&frame| (frame, 0)).collect();
        Self { lab, processes: vec![init], memory, objects, values: [0; OBJECTS], next_value: 1, next_asid: 2 }
    }

    fn apply(&mut self, op: &Op, budget: Option<usize>) {
        let alive = self.processes.len();
        let who = |number: usize| number % alive;
        self.lab.tables.set_budget(budget);
        match *op {
            Op::Fork { who: number, divide } => self.fork(who(number), divide),
            Op::Exit { who: number } => self.exit(who(number)),
            Op::Store { who: number, at } => self.store(who(number), WATCHED[at]),
            Op::Touch { who: number, at, pages, access } => self.touch(who(number), WATCHED[at], pages, access),
            Op::MapShared { who: number, at, object } => self.map_shared(who(number), WATCHED[at], object),
            Op::Unmap { who: number, from, to } => self.unmap(who(number), bounds(from, to)),
            Op::Protect { who: number, from, to, access } => self.protect(who(number), bounds(from, to), access),
            Op::Unshare { who: number, at } => {
                let _ = self.processes[who(number)].tree.unshare(&self.lab, UserAddr::new(WATCHED[at]));
            }
        }
        self.lab.tables.set_budget(None);
    }

    /// A fork that divides the pages from `divide` on, for which there are so many frames.
    fn fork(&mut self, who: usize, divide: Option<(usize, usize)>) {
        if self.processes.len() == FAMILY {
            return;
        }
        let asid = self.next_asid;
        self.next_asid += 1;
        let parent = &mut self.processes[who];
        if self.lab.tables.is_dry() {
            assert!(matches!(parent.tree.fork(&self.lab, Asid(asid)), Err(OutOfFrames)));
            return;
        }
        let tree = match divide {
            None => fork(&self.lab, &mut parent.tree, asid),
            Some((at, frames)) => {
                let (lab, memory, owner) = (&self.lab, RefCell::new(&mut self.memory), Owner::User(parent.asid));
                let copied = |from: PhysFrame, to: PhysFrame| {
                    let possible = WATCHED.iter().flat_map(|&at| lab.sim.possible(owner, at));
                    let mut stores = possible.filter(|(_, rights)| rights.contains(Rights::USER_WRITE));
                    assert!(stores.all(|(phys, _)| phys != from.start()), "a page is stored to while it is copied");
                    let mut memory = memory.borrow_mut();
                    let value = memory[&from];
                    memory.insert(to, value);
                };
                let supply = Supply { lab, left: Cell::new(frames), copied };
                let near = range(WATCHED[at], 2 * PAGE);
                let child = parent.tree.fork_dividing(lab, Asid(asid), Some(near), &supply);
                let mut child = child.expect("there is a frame for the root");
                lab.load_ttbr(Owner::User(asid), child.activate());
                child
            }
        };
        let pages = parent.pages.clone();
        self.processes.push(Process { asid, tree, pages });
    }

    fn exit(&mut self, who: usize) {
        if self.processes.len() > 1 {
            end(&self.lab, self.processes.swap_remove(who).tree);
        }
    }

    /// What a CPU does with a store: through any translation that allows it, else by way of the fault handler.
    fn store(&mut self, who: usize, at: u64) {
        let value = self.next_value;
        self.next_value += 1;
        let Process { asid, tree, pages } = &mut self.processes[who];
        let page = pages.get_mut(&at).filter(|page| allows_store(page.access));
        let cached = self.lab.sim.possible(Owner::User(*asid), at);
        let open: Vec<_> = cached.into_iter().filter(|(_, rights)| rights.contains(Rights::USER_WRITE)).collect();
        let Some(page) = page else {
            assert!(open.is_empty(), "a store that the model forbids is possible: {open:?}");
            return;
        };
        let frame = match open.first() {
            Some((phys, _)) => PhysFrame::containing(*phys),
            None => match fault(&self.lab, tree, at, *page, &mut self.memory) {
                Some(frame) => frame,
                None => return,
            },
        };
        self.memory.insert(frame, value);
        match &mut page.content {
            Content::Private(content) => *content = value,
            Content::Shared(object) => self.values[*object] = value,
        }
    }

    /// First touch of anonymous memory.
    fn touch(&mut self, who: usize, at: u64, pages: u64, access: usize) {
        let access = ACCESSES[access];
        let value = self.next_value;
        let first = self.lab.leaves.allocate(pages);
        let frames = (first.number()..).take(usize::try_from(pages).unwrap()).map(PhysFrame::from_number);
        if self.map(who, (at, pages), first, Attributes::normal(access)) {
            for (number, frame) in (0..).zip(frames) {
                let value = value + number;
                self.memory.insert(frame, value);
                let page = Page { content: Content::Private(value), access };
                self.processes[who].pages.insert(at + u64::from(number) * PAGE, page);
            }
            self.next_value += 4;
        } else {
            frames.for_each(|frame| self.lab.leaves.drop(frame));
        }
    }

    fn map_shared(&mut self, who: usize, at: u64, object: usize) {
        let frame = self.objects[object];
        let access = UserAccess::ReadWrite;
        self.lab.leaves.add(frame);
        let attributes = Attributes::normal(access).with_software(SoftwareBits::SHARED);
        if self.map(who, (at, 1), frame, attributes) {
            self.processes[who].pages.insert(at, Page { content: Content::Shared(object), access });
        } else {
            self.lab.leaves.drop(frame);
        }
    }

    /// Whether it was mapped.
    fn map(
        &mut self,
        who: usize,
        (at, pages): (u64, u64),
        first: PhysFrame,
        attributes: Attributes<UserAccess>,
    ) -> bool {
        let process = &mut self.processes[who];
        let taken = process.pages.range(at..at + pages * PAGE).next().map(|(&page, _)| UserAddr::new(page));
        match process.tree.map_pages(&self.lab, range(at, pages * PAGE), first.start(), attributes) {
            Ok(()) => {
                assert_eq!(taken, None);
                true
            }
            Err(MapError::AlreadyMapped { at }) => {
                assert_eq!(taken, Some(at));
                false
            }
            Err(MapError::OutOfFrames) => false,
            Err(other) => panic!("{other:?}"),
        }
    }

    fn unmap(&mut self, who: usize, (start, end): (u64, u64)) {
        let process = &mut self.processes[who];
        if process.tree.unmap(&self.lab, range(start, end - start)).is_ok() {
            process.pages.retain(|&page, _| page < start || page >= end);
            for &at in WATCHED.iter().filter(|at| (start..end).contains(at)) {
                assert_eq!(self.lab.sim.possible(Owner::User(process.asid), at), [], "unmapped at {at:#x}");
            }
        }
    }

    fn protect(&mut self, who: usize, (start, end): (u64, u64), access: usize) {
        let access = ACCESSES[access];
        let process = &mut self.processes[who];
        if process.tree.protect(&self.lab, range(start, end - start), access).is_ok() {
            process.pages.range_mut(start..end).for_each(|(_, page)| page.access = access);
        }
    }

    fn check(&self) {
        let trees: Vec<_> = self.processes.iter().map(|process| &process.tree).collect();
        check(&self.lab, &trees, &self.objects);
        self.processes.iter().for_each(|process| self.check_process(process));
    }

    /// Each page holds what it should, by the tables and by whatever a TLB may hold, and can be used as it should.
    fn check_process(&self, process: &Process) {
        for &at in WATCHED.iter().chain(process.pages.keys()) {
            let page = process.pages.get(&at);
            let expected = page.map(|page| match page.content {
                Content::Private(value) => value,
                Content::Shared(object) => self.values[object],
            });
            let found = frame_at(&self.lab, &process.tree, at).map(|frame| self.memory[&frame]);
            assert_eq!(found, expected, "at {at:#x} of process {}", process.asid);
            for (phys, rights) in self.lab.sim.possible(Owner::User(process.asid), at) {
                let access = page.expect("a TLB entry leads to nothing").access;
                assert_eq!(Some(self.memory[&PhysFrame::containing(phys)]), expected, "by a TLB, at {at:#x}");
                assert!(allows_store(access) || !rights.intersects(Rights::WRITE), "at {at:#x}");
                assert!(access != UserAccess::None || !rights.contains(Rights::USER_READ), "at {at:#x}");
            }
        }
    }

    fn finish(mut self) {
        while let Some(process) = self.processes.pop() {
            end(&self.lab, process.tree);
            self.check();
        }
        self.objects.iter().for_each(|&object| self.lab.leaves.drop(object));
        expect_empty(&self.lab);
    }
}

const ACCESSES: [UserAccess; 5] = [
    UserAccess::ReadWrite,
    UserAccess::ReadOnly,
    UserAccess::ReadWriteExecute,
    UserAccess::ReadExecute,
    UserAccess::None,
];

fn allows_store(access: UserAccess) -> bool {
    matches!(access, UserAccess::ReadWrite | UserAccess::ReadWriteExecute)
}

/// From one watched page to another, both included.
fn bounds(from: usize, to: usize) -> (u64, u64) {
    (WATCHED[from.min(to)], WATCHED[from.max(to)] + PAGE)
}

/// What the handler of a write fault does. Says where the store goes then, if there was memory.
fn fault(
    lab: &Lab,
    tree: &mut UserTree,
    at: u64,
    page: Page,
    memory: &mut BTreeMap<PhysFrame, u32>,
) -> Option<PhysFrame> {
    match tree.write(lab, UserAddr::new(at), page.access).ok()? {
        Write::Granted => {}
        Write::Copy(old) => {
            assert!(matches!(page.content, Content::Private(_)), "a shared page is never copied");
            let copy = lab.leaves.allocate(1);
            let old = PhysFrame::containing(old.leaf.output);
            memory.insert(copy, memory[&old]);
            let attributes = Attributes::normal(page.access);
            let replaced = tree.replace(lab, UserAddr::new(at), copy.start(), attributes).expect("the path is ours");
            assert_eq!(PhysFrame::containing(replaced.leaf.output), old);
            lab.leaves.drop(old);
        }
        Write::NotMapped => panic!("the model has a page at {at:#x}"),
    }
    let walked = tree.tables().walk(&*lab.memory, UserAddr::new(at)).mapping().expect("mapped");
    assert!(walked.rights.contains(Rights::USER_WRITE), "the handler returns to a page that can be written");
    Some(PhysFrame::containing(walked.phys))
}

proptest! {
    #![proptest_config(dose(192))]

    #[test]
    #[cfg_attr(miri, ignore = "looks at every word of many tables")]
    fn a_family_of_processes_sees_what_the_model_says(ops in vec(any_op(), OPS)) {
        let mut bench = Bench::new();
        for (op, budget) in &ops {
            bench.apply(op, *budget);
            bench.check();
        }
        bench.finish();
    }
}
