//! Tests of the verbs, each by itself; all together against a model in `model`.

mod basic;
mod invariants;
mod model;

use super::fake::Machine;
use super::{AccessKind, Fault, Layout, MapRequest, Place, Protection, Space};
use crate::addr::{Asid, UserAddr};
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
