//! The words that the firmware's stub polls on the cores that it keeps back.

use kcore::addr::PhysAddr;

use super::layout;
use crate::arch::cache;

unsafe extern "C" {
    static secondary_start: u8;
    static secondary_release: u8;
}

/// Stores the other cores' entry at the stub's word `address`. They run with their caches off, so the word is cleaned to
/// memory; an event wakes them.
pub(crate) fn release(address: PhysAddr) {
    store(layout::linear(address).get());
}

/// The same for cores that came in by the front door and wait in the head.
pub(crate) fn release_early_entrants() {
    store((&raw const secondary_release).addr() as u64);
}

fn store(word: u64) {
    let entry = layout::physical_of(&raw const secondary_start).get();
    let pointer = layout::pointer::<u64>(kcore::addr::VirtAddr::new(word));
    // SAFETY: the first page of memory and the image are mapped and reserved; the word is aligned, and whoever polls it
    // expects to find an address there.
    unsafe { pointer.write_volatile(entry) };
    let start = pointer.addr().get();
    cache::clean_and_invalidate(&(start..start + size_of::<u64>()));
}
