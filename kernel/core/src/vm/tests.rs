//! Tests of the verbs, each by itself; all together against a model in `model`.

mod areas;
mod breaks;
mod faults;
mod forks;
mod invariants;
mod limits;
mod model;
mod places;
mod ranges;
mod remaps;
mod transfers;

use super::fake::Machine;
use super::system::MemorySystem;
use std::sync::Arc;

use super::{
    AccessKind, Fault, Layout, MapFailure, MapFlags, MapRequest, Pager, Place, Protection, Sharing, Source, Space,
};
use crate::addr::{Asid, PhysFrame, UserAddr};
use crate::paging::Rights;
use crate::paging::sim::Owner;

pub(super) const PAGE: u64 = 4096;

/// A space that a CPU runs in.
fn start(machine: &Machine, tag: u16) -> Space {
    let mut space = Space::new(machine, Asid(tag), Layout::fixed()).expect("a fresh machine has memory");
    machine.lab.load_ttbr(Owner::User(tag), space.activate());
    space
}

/// Ends a space.
fn end(machine: &Machine, space: Space) {
    machine.lab.sim.detach(space.tree.tables().root_frame());
    space.destroy(machine);
}

/// Maps `pages` private pages at `at`.
fn map(machine: &Machine, space: &mut Space, at: u64, pages: u64, protection: Protection) {
    let request = MapRequest::anonymous(Place::Fixed(UserAddr::new(at)), pages * PAGE, protection);
    assert_eq!(space.map(machine, request), Ok(UserAddr::new(at)));
}

/// Stores a byte, as a program does.
fn store(machine: &Machine, space: &mut Space, at: u64, value: u8) {
    space.write_bytes(machine, UserAddr::new(at), &[value]).expect("memory that can be written");
}

/// Loads a byte, as a program does.
fn load(machine: &Machine, space: &mut Space, at: u64) -> u8 {
    let mut byte = [0];
    space.read_bytes(machine, UserAddr::new(at), &mut byte).expect("memory that can be read");
    byte[0]
}

fn fault(machine: &Machine, space: &mut Space, at: u64, access: AccessKind) -> Fault {
    space.fault(machine, UserAddr::new(at), access)
}

/// Maps a private or shared object's pages from its beginning on.
fn map_object(machine: &Machine, space: &mut Space, at: u64, pages: u64, sharing: Sharing, pager: Arc<dyn Pager>) {
    let request = MapRequest {
        place: Place::Fixed(UserAddr::new(at)),
        bytes: pages * PAGE,
        protection: Protection::READ_WRITE,
        sharing,
        source: Source::File { pager, offset: 0, max_protection: Protection::all() },
        flags: MapFlags::empty(),
    };
    assert_eq!(space.map(machine, request), Ok(UserAddr::new(at)));
}

/// Whether the page at `at` is there.
fn is_present(machine: &Machine, space: &Space, at: u64) -> bool {
    let mut present = [0];
    space.resident(machine, UserAddr::new(at), &mut present).expect("mapped");
    present == [1]
}

/// The frame of the page at `at`.
fn frame(machine: &Machine, space: &Space, at: u64) -> Option<PhysFrame> {
    let mapping = space.tree.tables().walk(&*machine.lab.memory, UserAddr::new(at)).mapping()?;
    Some(PhysFrame::containing(mapping.phys))
}

/// Whether a program can store to the page at `at` without a fault.
fn is_writable(machine: &Machine, space: &Space, at: u64) -> bool {
    let mapping = space.tree.tables().walk(&*machine.lab.memory, UserAddr::new(at)).mapping();
    mapping.is_some_and(|mapping| mapping.rights.contains(Rights::USER_WRITE))
}

/// Ends all spaces, and proves that nothing is left.
fn finish(machine: &Machine, spaces: impl IntoIterator<Item = Space>) {
    for space in spaces {
        end(machine, space);
    }
    machine.expect_empty();
}
