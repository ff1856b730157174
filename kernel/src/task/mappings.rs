//! Where files are mapped: in whatever address spaces there are.
//!
//! No list says which. A file that becomes shorter asks only if it was ever mapped, and then all spaces are looked at.

use kcore::fs::tmpfs::Mappings;
use kcore::proc::{Pid, System};

use super::switch::Kernel;
use crate::mem::user::MEMORY;

/// All address spaces.
pub(super) struct AllSpaces;

impl Mappings for AllSpaces {
    /// A space that was looked at may be forked from one that was not yet, so it ends when a round has found nothing.
    fn forget(&self, object: u64, first: u64, end: u64, copies: bool) {
        while forget_once(object, first, end, copies) {}
    }
}

/// One round over all processes; says whether anything was found.
fn forget_once(object: u64, first: u64, end: u64, copies: bool) -> bool {
    let mut found = false;
    let mut from = Pid::SYSTEM;
    while let Some(process) = Kernel::processes().next_from(from) {
        if let Some(space) = process.space() {
            found |= space.lock().forget_object(&MEMORY, object, first, end, copies);
        }
        let Some(next) = process.pid().0.checked_add(1) else { break };
        from = Pid(next);
    }
    found
}
