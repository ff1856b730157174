//! Time: instants, the arithmetic between a hardware counter and nanoseconds, and the timer queue.
//!
//! * [`Instant`]: nanoseconds since the counter started, saturating
//! * [`CounterScale`]: counter ticks to nanoseconds and back, exact for every frequency
//! * [`Timer`], [`TimerQueues`]: one-shot timers, a queue for each CPU
//! * [`Sampled`], [`Split`]: processor time, exact in sum and sampled as to where; [`Jitter`]: when samples are taken
//!
//! There is no periodic tick: a CPU programs its comparator for [`TimerQueues::next_deadline`], and when that
//! interrupts, takes what is due with [`TimerQueues::expire`].
//!
//! Locks: each CPU's queue is behind its own lock of rank `Timers`; two are never held together, and no action runs
//! while one is held.

mod instant;
mod queue;
mod scale;
mod split;
mod timer;

pub use instant::Instant;
pub use queue::{Armed, Cancelled, Expired, TimerQueues};
pub use scale::CounterScale;
pub use split::{Jitter, SAMPLE_NS, Sampled, Split};
pub use timer::{Timer, TimerState};
