//! Waiting on a word of a program's memory.
//!
//! A program takes and gives its locks with atomic instructions on a word of its own and comes here only to wait while
//! the word has a certain value, or to wake those who do. The word is the program's; here is who waits for which.
//!
//! * [`Key`]: which word, so that two mappings of one page agree on it
//! * [`Futexes`]: all that wait: [`wait`](Futexes::wait), [`wake`](Futexes::wake), [`requeue`](Futexes::requeue),
//!   [`wake_operate`](Futexes::wake_operate)
//! * [`Seat`]: what a thread keeps for it, so that a wait takes no memory
//! * [`WakeOperation`]: the arithmetic of `FUTEX_WAKE_OP`
//!
//! **Buckets.** A key hashes to one of [`BUCKETS`] buckets. A bucket has a lock (`Rank::FutexBucket`) and, in the order
//! they came, an entry for each thread that waits for a key of its. A waiter looks at the word while it holds that lock;
//! a waker has changed the word before it takes it. So either the waiter sees the change, or the waker sees the waiter.
//!
//! **Who ended a wait.** A thread's [`Seat`] says in which bucket its entry is. It changes only under the lock of that
//! bucket, together with the entry. Whoever takes the entry out, waker or waiter, has ended the wait, and nobody else
//! has: a waiter that was to time out and finds its entry gone has been woken, and the waker has counted it. A waiter that
//! comes back takes no lock to learn that: the seat tells.
//!
//! **Requeueing** holds the locks of both buckets, so that a wake-up for the second word finds a moved waiter or comes
//! before the move. The waiter sleeps on; should it give up, its seat tells it where its entry is now.
//!
//! How a thread goes to sleep without missing its wake-up is told in [`sched::park`](crate::sched::park).

mod bucket;
mod futexes;
mod key;
mod operation;
mod requeue;
mod seat;
mod wake;

pub use futexes::{BUCKETS, Futexes, Look, WaitEnd};
pub use key::Key;
pub use operation::{Operated, WakeOperation};
pub use requeue::{RequeueError, Requeued};
pub use seat::Seat;
pub use wake::{EVERY_BIT, OperationFault};

#[cfg(all(test, loom))]
mod loom_models;
#[cfg(all(test, not(loom)))]
mod tests;
