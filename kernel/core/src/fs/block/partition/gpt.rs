//! The GUID partition table: a header in block 1 and, should that be damaged, another in the last block; each names the
//! blocks with the entries. Headers and entries have CRCs.

use super::{Block, Partition, Problem, Search, TableKind, long, word};

const SIGNATURE: &[u8; 8] = b"EFI PART";
/// Header sizes that make sense: what is defined, to a block.
const HEADER_SIZES: core::ops::RangeInclusive<usize> = 92..=super::BLOCK_SIZE;
/// The CRC of the header itself, which counts as zero in it.
const HEADER_CRC: usize = 16;
/// The smallest entry, and the one that everybody has.
const ENTRY_SIZE: usize = 128;
/// More entries than anybody has; a bound for what is read.
const MAX_ENTRIES: u32 = 1024;

/// What of a header counts.
struct Header {
    first_usable: u64,
    last_usable: u64,
    entries: u64,
    count: u32,
    size: usize,
    crc: u32,
}

/// Takes in the partitions of the first header that is sound, with sound entries.
pub(super) fn collect(search: &mut Search<'_, '_>) {
    search.table.kind = TableKind::Gpt;
    for place in [1, search.blocks.saturating_sub(1)] {
        let Some(block) = search.read(place) else { continue };
        let Some(header) = parse(&block, place, search.blocks) else {
            search.note(Problem::BadHeader(place));
            continue;
        };
        match are_sound(search, &header) {
            Some(true) => return collect_entries(search, &header),
            Some(false) => search.note(Problem::BadEntries(place)),
            None => {}
        }
    }
}

fn parse(block: &Block, place: u64, blocks: u64) -> Option<Header> {
    let size = usize::try_from(word(block, 12)).ok().filter(|size| HEADER_SIZES.contains(size))?;
    let mut sum = Crc::new();
    let header = block.get(..size)?;
    sum.add(header.get(..HEADER_CRC)?);
    sum.add(&[0; 4]);
    sum.add(header.get(HEADER_CRC.saturating_add(4)..)?);
    let is_header = block.starts_with(SIGNATURE) && sum.end() == word(block, HEADER_CRC) && long(block, 24) == place;
    let header = Header {
        first_usable: long(block, 40),
        last_usable: long(block, 48),
        entries: long(block, 72),
        count: word(block, 80),
        size: usize::try_from(word(block, 84)).ok()?,
        crc: word(block, 88),
    };
    // An entry is a power of two, from 128 on, and here no more than a block, so that it lies in one.
    let entry_fits = header.size.is_power_of_two() && (ENTRY_SIZE..=super::BLOCK_SIZE).contains(&header.size);
    let usable = header.first_usable <= header.last_usable && header.last_usable < blocks;
    (is_header && entry_fits && usable && header.count <= MAX_ENTRIES).then_some(header)
}

/// Whether the entries have the CRC that the header says; `None` where one cannot be read.
fn are_sound(search: &mut Search<'_, '_>, header: &Header) -> Option<bool> {
    let mut sum = Crc::new();
    each_entry(search, header, |_, _, entry| sum.add(entry))?;
    Some(sum.end() == header.crc)
}

fn collect_entries(search: &mut Search<'_, '_>, header: &Header) {
    // They could be read a moment ago.
    let _again = each_entry(search, header, |search, number, entry| {
        let is_used = entry.get(..16).is_some_and(|kind| kind.iter().any(|&byte| byte != 0));
        if !is_used {
            return;
        }
        let (first, last) = (long(entry, 32), long(entry, 40));
        let blocks = last.checked_sub(first).and_then(|distance| distance.checked_add(1));
        match blocks {
            Some(blocks) if first >= header.first_usable && last <= header.last_usable => {
                search.add(Partition { number, first, blocks });
            }
            _ => search.note(Problem::BeyondEnd(number)),
        }
    });
}

/// Shows each entry with its number, from 1 on.
fn each_entry(
    search: &mut Search<'_, '_>,
    header: &Header,
    mut visit: impl FnMut(&mut Search<'_, '_>, u32, &[u8]),
) -> Option<()> {
    let mut number = 1_u32;
    let mut place = header.entries;
    while number <= header.count {
        let block = search.read(place)?;
        for entry in block.chunks_exact(header.size) {
            if number <= header.count {
                visit(search, number, entry);
            }
            number = number.saturating_add(1);
        }
        place = place.checked_add(1)?;
    }
    Some(())
}

/// CRC-32 as in Ethernet: polynomial 0x04c11db7, bits reversed.
pub(super) struct Crc(u32);

impl Crc {
    pub(super) const fn new() -> Self {
        Self(u32::MAX)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 ^= u32::from(byte);
            for _ in 0..8 {
                let low = self.0 & 1;
                self.0 = self.0 >> 1 ^ if low == 0 { 0 } else { 0xedb8_8320 };
            }
        }
    }

    pub(super) const fn end(&self) -> u32 {
        !self.0
    }
}
