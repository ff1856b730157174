//! How many tables a tree has, and how many of them it may share.

use super::tree::UserTree;
use crate::hal::FrameAccess;
use crate::paging::address::Index;
use crate::paging::attr::TableLimits;
use crate::paging::table::Table;

/// The tables of a tree, by level: of the root's (1), of 1 GiB (2), of 2 MiB (3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TableCensus {
    /// Those that it has for itself.
    pub own: [u64; 3],
    /// Those below a read-only descriptor: other trees may reach them, too.
    pub shared: [u64; 3],
}

impl TableCensus {
    /// Adds what another tree has. What both share is counted for both.
    pub fn add(&mut self, other: &Self) {
        let sum = |mine: &mut [u64; 3], others: &[u64; 3]| {
            mine.iter_mut().zip(others).for_each(|(mine, other)| *mine = mine.saturating_add(*other));
        };
        sum(&mut self.own, &other.own);
        sum(&mut self.shared, &other.shared);
    }
}

impl UserTree {
    /// Counts its tables: looks at all of them.
    pub fn census(&self, memory: &impl FrameAccess) -> TableCensus {
        let mut census = TableCensus { own: [1, 0, 0], shared: [0; 3] };
        count_below(self.tables().root_table(memory), memory, false, &mut census);
        census
    }
}

/// Counts the tables that `table` names, and theirs; all of them are behind a barrier if `table` is.
fn count_below(table: Table<'_>, memory: &impl FrameAccess, behind: bool, census: &mut TableCensus) {
    for index in Index::all() {
        let Some((child, entry)) = table.child(memory, index) else { continue };
        let behind = behind || entry.limits.contains(TableLimits::READ_ONLY);
        let counts = if behind { &mut census.shared } else { &mut census.own };
        if let Some(count) = counts.get_mut(child.level() as usize) {
            *count += 1;
        }
        count_below(child, memory, behind, census);
    }
}
