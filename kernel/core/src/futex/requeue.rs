//! Moving those who wait from one word to another.

use super::bucket::{BATCH, Batch};
use super::futexes::{BUCKETS, Futexes, Look};
use super::key::Key;
use super::wake::EVERY_BIT;
use crate::sched::Switch;
use crate::sync::SpinPair;

/// What a requeueing did.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Requeued {
    /// Threads woken.
    pub woken: usize,
    /// Threads that wait for the other word now.
    pub moved: usize,
}

/// Why a requeueing did not take place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequeueError {
    /// The first word has another value.
    Different,
    /// It cannot be read. The caller touches it, which resolves the fault, and tries again.
    Fault,
    /// There is no memory for those who would wait at the other word; some may have been woken.
    OutOfMemory,
}

impl<S: Switch> Futexes<S> {
    /// Wakes up to `wake` of the threads that wait at `from`, and lets up to `most` of the others wait at `to` instead.
    ///
    /// # Errors
    ///
    /// [`RequeueError::OutOfMemory`]
    pub fn requeue(&self, from: Key, to: Key, wake: usize, most: usize) -> Result<Requeued, RequeueError> {
        self.compare_requeue(from, to, wake, most, || Look::Same)
    }

    /// The same if the word of `from` has the value that the program expects. `look` reads it, once, with spin locks held:
    /// it neither sleeps nor takes a fault.
    ///
    /// # Errors
    ///
    /// [`RequeueError`]
    pub fn compare_requeue(
        &self,
        from: Key,
        to: Key,
        wake: usize,
        most: usize,
        look: impl FnOnce() -> Look,
    ) -> Result<Requeued, RequeueError> {
        let places @ [_, there] = [from, to].map(|key| key.bucket(BUCKETS));
        let [one, other] = places.map(|place| &self.buckets[place].0);
        let mut look = Some(look);
        let mut done = Requeued::default();
        loop {
            let mut batch = Batch::<S::Payload>::new();
            let outcome = {
                let mut pair = SpinPair::lock(one, other);
                match look.take().map_or(Look::Same, |look| look()) {
                    Look::Same => {}
                    Look::Different => return Err(RequeueError::Different),
                    Look::Fault => return Err(RequeueError::Fault),
                }
                let (source, target) = pair.both();
                done.woken += source.take(&from, EVERY_BIT.get(), (wake - done.woken).min(source.len()), &mut batch);
                let more_to_wake = batch.len() == BATCH && done.woken < wake;
                match target {
                    _ if more_to_wake => None,
                    None => Some(Ok(source.rename(&from, to, most))),
                    Some(target) => {
                        let moving = source.waiting(&from).min(most);
                        let room = target.reserve(moving);
                        Some(room.then(|| source.move_out(&from, to, moving, target, there)).ok_or(()))
                    }
                }
            };
            Self::unpark_all(&mut batch);
            match outcome {
                None => {}
                Some(Ok(moved)) => return Ok(Requeued { moved, ..done }),
                Some(Err(())) => return Err(RequeueError::OutOfMemory),
            }
        }
    }
}
