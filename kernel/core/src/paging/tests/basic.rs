//! One verb at a time.

use std::ops::ControlFlow;

use super::{GIB, MIB_2, finish, live_tree, range};
use crate::addr::{PhysAddr, UserAddr, VirtAddr};
use crate::paging::address::{HALF_SIZE, HalfAddress, KERNEL_BASE};
use crate::paging::attr::TableLimits;
use crate::paging::fake::Lab;
use crate::paging::{
    Attributes, Entry, KernelAccess, Level, MapError, OwnedTable, PartialBlock, Rights, SoftwareBits, SplitError,
    Translation, Tree, UserAccess, VirtRange,
};

const RW: Attributes<UserAccess> = Attributes::normal(UserAccess::ReadWrite);
const KERNEL_RW: Attributes<KernelAccess> = Attributes::normal(KernelAccess::ReadWrite);

fn user(offset: u64) -> UserAddr {
    UserAddr::new(offset)
}

#[test]
fn a_mapped_page_translates_and_its_neighbours_do_not() {
    let lab = Lab::new(8, &[0x40_0000, 0x40_1000]);
    let mut tree = live_tree::<UserAddr>(&lab);
    tree.map(&lab, range(0x40_0000, 0x1000), PhysAddr::new(0x7000), RW).unwrap();

    let mapping = tree.walk(&*lab.memory, user(0x40_0123)).mapping().unwrap();
    assert_eq!(mapping.phys, PhysAddr::new(0x7123));
    assert_eq!((mapping.level, mapping.rights), (Level::Three, Rights::READ | Rights::WRITE));
    let above = tree.walk(&*lab.memory, user(0x40_1000));
    assert_eq!(above.translation, Translation::NotMapped { level: Level::Three });
    assert_eq!(above.steps.len(), 3);
    let far = tree.walk(&*lab.memory, user(GIB)).translation;
    assert_eq!(far, Translation::NotMapped { level: Level::One });
    assert_eq!(tree.walk(&*lab.memory, user(HALF_SIZE)).translation, Translation::OutOfHalf);
    finish(&lab, tree);
}

#[test]
fn the_linear_map_uses_the_largest_blocks_that_fit() {
    let lab = Lab::new(8, &[0, GIB, 2 * GIB, 2 * GIB + MIB_2, 2 * GIB + MIB_2 + 0x2000]);
    let mut tree = live_tree::<VirtAddr>(&lab);
    tree.map(&lab, range(0, 2 * GIB + MIB_2 + 0x3000), PhysAddr::new(0), KERNEL_RW).unwrap();

    let level_at = |offset: u64| {
        let mapping = tree.walk(&*lab.memory, VirtAddr::new(KERNEL_BASE + offset)).mapping().unwrap();
        assert_eq!(mapping.phys.get(), offset);
        mapping.level
    };
    assert_eq!(level_at(0x1234_5678), Level::One);
    assert_eq!(level_at(2 * GIB - 1), Level::One);
    assert_eq!(level_at(2 * GIB + 0x1_2345), Level::Two);
    assert_eq!(level_at(2 * GIB + MIB_2 + 0x2fff), Level::Three);
    assert_eq!(lab.tables.used().len(), 3);
    finish(&lab, tree);
}

#[test]
fn an_output_off_the_block_border_is_mapped_in_smaller_pieces() {
    let lab = Lab::new(8, &[0]);
    let mut tree = live_tree::<VirtAddr>(&lab);
    tree.map(&lab, range(0, MIB_2), PhysAddr::new(0x1000), KERNEL_RW).unwrap();
    assert_eq!(tree.walk(&*lab.memory, VirtAddr::from_offset(0)).mapping().unwrap().level, Level::Three);
    finish(&lab, tree);
}

#[test]
fn map_pages_never_makes_a_block() {
    let lab = Lab::new(8, &[0]);
    let mut tree = live_tree::<VirtAddr>(&lab);
    tree.map_pages(&lab, range(0, MIB_2), PhysAddr::new(0), KERNEL_RW).unwrap();
    assert_eq!(tree.walk(&*lab.memory, VirtAddr::from_offset(0)).mapping().unwrap().level, Level::Three);
    finish(&lab, tree);
}

#[test]
fn a_kernel_image_has_its_sections_and_its_guard_page() {
    let lab = Lab::new(8, &[0x8_0000, 0x8_1000, 0x8_2000, 0x8_3000, 0x8_4000]);
    let mut tree = live_tree::<VirtAddr>(&lab);
    let sections = [KernelAccess::ReadExecute, KernelAccess::ReadOnly, KernelAccess::ReadWrite];
    for (section, start) in sections.into_iter().zip([0x8_0000, 0x8_1000, 0x8_2000]) {
        let attributes = Attributes::normal(section);
        tree.map_pages(&lab, range(start, 0x1000), PhysAddr::new(start), attributes).unwrap();
    }
    tree.map_pages(
        &lab,
        range(0x8_4000, 0x1000),
        PhysAddr::new(0xfe20_1000),
        Attributes::device(KernelAccess::ReadWrite),
    )
    .unwrap();

    let rights = |at: u64| tree.walk(&*lab.memory, VirtAddr::from_offset(at)).mapping().map(|m| m.rights);
    assert_eq!(rights(0x8_0000), Some(Rights::KERNEL_READ | Rights::KERNEL_EXECUTE));
    assert_eq!(rights(0x8_1000), Some(Rights::KERNEL_READ));
    assert_eq!(rights(0x8_2000), Some(Rights::KERNEL_READ | Rights::KERNEL_WRITE));
    assert_eq!(rights(0x8_3000), None);
    finish(&lab, tree);
}

#[test]
fn what_is_mapped_is_not_mapped_over() {
    let lab = Lab::new(8, &[0x1000, 0x2000, 0x3000]);
    let mut tree = live_tree::<UserAddr>(&lab);
    tree.map(&lab, range(0x2000, 0x1000), PhysAddr::new(0x5000), RW).unwrap();
    let refused = tree.map(&lab, range(0x1000, 0x4000), PhysAddr::new(0x9000), RW);
    assert_eq!(refused, Err(MapError::AlreadyMapped { at: user(0x2000) }));
    assert_eq!(tree.walk(&*lab.memory, user(0x1000)).mapping(), None);

    tree.map(&lab, range(GIB, GIB), PhysAddr::new(GIB), RW).unwrap();
    let refused = tree.map(&lab, range(GIB + 0x3000, 0x1000), PhysAddr::new(0), RW);
    assert_eq!(refused, Err(MapError::AlreadyMapped { at: user(GIB + 0x3000) }));
    finish(&lab, tree);
}

#[test]
fn physical_addresses_are_checked() {
    let lab = Lab::new(8, &[0]);
    let mut tree = live_tree::<UserAddr>(&lab);
    let odd = PhysAddr::new(0x1800);
    assert_eq!(tree.map(&lab, range(0, 0x1000), odd, RW), Err(MapError::Misaligned { output: odd }));
    let last = PhysAddr::new((1 << 40) - 0x1000);
    assert_eq!(tree.map(&lab, range(0, 0x2000), last, RW), Err(MapError::OutOfRange { output: last }));
    tree.map(&lab, range(0, 0x1000), last, RW).unwrap();
    finish(&lab, tree);
}

#[test]
fn a_map_that_runs_out_of_tables_leaves_nothing_behind() {
    // Pages on both sides of a 1 GiB border: a root entry with two tables below, twice.
    let wanted = range(GIB - 0x2000, 0x4000);
    for budget in 0..4 {
        let lab = Lab::new(8, &[GIB - 0x3000, GIB - 0x1000, GIB]);
        let mut tree = live_tree::<UserAddr>(&lab);
        tree.map(&lab, range(GIB - 0x3000, 0x1000), PhysAddr::new(0), RW).unwrap();
        let before = lab.tables.used();
        lab.tables.set_budget(Some(budget));
        let result = tree.map(&lab, wanted, PhysAddr::new(0x10_0000), RW);
        if budget < 2 {
            assert_eq!(result, Err(MapError::OutOfFrames));
            assert_eq!(lab.tables.used(), before);
            assert_eq!(tree.walk(&*lab.memory, user(GIB - 0x1000)).mapping(), None);
        } else {
            assert_eq!(result, Ok(()));
        }
        finish(&lab, tree);
    }
}

#[test]
fn unmap_gives_back_each_leaf_and_the_empty_tables() {
    let lab = Lab::new(8, &[MIB_2 - 0x1000, MIB_2, MIB_2 + 0x1000]);
    let mut tree = live_tree::<UserAddr>(&lab);
    tree.map(&lab, range(MIB_2 - 0x1000, 0x3000), PhysAddr::new(0x8000), RW).unwrap();
    assert_eq!(lab.tables.used().len(), 4);

    let mut given = Vec::new();
    tree.unmap(&lab, range(0, MIB_2 + 0x1000), |leaf| {
        lab.expect_unreachable(leaf.leaf.output, 0x1000);
        given.push((leaf.start.get(), leaf.leaf.output.get()));
    })
    .unwrap();
    assert_eq!(given, [(MIB_2 - 0x1000, 0x8000), (MIB_2, 0x9000)]);
    assert_eq!(lab.tables.used().len(), 3, "the first level-3 table is empty and gone");
    assert!(tree.walk(&*lab.memory, user(MIB_2 + 0x1000)).mapping().is_some());
    finish(&lab, tree);
}

#[test]
fn a_large_unmap_goes_in_batches_and_loses_nothing() {
    // 40 tables with two pages each: more of both than one batch holds.
    let lab = Lab::new(64, &[0, MIB_2, 39 * MIB_2]);
    let mut tree = live_tree::<UserAddr>(&lab);
    for number in 0..40 {
        tree.map(&lab, range(number * MIB_2, 0x2000), PhysAddr::new(number * 0x2000), RW).unwrap();
    }
    let mut given = 0;
    tree.unmap(&lab, range(0, GIB), |leaf| {
        lab.expect_unreachable(leaf.leaf.output, 0x1000);
        given += 1;
    })
    .unwrap();
    assert_eq!(given, 80);
    assert_eq!(lab.tables.used().len(), 1, "only the root is left");
    finish(&lab, tree);
}

#[test]
fn a_block_is_not_unmapped_or_protected_in_part() {
    let lab = Lab::new(8, &[0, 0x1000, MIB_2]);
    let mut tree = live_tree::<UserAddr>(&lab);
    tree.map(&lab, range(0, 2 * MIB_2), PhysAddr::new(0), RW).unwrap();
    let cut = Err(PartialBlock { at: user(0), level: Level::Two });
    assert_eq!(tree.unmap(&lab, range(0x1000, 0x1000), |_| panic!("nothing is unmapped")), cut);
    assert_eq!(tree.unmap(&lab, range(0x1000, 2 * MIB_2 - 0x1000), |_| panic!("nothing is unmapped")), cut);
    assert_eq!(tree.protect(&lab, range(0, 0x1000), UserAccess::ReadOnly), cut);
    assert_eq!(tree.unmap(&lab, range(0x1000, 0), |_| ()), Ok(()));
    assert!(tree.walk(&*lab.memory, user(0x1000)).mapping().unwrap().rights.contains(Rights::USER_WRITE));
    finish(&lab, tree);
}

#[test]
fn protect_takes_and_gives_rights_and_keeps_the_rest() {
    let lab = Lab::new(8, &[0x1000, 0x2000, 0x3000]);
    let mut tree = live_tree::<UserAddr>(&lab);
    let shared = RW.with_software(SoftwareBits::SHARED);
    tree.map(&lab, range(0x1000, 0x3000), PhysAddr::new(0x8000), shared).unwrap();
    tree.protect(&lab, range(0x2000, 0x1000), UserAccess::ReadOnly).unwrap();

    let mapping = tree.walk(&*lab.memory, user(0x2000)).mapping().unwrap();
    assert_eq!(mapping.rights, Rights::READ);
    assert_eq!(mapping.attributes.software, SoftwareBits::SHARED);
    assert_eq!(mapping.phys, PhysAddr::new(0x9000));
    assert_eq!(lab.sim.possible(super::Owner::User(7), 0x2000), [(PhysAddr::new(0x9000), Rights::READ)]);

    tree.protect_each(&lab, range(0, GIB), |leaf| {
        if leaf.start == user(0x3000) { UserAccess::None } else { UserAccess::ReadWriteExecute }
    })
    .unwrap();
    let rights = |at| tree.walk(&*lab.memory, user(at)).mapping().unwrap().rights;
    assert_eq!(rights(0x2000), Rights::READ | Rights::WRITE | Rights::USER_EXECUTE);
    assert_eq!(rights(0x3000), Rights::KERNEL_READ);
    finish(&lab, tree);
}

#[test]
fn split_keeps_every_translation_and_lets_a_part_go() {
    let lab = Lab::new(8, &[GIB, GIB + MIB_2, GIB + MIB_2 + 0x5000]);
    let mut tree = live_tree::<UserAddr>(&lab);
    tree.map(&lab, range(GIB, GIB), PhysAddr::new(GIB), RW).unwrap();
    tree.split(&lab, user(GIB + MIB_2 + 0x5000)).unwrap();
    tree.split(&lab, user(GIB + MIB_2 + 0x5000)).unwrap();
    let refused = tree.split(&lab, user(GIB + MIB_2 + 0x5000));
    assert_eq!(refused, Err(SplitError::NotABlock { at: user(GIB + MIB_2 + 0x5000) }));

    for (at, level) in [(GIB, Level::Two), (GIB + MIB_2 + 0x5123, Level::Three)] {
        let mapping = tree.walk(&*lab.memory, user(at)).mapping().unwrap();
        assert_eq!((mapping.phys.get(), mapping.level), (at, level));
    }
    tree.unmap(&lab, range(GIB + MIB_2 + 0x5000, 0x1000), |_| ()).unwrap();
    finish(&lab, tree);
}

#[test]
fn the_kernels_live_tree_refuses_to_split_and_the_offline_one_splits() {
    let lab = Lab::new(8, &[0, 0x1000]);
    let mut tree = Tree::<VirtAddr>::new(&lab, ()).unwrap();
    tree.map(&lab, range(0, 2 * MIB_2), PhysAddr::new(0), KERNEL_RW).unwrap();
    tree.split(&lab, VirtAddr::from_offset(0x1000)).unwrap();
    lab.load_ttbr(super::Owner::Kernel, tree.activate());
    let at = VirtAddr::from_offset(MIB_2);
    assert_eq!(tree.split(&lab, at), Err(SplitError::Live { at }));
    tree.unmap(&lab, range(0x1000, 0x1000), |_| ()).unwrap();
    finish(&lab, tree);
}

#[test]
fn a_split_without_a_frame_changes_nothing() {
    let lab = Lab::new(3, &[0]);
    let mut tree = live_tree::<UserAddr>(&lab);
    tree.map(&lab, range(0, MIB_2), PhysAddr::new(0), RW).unwrap();
    lab.tables.set_budget(Some(0));
    assert_eq!(tree.split(&lab, user(0)), Err(SplitError::OutOfFrames));
    assert_eq!(tree.walk(&*lab.memory, user(0)).mapping().unwrap().level, Level::Two);
    finish(&lab, tree);
}

#[test]
fn limits_of_all_tables_add_up_and_the_topmost_one_is_found() {
    let lab = Lab::new(8, &[]);
    let mut tree = live_tree::<UserAddr>(&lab);
    let all = Attributes::normal(UserAccess::ReadWriteExecute);
    tree.map(&lab, range(0, 0x1000), PhysAddr::new(0x9000), all).unwrap();
    let restrict = |level: usize, limits: TableLimits| {
        let step = tree.walk(&*lab.memory, user(0)).steps[level - 1];
        let table = match level {
            1 => tree.root_frame(),
            _ => match tree.walk(&*lab.memory, user(0)).steps[level - 2].descriptor.decode(Level::One) {
                Entry::Table(entry) => entry.frame,
                other => panic!("{other:?}"),
            },
        };
        lab.memory.write(table, step.index.get(), step.descriptor.raw() | limits.bits());
    };
    restrict(2, TableLimits::READ_ONLY);
    restrict(1, TableLimits::NO_USER_EXECUTE);

    let walk = tree.walk(&*lab.memory, user(0));
    assert_eq!(walk.mapping().unwrap().rights, Rights::READ);
    assert_eq!(walk.mapping().unwrap().limits, TableLimits::READ_ONLY | TableLimits::NO_USER_EXECUTE);
    assert_eq!(walk.first_restricting(TableLimits::READ_ONLY).unwrap().level, Level::Two);
    assert_eq!(walk.first_restricting(TableLimits::NO_USER_EXECUTE).unwrap().level, Level::One);
    assert_eq!(walk.first_restricting(TableLimits::NO_USER_DATA), None);

    let above = tree.visit(&*lab.memory, range(0, 0x1000), |visited| match visited.entry {
        Entry::Page(_) => ControlFlow::Break(visited.limits),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(above, ControlFlow::Break(TableLimits::READ_ONLY | TableLimits::NO_USER_EXECUTE));

    // Limits survive what is done below them.
    tree.map(&lab, range(0x1000, 0x1000), PhysAddr::new(0xa000), all).unwrap();
    tree.unmap(&lab, range(0, 0x1000), |_| ()).unwrap();
    assert_eq!(tree.walk(&*lab.memory, user(0x1000)).mapping().unwrap().rights, Rights::READ);
    finish(&lab, tree);
}

#[test]
fn a_damaged_entry_is_reported_and_not_followed() {
    let lab = Lab::new(8, &[]);
    let mut tree = live_tree::<UserAddr>(&lab);
    tree.map(&lab, range(0, GIB), PhysAddr::new(0), RW).unwrap();
    lab.memory.write(tree.root_frame(), 0, 0x1001);
    let walk = tree.walk(&*lab.memory, user(0));
    assert!(matches!(walk.translation, Translation::Damaged { level: Level::One, .. }));
    let over = tree.map(&lab, range(0, 0x1000), PhysAddr::new(0), RW);
    assert_eq!(over, Err(MapError::AlreadyMapped { at: user(0) }));
    finish(&lab, tree);
}

#[test]
fn a_visit_shows_tables_before_leaves_and_stops_when_told() {
    let lab = Lab::new(8, &[]);
    let mut tree = live_tree::<UserAddr>(&lab);
    tree.map(&lab, range(MIB_2, 0x2000), PhysAddr::new(0x9000), RW).unwrap();
    let mut seen = Vec::new();
    let everything = VirtRange::new(user(0), HALF_SIZE).unwrap();
    let stopped = tree.visit(&*lab.memory, everything, |visited| {
        seen.push((visited.start.get(), visited.level.number()));
        if visited.entry.leaf().is_some() { ControlFlow::Break(visited.start) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(seen, [(0, 1), (MIB_2, 2), (MIB_2, 3)]);
    assert_eq!(stopped, ControlFlow::Break(user(MIB_2)));
    finish(&lab, tree);
}

#[test]
fn a_root_made_elsewhere_is_taken_over_whole() {
    let lab = Lab::new(8, &[0, GIB]);
    let mut first = Tree::<VirtAddr>::new(&lab, ()).unwrap();
    first.map(&lab, range(0, 0x1000), PhysAddr::new(0x9000), KERNEL_RW).unwrap();
    first.map(&lab, range(GIB, GIB), PhysAddr::new(GIB), KERNEL_RW).unwrap();
    let root = first.activate();
    lab.load_ttbr(super::Owner::Kernel, root);
    // SAFETY: the tree was made by this module, and `first` is not used again.
    let adopted = unsafe { OwnedTable::adopt(root, Level::One) };
    let second = Tree::<VirtAddr>::from_live_root(adopted, &*lab.memory, ());
    assert!(second.walk(&*lab.memory, VirtAddr::from_offset(0)).mapping().is_some());
    finish(&lab, second);
}
