//! The master boot record: four entries of sixteen bytes at offset 446, and a signature.
//!
//! ```text
//! entry   0 status   1-3 CHS of the first   4 type   5-7 CHS of the last   8-11 first block   12-15 blocks
//! ```
//!
//! An entry of an extended type leads to a block with two more entries: a logical partition, whose first block counts from
//! there, and the next link, which counts from the extended partition's beginning.

use super::{Block, Partition, Problem, Search, TableKind, word};

const SIGNATURE: [u8; 2] = [0x55, 0xaa];
const ENTRIES: usize = 446;
const ENTRY_SIZE: usize = 16;
/// The type of the one entry that a GUID partition table hides behind.
const PROTECTIVE: u8 = 0xee;
/// The number of the first logical partition.
const FIRST_LOGICAL: u32 = 5;
/// The most links that are followed.
const MAX_LINKS: u32 = 64;

#[derive(Clone, Copy)]
struct Entry {
    status: u8,
    kind: u8,
    first: u32,
    blocks: u32,
}

impl Entry {
    fn is_used(self) -> bool {
        self.kind != 0 && self.blocks != 0
    }

    /// CHS-addressed, LBA-addressed, and Linux's own.
    fn is_extended(self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }
}

fn entries(record: &Block) -> impl Iterator<Item = Entry> {
    let all = record.get(ENTRIES..).unwrap_or_default();
    all.chunks_exact(ENTRY_SIZE).map(|entry| Entry {
        status: entry.first().copied().unwrap_or_default(),
        kind: entry.get(4).copied().unwrap_or_default(),
        first: word(entry, 8),
        blocks: word(entry, 12),
    })
}

fn is_signed(record: &Block) -> bool {
    record.ends_with(&SIGNATURE)
}

/// What the first block of a disk says. A file system that begins there has the same signature, and in the place of the
/// entries what it likes: then a status is neither of the two that there are, or there is no entry.
pub(super) fn kind(record: &Block) -> TableKind {
    if !is_signed(record) || entries(record).any(|entry| !matches!(entry.status, 0 | 0x80)) {
        return TableKind::None;
    }
    if entries(record).any(|entry| entry.kind == PROTECTIVE) {
        return TableKind::Gpt;
    }
    if entries(record).any(Entry::is_used) { TableKind::Mbr } else { TableKind::None }
}

/// Takes in the partitions of `record`, and the logical ones.
pub(super) fn collect(search: &mut Search<'_, '_>, record: &Block) {
    search.table.kind = TableKind::Mbr;
    let mut extended = None;
    for (number, entry) in (1..).zip(entries(record)).filter(|(_, entry)| entry.is_used()) {
        let partition = Partition { number, first: entry.first.into(), blocks: entry.blocks.into() };
        if entry.is_extended() {
            // The blocks of the logical ones are its own, so it is no partition itself.
            extended = extended.or(Some(partition));
        } else {
            search.add(partition);
        }
    }
    if let Some(extended) = extended {
        collect_logical(search, extended);
    }
}

fn collect_logical(search: &mut Search<'_, '_>, extended: Partition) {
    let mut link = extended.first;
    let mut number = FIRST_LOGICAL;
    for _ in 0..MAX_LINKS {
        let Some(record) = search.read(link) else { return };
        if !is_signed(&record) {
            return search.note(Problem::BadChain(link));
        }
        let mut next = None;
        for entry in entries(&record).filter(|entry| entry.is_used()) {
            if entry.is_extended() {
                next = next.or(Some(extended.first.saturating_add(entry.first.into())));
            } else {
                let first = link.saturating_add(entry.first.into());
                search.add(Partition { number, first, blocks: entry.blocks.into() });
                number = number.saturating_add(1);
            }
        }
        match next {
            None => return,
            // Links go forward: a chain that does not may be a circle.
            Some(next) if next > link => link = next,
            Some(next) => return search.note(Problem::BadChain(next)),
        }
    }
    search.note(Problem::TooMany);
}
