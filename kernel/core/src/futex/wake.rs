//! Waking those who wait.

use core::num::NonZeroU32;

use super::bucket::{BATCH, Batch};
use super::futexes::{BUCKETS, Futexes};
use super::key::Key;
use super::operation::Operated;
use crate::sched::{Switch, unpark};
use crate::sync::SpinPair;

/// For waits and wake-ups that know no bits: `FUTEX_BITSET_MATCH_ANY`.
pub const EVERY_BIT: NonZeroU32 = NonZeroU32::MAX;

/// The second word of a [`wake_operate`](Futexes::wake_operate) cannot be changed without taking a fault. The caller
/// touches it, which resolves the fault, and tries again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OperationFault;

impl<S: Switch> Futexes<S> {
    /// Wakes up to `most` of the threads that wait at `key` for one of `bits`, who came first first. Says how many: each
    /// of them returns [`WaitEnd::Woken`](super::WaitEnd::Woken).
    pub fn wake(&self, key: Key, most: usize, bits: NonZeroU32) -> usize {
        let bucket = &self.buckets[key.bucket(BUCKETS)];
        let mut woken = 0;
        // Those who come back while others are still being woken are not counted.
        let mut left = most;
        loop {
            let mut batch = Batch::<S::Payload>::new();
            let taken = {
                let mut bucket = bucket.lock();
                left = left.min(bucket.len());
                bucket.take(&key, bits.get(), left, &mut batch)
            };
            Self::unpark_all(&mut batch);
            woken += taken;
            left -= taken;
            if taken < BATCH || left == 0 {
                return woken;
            }
        }
    }

    /// Changes the word of `second` by `operate`, wakes up to `most` threads that wait at `first`, and, if `operate` says
    /// so, up to `most_second` that wait at `second`. Says how many together.
    ///
    /// `operate` is called once, with spin locks held: it neither sleeps nor takes a fault. No waiter of either word looks
    /// at it meanwhile.
    ///
    /// # Errors
    ///
    /// [`OperationFault`]; nothing has changed then and nobody was woken.
    pub fn wake_operate(
        &self,
        (first, most): (Key, usize),
        (second, most_second): (Key, usize),
        operate: impl FnOnce() -> Operated,
    ) -> Result<usize, OperationFault> {
        let mut batch = Batch::<S::Payload>::new();
        let (woken, woken_second, also_second) = {
            let [one, other] = [first, second].map(|key| &self.buckets[key.bucket(BUCKETS)].0);
            let mut pair = SpinPair::lock(one, other);
            let also_second = match operate() {
                Operated::WakeBoth => true,
                Operated::WakeFirst => false,
                Operated::Fault => return Err(OperationFault),
            };
            let (one, other) = pair.both();
            let woken = one.take(&first, EVERY_BIT.get(), most, &mut batch);
            let most_second = if also_second { most_second } else { 0 };
            let woken_second = other.unwrap_or(one).take(&second, EVERY_BIT.get(), most_second, &mut batch);
            (woken, woken_second, also_second)
        };
        let full = batch.is_full();
        Self::unpark_all(&mut batch);
        let mut total = woken + woken_second;
        // What one hold of the locks did not reach; the word has been changed, so these are plain wake-ups.
        if full {
            total += self.wake(first, most - woken, EVERY_BIT);
            if also_second {
                total += self.wake(second, most_second - woken_second, EVERY_BIT);
            }
        }
        Ok(total)
    }

    /// Wakes those in `batch`, in order.
    pub(super) fn unpark_all(batch: &mut Batch<S::Payload>) {
        batch.reverse();
        while let Some(thread) = batch.pop() {
            // One that was about to give up sees its seat empty and counts as woken.
            let _outcome = unpark::<S>(thread);
        }
    }
}
