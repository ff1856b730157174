//! How a bus's devices see memory.

use dtoolkit::ToCellInt as _;
use dtoolkit::fdt::FdtNode;

use super::TreeFacts;
use crate::addr::PhysAddr;
use crate::boot::PhysRange;

/// A part of memory as the devices of a bus see it: an entry of `dma-ranges` (Devicetree Specification 0.4, 2.3.9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DmaWindow {
    /// What the devices reach.
    pub memory: PhysRange,
    /// The address of its first byte for them.
    pub bus: u64,
}

impl DmaWindow {
    /// The address of `range` for a device that knows addresses of 32 bits; `None` for what it does not reach.
    #[must_use]
    pub fn bus_address(&self, range: PhysRange) -> Option<u32> {
        if range.is_empty() || !self.memory.covers(range) {
            return None;
        }
        let offset = range.start().get().checked_sub(self.memory.start().get())?;
        let first = self.bus.checked_add(offset)?;
        let last = first.checked_add(range.bytes().checked_sub(1)?)?;
        u32::try_from(last).ok()?;
        u32::try_from(first).ok()
    }
}

impl TreeFacts<'_> {
    /// `/emmc2bus`, on which a BCM2711's EMMC2 sits alone. Its tree says for the first chips that they reach the lowest GiB, and
    /// firmware changes that where the chip reaches more.
    pub(super) fn read_emmc2_bus(&mut self, node: &FdtNode<'_>) {
        const NAME: &str = "emmc2bus/dma-ranges";
        let Ok(ranges) = node.dma_ranges() else { return self.note(NAME) };
        let Some(range) = ranges.and_then(|mut ranges| ranges.next()) else { return };
        let number = |cells: Result<u64, _>| cells.ok();
        let window = number(range.child_bus_address.to_int::<u64>()).and_then(|bus| {
            let start = number(range.parent_bus_address.to_int::<u64>())?;
            let bytes = number(range.length.to_int::<u64>())?;
            Some(DmaWindow { memory: PhysRange::from_size(PhysAddr::new(start), bytes)?, bus })
        });
        match window {
            Some(window) => self.emmc2_dma = Some(window),
            None => self.note(NAME),
        }
    }
}
