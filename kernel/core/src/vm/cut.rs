//! The page in which the contents of a file end and other memory begins.

use super::area::{Backing, Sharing};
use super::fault::{Fault, bring};
use super::range::PAGE;
use super::space::Space;
use super::system::MemorySystem;
use crate::addr::UserAddr;

impl Space {
    /// Brings in the page of a private mapping that holds `at`, as a copy that is the program's own, with what its object has
    /// up to `at` and zeroes from there on. The page is ready for all that its area allows, and it is of no interest whether
    /// that is a store.
    ///
    /// # Errors
    ///
    /// A [`Fault`] that is not resolved: [`Denied`](Fault::Denied) for a page that is there already, or that is not one of a
    /// private mapping of an object.
    pub fn cut_page(&mut self, system: &impl MemorySystem, at: UserAddr) -> Result<(), Fault> {
        let area = self.areas.find(at).ok_or(Fault::NotMapped)?;
        let (Backing::Object { pager, .. }, Sharing::Private) = (&area.backing, area.sharing) else {
            return Err(Fault::Denied);
        };
        let mut slot = self.tree.slot(system, at)?;
        if slot.leaf().is_some() {
            return Err(Fault::Denied);
        }
        let page = pager.page(area.offset_of(slot.start()) / PAGE)?;
        let copy = system.zeroed().inspect(|&copy| {
            system.copy_beginning(page, copy, usize::try_from(at.page_offset()).unwrap_or(0));
        });
        system.release(page);
        bring(&mut slot, system, copy?, area.attributes())?;
        self.resident.add(1);
        Ok(())
    }
}
