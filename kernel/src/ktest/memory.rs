//! The functions that the compiler calls to move, fill and compare memory, against loops of single bytes.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::hint::black_box;

use kcore::addr::PAGE_SIZE;

use super::harness::{Dice, Outcome, ensure};
use crate::arch::ktest_asm;

/// Lengths about which something changes in one of the functions, and all small ones.
fn lengths() -> impl Iterator<Item = usize> {
    (0..200).chain([255, 256, 257, 511, 1000, 4032, 4095, 4096, 4097, 4160, 4351, 4352, 4353, 5000, 8192, 9000])
}

fn noise(length: usize) -> Vec<u8> {
    let mut dice = Dice::new(length as u64 + 1);
    (0..length).map(|_| u8::try_from(dice.below(256)).unwrap_or(0)).collect()
}

/// Fails when `backwards` copies forwards, and when `small` stores before it has loaded all.
pub(super) fn memory_is_moved_whole_whatever_overlaps() -> Outcome {
    const ROOM: usize = 9200;
    let before = noise(ROOM);
    for length in lengths() {
        for (from, to) in [(0, 0), (3, 0), (0, 3), (8, 0), (0, 8), (1, 65), (65, 1), (100, 40), (40, 100), (16, 144)] {
            let mut memory = before.clone();
            memory.copy_within(black_box(from)..from + length, black_box(to));
            let differs = (0..ROOM).find(|&at| {
                let expected = if (to..to + length).contains(&at) { before[at - to + from] } else { before[at] };
                memory[at] != expected
            });
            ensure!(differs.is_none(), "{length} bytes from {from} to {to} differ at {differs:?}");
        }
    }
    Ok(())
}

/// Fails when the loop of `DC ZVA` goes on a turn too long, or leaves the rest to nobody.
pub(super) fn memory_is_filled_to_its_end_and_no_further() -> Outcome {
    let mut memory = vec![0_u8; 4 * PAGE_SIZE];
    for length in lengths() {
        for byte in [0, 0x5a] {
            for offset in [0, 1, 8, 63, 64] {
                // From a page's border on, so that offsets are what they say.
                let start = memory.as_ptr().align_offset(PAGE_SIZE) + offset;
                memory.iter_mut().for_each(|each| *each = black_box(0xee));
                memory[black_box(start)..start + length].fill(black_box(byte));
                let differs = (0..memory.len())
                    .find(|&at| memory[at] != if (start..start + length).contains(&at) { byte } else { 0xee });
                ensure!(differs.is_none(), "{length} times {byte:#x} at {offset} of a page: wrong at {differs:?}");
            }
        }
    }
    Ok(())
}

/// Fails when `memcmp` compares its words without turning them round.
pub(super) fn memory_is_compared_by_its_first_difference() -> Outcome {
    for length in lengths() {
        let one = noise(length);
        let mut other = one.clone();
        ensure!(black_box(&one) == black_box(&other), "{length} equal bytes differ");
        let places = [0, 1, 7, 8, 9, length / 2, length.saturating_sub(2), length.saturating_sub(1)];
        for at in places.into_iter().filter(|&at| at < length) {
            for change in [1, 0x80, 0xff] {
                other[at] = one[at].wrapping_add(change);
                // What comes behind it says the opposite.
                let opposite = if one[at] < other[at] { 0 } else { 0xff };
                other[at + 1..].fill(opposite);
                let expected = one[at].cmp(&other[at]);
                let found = black_box(&one[..]).cmp(black_box(&other[..]));
                ensure!(found == expected && found != Ordering::Equal, "{length} bytes, {at}: {found:?}");
                other.copy_from_slice(&one);
            }
        }
    }
    Ok(())
}

/// Fails when `page_copy` leaves out some of the registers it uses when it puts them back, or a part of the page.
pub(super) fn a_page_is_copied_and_programs_registers_stay() -> Outcome {
    for open in [false, true] {
        let mut memory = vec![0_u8; 4 * PAGE_SIZE];
        let border = memory.as_ptr().align_offset(PAGE_SIZE);
        let contents = noise(PAGE_SIZE);
        memory[border..border + PAGE_SIZE].copy_from_slice(&contents);
        let left = ktest_asm::page_copy_leaves_registers(open, &mut memory[border..]);
        ensure!(left, "open: {open}; the registers are others than before");
        let (one, other) = memory[border..].split_at(PAGE_SIZE);
        ensure!(one == contents && other[..PAGE_SIZE] == contents, "open: {open}; the copy is another page");
        ensure!(other[PAGE_SIZE..].iter().all(|&byte| byte == 0), "open: {open}; more than a page was written");
    }
    Ok(())
}
