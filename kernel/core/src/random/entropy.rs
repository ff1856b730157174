//! Where randomness is collected, and an honest account of it.
//!
//! Everything that may be unpredictable is hashed into one BLAKE2s state (RFC 7693); mixing in something bad does no
//! harm. What is *believed* is counted apart, in sixteenths of a bit, and low:
//!
//! | contribution | believed | because |
//! |---|---|---|
//! | hardware words | half of their bits | neither generator documents its whitening |
//! | a seed of the device tree | all bits | firmware and QEMU take it from a cryptographic generator |
//! | a timer sample | 1/16 bit | and nothing where its first or second difference is zero: an emulator that counts instructions has no jitter at all |
//!
//! Bytes that are all alike are a device that does not work, or a seed that nobody filled in: they count nothing.

use core::fmt;

use blake2::{Blake2s256, Digest};

use super::generator::{Key, erase};

/// As many believed bits make a pool seeded.
pub const SEEDED_BITS: u32 = 256;

/// A source that has given as many believed bits is what [`Quality`] is named after.
const SOURCE_BITS: u32 = 128;

const SIXTEENTHS: u32 = 16;

/// Something mixed into the pool.
#[derive(Clone, Copy, Debug)]
pub enum Contribution<'a> {
    /// Words of a hardware random number generator.
    Hardware(&'a [u8]),
    /// A seed that the loader put into the device tree.
    Seed(&'a [u8]),
    /// The counter at a moment that is hard to predict: an interrupt, a device that became ready.
    Timer(u64),
    /// Something that tells machines apart but is no secret, such as a serial number.
    Public(&'a [u8]),
}

/// What the seeding rests on, best first. Anything but `Hardware` or `Seed` deserves a visible warning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quality {
    /// A hardware generator.
    Hardware,
    /// A seed from the loader.
    Seed,
    /// Nothing but timer jitter: guessable on an emulator.
    JitterOnly,
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hardware => "hardware generator",
            Self::Seed => "seed from the loader",
            Self::JitterOnly => "timer jitter only, predictable",
        })
    }
}

/// The input pool.
#[derive(Clone)]
pub struct EntropyPool {
    state: Blake2s256,
    /// Believed since the last extraction, in sixteenths of a bit.
    fresh: u32,
    /// Believed of hardware words and of seeds since boot, likewise.
    hardware: u32,
    seed: u32,
    last_sample: u64,
    last_delta: u64,
}

impl EntropyPool {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Blake2s256::new(), fresh: 0, hardware: 0, seed: 0, last_sample: 0, last_delta: 0 }
    }

    /// Mixes something in and counts what of it may be believed.
    pub fn mix(&mut self, contribution: Contribution<'_>) {
        match contribution {
            Contribution::Hardware(bytes) => {
                self.absorb(1, bytes);
                let credit = bits_of(bytes).saturating_mul(SIXTEENTHS / 2);
                self.hardware = self.hardware.saturating_add(credit);
                self.fresh = self.fresh.saturating_add(credit);
            }
            Contribution::Seed(bytes) => {
                self.absorb(2, bytes);
                let credit = bits_of(bytes).saturating_mul(SIXTEENTHS);
                self.seed = self.seed.saturating_add(credit);
                self.fresh = self.fresh.saturating_add(credit);
            }
            Contribution::Timer(sample) => {
                self.absorb(3, &sample.to_le_bytes());
                self.fresh = self.fresh.saturating_add(self.jitter_credit(sample));
            }
            Contribution::Public(bytes) => self.absorb(4, bytes),
        }
    }

    /// Bits believed since the last [`extract`](Self::extract).
    #[must_use]
    pub fn fresh_bits(&self) -> u32 {
        self.fresh / SIXTEENTHS
    }

    /// What the pool rests on so far.
    #[must_use]
    pub fn quality(&self) -> Quality {
        let enough = SOURCE_BITS * SIXTEENTHS;
        if self.hardware >= enough {
            Quality::Hardware
        } else if self.seed >= enough {
            Quality::Seed
        } else {
            Quality::JitterOnly
        }
    }

    /// A key that depends on all that was mixed in. The pool goes on from another hash of the same state, so neither
    /// tells the other, and the pool does not tell earlier keys.
    #[must_use]
    pub fn extract(&mut self) -> Key {
        let mut root: Key = self.state.finalize_reset().into();
        let key = Blake2s256::new().chain_update(root).chain_update(b"key").finalize();
        self.state.update(root);
        self.state.update(b"pool");
        erase(&mut root);
        self.fresh = 0;
        key.into()
    }

    /// The kind and the length go in as well: no two sequences of contributions make the same input.
    fn absorb(&mut self, kind: u8, bytes: &[u8]) {
        self.state.update([kind]);
        self.state.update(bytes.len().to_le_bytes());
        self.state.update(bytes);
    }

    fn jitter_credit(&mut self, sample: u64) -> u32 {
        let delta = sample.wrapping_sub(self.last_sample);
        let second = delta.wrapping_sub(self.last_delta);
        (self.last_sample, self.last_delta) = (sample, delta);
        u32::from(delta != 0 && second != 0)
    }
}

impl Default for EntropyPool {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows the account and nothing of the state.
impl fmt::Debug for EntropyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntropyPool").field("fresh_bits", &self.fresh_bits()).finish_non_exhaustive()
    }
}

/// The number of bits in `bytes`, or 0 where all bytes are alike. One request carries no more than it can hold.
fn bits_of(bytes: &[u8]) -> u32 {
    match bytes {
        [first, rest @ ..] if rest.iter().any(|byte| byte != first) => {
            u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_mul(u8::BITS)
        }
        _ => 0,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn varied<const N: usize>() -> [u8; N] {
        core::array::from_fn(|n| u8::try_from(n * 37 % 251).expect("below 251"))
    }

    /// RFC 7693, appendix B gives BLAKE2s-256 of "abc".
    #[test]
    fn the_hash_is_blake2s_as_in_rfc_7693() {
        let expected = [
            0x50, 0x8c, 0x5e, 0x8c, 0x32, 0x7c, 0x14, 0xe2, 0xe1, 0xa7, 0x2b, 0xa3, 0x4e, 0xeb, 0x45, 0x2f, //
            0x37, 0x45, 0x8b, 0x20, 0x9e, 0xd6, 0x3a, 0x29, 0x4d, 0x99, 0x9b, 0x4c, 0x86, 0x67, 0x59, 0x82,
        ];
        assert_eq!(Key::from(Blake2s256::digest(b"abc")), expected);
    }

    #[test]
    fn an_empty_pool_believes_nothing() {
        let pool = EntropyPool::new();
        assert_eq!((pool.fresh_bits(), pool.quality()), (0, Quality::JitterOnly));
    }

    #[test]
    fn a_seed_counts_in_full_and_hardware_by_half() {
        let mut pool = EntropyPool::new();
        pool.mix(Contribution::Seed(&varied::<32>()));
        assert_eq!((pool.fresh_bits(), pool.quality()), (SEEDED_BITS, Quality::Seed));
        pool.mix(Contribution::Hardware(&varied::<64>()));
        assert_eq!((pool.fresh_bits(), pool.quality()), (2 * SEEDED_BITS, Quality::Hardware));
    }

    #[test]
    fn stuck_devices_and_blank_seeds_count_nothing() {
        let mut pool = EntropyPool::new();
        pool.mix(Contribution::Hardware(&[0xff; 4096]));
        pool.mix(Contribution::Seed(&[0; 32]));
        pool.mix(Contribution::Seed(&[]));
        pool.mix(Contribution::Public(&varied::<64>()));
        assert_eq!((pool.fresh_bits(), pool.quality()), (0, Quality::JitterOnly));
    }

    #[test]
    fn a_clock_that_ticks_evenly_has_no_jitter() {
        const SAMPLES: u64 = if cfg!(miri) { 50 } else { 10_000 };
        let mut pool = EntropyPool::new();
        for n in 1..SAMPLES {
            pool.mix(Contribution::Timer(n * 1000));
        }
        assert_eq!(pool.fresh_bits(), 0);
    }

    #[test]
    fn jitter_counts_little_and_never_improves_the_quality() {
        // The first sample, a zero, counts nothing.
        const BELIEVED_BITS: u32 = if cfg!(miri) { 4 } else { 300 };
        let mut pool = EntropyPool::new();
        for n in 0..u64::from(BELIEVED_BITS * SIXTEENTHS) {
            pool.mix(Contribution::Timer(n * n * n));
        }
        assert!((BELIEVED_BITS - 1..=BELIEVED_BITS).contains(&pool.fresh_bits()), "{}", pool.fresh_bits());
        assert_eq!(pool.quality(), Quality::JitterOnly);
    }

    #[test]
    fn every_contribution_changes_the_key() {
        let (mut a, mut b) = (EntropyPool::new(), EntropyPool::new());
        b.mix(Contribution::Public(b""));
        assert_ne!(a.extract(), b.extract());
    }

    #[test]
    fn the_border_between_contributions_matters() {
        let (mut a, mut b) = (EntropyPool::new(), EntropyPool::new());
        a.mix(Contribution::Public(b"ab"));
        a.mix(Contribution::Public(b"c"));
        b.mix(Contribution::Public(b"a"));
        b.mix(Contribution::Public(b"bc"));
        assert_ne!(a.extract(), b.extract());
    }

    #[test]
    fn each_extraction_gives_another_key_and_starts_the_account_anew() {
        let mut pool = EntropyPool::new();
        pool.mix(Contribution::Seed(&varied::<32>()));
        assert_ne!(pool.extract(), pool.extract());
        assert_eq!((pool.fresh_bits(), pool.quality()), (0, Quality::Seed));
    }
}
