//! How large an address space is.

/// Sizes in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpaceStatistics {
    /// Pages that tables map, those of zeroes and of files among them.
    pub resident: u64,
    /// Pages of all areas.
    pub total: u64,
    /// Pages that are private and may be written, but for the stack.
    pub data: u64,
    /// Pages of areas that grow downwards.
    pub stack: u64,
    /// Pages that are locked.
    pub locked: u64,
}
