//! Devices that may be missing, and random numbers.

use alloc::sync::Arc;
use alloc::vec::Vec;

use drivers::bcm2835_rng::Bcm2835Rng;
use drivers::wait::Polls;
use kcore::sync::{Rank, SpinLock};
use rand_core::TryRng;

use super::harness::{Outcome, cpus, ensure, on_each_cpu};
use crate::arch::cpu::Arm;
use crate::board::{self, RngHardware};
use crate::dev::{clock, random};
use crate::mem::devices::{self, RngRegistersOf};

/// The counter of a real BCM2711 runs from its crystal; QEMU's counter runs at 62.5 MHz.
const BCM2711_COUNTER_HZ: u64 = 54_000_000;

/// QEMU's raspi4b has no RNG200: the probe takes an external abort there, and the kernel goes on. Fails as a panic when
/// `landing_for` knows no landing.
pub(super) fn a_missing_generator_is_no_harm() -> Outcome {
    match (devices::random_generator(), board::current().rng) {
        (Some(RngRegistersOf::Bcm2835(registers)), _) => {
            let word = Bcm2835Rng::start(registers, Polls::new(5_000_000)).try_next_u32();
            ensure!(word.is_ok(), "the generator answers {word:?}");
        }
        (Some(RngRegistersOf::Rng200(_)), _) => {
            ensure!(clock::frequency_hz() == BCM2711_COUNTER_HZ, "a generator that the emulation does not have");
        }
        (None, RngHardware::Rng200(base)) => {
            ensure!(clock::frequency_hz() != BCM2711_COUNTER_HZ, "no generator at {base} of a real board");
        }
        (None, RngHardware::Bcm2835(base)) => ensure!(false, "no generator at {base}"),
    }
    Ok(())
}

/// Every CPU has a generator of its own, and no two of all their numbers are the same.
///
/// Fails when `child_key` gives every CPU the same key.
pub(super) fn random_numbers_differ() -> Outcome {
    const EACH: usize = 64;
    let total = EACH * cpus().count();
    let all = Arc::new(SpinLock::<_, Arm>::new(Rank::TestSpinOuter, Vec::with_capacity(total)));
    let theirs = Arc::clone(&all);
    on_each_cpu("random", move |_| {
        let numbers: Vec<u64> = (0..EACH).map(|_| random_word()).collect();
        theirs.lock().extend(numbers);
        Ok(())
    })?;
    let mut numbers = core::mem::take(&mut *all.lock());
    numbers.sort_unstable();
    numbers.dedup();
    ensure!(numbers.len() == total, "{} different numbers of {total}", numbers.len());
    Ok(())
}

/// Fails with the bound not handed down.
pub(super) fn a_uniform_number_is_below_its_bound() -> Outcome {
    for bound in [1, 2, 3, 10, 1 << 32, u64::MAX] {
        let highest = (0..100).map(|_| random::uniform(bound)).max().unwrap_or(u64::MAX);
        ensure!(highest < bound, "{highest} is not below {bound}");
    }
    Ok(())
}

fn random_word() -> u64 {
    let mut bytes = [0; 8];
    random::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
