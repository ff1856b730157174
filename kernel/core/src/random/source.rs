//! Pool, root and the generators of the CPUs, behind their locks.

use core::time::Duration;

use super::entropy::{Contribution, EntropyPool, Quality, SEEDED_BITS};
use super::generator::{Generator, Key, erase};
use crate::addr::MAX_CPUS;
use crate::hal::Cpu;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{IrqGuard, IrqLock, Rank};
use crate::time::Instant;

/// The root is seeded anew after this time, if the pool has come by [`SEEDED_BITS`] since. Less at a time would let
/// somebody who knows the state guess it step by step.
pub const RESEED_INTERVAL: Duration = Duration::from_mins(5);

/// A CPU's generator gets a new key from the root after this many bytes.
pub const RESEED_BYTES: u64 = 1 << 20;

/// What one acquisition of a lock may make, for interrupts are masked meanwhile.
const CHUNK_BYTES: usize = 1024;

/// Random numbers for the whole kernel.
pub struct RandomSource<C: Cpu> {
    /// Never locked together with one of `children`: they have the same rank.
    root: IrqLock<Root, C>,
    /// One a CPU. A thread that is moved after it chose one uses another CPU's: slower, not wrong.
    children: [IrqLock<Child, C>; MAX_CPUS],
    /// How often the root has been seeded. Written under the root's lock; a child that is behind gets a new key.
    epoch: AtomicU64,
}

struct Root {
    pool: EntropyPool,
    generator: Generator,
    seeded_at: Instant,
}

struct Child {
    generator: Generator,
    epoch: u64,
    bytes_left: u64,
}

/// Whether [`RandomSource::reseed_if_due`] did something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reseed {
    /// The root has a new key, and every CPU's generator gets one before its next output.
    Done,
    /// Not the time yet, or not enough fresh entropy.
    NotDue,
}

impl<C: Cpu> RandomSource<C> {
    /// A source seeded with all that `pool` has. Whether that is enough is the pool's
    /// [`quality`](EntropyPool::quality) and [`fresh_bits`](EntropyPool::fresh_bits) to tell: look at them first.
    #[must_use]
    pub fn new(mut pool: EntropyPool, now: Instant) -> Self {
        let mut generator = Generator::new(pool.extract());
        let children = core::array::from_fn(|_| {
            let generator = Generator::new(generator.child_key());
            IrqLock::new(Rank::Random, Child { generator, epoch: 0, bytes_left: RESEED_BYTES })
        });
        let root = IrqLock::new(Rank::Random, Root { pool, generator, seeded_at: now });
        Self { root, children, epoch: AtomicU64::new(0) }
    }

    /// Fills `out` with random bytes.
    pub fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(CHUNK_BYTES) {
            self.fill_chunk(chunk);
        }
    }

    /// A random number.
    #[must_use]
    pub fn next_u64(&self) -> u64 {
        self.with_child(8, Generator::next_u64)
    }

    /// A number from 0 to `bound` - 1; see [`Generator::uniform`].
    #[must_use]
    pub fn uniform(&self, bound: u64) -> u64 {
        self.with_child(8, |generator| generator.uniform(bound))
    }

    /// Fills `out` with such numbers.
    pub fn fill_uniform(&self, bound: u64, out: &mut [u64]) {
        let bytes = u64::try_from(size_of_val(out)).unwrap_or(u64::MAX);
        self.with_child(bytes, |generator| out.fill_with(|| generator.uniform(bound)));
    }

    /// Mixes something into the pool.
    pub fn contribute(&self, contribution: Contribution<'_>) {
        self.root.lock().pool.mix(contribution);
    }

    /// Mixes the counter's value into the pool if nobody else is at it. For interrupt handlers: the sample that is lost
    /// is worth less than the wait.
    pub fn sample_timer(&self, counter: u64) {
        if let Some(mut root) = self.root.try_lock() {
            root.pool.mix(Contribution::Timer(counter));
        }
    }

    /// What the pool rests on.
    #[must_use]
    pub fn quality(&self) -> Quality {
        self.root.lock().pool.quality()
    }

    /// Seeds the root anew where [`RESEED_INTERVAL`] has passed and the pool has enough.
    pub fn reseed_if_due(&self, now: Instant) -> Reseed {
        let mut root = self.root.lock();
        if now.since(root.seeded_at) < RESEED_INTERVAL || root.pool.fresh_bits() < SEEDED_BITS {
            return Reseed::NotDue;
        }
        root.reseed(now);
        self.epoch.fetch_add(1, Ordering::Release);
        Reseed::Done
    }

    fn fill_chunk(&self, chunk: &mut [u8]) {
        let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.with_child(bytes, |generator| generator.fill(chunk));
    }

    /// Draws from this CPU's generator, which has a key of the current epoch and `bytes` left of it.
    #[inline]
    fn with_child<R>(&self, bytes: u64, draw: impl FnOnce(&mut Generator) -> R) -> R {
        let child = &self.children[C::id().index()];
        let mut guard = child.lock();
        if guard.epoch != self.epoch.load(Ordering::Acquire) || guard.bytes_left < bytes {
            drop(guard);
            guard = self.rekeyed(child);
        }
        guard.bytes_left = guard.bytes_left.saturating_sub(bytes);
        draw(&mut guard.generator)
    }

    /// Gives the child a new key, and locks it.
    #[cold]
    #[inline(never)]
    fn rekeyed<'a>(&self, child: &'a IrqLock<Child, C>) -> IrqGuard<'a, Child, C> {
        let (mut key, epoch) = self.key_from_root();
        let mut guard = child.lock();
        guard.generator.rekey(key);
        guard.epoch = epoch;
        guard.bytes_left = RESEED_BYTES;
        erase(&mut key);
        guard
    }

    fn key_from_root(&self) -> (Key, u64) {
        let mut root = self.root.lock();
        (root.generator.child_key(), self.epoch.load(Ordering::Relaxed))
    }
}

impl Root {
    /// The old key goes into the pool too, so a pool that somebody has poisoned cannot make things worse.
    fn reseed(&mut self, now: Instant) {
        let mut old = self.generator.child_key();
        self.pool.mix(Contribution::Public(&old));
        erase(&mut old);
        let mut key = self.pool.extract();
        self.generator.rekey(key);
        erase(&mut key);
        self.seeded_at = now;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::HashSet;
    use std::vec::Vec;

    use super::*;
    use crate::addr::CpuId;
    use crate::hal::fake::FakeCpu;

    type Source = RandomSource<FakeCpu>;

    fn seed(byte: u8) -> [u8; 32] {
        core::array::from_fn(|n| byte ^ u8::try_from(n).expect("below 32"))
    }

    fn source(byte: u8) -> Source {
        let mut pool = EntropyPool::new();
        pool.mix(Contribution::Seed(&seed(byte)));
        Source::new(pool, Instant::START)
    }

    fn later() -> Instant {
        Instant::START + RESEED_INTERVAL
    }

    #[test]
    fn the_seed_determines_everything() {
        assert_eq!(source(1).next_u64(), source(1).next_u64());
        assert_ne!(source(1).next_u64(), source(2).next_u64());
    }

    #[test]
    fn every_cpu_has_its_own_stream() {
        let source = source(1);
        let numbers: HashSet<u64> = CpuId::all()
            .map(|cpu| {
                FakeCpu::set_id(cpu);
                source.next_u64()
            })
            .collect();
        assert_eq!(numbers.len(), MAX_CPUS);
    }

    #[test]
    fn a_reseeded_root_reaches_every_cpu() {
        let (plain, reseeded) = (source(1), source(1));
        reseeded.contribute(Contribution::Seed(&seed(9)));
        assert_eq!(reseeded.reseed_if_due(later()), Reseed::Done);
        for cpu in CpuId::all() {
            FakeCpu::set_id(cpu);
            assert_ne!(plain.next_u64(), reseeded.next_u64(), "CPU {cpu}");
        }
    }

    #[test]
    fn reseeding_waits_for_the_time_and_for_enough_entropy() {
        let source = source(1);
        assert_eq!(source.reseed_if_due(later()), Reseed::NotDue, "nothing fresh");
        source.contribute(Contribution::Seed(&seed(9)));
        assert_eq!(source.reseed_if_due(later() - Duration::from_nanos(1)), Reseed::NotDue, "too early");
        assert_eq!(source.reseed_if_due(later()), Reseed::Done);
        assert_eq!(source.reseed_if_due(later() + RESEED_INTERVAL), Reseed::NotDue, "spent");
    }

    #[test]
    fn a_poisoned_pool_does_not_make_the_output_known() {
        let (a, b) = (source(1), source(2));
        for source in [&a, &b] {
            source.contribute(Contribution::Seed(&seed(9)));
            assert_eq!(source.reseed_if_due(later()), Reseed::Done);
        }
        assert_ne!(a.next_u64(), b.next_u64());
    }

    #[test]
    fn a_long_draw_gets_a_new_key_on_its_way() {
        if cfg!(miri) {
            return;
        }
        let source = source(1);
        let mut out = std::vec![0; usize::try_from(RESEED_BYTES).unwrap() + 4096];
        source.fill(&mut out);
        let left = source.children[FakeCpu::id().index()].lock().bytes_left;
        assert_eq!(left, RESEED_BYTES - 4096);
        let words: Vec<_> = out.as_chunks::<16>().0.iter().collect();
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len(), "no piece comes twice");
    }

    #[test]
    fn a_sample_is_dropped_rather_than_waited_for() {
        let source = source(1);
        let held = source.root.lock();
        std::thread::scope(|scope| scope.spawn(|| source.sample_timer(12345)).join().unwrap());
        drop(held);
        let undisturbed = self::source(1);
        source.contribute(Contribution::Seed(&seed(9)));
        undisturbed.contribute(Contribution::Seed(&seed(9)));
        assert_eq!(source.reseed_if_due(later()), undisturbed.reseed_if_due(later()));
        assert_eq!(source.next_u64(), undisturbed.next_u64());
    }

    #[test]
    fn a_sample_counts_when_nobody_is_in_the_way() {
        let (plain, sampled) = (source(1), source(1));
        sampled.sample_timer(12345);
        for source in [&plain, &sampled] {
            source.contribute(Contribution::Seed(&seed(9)));
            assert_eq!(source.reseed_if_due(later()), Reseed::Done);
        }
        assert_ne!(plain.next_u64(), sampled.next_u64());
    }
}
