//! Memory and what is reserved of it.

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::standard::Reg;
use dtoolkit::{Node, ToCellInt};

use super::{TreeError, TreeFacts, bytes_of};
use crate::addr::PhysAddr;
use crate::boot::PhysRange;

/// Memory nodes have `device_type = "memory"` or, from loaders that forget it, only the name. One with a `status`
/// other than okay is not ours.
pub(super) fn is_memory(node: &FdtNode<'_>) -> bool {
    let is_memory = bytes_of(node, "device_type") == Some(b"memory\0") || node.name_without_address() == "memory";
    is_memory && matches!(bytes_of(node, "status"), None | Some(b"okay\0" | b"ok\0"))
}

impl TreeFacts<'_> {
    pub(super) fn read_memory(&mut self, node: FdtNode<'_>) -> Result<(), TreeError> {
        const NAME: &str = "memory/reg";
        for range in ranges_of(node, NAME)? {
            let range = range?;
            if !range.is_empty() {
                self.memory.push(range).map_err(|_| TreeError::TooMany(NAME))?;
            }
        }
        Ok(())
    }

    /// The children with `reg`. Those with only a `size` ask the kernel to choose a place for some driver's pool; this
    /// kernel has no such driver.
    pub(super) fn read_reserved_memory(&mut self, node: &FdtNode<'_>) -> Result<(), TreeError> {
        const NAME: &str = "reserved-memory/reg";
        for child in node.children() {
            for range in ranges_of(child, NAME)? {
                self.reserve(range?, NAME)?;
            }
        }
        Ok(())
    }

    /// The reservation block, of which `dtoolkit` has checked that it ends.
    pub(super) fn read_reservation_block(&mut self, tree: Fdt<'_>) -> Result<(), TreeError> {
        const NAME: &str = "memreserve";
        for entry in tree.memory_reservations() {
            let range = PhysRange::from_size(PhysAddr::new(entry.address()), entry.size());
            self.reserve(range.ok_or(TreeError::BadProperty(NAME))?, NAME)?;
        }
        Ok(())
    }

    fn reserve(&mut self, range: PhysRange, name: &'static str) -> Result<(), TreeError> {
        if range.is_empty() {
            return Ok(());
        }
        self.reserved.push(range).map_err(|_| TreeError::TooMany(name))
    }
}

/// The ranges of a node's `reg`; none without one.
fn ranges_of<'a>(
    node: FdtNode<'a>,
    name: &'static str,
) -> Result<impl Iterator<Item = Result<PhysRange, TreeError>> + use<'a>, TreeError> {
    let reg = node.reg().map_err(|_| TreeError::BadProperty(name))?;
    Ok(reg.into_iter().flatten().map(move |reg| range_of(reg).ok_or(TreeError::BadProperty(name))))
}

/// `None` where a number has more than two cells or the end passes 64 bits.
fn range_of(reg: Reg<'_>) -> Option<PhysRange> {
    let start = reg.address.to_int::<u64>().ok()?;
    let bytes = reg.size.to_int::<u64>().ok()?;
    PhysRange::from_size(PhysAddr::new(start), bytes)
}
