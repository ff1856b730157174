//! Locked pages: there before they are touched, and kept.
//!
//! Nothing is paged out here, so that keeping them costs nothing. What the promise adds is that they do not fault: they
//! are brought in at once, and fork copies them at once.

use super::area::AreaFlags;
use super::failure::MapFailure;
use super::range::{PAGE, PageRange};
use super::space::Space;
use super::system::MemorySystem;
use crate::addr::{USER_END, UserAddr};

/// What `mlockall` locks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockAll {
    /// What is mapped.
    Current,
    /// What will be mapped.
    Future,
    /// Both.
    Both,
}

impl Space {
    /// Locks the pages that `bytes` bytes from `start` on touch.
    ///
    /// # Errors
    ///
    /// [`MapFailure::LockLimit`] where that is too much; [`MapFailure::NotMapped`] where a part is not mapped;
    /// [`MapFailure::OutOfMemory`] where pages cannot be had, which are brought in by faults then, as usual.
    pub fn lock(&mut self, system: &impl MemorySystem, start: UserAddr, bytes: u64) -> Result<(), MapFailure> {
        let Some(range) = touched(start, bytes)? else { return Ok(()) };
        let more = range.pages() - self.areas.totals_in(range).locked;
        if self.areas.totals().locked + more > self.limits.locked / PAGE {
            return Err(MapFailure::LockLimit);
        }
        self.areas.check_mapped(range)?;
        self.set_locked(range, true)?;
        self.populate(system, range)
    }

    /// Unlocks the pages that `bytes` bytes from `start` on touch.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Self::lock).
    pub fn unlock(&mut self, start: UserAddr, bytes: u64) -> Result<(), MapFailure> {
        let Some(range) = touched(start, bytes)? else { return Ok(()) };
        self.areas.check_mapped(range)?;
        self.set_locked(range, false)
    }

    /// Locks all that is mapped, all that will be mapped, or both.
    ///
    /// # Errors
    ///
    /// [`MapFailure::LockLimit`] where more is mapped than may be locked; nothing changes then.
    pub fn lock_all(&mut self, system: &impl MemorySystem, what: LockAll) -> Result<(), MapFailure> {
        let current = what != LockAll::Future;
        if current && self.areas.totals().pages > self.limits.locked / PAGE {
            return Err(MapFailure::LockLimit);
        }
        if current && let Some(all) = whole() {
            self.set_locked(all, true)?;
        }
        self.lock_future = what != LockAll::Current;
        match whole() {
            Some(all) if current => self.populate(system, all),
            Some(_) | None => Ok(()),
        }
    }

    /// Unlocks everything, also what will be mapped.
    ///
    /// # Errors
    ///
    /// [`MapFailure::OutOfMemory`] if the list of areas is shared and cannot be copied.
    pub fn unlock_all(&mut self) -> Result<(), MapFailure> {
        self.lock_future = false;
        match whole() {
            Some(all) if self.areas.totals().locked > 0 => self.set_locked(all, false),
            Some(_) | None => Ok(()),
        }
    }

    fn set_locked(&mut self, range: PageRange, locked: bool) -> Result<(), MapFailure> {
        self.areas.for_update(range)?.update(range, |area| area.flags.set(AreaFlags::LOCKED, locked));
        Ok(())
    }
}

/// The pages that have one of these bytes.
fn touched(start: UserAddr, bytes: u64) -> Result<Option<PageRange>, MapFailure> {
    let end = start.checked_add(bytes).and_then(|end| end.align_up(PAGE)).ok_or(MapFailure::Invalid)?;
    if bytes == 0 {
        return Ok(None);
    }
    match PageRange::between(start.page_down(), end) {
        Some(range) => Ok(Some(range)),
        None => Err(MapFailure::NotMapped { at: start.max(UserAddr::new(USER_END)) }),
    }
}

fn whole() -> Option<PageRange> {
    PageRange::between(UserAddr::new(0), UserAddr::new(USER_END))
}
