//! `/chosen`: what the loader chose for us.

use core::ops::Range;

use dtoolkit::fdt::FdtNode;

use super::{TreeFacts, address_of, bytes_of, open};
use crate::addr::PhysAddr;
use crate::boot::PhysRange;

const SEEDS: [&str; 2] = ["rng-seed", "kaslr-seed"];

impl<'a> TreeFacts<'a> {
    pub(super) fn read_chosen(&mut self, chosen: &FdtNode<'a>) {
        self.command_line = self.text(chosen, "bootargs");
        self.stdout_path = self.text(chosen, "stdout-path");
        self.rng_seed = bytes_of(chosen, "rng-seed").filter(|seed| !seed.is_empty());
        self.kaslr_seed = bytes_of(chosen, "kaslr-seed").and_then(address_of);
        self.initrd = self.initrd(chosen);
    }

    /// Both ends or nothing; an empty one (start = end) means that there is none.
    fn initrd(&mut self, chosen: &FdtNode<'_>) -> Option<PhysRange> {
        let start = bytes_of(chosen, "linux,initrd-start");
        let end = bytes_of(chosen, "linux,initrd-end");
        if start.is_none() && end.is_none() {
            return None;
        }
        let start = start.and_then(address_of).map(PhysAddr::new);
        let end = end.and_then(address_of).map(PhysAddr::new);
        let range = start.zip(end).and_then(|(start, end)| PhysRange::new(start, end));
        if range.is_none() {
            self.note("linux,initrd-start");
        }
        range.filter(|range| !range.is_empty())
    }
}

/// Overwrites the seeds of a tree with zeros, so that nobody who reads the blob later learns what the random
/// generator started from. A tree that cannot be read is left alone.
pub fn wipe_seeds(blob: &mut [u8]) {
    for name in SEEDS {
        if let Some(seed) = place_of(blob, name).and_then(|place| blob.get_mut(place)) {
            seed.fill(0);
        }
    }
}

/// Where in `blob` the value of a property of `/chosen` is.
fn place_of(blob: &[u8], name: &str) -> Option<Range<usize>> {
    let chosen = open(blob).ok()?.find_node("/chosen")?;
    let value = bytes_of(&chosen, name)?;
    let start = value.as_ptr().addr().checked_sub(blob.as_ptr().addr())?;
    Some(start..start.checked_add(value.len())?)
}
