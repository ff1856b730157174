//! Reading and writing a space's memory from outside: for the image and stack of a program that is being loaded, and for
//! the memory of another program.

use super::area::AccessKind;
use super::fault::Fault;
use super::range::PAGE;
use super::space::Space;
use super::system::MemorySystem;
use crate::addr::{PAGE_SIZE, PhysFrame, UserAddr};
use crate::hal::UserFault;
use crate::paging::Rights;

impl Space {
    /// Fills `to` with what the program would read at `at`. Pages that are missing are brought in.
    ///
    /// # Errors
    ///
    /// [`UserFault`] at the first page that the program may not read, or that cannot be had. What comes before it has been
    /// read.
    pub fn read_bytes(&mut self, system: &impl MemorySystem, at: UserAddr, to: &mut [u8]) -> Result<(), UserFault> {
        let mut at = at;
        let mut rest = to;
        while !rest.is_empty() {
            let frame = self.frame_for(system, at, AccessKind::Read)?;
            let (offset, length) = piece(at, rest.len());
            let (now, later) = rest.split_at_mut(length);
            system.read(frame, offset, now);
            rest = later;
            at = UserAddr::new(at.get().saturating_add(length as u64));
        }
        Ok(())
    }

    /// Writes `from` to `at`, as if the program did.
    ///
    /// # Errors
    ///
    /// [`UserFault`] at the first page that the program may not write, or that cannot be had. What comes before it has
    /// been written.
    pub fn write_bytes(&mut self, system: &impl MemorySystem, at: UserAddr, from: &[u8]) -> Result<(), UserFault> {
        let mut at = at;
        let mut rest = from;
        while !rest.is_empty() {
            let frame = self.frame_for(system, at, AccessKind::Write)?;
            let (offset, length) = piece(at, rest.len());
            let (now, later) = rest.split_at(length);
            system.write(frame, offset, now);
            rest = later;
            at = UserAddr::new(at.get().saturating_add(length as u64));
        }
        Ok(())
    }

    /// The frame of the page that holds `at`, ready for `access`. It stays ready as long as the space is not changed.
    fn frame_for(
        &mut self,
        system: &impl MemorySystem,
        at: UserAddr,
        access: AccessKind,
    ) -> Result<PhysFrame, UserFault> {
        let wanted = match access {
            AccessKind::Write => Rights::USER_WRITE,
            AccessKind::Read | AccessKind::Execute => Rights::USER_READ,
        };
        let ready = |space: &Self| {
            let mapping = space.tree.tables().translate(system.memory(), at)?;
            mapping.rights.contains(wanted).then_some(PhysFrame::containing(mapping.phys))
        };
        if let Some(frame) = ready(self) {
            return Ok(frame);
        }
        match self.fault(system, at, access) {
            Fault::Resolved => ready(self).ok_or(UserFault { at }),
            Fault::NotMapped | Fault::Denied | Fault::BeyondEnd | Fault::OutOfMemory => Err(UserFault { at }),
        }
    }
}

/// Where in its page `at` is, and how many of `length` bytes are in that page.
fn piece(at: UserAddr, length: usize) -> (usize, usize) {
    debug_assert_eq!(PAGE, PAGE_SIZE as u64);
    let offset = usize::try_from(at.page_offset()).unwrap_or(0);
    (offset, length.min(PAGE_SIZE - offset))
}
