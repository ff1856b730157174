//! One verb at a time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::{PAGE, RW, Supply, check, end, expect_empty, fork, frame_at, map, start, store};
use crate::addr::{Asid, PhysAddr, PhysFrame, UserAddr};
use crate::hal::Tlb;
use crate::paging::fake::Lab;
use crate::paging::sim::{Mistake, Owner};
use crate::paging::tests::{GIB, MIB_2, range};
use crate::paging::{
    Entry, Level, MapError, OutOfFrames, ReplaceError, Rights, SoftwareBits, TableCensus, TableLimits, Unshared,
    UserAccess, UserTree, Write,
};

const PARENT: u16 = 1;
const CHILD: u16 = 2;

fn user(offset: u64) -> UserAddr {
    UserAddr::new(offset)
}

/// A lab and a parent with a page at each of `pages`.
fn family(pages: &[u64]) -> (Lab, UserTree) {
    let lab = Lab::new(64, pages);
    let mut parent = start(&lab, PARENT);
    for &page in pages {
        map(&lab, &mut parent, page, 1);
    }
    (lab, parent)
}

fn rights(lab: &Lab, tree: &UserTree, at: u64) -> Option<Rights> {
    tree.tables().walk(&*lab.memory, user(at)).mapping().map(|mapping| mapping.rights)
}

/// Every word of every table.
fn words(lab: &Lab) -> Vec<(PhysFrame, usize, u64)> {
    let tables = lab.tables.used();
    tables.iter().flat_map(|&table| (0..512).map(move |i| (table, i, lab.memory.read(table, i)))).collect()
}

/// How many words of tables that both know differ.
fn changed(before: &[(PhysFrame, usize, u64)], after: &[(PhysFrame, usize, u64)]) -> usize {
    let before: BTreeSet<_> = before.iter().collect();
    let known: BTreeSet<_> = before.iter().map(|(table, ..)| table).collect();
    after.iter().filter(|word| known.contains(&word.0) && !before.contains(word)).count()
}

#[test]
#[cfg_attr(miri, ignore = "looks at every word of many tables")]
fn fork_costs_the_same_whatever_is_mapped() {
    let mut costs = Vec::new();
    for pages in [1, 100, 512, 40 * 512] {
        let lab = Lab::new(64, &[0, GIB]);
        let mut parent = start(&lab, PARENT);
        map(&lab, &mut parent, 0, pages);
        map(&lab, &mut parent, GIB, 1);
        let (before, tables, leaves) = (words(&lab), lab.tables.used().len(), lab.leaves.counts());
        let child = fork(&lab, &mut parent, CHILD);
        costs.push((changed(&before, &words(&lab)), lab.tables.used().len() - tables));
        assert_eq!(lab.leaves.counts(), leaves, "fork has nothing to do with pages");
        let root = child.tables().root_frame();
        assert_eq!((0..512).filter(|&index| lab.memory.read(root, index) != 0).count(), 2);
        end(&lab, child);
        end(&lab, parent);
        expect_empty(&lab);
    }
    assert_eq!(costs, [(2, 1); 4], "two descriptors of the parent's root, and one new table");
}

#[test]
fn what_fork_divides_each_side_stores_to_without_a_fault() {
    let (lab, mut parent) = family(&[0, PAGE, 2 * PAGE, MIB_2, GIB]);
    let before = [0, PAGE].map(|at| frame_at(&lab, &parent, at));
    let copied = RefCell::new(Vec::new());
    let supply = Supply { lab: &lab, left: Cell::new(9), copied: |from, to| copied.borrow_mut().push((from, to)) };
    let mut child = parent.fork_dividing(&lab, Asid(CHILD), Some(range(0, 2 * PAGE)), &supply).unwrap();
    lab.load_ttbr(Owner::User(CHILD), child.activate());
    for (number, at) in [0, PAGE].into_iter().enumerate() {
        let (mine, its) = (frame_at(&lab, &parent, at), frame_at(&lab, &child, at));
        assert_eq!(mine, before[number], "the parent keeps its page");
        assert_eq!(copied.borrow()[number], (mine.unwrap(), its.unwrap()));
        for tree in [&parent, &child] {
            assert!(rights(&lab, tree, at).unwrap().contains(Rights::WRITE));
        }
    }
    for at in [2 * PAGE, MIB_2, GIB] {
        assert_eq!(frame_at(&lab, &parent, at), frame_at(&lab, &child, at), "all else is shared");
        assert!([&parent, &child].into_iter().all(|tree| !rights(&lab, tree, at).unwrap().intersects(Rights::WRITE)));
    }
    check(&lab, &[&parent, &child], &[]);
    end(&lab, parent);
    end(&lab, child);
    expect_empty(&lab);
}

#[test]
fn what_stands_far_from_a_divided_page_in_its_tables_is_shared_too() {
    let far = [0, 200 * PAGE, 511 * PAGE, 3 * MIB_2, 511 * MIB_2];
    let (lab, mut parent) = family(&[&far[..], &[5 * PAGE]].concat());
    let supply = Supply { lab: &lab, left: Cell::new(1), copied: |_, _| () };
    let child = parent.fork_dividing(&lab, Asid(CHILD), Some(range(5 * PAGE, PAGE)), &supply).unwrap();
    assert_ne!(frame_at(&lab, &parent, 5 * PAGE), frame_at(&lab, &child, 5 * PAGE));
    for at in far {
        assert!(frame_at(&lab, &child, at).is_some());
        assert_eq!(frame_at(&lab, &parent, at), frame_at(&lab, &child, at));
    }
    check(&lab, &[&parent, &child], &[]);
    end(&lab, parent);
    end(&lab, child);
    expect_empty(&lab);
}

#[test]
fn a_path_through_full_tables_is_shared_like_all_else() {
    let lab = Lab::new(64, &[0]);
    let mut parent = start(&lab, PARENT);
    map(&lab, &mut parent, 0, 100);
    let tables = lab.tables.used().len();
    let supply = Supply { lab: &lab, left: Cell::new(9), copied: |_, _| panic!("nothing to copy") };
    let child = parent.fork_dividing(&lab, Asid(CHILD), Some(range(0, PAGE)), &supply).unwrap();
    assert_eq!(lab.tables.used().len() - tables, 1, "a root, and no table below it");
    assert_eq!(frame_at(&lab, &parent, 0), frame_at(&lab, &child, 0));
    check(&lab, &[&parent, &child], &[]);
    end(&lab, parent);
    end(&lab, child);
    expect_empty(&lab);
}

#[test]
fn a_page_that_somebody_else_has_or_that_finds_no_frame_is_not_divided() {
    let (lab, mut parent) = family(&[0, PAGE]);
    let supply = |left| Supply { lab: &lab, left: Cell::new(left), copied: |_, _| panic!("nothing to copy") };
    let child = parent.fork_dividing(&lab, Asid(CHILD), Some(range(0, 2 * PAGE)), &supply(0)).unwrap();
    // Now the parent's pages are the child's, too.
    let second = parent.fork_dividing(&lab, Asid(CHILD + 1), Some(range(0, 2 * PAGE)), &supply(9)).unwrap();
    check(&lab, &[&parent, &child, &second], &[]);
    for tree in [parent, child, second] {
        end(&lab, tree);
    }
    expect_empty(&lab);
}

#[test]
fn a_child_reads_what_its_parent_had_and_neither_can_store() {
    let (lab, mut parent) = family(&[0, PAGE, MIB_2, GIB]);
    let child = fork(&lab, &mut parent, CHILD);
    for at in [0, PAGE, MIB_2, GIB] {
        assert_eq!(frame_at(&lab, &child, at), frame_at(&lab, &parent, at));
        assert_eq!((rights(&lab, &child, at), rights(&lab, &parent, at)), (Some(Rights::READ), Some(Rights::READ)));
        for asid in [PARENT, CHILD] {
            assert!(lab.sim.possible(Owner::User(asid), at).iter().all(|(_, rights)| *rights == Rights::READ));
        }
    }
    check(&lab, &[&parent, &child], &[]);
    end(&lab, parent);
    end(&lab, child);
    expect_empty(&lab);
}

#[test]
#[cfg_attr(miri, ignore = "looks at every word of many tables")]
fn a_write_copies_one_table_a_level_and_one_page() {
    let (lab, mut parent) = family(&[0, PAGE, MIB_2, GIB]);
    let mut child = fork(&lab, &mut parent, CHILD);
    let tables = lab.tables.used().len();
    let new = store(&lab, &mut child, 0);
    assert_ne!(Some(new), frame_at(&lab, &parent, 0));
    assert_eq!(lab.tables.used().len(), tables + 2, "a table of level 2 and one of level 3");
    for at in [PAGE, MIB_2, GIB] {
        assert_eq!(frame_at(&lab, &child, at), frame_at(&lab, &parent, at));
    }
    assert_eq!(rights(&lab, &child, 0), Some(Rights::READ | Rights::WRITE));
    assert_eq!(rights(&lab, &child, MIB_2), Some(Rights::READ));
    check(&lab, &[&parent, &child], &[]);

    // The parent is now alone with what the child copied.
    let tables = lab.tables.used();
    let old = frame_at(&lab, &parent, 0).unwrap();
    assert_eq!(store(&lab, &mut parent, 0), old);
    assert_eq!(lab.tables.used(), tables, "the parent adopts");
    check(&lab, &[&parent, &child], &[]);
    end(&lab, parent);
    end(&lab, child);
    expect_empty(&lab);
}

#[test]
fn who_is_left_alone_adopts_tables_and_pages_without_a_copy() {
    let (lab, mut parent) = family(&[0, PAGE, MIB_2]);
    let child = fork(&lab, &mut parent, CHILD);
    end(&lab, child);
    let (tables, pages) = (lab.tables.used(), lab.leaves.counts());
    for at in [0, PAGE, MIB_2] {
        store(&lab, &mut parent, at);
    }
    assert_eq!((lab.tables.used(), lab.leaves.counts()), (tables, pages));
    check(&lab, &[&parent], &[]);
    end(&lab, parent);
    expect_empty(&lab);
}

#[test]
fn the_neighbours_of_a_lifted_barrier_stay_read_only_in_every_cache() {
    // The child copies the parent's path, exits, and the parent adopts the tables. The page that it writes is
    // invalidated; its neighbours' descriptors could still be in a walk cache as they were before they were marked.
    let (lab, mut parent) = family(&[0, PAGE, MIB_2, MIB_2 + PAGE]);
    let mut child = fork(&lab, &mut parent, CHILD);
    store(&lab, &mut child, 0);
    store(&lab, &mut parent, 0);
    for at in [PAGE, MIB_2, MIB_2 + PAGE] {
        for (phys, rights) in lab.sim.possible(Owner::User(PARENT), at) {
            assert_eq!(Some(PhysFrame::containing(phys)), frame_at(&lab, &child, at));
            assert_eq!(rights, Rights::READ, "at {at:#x}");
        }
    }
    assert_eq!(lab.sim.mistakes(), []);
    end(&lab, child);
    end(&lab, parent);
    expect_empty(&lab);
}

#[test]
fn the_sim_sees_a_barrier_lifted_over_descriptors_that_caches_remember() {
    let (lab, mut parent) = family(&[0, MIB_2]);
    let mut child = fork(&lab, &mut parent, CHILD);
    // A walker of the parent's reads the tables before the child marks them, and again after.
    let _ = lab.sim.possible(Owner::User(PARENT), MIB_2);
    store(&lab, &mut child, 0);
    let root = parent.tables().root_frame();
    lab.memory.write(root, 0, lab.memory.read(root, 0) & !TableLimits::READ_ONLY.bits());
    lab.sim.publish();
    lab.sim.flush_user_page(Asid(PARENT), user(0));
    let mistakes = lab.sim.mistakes();
    assert!(mistakes.iter().any(|mistake| matches!(mistake, Mistake::Stale { offset: MIB_2, .. })), "{mistakes:?}");
    assert!(mistakes.iter().any(|mistake| matches!(mistake, Mistake::StoresToShared(_))), "{mistakes:?}");
}

#[test]
fn a_fork_of_a_child_that_wrote_is_isolated_too() {
    // A mark that is lost when a page is forked for the second time was a bug of other kernels.
    let (lab, mut parent) = family(&[0, PAGE]);
    let mut child = fork(&lab, &mut parent, CHILD);
    store(&lab, &mut child, 0);
    let mut grandchild = fork(&lab, &mut child, 3);
    check(&lab, &[&parent, &child, &grandchild], &[]);
    let frames = [&mut parent, &mut child, &mut grandchild].map(|tree| store(&lab, tree, 0));
    let others = [&mut parent, &mut child, &mut grandchild].map(|tree| store(&lab, tree, PAGE));
    let distinct: BTreeSet<_> = frames.into_iter().chain(others).collect();
    assert_eq!(distinct.len(), 6);
    check(&lab, &[&parent, &child, &grandchild], &[]);
    end(&lab, child);
    end(&lab, parent);
    end(&lab, grandchild);
    expect_empty(&lab);
}

#[test]
#[cfg_attr(miri, ignore = "looks at every word of many tables")]
fn a_second_fork_without_a_write_needs_no_invalidation() {
    let (lab, mut parent) = family(&[0]);
    let first = fork(&lab, &mut parent, CHILD);
    let before = words(&lab);
    let second = fork(&lab, &mut parent, 3);
    assert_eq!(changed(&before, &words(&lab)), 0, "all is read-only already");
    check(&lab, &[&parent, &first, &second], &[]);
    [first, parent, second].into_iter().for_each(|tree| end(&lab, tree));
    expect_empty(&lab);
}

#[test]
fn a_page_that_is_mapped_as_shared_stays_shared_and_writable() {
    let lab = Lab::new(16, &[0, PAGE]);
    let mut parent = start(&lab, PARENT);
    let frame = lab.leaves.allocate(1);
    parent.map_pages(&lab, range(0, PAGE), frame.start(), RW.with_software(SoftwareBits::SHARED)).unwrap();
    map(&lab, &mut parent, PAGE, 1);
    let mut child = fork(&lab, &mut parent, CHILD);
    assert_eq!(child.unshare(&lab, user(0)), Ok(Unshared::Now));
    assert_eq!(rights(&lab, &child, 0), Some(Rights::READ | Rights::WRITE), "a copy of the table leaves it writable");
    assert_eq!(store(&lab, &mut child, 0), frame);
    assert_eq!(store(&lab, &mut parent, 0), frame);
    assert_ne!(store(&lab, &mut child, PAGE), store(&lab, &mut parent, PAGE));
    check(&lab, &[&parent, &child], &[]);
    end(&lab, parent);
    assert_eq!(store(&lab, &mut child, 0), frame);
    end(&lab, child);
    expect_empty(&lab);
}

#[test]
fn a_spurious_fault_is_granted_and_its_refusal_forgotten() {
    let (lab, mut parent) = family(&[0]);
    let frame = frame_at(&lab, &parent, 0);
    assert_eq!(parent.write(&lab, user(0x123), UserAccess::ReadWrite), Ok(Write::Granted));
    assert_eq!(frame_at(&lab, &parent, 0), frame);
    assert_eq!(parent.write(&lab, user(PAGE), UserAccess::ReadWrite), Ok(Write::NotMapped));
    assert_eq!(parent.write(&lab, user(1 << 39), UserAccess::ReadWrite), Ok(Write::NotMapped));
    end(&lab, parent);
    expect_empty(&lab);
}

#[test]
fn a_page_that_the_kernel_holds_stays_where_it_is_while_it_is_writable() {
    let (lab, mut parent) = family(&[0]);
    let frame = frame_at(&lab, &parent, 0).unwrap();
    lab.leaves.add(frame);
    assert_eq!(parent.write(&lab, user(0), UserAccess::ReadWrite), Ok(Write::Granted));
    lab.leaves.drop(frame);
    end(&lab, parent);
    expect_empty(&lab);
}

#[test]
#[cfg_attr(miri, ignore = "looks at every word of many tables")]
fn unmapping_a_shared_gib_is_one_reference_less() {
    let lab = Lab::new(16, &[0, GIB]);
    let mut parent = start(&lab, PARENT);
    map(&lab, &mut parent, 0, 1000);
    map(&lab, &mut parent, GIB, 1);
    let mut child = fork(&lab, &mut parent, CHILD);
    let before = words(&lab);
    lab.tables.set_budget(Some(0));
    child.unmap(&lab, range(0, GIB)).unwrap();
    assert_eq!(changed(&before, &words(&lab)), 1, "one descriptor of the child's root");
    assert_eq!((frame_at(&lab, &child, 0), rights(&lab, &parent, 0)), (None, Some(Rights::READ)));
    check(&lab, &[&parent, &child], &[]);
    end(&lab, child);
    end(&lab, parent);
    expect_empty(&lab);
}

#[test]
#[cfg_attr(miri, ignore = "looks at every word of many tables")]
fn unmapping_a_part_of_a_shared_table_leaves_the_others_whole() {
    let (lab, mut parent) = family(&[0, PAGE, MIB_2 - PAGE, MIB_2]);
    let mut child = fork(&lab, &mut parent, CHILD);
    child.unmap(&lab, range(PAGE, MIB_2)).unwrap();
    let left = [0, PAGE, MIB_2 - PAGE, MIB_2].map(|at| frame_at(&lab, &child, at).is_some());
    assert_eq!(left, [true, false, false, false]);
    assert!([0, PAGE, MIB_2 - PAGE, MIB_2].iter().all(|&at| frame_at(&lab, &parent, at).is_some()));
    check(&lab, &[&parent, &child], &[]);
    end(&lab, parent);
    end(&lab, child);
    expect_empty(&lab);
}

#[test]
fn mapping_next_to_what_is_shared_is_not_seen_by_the_others() {
    let (lab, mut parent) = family(&[0]);
    let mut child = fork(&lab, &mut parent, CHILD);
    map(&lab, &mut child, PAGE, 2);
    map(&lab, &mut child, 5 * GIB, 1);
    assert_eq!((frame_at(&lab, &parent, PAGE), frame_at(&lab, &parent, 5 * GIB)), (None, None));
    let over = child.map_pages(&lab, range(0, PAGE), PhysAddr::new(0x5000), RW);
    assert_eq!(over, Err(MapError::AlreadyMapped { at: user(0) }));
    check(&lab, &[&parent, &child], &[]);
    end(&lab, child);
    end(&lab, parent);
    expect_empty(&lab);
}

#[test]
#[cfg_attr(miri, ignore = "looks at every word of many tables")]
fn protecting_what_is_shared_gives_nobody_a_right_to_store_in_it() {
    let (lab, mut parent) = family(&[0, PAGE, MIB_2]);
    let mut child = fork(&lab, &mut parent, CHILD);
    child.protect(&lab, range(0, GIB), UserAccess::ReadOnly).unwrap();
    child.protect(&lab, range(0, GIB), UserAccess::ReadWriteExecute).unwrap();
    assert_eq!(rights(&lab, &child, MIB_2), Some(Rights::READ | Rights::USER_EXECUTE));
    assert_eq!(rights(&lab, &parent, MIB_2), Some(Rights::READ));
    check(&lab, &[&parent, &child], &[]);
    end(&lab, parent);
    child.protect(&lab, range(0, PAGE), UserAccess::ReadWrite).unwrap();
    assert_eq!(rights(&lab, &child, 0), Some(Rights::READ | Rights::WRITE), "nobody else has it any more");
    check(&lab, &[&child], &[]);
    end(&lab, child);
    expect_empty(&lab);
}

#[test]
#[cfg_attr(miri, ignore = "looks at every word of many tables")]
fn without_a_frame_for_the_root_fork_changes_nothing() {
    let (lab, mut parent) = family(&[0, GIB]);
    let before = words(&lab);
    lab.tables.set_budget(Some(0));
    assert!(matches!(parent.fork(&lab, Asid(CHILD)), Err(OutOfFrames)));
    lab.tables.set_budget(None);
    assert_eq!(words(&lab), before);
    assert_eq!(rights(&lab, &parent, 0), Some(Rights::READ | Rights::WRITE));
    end(&lab, parent);
    expect_empty(&lab);
}

#[test]
#[cfg_attr(miri, ignore = "looks at every word of many tables")]
fn a_write_that_runs_out_of_tables_changes_nothing_that_a_program_can_see() {
    for budget in 0..2 {
        let (lab, mut parent) = family(&[0, PAGE, MIB_2]);
        let mut child = fork(&lab, &mut parent, CHILD);
        lab.tables.set_budget(Some(budget));
        assert_eq!(child.write(&lab, user(0), UserAccess::ReadWrite), Err(OutOfFrames));
        let at = user(0);
        let output = PhysAddr::new(0x1000);
        assert_eq!(child.replace(&lab, at, output, RW), Err(ReplaceError::OutOfFrames));
        assert_eq!(child.unmap(&lab, range(0, PAGE)), Err(OutOfFrames));
        assert_eq!(child.protect(&lab, range(0, PAGE), UserAccess::None), Err(OutOfFrames));
        for at in [0, PAGE, MIB_2] {
            assert_eq!(frame_at(&lab, &child, at), frame_at(&lab, &parent, at));
            assert_eq!(rights(&lab, &child, at), Some(Rights::READ));
        }
        check(&lab, &[&parent, &child], &[]);
        lab.tables.set_budget(None);
        store(&lab, &mut child, 0);
        check(&lab, &[&parent, &child], &[]);
        end(&lab, parent);
        end(&lab, child);
        expect_empty(&lab);
    }
}

#[test]
fn unsharing_says_whether_there_was_anything_to_do() {
    let (lab, mut parent) = family(&[0]);
    assert_eq!(parent.unshare(&lab, user(0)), Ok(Unshared::Before));
    let child = fork(&lab, &mut parent, CHILD);
    assert_eq!(parent.unshare(&lab, user(MIB_2)), Ok(Unshared::Now));
    assert_eq!(parent.unshare(&lab, user(MIB_2)), Ok(Unshared::Before));
    assert_eq!(parent.unshare(&lab, user(0)), Ok(Unshared::Now), "the table of level 3 was shared still");
    assert_eq!(parent.unshare(&lab, user(7 * GIB)), Ok(Unshared::Before));
    check(&lab, &[&parent, &child], &[]);
    end(&lab, parent);
    end(&lab, child);
    expect_empty(&lab);
}

#[test]
fn an_unshared_path_has_no_read_only_descriptor_and_its_neighbours_have() {
    let (lab, mut parent) = family(&[0, MIB_2]);
    let mut child = fork(&lab, &mut parent, CHILD);
    assert_eq!(child.unshare(&lab, user(0)), Ok(Unshared::Now));
    let walk = child.tables().walk(&*lab.memory, user(0));
    assert_eq!(walk.first_restricting(TableLimits::READ_ONLY), None);
    let walk = child.tables().walk(&*lab.memory, user(MIB_2));
    assert_eq!(walk.first_restricting(TableLimits::READ_ONLY).map(|step| step.level), Some(Level::Two));
    let Entry::Table(entry) = walk.steps[1].descriptor.decode(Level::Two) else { panic!("no table") };
    assert_eq!(lab.tables.counts()[&entry.frame], 2);
    end(&lab, child);
    end(&lab, parent);
    expect_empty(&lab);
}

#[test]
fn a_census_counts_what_is_below_a_barrier_as_shared_and_what_was_copied_as_own() {
    let (lab, mut parent) = family(&[0, MIB_2, GIB]);
    let census = |tree: &UserTree| tree.census(&*lab.memory);
    assert_eq!(census(&parent), TableCensus { own: [1, 2, 3], shared: [0; 3] });
    let mut child = fork(&lab, &mut parent, CHILD);
    let shared = TableCensus { own: [1, 0, 0], shared: [0, 2, 3] };
    assert_eq!((census(&parent), census(&child)), (shared, shared));
    assert_eq!(child.unshare(&lab, user(0)), Ok(Unshared::Now));
    assert_eq!(census(&child), TableCensus { own: [1, 1, 1], shared: [0, 1, 2] });
    let mut both = census(&child);
    both.add(&census(&parent));
    assert_eq!(both, TableCensus { own: [2, 1, 1], shared: [0, 3, 5] });
    end(&lab, child);
    end(&lab, parent);
    expect_empty(&lab);
}
