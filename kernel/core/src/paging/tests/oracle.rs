//! The sim is worth its name only if it catches the mistakes it is there for: each is made here on purpose.

use super::{finish, live_tree, range};
use crate::addr::{Asid, PhysAddr, PhysFrame, UserAddr};
use crate::hal::Tlb;
use crate::paging::address::Level;
use crate::paging::fake::Lab;
use crate::paging::sim::Mistake;
use crate::paging::{Attributes, Entry, Tree, UserAccess};

/// A live tree with two pages from 0x1000 on, and the frame and index of the first one's descriptor.
fn two_pages(lab: &Lab) -> (Tree<UserAddr>, PhysFrame, usize) {
    let mut tree = live_tree::<UserAddr>(lab);
    let attributes = Attributes::normal(UserAccess::ReadWrite);
    tree.map(lab, range(0x1000, 0x2000), PhysAddr::new(0x9000), attributes).unwrap();
    assert_eq!(lab.sim.mistakes(), []);
    let steps = tree.walk(&*lab.memory, UserAddr::new(0x1000)).steps;
    let Entry::Table(table) = steps[1].descriptor.decode(Level::Two) else { panic!("no table") };
    (tree, table.frame, steps[2].index.get())
}

fn lab() -> Lab {
    Lab::new(8, &[0x1000, 0x2000])
}

#[test]
fn a_right_taken_without_an_invalidation_is_seen() {
    let lab = lab();
    let (_tree, frame, index) = two_pages(&lab);
    lab.memory.write(frame, index, lab.memory.read(frame, index) | 1 << 7);
    lab.sim.publish();
    assert!(matches!(lab.sim.mistakes()[..], [Mistake::Stale { offset: 0x1000, .. }]));
}

#[test]
fn an_invalidation_of_the_neighbour_is_not_enough() {
    let lab = lab();
    let (_tree, frame, index) = two_pages(&lab);
    lab.memory.write(frame, index, 0);
    lab.sim.publish();
    lab.sim.flush_user_page(Asid(7), UserAddr::new(0x2000));
    assert!(matches!(lab.sim.mistakes()[..], [Mistake::Stale { offset: 0x1000, .. }]));
}

#[test]
fn an_invalidation_of_another_address_space_is_not_enough() {
    let lab = lab();
    let (_tree, frame, index) = two_pages(&lab);
    lab.memory.write(frame, index, 0);
    lab.sim.publish();
    lab.sim.flush_asid(Asid(8));
    assert!(matches!(lab.sim.mistakes()[..], [Mistake::Stale { .. }]));
}

#[test]
fn an_invalidation_before_the_store_is_not_enough() {
    let lab = lab();
    let (_tree, frame, index) = two_pages(&lab);
    lab.sim.flush_asid(Asid(7));
    // A CPU walks between the two.
    assert!(!lab.sim.possible(super::Owner::User(7), 0x1000).is_empty());
    lab.memory.write(frame, index, 0);
    lab.sim.publish();
    assert!(matches!(lab.sim.mistakes()[..], [Mistake::Stale { .. }]));
}

#[test]
fn a_store_that_is_not_published_is_seen() {
    let lab = lab();
    let (_tree, frame, index) = two_pages(&lab);
    lab.memory.write(frame, index, 0);
    lab.sim.flush_asid(Asid(7));
    assert!(lab.sim.mistakes().contains(&Mistake::NotPublished));
}

#[test]
fn a_changed_address_without_a_break_is_seen() {
    let lab = lab();
    let (_tree, frame, index) = two_pages(&lab);
    lab.memory.write(frame, index, lab.memory.read(frame, index) + 0x4000);
    lab.sim.publish();
    lab.sim.flush_user_page(Asid(7), UserAddr::new(0x1000));
    assert!(matches!(lab.sim.mistakes()[..], [Mistake::NoBreakBeforeMake { .. }]));
}

#[test]
fn a_limit_set_above_needs_the_invalidation_of_all_below() {
    let lab = lab();
    let (tree, _, _) = two_pages(&lab);
    let root = tree.root_frame();
    lab.memory.write(root, 0, lab.memory.read(root, 0) | 1 << 62);
    lab.sim.publish();
    lab.sim.flush_user_page(Asid(7), UserAddr::new(0x1000));
    assert!(matches!(lab.sim.mistakes()[..], [Mistake::Stale { offset: 0x2000, .. }]));

    let lab = self::lab();
    let (tree, _, _) = two_pages(&lab);
    let root = tree.root_frame();
    lab.memory.write(root, 0, lab.memory.read(root, 0) | 1 << 62);
    lab.sim.publish();
    lab.sim.flush_asid(Asid(7));
    finish(&lab, tree);
}

#[test]
fn a_table_or_a_page_given_back_too_early_is_seen() {
    let lab = lab();
    let (_tree, frame, _) = two_pages(&lab);
    lab.sim.expect_table_unreachable(frame);
    lab.sim.expect_output_unreachable(0xa000, 0x1000);
    let mistakes = lab.sim.mistakes();
    assert!(matches!(mistakes[..], [Mistake::TableFreedTooEarly(f), Mistake::MemoryReleasedTooEarly(_)] if f == frame));
}

#[test]
fn a_global_user_page_and_a_missing_access_flag_are_seen() {
    for bit in [10, 11] {
        let lab = lab();
        let (_tree, frame, index) = two_pages(&lab);
        lab.memory.write(frame, index, lab.memory.read(frame, index) & !(1 << bit));
        let mistakes = lab.sim.mistakes();
        assert!(mistakes.iter().any(|m| matches!(m, Mistake::WrongTag(_) | Mistake::NoAccessFlag(_))), "bit {bit}");
    }
}
