//! Random strings of verbs on a family of programs, against a map with one entry a page for each.
//!
//! Loads and stores go through the worst translation that some TLB may hold, else by way of a fault, whose outcome is
//! foretold. Memory runs out now and then: then the verb may fail, and if it does, nothing has changed. After each verb
//! the areas are those of the model, each page that is there holds what it should, and the [invariants](super::invariants)
//! hold. At the end everybody exits, and nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::invariants::{check, each_leaf};
use super::{PAGE, end};
use crate::addr::{Asid, PhysFrame, UserAddr};
use crate::paging::Rights;
use crate::paging::sim::Owner;
use crate::vm::fake::{FakeFile, Machine};
use crate::vm::{
    AccessKind, Advice, Fault, ForkError, Inheritance, Layout, Limits, MapFailure, MapFlags, MapRequest, Moving, Pager,
    Place, Protection, Sharing, Source, Space,
};

/// How many verbs a family goes through.
const OPS: RangeInclusive<usize> = 1..=60;
/// How many programs there are at most.
const FAMILY: usize = 4;
const MIB_2: u64 = 2 << 20;
const GIB: u64 = 1 << 30;
/// The pages that the TLB looks at: on both sides of the borders of tables.
const WATCHED: [u64; 8] =
    [MIB_2 - 2 * PAGE, MIB_2 - PAGE, MIB_2, MIB_2 + PAGE, GIB - PAGE, GIB, GIB + PAGE, GIB + MIB_2];
/// Pages of the file, and what is on the first.
const FILE_PAGES: u64 = 3;
const FILE_FIRST: u8 = 0xe0;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Zeroes,
    Shared,
    File,
}

#[derive(Clone, Debug)]
enum Op {
    Map { at: usize, pages: u64, protection: usize, kind: Kind, flags: u8 },
    MapAnywhere { pages: u64, protection: usize, kind: Kind },
    Unmap { from: usize, to: usize },
    Protect { at: usize, pages: u64, protection: usize },
    Remap { at: usize, old: u64, new: u64, to: Option<usize>, may: bool },
    Store { at: usize },
    Load { at: usize, execute: bool },
    Fork,
    Exit,
    Exec,
    DontNeed { from: usize, to: usize },
    Inherit { at: usize, pages: u64, inheritance: usize },
    Lock { at: usize, pages: u64, lock: bool },
}

#[derive(Clone, Copy, Debug)]
struct Scarcity {
    tables: Option<usize>,
    pages: Option<usize>,
}

fn any_op() -> impl Strategy<Value = (usize, Op, Scarcity)> {
    let at = || 0..WATCHED.len();
    let pages = || 1..4_u64;
    let protection = || 0..PROTECTIONS.len();
    let kind = || prop_oneof![3 => Just(Kind::Zeroes), 1 => Just(Kind::Shared), 1 => Just(Kind::File)];
    let op = prop_oneof![
        6 => (at(), pages(), protection(), kind(), 0..8_u8).prop_map(|(at, pages, protection, kind, flags)| {
            Op::Map { at, pages, protection, kind, flags }
        }),
        1 => (pages(), protection(), kind()).prop_map(|(pages, protection, kind)| {
            Op::MapAnywhere { pages, protection, kind }
        }),
        2 => (at(), at()).prop_map(|(from, to)| Op::Unmap { from, to }),
        3 => (at(), pages(), protection()).prop_map(|(at, pages, protection)| Op::Protect { at, pages, protection }),
        3 => (at(), pages(), 1..5_u64, proptest::option::of(at()), any::<bool>()).prop_map(|(at, old, new, to, may)| {
            Op::Remap { at, old, new, to, may }
        }),
        10 => (0..2 * WATCHED.len()).prop_map(|at| Op::Store { at }),
        5 => (0..2 * WATCHED.len(), any::<bool>()).prop_map(|(at, execute)| Op::Load { at, execute }),
        4 => Just(Op::Fork),
        2 => Just(Op::Exit),
        1 => Just(Op::Exec),
        2 => (at(), at()).prop_map(|(from, to)| Op::DontNeed { from, to }),
        1 => (at(), pages(), 0..3_usize).prop_map(|(at, pages, inheritance)| Op::Inherit { at, pages, inheritance }),
        1 => (at(), pages(), any::<bool>()).prop_map(|(at, pages, lock)| Op::Lock { at, pages, lock }),
    ];
    let scarcity = prop_oneof![
        4 => Just(Scarcity { tables: None, pages: None }),
        1 => (0..4_usize).prop_map(|left| Scarcity { tables: Some(left), pages: None }),
        1 => (0..3_usize).prop_map(|left| Scarcity { tables: None, pages: Some(left) }),
    ];
    (0..FAMILY, op, scarcity)
}

const PROTECTIONS: [Protection; 5] =
    [Protection::READ_WRITE, Protection::READ_EXECUTE, Protection::READ, Protection::all(), Protection::NONE];

/// Where a page's contents come from that its program has not written.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Base {
    Zero,
    File(u64),
    Object(usize, u64),
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Page {
    base: Base,
    /// What the program wrote to a private page.
    written: Option<u8>,
    protection: Protection,
    sharing: Sharing,
    inheritance: Inheritance,
    locked: bool,
}

impl Page {
    /// The page that comes `distance` pages after this one in its mapping.
    fn later(self, distance: u64) -> Self {
        let base = match self.base {
            Base::Zero => Base::Zero,
            Base::File(index) => Base::File(index + distance),
            Base::Object(object, index) => Base::Object(object, index + distance),
        };
        Self { base, written: None, ..self }
    }

    fn allows(self, access: AccessKind) -> bool {
        match access {
            AccessKind::Read => !self.protection.is_empty(),
            AccessKind::Write => self.protection.contains(Protection::WRITE),
            AccessKind::Execute => self.protection.contains(Protection::EXECUTE),
        }
    }
}

/// A program: the space under test, and what it should be.
struct Program {
    tag: u16,
    space: Space,
    pages: BTreeMap<u64, Page>,
}

struct Bench {
    machine: &'static Machine,
    programs: Vec<Program>,
    file: Arc<FakeFile>,
    /// The frames of the file.
    held: BTreeSet<PhysFrame>,
    /// What is on the pages of each shared object.
    objects: Vec<Vec<u8>>,
    next_value: u8,
    next_tag: u16,
    scarce: bool,
}

impl Bench {
    fn new() -> Self {
        let machine = Machine::new(128, 4096, &WATCHED);
        let file = FakeFile::ready(machine, usize::try_from(FILE_PAGES).unwrap() * 4096, FILE_FIRST);
        let held = machine.pages().into_keys().collect();
        let mut bench = Self {
            machine,
            programs: Vec::new(),
            file,
            held,
            objects: Vec::new(),
            next_value: 1,
            next_tag: 1,
            scarce: false,
        };
        let first = bench.start();
        bench.programs.push(first);
        bench
    }

    fn start(&mut self) -> Program {
        let tag = self.next_tag;
        self.next_tag += 1;
        let mut space = super::start(self.machine, tag);
        space.set_limits(Limits::NONE);
        space.allow_write_execute(true);
        Program { tag, space, pages: BTreeMap::new() }
    }

    fn apply(&mut self, who: usize, op: &Op, scarcity: Scarcity) {
        let who = who % self.programs.len();
        self.scarce = scarcity.tables.is_some() || scarcity.pages.is_some();
        if !matches!(op, Op::Exec) {
            self.machine.lab.tables.set_budget(scarcity.tables);
            self.machine.set_page_budget(scarcity.pages);
        }
        match *op {
            Op::Map { at, pages, protection, kind, flags } => {
                let place = Place::Fixed(UserAddr::new(WATCHED[at]));
                self.map(who, place, pages, PROTECTIONS[protection], kind, MapFlags::from_bits_truncate(flags & 0b110));
            }
            Op::MapAnywhere { pages, protection, kind } => {
                self.map(who, Place::Anywhere, pages, PROTECTIONS[protection], kind, MapFlags::empty());
            }
            Op::Unmap { from, to } => self.unmap(who, bounds(from, to)),
            Op::Protect { at, pages, protection } => self.protect(who, WATCHED[at], pages, PROTECTIONS[protection]),
            Op::Remap { at, old, new, to, may } => {
                let moving = match to {
                    Some(to) => Moving::To(UserAddr::new(WATCHED[to])),
                    None if may => Moving::May,
                    None => Moving::No,
                };
                self.remap(who, WATCHED[at], old, new, moving);
            }
            Op::Store { at } => self.store(who, at),
            Op::Load { at, execute } => self.load(who, at, execute),
            Op::Fork => self.fork(who),
            Op::Exit => self.exit(who),
            Op::Exec => {
                let fresh = self.start();
                let old = core::mem::replace(&mut self.programs[who], fresh);
                end(self.machine, old.space);
            }
            Op::DontNeed { from, to } => self.dont_need(who, bounds(from, to)),
            Op::Inherit { at, pages, inheritance } => self.inherit(who, WATCHED[at], pages, inheritance),
            Op::Lock { at, pages, lock } => self.lock(who, WATCHED[at], pages, lock),
        }
        self.machine.lab.tables.set_budget(None);
        self.machine.set_page_budget(None);
    }

    /// Whether a verb did what it should: it may fail for want of memory if there is little.
    fn done<T>(&self, outcome: Result<T, MapFailure>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(MapFailure::OutOfMemory) if self.scarce => None,
            Err(other) => panic!("{other:?}"),
        }
    }

    fn map(&mut self, who: usize, place: Place, pages: u64, protection: Protection, kind: Kind, flags: MapFlags) {
        let pager: Arc<dyn Pager> = self.file.clone();
        let (sharing, source, base) = match kind {
            Kind::Zeroes => (Sharing::Private, Source::Anonymous, Base::Zero),
            Kind::Shared => (Sharing::Shared, Source::Anonymous, Base::Object(self.objects.len(), 0)),
            Kind::File => {
                let source = Source::File { pager, offset: PAGE, max_protection: Protection::all() };
                (Sharing::Private, source, Base::File(1))
            }
        };
        let request = MapRequest { place, bytes: pages * PAGE, protection, sharing, source, flags };
        let machine = self.machine;
        let mapped = self.programs[who].space.map(machine, request);
        let Some(at) = self.done(mapped) else { return };
        if matches!(kind, Kind::Shared) {
            self.objects.push(vec![0; usize::try_from(pages).unwrap()]);
        }
        let program = &mut self.programs[who];
        if place == Place::Anywhere {
            assert!(program.pages.range(at.get()..at.get() + pages * PAGE).next().is_none(), "placed on something");
            assert!(at.get() + pages * PAGE <= Layout::fixed().mmap_top.get());
        }
        let locked = flags.contains(MapFlags::LOCKED);
        let inheritance = Inheritance::Usual;
        let first = Page { base, written: None, protection, sharing, inheritance, locked };
        for number in 0..pages {
            program.pages.insert(at.get() + number * PAGE, first.later(number));
        }
    }

    fn unmap(&mut self, who: usize, (start, end): (u64, u64)) {
        let machine = self.machine;
        let outcome = self.programs[who].space.unmap(machine, UserAddr::new(start), end - start);
        if self.done(outcome).is_some() {
            self.programs[who].pages.retain(|&page, _| page < start || page >= end);
        }
    }

    /// The first page of a range that is not mapped.
    fn hole(&self, who: usize, at: u64, pages: u64) -> Option<u64> {
        (0..pages).map(|number| at + number * PAGE).find(|page| !self.programs[who].pages.contains_key(page))
    }

    fn each(&mut self, who: usize, at: u64, pages: u64, change: impl Fn(&mut Page)) {
        self.programs[who].pages.range_mut(at..at + pages * PAGE).for_each(|(_, page)| change(page));
    }

    fn protect(&mut self, who: usize, at: u64, pages: u64, protection: Protection) {
        let hole = self.hole(who, at, pages);
        let outcome = self.programs[who].space.protect(self.machine, UserAddr::new(at), pages * PAGE, protection);
        if let Some(hole) = hole {
            assert_eq!(outcome, Err(MapFailure::NotMapped { at: UserAddr::new(hole) }));
        } else if self.done(outcome).is_some() {
            self.each(who, at, pages, |page| page.protection = protection);
        }
    }

    fn remap(&mut self, who: usize, at: u64, old: u64, new: u64, moving: Moving) {
        let (old_end, new_end) = (at + old * PAGE, at + new * PAGE);
        let program = &mut self.programs[who];
        let area = program.space.areas().find(|area| area.start.get() <= at && old_end <= area.end.get());
        let area_end = area.map(|area| area.end.get());
        let free = program.pages.range(old_end..new_end.max(old_end)).next().is_none();
        let outcome = program.space.remap(self.machine, UserAddr::new(at), old * PAGE, new * PAGE, moving);
        if let Moving::To(to) = moving {
            let to = to.get();
            if to < old_end && at < to + new * PAGE {
                return assert_eq!(outcome, Err(MapFailure::Invalid));
            }
        }
        let Some(area_end) = area_end else {
            return assert!(matches!(outcome, Err(MapFailure::NotMapped { .. })), "{outcome:?}");
        };
        if moving == Moving::No && new > old && !(free && area_end == old_end) {
            return assert!(matches!(outcome, Err(MapFailure::NoGap)), "{outcome:?}");
        }
        let Some(to) = self.done(outcome).map(UserAddr::get) else {
            return self.half_remapped(who, at, old, new, moving);
        };
        match moving {
            Moving::No => assert_eq!(to, at),
            Moving::May if new <= old || free && area_end == old_end => assert_eq!(to, at),
            Moving::May => {}
            Moving::To(asked) => assert_eq!(to, asked.get()),
        }
        let pages = &mut self.programs[who].pages;
        let moved: Vec<Page> = (0..old).map(|number| pages.remove(&(at + number * PAGE)).unwrap()).collect();
        pages.retain(|&page, _| page < to || page >= to + new * PAGE);
        for number in 0..new {
            let within = usize::try_from(number).ok().and_then(|number| moved.get(number)).copied();
            let page = within.unwrap_or_else(|| moved[0].later(number));
            pages.insert(to + number * PAGE, page);
        }
    }

    /// What a `remap` may have done before memory ran out: cut the old range, cleared the new one.
    fn half_remapped(&mut self, who: usize, at: u64, old: u64, new: u64, moving: Moving) {
        let Program { space, pages, .. } = &mut self.programs[who];
        let gone = |start: u64, end: u64| space.areas().all(|area| area.end.get() <= start || end <= area.start.get());
        if new < old && gone(at + new * PAGE, at + old * PAGE) {
            pages.retain(|&page, _| page < at + new * PAGE || page >= at + old * PAGE);
        }
        if let Moving::To(to) = moving
            && gone(to.get(), to.get() + new * PAGE)
        {
            pages.retain(|&page, _| page < to.get() || page >= to.get() + new * PAGE);
        }
    }

    /// One of the watched pages, or one that the program has elsewhere.
    fn pick(&self, who: usize, at: usize) -> u64 {
        let others = || self.programs[who].pages.keys().copied();
        match WATCHED.get(at) {
            Some(&page) => page,
            None => others().nth((at - WATCHED.len()) % others().count().max(1)).unwrap_or(PAGE),
        }
    }

    /// What a page holds; nothing beyond the end of an object.
    fn value(&self, page: Page) -> Option<u8> {
        page.written.or(match page.base {
            Base::Zero => Some(0),
            Base::File(index) => u8::try_from(index).ok().filter(|_| index < FILE_PAGES).map(|i| FILE_FIRST + i),
            Base::Object(object, index) => self.objects[object].get(usize::try_from(index).unwrap()).copied(),
        })
    }

    /// What a fault should come to.
    fn expected(&self, page: Option<Page>, access: AccessKind) -> Fault {
        match page {
            None => Fault::NotMapped,
            Some(page) if !page.allows(access) => Fault::Denied,
            Some(page) if self.value(page).is_none() => Fault::BeyondEnd,
            Some(_) => Fault::Resolved,
        }
    }

    /// What a CPU does with an access: through any translation that allows it, else by way of the fault handler. The
    /// frame, unless the access fails, as it should, or memory runs out.
    fn access(&mut self, who: usize, at: u64, access: AccessKind) -> Option<PhysFrame> {
        let page = self.programs[who].pages.get(&at).copied();
        let expected = self.expected(page, access);
        let right = match access {
            AccessKind::Read => Rights::USER_READ,
            AccessKind::Write => Rights::USER_WRITE,
            AccessKind::Execute => Rights::USER_EXECUTE,
        };
        let machine = self.machine;
        let program = &mut self.programs[who];
        let cached = machine.lab.sim.possible(Owner::User(program.tag), at);
        if let Some((phys, _)) = cached.iter().find(|(_, rights)| rights.contains(right)) {
            assert_eq!(expected, Fault::Resolved, "an access to {at:#x} is possible that should not be");
            return Some(PhysFrame::containing(*phys));
        }
        let outcome = program.space.fault(machine, UserAddr::new(at + 8), access);
        if outcome == Fault::OutOfMemory && self.scarce {
            return None;
        }
        assert_eq!(outcome, expected, "{access:?} at {at:#x}");
        if outcome != Fault::Resolved {
            return None;
        }
        let walk = program.space.tree.tables().walk(&*machine.lab.memory, UserAddr::new(at));
        let mapping = walk.mapping().expect("the page is there");
        assert!(mapping.rights.contains(right), "the handler returns to a page that can be used");
        Some(PhysFrame::containing(mapping.phys))
    }

    fn store(&mut self, who: usize, at: usize) {
        use crate::vm::MemorySystem;
        let at = self.pick(who, at);
        let Some(frame) = self.access(who, at, AccessKind::Write) else { return };
        let value = self.next_value;
        self.next_value = self.next_value % 200 + 1;
        self.machine.write(frame, 0, &[value]);
        let page = self.programs[who].pages.get_mut(&at).expect("a page that can be written");
        match (page.sharing, page.base) {
            (Sharing::Shared, Base::Object(object, index)) => {
                self.objects[object][usize::try_from(index).unwrap()] = value;
            }
            _ => page.written = Some(value),
        }
    }

    fn load(&mut self, who: usize, at: usize, execute: bool) {
        let at = self.pick(who, at);
        let access = if execute { AccessKind::Execute } else { AccessKind::Read };
        let Some(frame) = self.access(who, at, access) else { return };
        let page = self.programs[who].pages[&at];
        assert_eq!(Some(self.machine.first_byte(frame)), self.value(page), "at {at:#x}");
    }

    fn fork(&mut self, who: usize) {
        if self.programs.len() == FAMILY {
            return;
        }
        let tag = self.next_tag;
        self.next_tag += 1;
        let parent = &mut self.programs[who];
        let mut space = match parent.space.fork(self.machine, Asid(tag)) {
            Ok(space) => space,
            Err(ForkError::OutOfMemory) if self.scarce => return,
            Err(other) => panic!("{other:?}"),
        };
        self.machine.lab.load_ttbr(Owner::User(tag), space.activate());
        let inherited = parent.pages.iter().filter_map(|(&at, page)| Some((at, inherited(*page)?)));
        let pages = inherited.collect();
        self.programs.push(Program { tag, space, pages });
    }

    fn exit(&mut self, who: usize) {
        if self.programs.len() > 1 {
            end(self.machine, self.programs.swap_remove(who).space);
        }
    }

    fn dont_need(&mut self, who: usize, (start, end): (u64, u64)) {
        let program = &mut self.programs[who];
        let locked = program.pages.range(start..end).any(|(_, page)| page.locked);
        let advised = program.space.advise(self.machine, UserAddr::new(start), end - start, Advice::DontNeed);
        match advised {
            Err(MapFailure::Locked) => assert!(locked),
            Ok(()) | Err(MapFailure::NotMapped { .. }) => {
                assert!(!locked);
                program.pages.range_mut(start..end).for_each(|(_, page)| page.written = None);
            }
            other => drop(self.done(other)),
        }
    }

    fn inherit(&mut self, who: usize, at: u64, pages: u64, inheritance: usize) {
        let inheritance = [Inheritance::None, Inheritance::Zero, Inheritance::Usual][inheritance];
        let hole = self.hole(who, at, pages);
        let outcome = self.programs[who].space.inherit(self.machine, UserAddr::new(at), pages * PAGE, inheritance);
        match hole {
            Some(hole) => assert_eq!(outcome, Err(MapFailure::NotMapped { at: UserAddr::new(hole) })),
            None => {
                assert_eq!(outcome, Ok(()));
                self.each(who, at, pages, |page| page.inheritance = inheritance);
            }
        }
    }

    fn lock(&mut self, who: usize, at: u64, pages: u64, lock: bool) {
        let hole = self.hole(who, at, pages);
        let space = &mut self.programs[who].space;
        let outcome = if lock {
            space.lock(self.machine, UserAddr::new(at), pages * PAGE)
        } else {
            space.unlock(UserAddr::new(at), pages * PAGE)
        };
        match hole {
            Some(hole) => assert_eq!(outcome, Err(MapFailure::NotMapped { at: UserAddr::new(hole) })),
            None => {
                // Pages that could not be had come later; the lock stands.
                let _ = self.done(outcome);
                self.each(who, at, pages, |page| page.locked = lock);
            }
        }
    }

    fn check(&self) {
        let spaces: Vec<_> = self.programs.iter().map(|program| &program.space).collect();
        check(self.machine, &spaces, &self.held);
        self.programs.iter().for_each(|program| self.check_program(program));
    }

    /// The areas are the model's, and what is there holds what it should, by the tables and by whatever a TLB may hold.
    fn check_program(&self, program: &Program) {
        let mut pages = BTreeMap::new();
        for area in program.space.areas() {
            for at in (area.start.get()..area.end.get()).step_by(4096) {
                pages.insert(at, (area.protection, area.sharing, area.inheritance, area.locked));
            }
        }
        let model = program.pages.iter();
        let model = model.map(|(&at, page)| (at, (page.protection, page.sharing, page.inheritance, page.locked)));
        assert_eq!(pages, model.collect(), "areas of {}", program.tag);
        let mut present = BTreeSet::new();
        each_leaf(self.machine, &program.space, |at, leaf, _| {
            let found = self.machine.first_byte(PhysFrame::containing(leaf.output));
            let page = program.pages[&at.get()];
            assert_eq!(Some(found), self.value(page), "at {at:?} of {}", program.tag);
            present.insert(at.get());
        });
        for (at, page) in &program.pages {
            assert!(page.written.is_none() || present.contains(at), "what was written to {at:#x} is lost");
        }
        for at in WATCHED {
            for (phys, _) in self.machine.lab.sim.possible(Owner::User(program.tag), at) {
                let page = program.pages.get(&at).expect("a TLB entry leads to nothing");
                let found = self.machine.first_byte(PhysFrame::containing(phys));
                assert_eq!(Some(found), self.value(*page), "by a TLB, at {at:#x}");
            }
        }
    }

    fn finish(mut self) {
        while let Some(program) = self.programs.pop() {
            end(self.machine, program.space);
            self.check();
        }
        drop(self.file);
        self.machine.expect_empty();
    }
}

/// What a child gets of a page.
fn inherited(page: Page) -> Option<Page> {
    let page = Page { locked: false, ..page };
    match page.inheritance {
        Inheritance::Usual | Inheritance::Copy => Some(page),
        Inheritance::Zero => Some(Page { base: Base::Zero, written: None, sharing: Sharing::Private, ..page }),
        Inheritance::None => None,
    }
}

/// From one watched page to another, both included.
fn bounds(from: usize, to: usize) -> (u64, u64) {
    (WATCHED[from.min(to)], WATCHED[from.max(to)] + PAGE)
}

proptest! {
    #![proptest_config(crate::paging::tests::dose(400))]

    #[test]
    #[cfg_attr(miri, ignore = "looks at every word of many tables")]
    fn a_family_of_programs_sees_what_the_model_says(ops in vec(any_op(), OPS)) {
        let mut bench = Bench::new();
        for (who, op, scarcity) in &ops {
            bench.apply(*who, op, *scarcity);
            bench.check();
        }
        bench.finish();
    }
}
