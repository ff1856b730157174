//! The kernel heap under stress from every CPU.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use kcore::addr::CpuId;

use super::harness::{Dice, Outcome, Turns, ensure, stress};
use crate::mem::heap;

/// What a CPU holds at most.
const HELD: usize = 32;

/// Ends in a panic when the critical section does not exclude (the exchange of `OWNER` replaced by a store); fails when
/// a block of a thread that ended before is given back meanwhile, which is why `Team::join` waits for that.
pub(super) fn the_heap_keeps_its_contents_and_comes_back() -> Outcome {
    let (before, after) = stress("heap", || heap::usage().0, churn)?;
    ensure!(before == after, "{before} bytes in use before, {after} after");
    Ok(())
}

/// Memory, and the byte that it is full of.
enum Held {
    Word(Box<u64>, u8),
    Bytes(Vec<u8>, u8),
}

fn churn(cpu: CpuId, turns: Turns) -> Outcome {
    let mut dice = Dice::new(0x4ea9 + cpu.index() as u64);
    let mut held = Vec::with_capacity(HELD);
    for () in turns {
        if held.len() == HELD || (!held.is_empty() && dice.below(2) == 0) {
            check(cpu, &held.swap_remove(dice.below(held.len())))?;
        } else {
            held.push(take(&mut dice));
        }
    }
    held.iter().try_for_each(|one| check(cpu, one))
}

fn take(dice: &mut Dice) -> Held {
    let byte = u8::try_from(dice.below(256)).unwrap_or(u8::MAX);
    match dice.below(4) {
        0 => Held::Word(Box::new(u64::from_ne_bytes([byte; 8])), byte),
        1 => {
            // Grown in steps: the allocator moves it.
            let mut bytes = Vec::new();
            for _ in 0..dice.below(200) {
                bytes.push(byte);
            }
            Held::Bytes(bytes, byte)
        }
        // Of each kind of size: slots, the middle, blocks of frames.
        2 => Held::Bytes(vec![byte; 1 + dice.below(2500)], byte),
        _ => Held::Bytes(vec![byte; 1 << dice.below(18)], byte),
    }
}

fn check(cpu: CpuId, held: &Held) -> Outcome {
    let intact = match held {
        Held::Word(word, byte) => word.to_ne_bytes() == [*byte; 8],
        Held::Bytes(bytes, byte) => bytes.iter().all(|found| found == byte),
    };
    ensure!(intact, "cpu {cpu}: somebody else wrote into a heap block");
    Ok(())
}
