//! What must be true between any two verbs, for all spaces of a machine.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::PAGE;
use crate::addr::{PhysFrame, UserAddr};
use crate::paging::address::{HALF_SIZE, Level};
use crate::paging::{Descriptor, Entry, Leaf, Rights, SoftwareBits, TableLimits, VirtRange};
use crate::vm::fake::Machine;
use crate::vm::system::MemorySystem;
use crate::vm::{AccessKind, Space};

/// Checks the invariants of `spaces`, which are all there are. Of `held` frames somebody else has a reference.
///
/// * Counts of tables and pages are the references that are found by walking, each table once.
/// * A shared table is reached through read-only descriptors only, and no private page that can be written has two leaves.
/// * A space's numbers are those of its tables and areas; tables allow nothing that areas forbid.
/// * The MMU saw no mistake.
pub(super) fn check(machine: &Machine, spaces: &[&Space], held: &BTreeSet<PhysFrame>) {
    assert_eq!(machine.lab.sim.mistakes(), []);
    let mut found = Found::default();
    for space in spaces {
        let root = space.tree.tables().root_frame();
        found.tables.insert(root, 1);
        found.look(machine, root, Level::One);
        space.areas.check();
        check_space(machine, space);
    }
    assert_eq!(found.tables, machine.lab.tables.counts(), "counts of tables");
    for frame in &found.named_writable {
        assert_eq!(found.tables[frame], 1, "{frame:?} is shared by a writable descriptor");
    }
    check_pages(machine, &found, held);
    check_writers(machine, spaces);
    let charged: u64 = spaces.iter().map(|space| space.areas.totals().charged).sum();
    assert!(machine.commitments().pages() >= charged, "what areas count is promised");
}

/// What is found by walking, each table once however many trees share it.
#[derive(Default)]
struct Found {
    tables: BTreeMap<PhysFrame, u32>,
    private: BTreeMap<PhysFrame, u32>,
    shared: BTreeMap<PhysFrame, u32>,
    named_writable: Vec<PhysFrame>,
}

impl Found {
    /// Looks through a table, and returns how many entries it has in use.
    fn look(&mut self, machine: &Machine, table: PhysFrame, level: Level) -> u16 {
        let mut live = 0;
        for index in 0..512 {
            match Descriptor::from_raw(machine.lab.memory.read(table, index)).decode(level) {
                Entry::Invalid => continue,
                Entry::Table(entry) => {
                    let count = self.tables.entry(entry.frame).or_default();
                    *count += 1;
                    if *count == 1 {
                        let found =
                            self.look(machine, entry.frame, level.below().expect("a table is not below level 3"));
                        assert_eq!((found, entry.live > 0), (entry.live, true), "entries in use of {:?}", entry.frame);
                    }
                    if !entry.limits.contains(TableLimits::READ_ONLY) {
                        self.named_writable.push(entry.frame);
                    }
                }
                Entry::Page(leaf) => {
                    let leaves = if is_private(&leaf) { &mut self.private } else { &mut self.shared };
                    *leaves.entry(PhysFrame::containing(leaf.output)).or_default() += 1;
                }
                other => panic!("{other:?} in a program's tree"),
            }
            live += 1;
        }
        live
    }
}

/// Each page has the references that were found; one more has what an object holds.
fn check_pages(machine: &Machine, found: &Found, held: &BTreeSet<PhysFrame>) {
    let counts = machine.pages();
    for (frame, count) in &counts {
        let private = found.private.get(frame).copied().unwrap_or(0);
        let shared = found.shared.get(frame).copied().unwrap_or(0);
        let others = count.checked_sub(private + shared);
        match others {
            Some(0) => assert!(shared == 0, "{frame:?} is mapped as shared and belongs to no object"),
            Some(1) => assert!(private == 0 || held.contains(frame), "a reference to {frame:?} is lost"),
            other => panic!("{frame:?}: {count} references, {private} and {shared} leaves: {other:?}"),
        }
    }
    for frame in found.private.keys().chain(found.shared.keys()).filter(|&&frame| frame != machine.zero_page()) {
        assert!(counts.contains_key(frame), "{frame:?} is mapped and free");
    }
}

/// No private page that somebody can write to is mapped a second time, and nobody can write to the page of zeroes.
fn check_writers(machine: &Machine, spaces: &[&Space]) {
    let mut mappings: BTreeMap<PhysFrame, Vec<bool>> = BTreeMap::new();
    for space in spaces {
        each_leaf(machine, space, |_, leaf, rights| {
            let frame = PhysFrame::containing(leaf.output);
            let writable = rights.intersects(Rights::WRITE);
            assert!(!writable || frame != machine.zero_page(), "the page of zeroes can be written");
            if is_private(&leaf) {
                mappings.entry(frame).or_default().push(writable);
            }
        });
    }
    for (frame, writable) in mappings {
        assert!(writable.len() == 1 || !writable.contains(&true), "{frame:?} is written under somebody's eyes");
    }
}

fn check_space(machine: &Machine, space: &Space) {
    let mut resident = 0;
    each_leaf(machine, space, |at, leaf, rights| {
        resident += 1;
        let area = space.areas.find(at).unwrap_or_else(|| panic!("{at:?} is mapped and in no area"));
        let allowed = |right, access| !rights.contains(right) || area.allows(access);
        assert!(allowed(Rights::USER_READ, AccessKind::Read), "{at:?} can be read");
        assert!(allowed(Rights::USER_WRITE, AccessKind::Write), "{at:?} can be written");
        assert!(allowed(Rights::USER_EXECUTE, AccessKind::Execute), "{at:?} can be executed");
        assert_eq!(leaf.attributes.software, area.attributes().software, "{at:?}");
    });
    assert_eq!(space.statistics().resident, resident, "pages that are there");
}

/// Shows each leaf of a space, and what is left of its rights.
pub(super) fn each_leaf(machine: &Machine, space: &Space, mut show: impl FnMut(UserAddr, Leaf, Rights)) {
    let whole = VirtRange::new(UserAddr::new(0), HALF_SIZE).expect("the half");
    let _: ControlFlow<()> = space.tree.tables().visit(&*machine.lab.memory, whole, |visited| {
        if let Some(leaf) = visited.entry.leaf() {
            assert!(visited.start.is_aligned(PAGE));
            show(visited.start, leaf, leaf.attributes.access.effective(visited.limits));
        }
        ControlFlow::Continue(())
    });
}

fn is_private(leaf: &Leaf) -> bool {
    !leaf.attributes.software.contains(SoftwareBits::SHARED)
}
