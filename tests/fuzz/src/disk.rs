//! Disks: their partitions, and one whose blocks are those of an image with changes.

use std::collections::BTreeMap;

use kcore::fs::block::partition::find;
use kcore::fs::block::{BLOCK_SIZE, Disk, DiskError};

/// The input is the disk, but for its first byte: if that is odd, the sums of a GUID partition table are made right.
pub(crate) fn partition(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let mut image = rest.to_vec();
    image.resize(image.len().next_multiple_of(BLOCK_SIZE), 0);
    if first % 2 == 1 {
        mend(&mut image, 1);
        let last = (image.len() / BLOCK_SIZE).saturating_sub(1);
        mend(&mut image, last);
    }
    let blocks = (image.len() / BLOCK_SIZE) as u64;
    let table = find(blocks, &mut |block, into| {
        let at = usize::try_from(block).unwrap() * BLOCK_SIZE;
        into.copy_from_slice(&image[at..at + BLOCK_SIZE]);
        Ok(())
    });
    for partition in &table.partitions {
        assert!(partition.blocks > 0 && partition.first + partition.blocks <= blocks);
    }
    for (index, one) in table.partitions.iter().enumerate() {
        let overlaps = |other: &kcore::fs::block::partition::Partition| {
            one.first < other.first + other.blocks && other.first < one.first + one.blocks
        };
        assert!(!table.partitions[..index].iter().any(overlaps), "{table:?}");
    }
    for problem in &table.problems {
        assert!(!problem.to_string().is_empty());
    }
}

fn word(image: &[u8], at: usize) -> usize {
    image.get(at..at + 4).map_or(0, |word| u32::from_le_bytes(word.try_into().unwrap()) as usize)
}

/// Makes the sums of the header in this block right, as far as they can be.
fn mend(image: &mut [u8], block: usize) {
    let at = block * BLOCK_SIZE;
    if !image.get(at..).is_some_and(|rest| rest.starts_with(b"EFI PART")) {
        return;
    }
    let (entries, size) =
        (word(image, at + 72) * BLOCK_SIZE, word(image, at + 80).saturating_mul(word(image, at + 84)));
    if let Some(entries) = entries.checked_add(size).and_then(|end| image.get(entries..end)) {
        let sum = abi::push::crc::of(entries);
        image[at + 88..at + 92].copy_from_slice(&sum.to_le_bytes());
    }
    let length = word(image, at + 12).min(BLOCK_SIZE);
    image[at + 16..at + 20].fill(0);
    let sum = abi::push::crc::of(&image[at..at + length]);
    image[at + 16..at + 20].copy_from_slice(&sum.to_le_bytes());
}

/// An image, with changes of some of its bytes, and with what was written.
pub(crate) struct Changed {
    image: &'static [u8],
    changes: BTreeMap<usize, u8>,
    written: BTreeMap<u64, [u8; BLOCK_SIZE]>,
}

impl Changed {
    pub(crate) fn new(image: &'static [u8], changes: BTreeMap<usize, u8>) -> Self {
        Self { image, changes, written: BTreeMap::new() }
    }
}

impl Disk for Changed {
    fn blocks(&self) -> u64 {
        (self.image.len() / BLOCK_SIZE) as u64
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn read(&mut self, block: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let start = usize::try_from(block).unwrap() * BLOCK_SIZE;
        let end = start + into.len();
        into.copy_from_slice(&self.image[start..end]);
        for (at, value) in self.changes.range(start..end) {
            into[at - start] = *value;
        }
        for (at, bytes) in self.written.range(block..block + (into.len() / BLOCK_SIZE) as u64) {
            let place = usize::try_from(at - block).unwrap() * BLOCK_SIZE;
            into[place..place + BLOCK_SIZE].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn write(&mut self, block: u64, from: &[u8]) -> Result<(), DiskError> {
        assert!(block + (from.len() / BLOCK_SIZE) as u64 <= self.blocks());
        for (at, bytes) in (block..).zip(from.as_chunks::<BLOCK_SIZE>().0) {
            self.written.insert(at, *bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}
