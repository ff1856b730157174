//! Advice.

use super::area::{AreaFlags, Backing, Inheritance, Sharing};
use super::failure::MapFailure;
use super::range::PageRange;
use super::space::Space;
use super::system::MemorySystem;
use crate::addr::UserAddr;

/// What a program says of a range.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Advice {
    /// How it will use it, what the kernel may do with its pages, and other things that make no difference here. Only
    /// the range is checked.
    Usage,
    /// It does not need the contents any more: they come anew from the backing.
    DontNeed,
    /// The same, whenever it suits the kernel: at once.
    Free,
    /// Children do not get it.
    DontFork,
    /// Children get it again.
    DoFork,
    /// Children get it full of zeroes. For private memory of no object.
    WipeOnFork,
    /// Children get its contents again.
    KeepOnFork,
    /// Bring its pages in, to be read (`MADV_POPULATE_READ`) or written, if they may be.
    Populate,
}

impl Space {
    /// Takes advice on the pages of `bytes` bytes from `start` on.
    ///
    /// # Errors
    ///
    /// [`MapFailure::NotMapped`] where a part of the range is not mapped; the advice was taken for the others.
    /// [`MapFailure::Locked`] where pages would have to go that are locked, `Unsupported` where a range cannot be wiped,
    /// and `Invalid`, `TooManyAreas`, `OutOfMemory`; then nothing was done.
    pub fn advise(
        &mut self,
        system: &impl MemorySystem,
        start: UserAddr,
        bytes: u64,
        advice: Advice,
    ) -> Result<(), MapFailure> {
        if bytes == 0 && start.page_offset() == 0 {
            return Ok(());
        }
        let range = PageRange::new(start, bytes)?;
        match advice {
            Advice::Usage => {}
            Advice::DontNeed | Advice::Free => self.drop_pages(system, range)?,
            Advice::DontFork => self.set_inheritance(range, |_| Inheritance::None)?,
            Advice::DoFork => self.set_inheritance(range, |now| usual_instead_of(Inheritance::None, now))?,
            Advice::KeepOnFork => self.set_inheritance(range, |now| usual_instead_of(Inheritance::Zero, now))?,
            Advice::WipeOnFork => {
                let can =
                    |backing: &Backing, sharing| matches!((backing, sharing), (Backing::Anonymous, Sharing::Private));
                if self.areas.overlapping(range).iter().any(|area| !can(&area.backing, area.sharing)) {
                    return Err(MapFailure::Unsupported);
                }
                self.set_inheritance(range, |_| Inheritance::Zero)?;
            }
            Advice::Populate => self.populate(system, range)?,
        }
        self.areas.check_mapped(range)
    }

    fn drop_pages(&mut self, system: &impl MemorySystem, range: PageRange) -> Result<(), MapFailure> {
        if self.areas.overlapping(range).iter().any(|area| area.flags.contains(AreaFlags::LOCKED)) {
            return Err(MapFailure::Locked);
        }
        Ok(self.forget_pages(system, range)?)
    }

    fn set_inheritance(
        &mut self,
        range: PageRange,
        choose: impl Fn(Inheritance) -> Inheritance,
    ) -> Result<(), MapFailure> {
        self.areas.for_update(range)?.update(range, |area| area.inheritance = choose(area.inheritance));
        Ok(())
    }
}

fn usual_instead_of(other: Inheritance, now: Inheritance) -> Inheritance {
    if now == other { Inheritance::Usual } else { now }
}
