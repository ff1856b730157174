//! Pages of an object that the object has no longer.

use super::area::{Area, Backing, Sharing};
use super::range::{PAGE, PageRange};
use super::space::Space;
use super::system::MemorySystem;
use crate::addr::UserAddr;

impl Space {
    /// Takes what is mapped of an object's pages from the one at `first` on, and before `end`, out of the tables, so that
    /// who touches one asks the object again. Copies that the program made of them for itself go, too, if `copies` says so.
    /// Says whether there was anything to take out.
    ///
    /// Where there is no memory to divide tables that others share, pages stay; they are whole, but nobody else's any more.
    pub fn forget_object(
        &mut self,
        system: &impl MemorySystem,
        object: u64,
        first: u64,
        end: u64,
        copies: bool,
    ) -> bool {
        let mut next = UserAddr::new(0);
        let mut found = false;
        while let Some(area) = self.areas.from(next).first() {
            next = area.range.end();
            let concerned = copies || area.sharing == Sharing::Shared;
            let range = concerned.then(|| part_of(area, object, first, end)).flatten();
            if let Some(range) = range {
                let before = self.resident.now();
                let forgotten = self.forget_pages(system, range);
                found |= forgotten.is_ok() && self.resident.now() < before;
            }
        }
        found
    }
}

/// Where `area` shows these pages of the object, if it does.
fn part_of(area: &Area, object: u64, first: u64, end: u64) -> Option<PageRange> {
    let Backing::Object { pager, offset } = &area.backing else { return None };
    if pager.identity() != object {
        return None;
    }
    let start = area.range.start().get();
    let place = |page: u64| {
        let bytes = page.saturating_mul(PAGE).saturating_sub(*offset).min(area.range.bytes());
        UserAddr::new(start + bytes)
    };
    PageRange::between(place(first), place(end))
}
