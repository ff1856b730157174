//! Blocks with numbers of blocks: twelve in the inode, then a block of them, then one of blocks of them, then one more level.
//! There are no checksums on them. A number of 0 is for a block, or for all that is below, that is not there.

use super::Ext;
use super::fields::word;
use super::map::Run;
use super::problem::Part;
use super::record::Record;
use crate::fs::error::FileError;
use crate::hal::Cpu;

/// How many numbers of blocks of data are in the inode.
const DIRECT: u64 = 12;
/// And how many levels there may be.
const MOST_LEVELS: u32 = 3;
/// How many numbers are looked at together.
const WINDOW: usize = 64;
const NUMBER: usize = 4;

impl<C: Cpu> Ext<C> {
    /// The run that `block` is in, or the part from `block` on of it.
    pub(super) fn indirect(&self, record: &Record, block: u64) -> Result<Run, FileError> {
        let (numbers, _) = record.map.as_chunks::<4>();
        let Some(behind) = block.checked_sub(DIRECT) else {
            let direct = numbers.iter().take(12).skip(usize::try_from(block).unwrap_or(0));
            return Ok(run(block, direct.map(|number| u32::from_le_bytes(*number))));
        };
        // A block has two to the power of this many numbers.
        let bits = self.layout.block_bits.saturating_sub(2);
        let mut rest = behind;
        for level in 1..=MOST_LEVELS {
            let span = 1_u64.wrapping_shl(bits.saturating_mul(level));
            if rest < span {
                let root = word(&record.map, 44_usize.saturating_add(4_usize.saturating_mul(level as usize)));
                return self.below(record, root, level, block, rest);
            }
            rest = rest.saturating_sub(span);
        }
        Err(self.damaged(Part::Map(record.number), "it is longer than it can be"))
    }

    /// The run of `block`, which is the one at `index` below the block of numbers `root`.
    fn below(&self, record: &Record, root: u32, levels: u32, block: u64, index: u64) -> Result<Run, FileError> {
        let part = Part::Map(record.number);
        let bits = self.layout.block_bits.saturating_sub(2);
        let (mut at, mut rest) = (root, index);
        for level in (1..=levels).rev() {
            if at == 0 {
                let span = 1_u64.wrapping_shl(bits.saturating_mul(level));
                return Ok(Run { first: block, count: span.saturating_sub(rest), start: None });
            }
            let span = 1_u64.wrapping_shl(bits.saturating_mul(level.saturating_sub(1)));
            let (number, into) = (rest.checked_div(span).unwrap_or(0), rest.checked_rem(span).unwrap_or(0));
            let left = 1_u64.wrapping_shl(bits).saturating_sub(number);
            let wanted = if level == 1 { WINDOW.min(usize::try_from(left).unwrap_or(WINDOW)) } else { 1 };
            let mut window = [0; WINDOW * NUMBER];
            let bytes = window.get_mut(..wanted.saturating_mul(NUMBER)).unwrap_or_default();
            self.read(at.into(), number.saturating_mul(NUMBER as u64), bytes, part)?;
            if level == 1 {
                return Ok(run(block, bytes.as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number))));
            }
            (at, rest) = (word(bytes, 0), into);
        }
        // There is a last level.
        Err(FileError::Damaged)
    }
}

/// As many of these as follow each other, or are all 0.
fn run(block: u64, mut numbers: impl Iterator<Item = u32>) -> Run {
    let first = numbers.next().unwrap_or(0);
    let step = u32::from(first != 0);
    let follow = numbers.scan(first, |expected, number| {
        *expected = expected.checked_add(step)?;
        (number == *expected).then_some(())
    });
    let count = u64::try_from(follow.count()).unwrap_or(0).saturating_add(1);
    Run { first: block, count, start: (first != 0).then_some(first.into()) }
}
