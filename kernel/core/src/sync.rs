//! Locks and what belongs to them.
//!
//! * [`rank`]: **the lock order of the kernel**; every lock is made with its place in it
//! * [`SpinLock`]: for data that no interrupt handler touches; preemption is off while it is held
//! * [`SpinPair`]: two of those of one rank, held together
//! * [`IrqLock`]: for data that interrupt handlers share; interrupts are masked while it is held
//! * [`StockLock`]: the same, lighter, for what one CPU keeps at hand and others seldom look into
//! * [`contention()`]: how often one of them was found taken
//! * [`NoPreempt`], [`IrqMasked`]: the two states by themselves, as guards
//! * [`PerCpu`]: one value a CPU, reached through a guard that proves that the caller stays on it
//! * [`Once`]: a value set once (of the `spin` crate). Set it during boot: a handler that interrupts the setting and
//!   waits for it on the same CPU waits for ever
//! * [`WeakOnce`]: a weak reference set once
//! * [`RawSleepMutex`]: the lock word under `sched::SleepMutex`
//! * [`atomic`]: atomics that loom can take the place of
//!
//! The first two are FIFO ticket locks. Exclusion is `lock_api`'s business: the only unsafe code here is three
//! implementations of [`lock_api::RawMutex`], and the reference of a [`WeakOnce`]. Everything around it (mask, preemption
//! count, rank) is a field of the guard with a destructor of its own, and the order of the fields is the order of the
//! release.

pub mod atomic;
mod contention;
mod cpu_state;
mod guard;
mod irq_lock;
mod per_cpu;
pub mod rank;
mod sleep;
mod spin_lock;
mod spin_pair;
mod stock_lock;
mod ticket;
mod weak_once;

pub use contention::{Contention, contention};
pub use cpu_state::{IrqMasked, NoPreempt};
pub use irq_lock::{IrqGuard, IrqLock, QuietIrqGuard};
pub use per_cpu::{Padded, PerCpu, Pinned};
pub use rank::{Rank, assert_none_held};
pub use sleep::{RawSleepMutex, Waiters};
pub use spin::Once;
pub use spin_lock::{SpinGuard, SpinLock};
pub use spin_pair::SpinPair;
pub use stock_lock::{StockGuard, StockLock};
pub use weak_once::WeakOnce;

#[cfg(all(test, loom))]
mod loom_models;
#[cfg(all(test, not(loom)))]
mod tests;
