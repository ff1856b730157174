//! What firmware left in memory, as bytes: the device tree or the tag list that x0 points to, and the initramfs.

use kcore::addr::PhysAddr;
use kcore::boot::PhysRange;
use kcore::boot::tree::{self, TreeHeader};

use super::{boot_tables, layout};

/// The end of where x0 may point: RAM on every board, and the window's 4 MiB end below every device.
const HIGHEST: u64 = 0x3ec0_0000;
/// Where a tag list stands, if there is one: QEMU's place without a tree.
const ATAGS: u64 = 0x100;
/// The longest tag list that is looked at.
const ATAGS_BYTES: usize = 0x4000;

/// What x0 points to.
#[derive(Debug)]
pub(crate) enum Handover<'a> {
    /// A device tree: its bytes, as long as its header says.
    Tree(&'a [u8]),
    /// Perhaps a tag list.
    Tags(&'a [u8]),
    /// Nothing that could be either.
    Nothing,
}

/// Shows `read` what x0 points to. Called once, by the boot CPU, before the linear map.
pub(crate) fn with_handover<T>(x0: u64, read: impl FnOnce(Handover<'_>) -> T) -> T {
    if x0 == 0 || x0 >= HIGHEST || !x0.is_multiple_of(8) {
        return read(Handover::Nothing);
    }
    let address = boot_tables::open_tree_window(PhysAddr::new(x0));
    let window = layout::pointer::<u8>(address);
    // SAFETY: the window maps at least 2 MiB from here on read-only, nobody writes there, and any bytes are valid.
    let first = unsafe { &*window.as_ptr().cast::<[u8; 8]>() };
    let result = match TreeHeader::probe(first) {
        Some(bytes) => {
            // SAFETY: as above; a tree has at most `MAX_TREE_BYTES`, 2 MiB, and the window has 4 MiB from the block in
            // which it begins.
            let blob = unsafe { core::slice::from_raw_parts(window.as_ptr(), bytes) };
            read(Handover::Tree(blob))
        }
        None if x0 == ATAGS => {
            // SAFETY: as above; the list's place is in the first 2 MiB.
            let list = unsafe { core::slice::from_raw_parts(window.as_ptr(), ATAGS_BYTES) };
            read(Handover::Tags(list))
        }
        None => read(Handover::Nothing),
    };
    boot_tables::close_tree_window();
    result
}

/// Erases the seeds in the device tree at `place`, once they have been used: they are secrets now. After the linear map.
pub(crate) fn wipe_seeds(place: PhysRange) {
    let Ok(bytes) = usize::try_from(place.bytes()) else { return };
    let start = layout::pointer::<u8>(layout::linear(place.start()));
    // SAFETY: the tree's memory is reserved, so it is mapped by the linear map and belongs to nobody; the window onto it
    // is closed.
    let blob = unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), bytes) };
    tree::wipe_seeds(blob);
}

/// The initramfs: reserved memory, read-only for good.
pub(crate) fn initramfs(place: PhysRange) -> &'static [u8] {
    let Ok(bytes) = usize::try_from(place.bytes()) else { return &[] };
    let start = layout::pointer::<u8>(layout::linear(place.start()));
    // SAFETY: the range is RAM that the memory map keeps reserved, so the linear map shows it and nobody writes to it.
    unsafe { core::slice::from_raw_parts(start.as_ptr(), bytes) }
}
