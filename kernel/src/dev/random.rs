//! Randomness: where the seed comes from on this machine.

use core::sync::atomic::{AtomicU64, Ordering};

use drivers::bcm2835_rng::Bcm2835Rng;
use drivers::rng200::Rng200;
use drivers::wait::Polls;
use kcore::random::{Contribution, EntropyPool, Quality, RESEED_INTERVAL, RandomSource};
use kcore::sync::{Once, Rank, SpinLock};
use kcore::time::Instant;
use rand_core::TryRng;

use super::clock;
use crate::arch::cpu::Arm;
use crate::mem::devices::{self, RngRegistersOf};

/// Words that the hardware generator contributes each time: 512 bits.
const WORDS: usize = 16;
/// How often new entropy is offered to the generator.
const OFFER_INTERVAL_NS: u64 = RESEED_INTERVAL.as_secs() * 1_000_000_000;
/// How often a word is looked for. The first one of the Pi 3 comes after a warm-up of some 100 ms of discarded bits, and
/// a look takes about 100 ns.
const PATIENCE: Polls = Polls::new(5_000_000);
/// Samples of the counter where there is nothing better.
const JITTER_SAMPLES: usize = 256;

static SOURCE: Once<RandomSource<Arm>> = Once::new();
/// What the counter shows when new entropy is to be offered next.
static DUE_TICKS: AtomicU64 = AtomicU64::new(0);
/// The hardware generator, if the machine has one.
static HARDWARE: SpinLock<Option<Hardware>, Arm> = SpinLock::new(Rank::RandomHardware, None);

enum Hardware {
    Bcm2835(Bcm2835Rng),
    Rng200(Rng200),
}

/// Seeds the generator: from the hardware, else from `tree_seed`, else from timer jitter. Says which.
pub(crate) fn init(tree_seed: &[u8]) -> Quality {
    *HARDWARE.lock() = devices::random_generator().map(|registers| match registers {
        RngRegistersOf::Bcm2835(registers) => Hardware::Bcm2835(Bcm2835Rng::start(registers, PATIENCE)),
        RngRegistersOf::Rng200(registers) => Hardware::Rng200(Rng200::start(registers, PATIENCE)),
    });
    let mut pool = EntropyPool::new();
    if let Some(words) = hardware_words() {
        pool.mix(Contribution::Hardware(&words));
    }
    if !tree_seed.is_empty() {
        pool.mix(Contribution::Seed(tree_seed));
    }
    for _ in 0..JITTER_SAMPLES {
        pool.mix(Contribution::Timer(clock::now_ns()));
    }
    let quality = pool.quality();
    let now_ns = clock::now_ns();
    DUE_TICKS.store(clock::now_ticks() + clock::ns_to_ticks(OFFER_INTERVAL_NS), Ordering::Relaxed);
    SOURCE.call_once(|| RandomSource::new(pool, Instant::from_ns(now_ns)));
    quality
}

/// Fills `out` with random bytes. Never waits for entropy.
pub(crate) fn fill(out: &mut [u8]) {
    reseed_if_due();
    source().fill(out);
}

/// A number from 0 to `bound` - 1, each as likely as any other.
pub(crate) fn uniform(bound: u64) -> u64 {
    reseed_if_due();
    source().uniform(bound)
}

/// Fills `out` with such numbers.
pub(crate) fn fill_uniform(bound: u64, out: &mut [u64]) {
    reseed_if_due();
    source().fill_uniform(bound, out);
}

/// Mixes in the moment of an interrupt from the world outside. For handlers: it never waits.
pub(crate) fn sample_interrupt() {
    if let Some(source) = SOURCE.get() {
        source.sample_timer(clock::now_ns());
    }
}

/// Offers new entropy every few minutes, to whoever draws first after that: there is no tick that could.
#[inline]
fn reseed_if_due() {
    let (now, due) = (clock::now_ticks(), DUE_TICKS.load(Ordering::Relaxed));
    if now >= due {
        reseed(now, due);
    }
}

#[cold]
fn reseed(now: u64, due: u64) {
    let next = now + clock::ns_to_ticks(OFFER_INTERVAL_NS);
    if DUE_TICKS.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        // Somebody else is at it.
        return;
    }
    if let Some(words) = hardware_words() {
        source().contribute(Contribution::Hardware(&words));
    }
    // Where there is too little fresh entropy the key stays, and the pool goes on collecting.
    let _ = source().reseed_if_due(Instant::from_ns(clock::ticks_to_ns(now)));
}

#[inline]
fn source() -> &'static RandomSource<Arm> {
    SOURCE.get().expect("randomness is set up before it is used")
}

/// Words from the hardware generator; `None` where there is none, or where it does not answer.
fn hardware_words() -> Option<[u8; WORDS * 4]> {
    let mut words = [0; WORDS * 4];
    match HARDWARE.lock().as_mut()? {
        Hardware::Bcm2835(generator) => generator.try_fill_bytes(&mut words).ok()?,
        Hardware::Rng200(generator) => generator.try_fill_bytes(&mut words).ok()?,
    }
    Some(words)
}
