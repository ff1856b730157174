//! Pending invalidations: changes to descriptors that TLBs do not know yet.

use heapless::Vec;

use super::address::HalfAddress;
use crate::hal::Tlb;

/// Up to this many pages are invalidated one by one. Each is a broadcast and a wait for all CPUs, while forgetting the
/// whole address space is one such wait and some refills later.
pub const MAX_PAGES: usize = 8;

/// What has to be invalidated before a change to the tables is complete.
#[must_use = "the tables have changed, the TLBs have not"]
#[derive(Debug)]
pub struct Pending<A: HalfAddress> {
    extent: Extent<A>,
}

#[derive(Debug)]
enum Extent<A> {
    Pages(Vec<A, MAX_PAGES>),
    Space,
}

impl<A: HalfAddress> Pending<A> {
    /// Nothing to invalidate.
    pub const fn new() -> Self {
        Self { extent: Extent::Pages(Vec::new()) }
    }

    /// Adds one entry that changed: `page` is any address that it translates. One invalidation forgets a page, a
    /// block, or what walk caches hold of a table, for it applies to all that is used to translate the address
    /// (Arm ARM D8.17).
    pub fn add(&mut self, page: A) {
        if let Extent::Pages(pages) = &mut self.extent
            && pages.last() != Some(&page)
            && pages.push(page).is_err()
        {
            self.extent = Extent::Space;
        }
    }

    /// Adds all that the address space translates.
    pub fn add_space(&mut self) {
        self.extent = Extent::Space;
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.extent, Extent::Pages(pages) if pages.is_empty())
    }

    /// Makes the new descriptors visible, then invalidates on every CPU. When it returns, no CPU uses the old ones.
    pub fn finish(self, tlb: &impl Tlb, tag: A::Tag) {
        if self.is_empty() {
            return;
        }
        tlb.publish();
        match self.extent {
            Extent::Pages(pages) => {
                for page in pages {
                    A::flush_page(tlb, tag, page);
                }
            }
            Extent::Space => A::flush_space(tlb, tag),
        }
    }
}

impl<A: HalfAddress> Default for Pending<A> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::addr::{Asid, UserAddr, VirtAddr};

    #[derive(Default)]
    struct Recorder(RefCell<Vec<String, 32>>);

    impl Recorder {
        fn note(&self, what: impl Into<String>) {
            self.0.borrow_mut().push(what.into()).unwrap();
        }
    }

    impl Tlb for Recorder {
        fn publish(&self) {
            self.note("publish");
        }
        fn flush_user_page(&self, asid: Asid, page: UserAddr) {
            self.note(format!("page {page} of {}", asid.0));
        }
        fn flush_asid(&self, asid: Asid) {
            self.note(format!("asid {}", asid.0));
        }
        fn flush_kernel_page(&self, page: VirtAddr) {
            self.note(format!("kernel page {page}"));
        }
        fn flush_all(&self) {
            self.note("all");
        }
    }

    #[test]
    fn nothing_pending_costs_nothing() {
        let tlb = Recorder::default();
        Pending::<UserAddr>::new().finish(&tlb, Asid(1));
        assert!(tlb.0.borrow().is_empty());
    }

    #[test]
    fn few_pages_are_flushed_one_by_one_after_the_stores_are_published() {
        let tlb = Recorder::default();
        let mut pending = Pending::new();
        pending.add(UserAddr::new(0x1000));
        pending.add(UserAddr::new(0x1000));
        pending.add(UserAddr::new(0x2000));
        pending.finish(&tlb, Asid(7));
        assert_eq!(*tlb.0.borrow(), ["publish", "page 0x1000 of 7", "page 0x2000 of 7"]);
    }

    #[test]
    fn many_pages_are_one_flush_of_the_space() {
        let many = 1..=u64::try_from(MAX_PAGES).unwrap() + 1;
        let tlb = Recorder::default();
        let mut user = Pending::new();
        let mut kernel = Pending::new();
        for page in many {
            user.add(UserAddr::new(page << 12));
            kernel.add(VirtAddr::new(page << 12));
        }
        user.finish(&tlb, Asid(7));
        kernel.finish(&tlb, ());
        assert_eq!(*tlb.0.borrow(), ["publish", "asid 7", "publish", "all"]);
    }
}
