//! Randomness: where the seed comes from on this machine.

use drivers::bcm2835_rng::Bcm2835Rng;
use drivers::rng200::Rng200;
use drivers::wait::Polls;
use kcore::random::{Contribution, EntropyPool, Quality, RandomSource};
use kcore::sync::Once;
use kcore::time::Instant;
use rand_core::TryRng;

use super::clock;
use crate::arch::cpu::Arm;
use crate::mem::devices::{self, RngRegistersOf};

/// Words that the hardware generator contributes: 512 bits.
const WORDS: usize = 16;
/// How often a word is looked for. The first one of the Pi 3 comes after a warm-up of some 100 ms of discarded bits, and
/// a look takes about 100 ns.
const PATIENCE: Polls = Polls::new(5_000_000);
/// Samples of the counter where there is nothing better.
const JITTER_SAMPLES: usize = 256;

static SOURCE: Once<RandomSource<Arm>> = Once::new();

/// Seeds the generator: from the hardware, else from `tree_seed`, else from timer jitter. Says which.
pub(crate) fn init(tree_seed: &[u8]) -> Quality {
    let mut pool = EntropyPool::new();
    let mut words = [0; WORDS * 4];
    if fill_from_hardware(&mut words) {
        pool.mix(Contribution::Hardware(&words));
    }
    if !tree_seed.is_empty() {
        pool.mix(Contribution::Seed(tree_seed));
    }
    for _ in 0..JITTER_SAMPLES {
        pool.mix(Contribution::Timer(clock::now_ns()));
    }
    let quality = pool.quality();
    SOURCE.call_once(|| RandomSource::new(pool, Instant::from_ns(clock::now_ns())));
    quality
}

/// The kernel's random numbers.
///
/// # Panics
///
/// Before [`init`].
#[cfg_attr(not(feature = "ktest"), expect(dead_code, reason = "pids and address-space layout are drawn from it"))]
pub(crate) fn source() -> &'static RandomSource<Arm> {
    SOURCE.get().expect("randomness is set up before it is used")
}

fn fill_from_hardware(words: &mut [u8]) -> bool {
    match devices::random_generator() {
        Some(RngRegistersOf::Bcm2835(registers)) => {
            Bcm2835Rng::start(registers, PATIENCE).try_fill_bytes(words).is_ok()
        }
        Some(RngRegistersOf::Rng200(registers)) => Rng200::start(registers, PATIENCE).try_fill_bytes(words).is_ok(),
        None => false,
    }
}
