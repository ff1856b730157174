//! The timers of every CPU, ordered by deadline.
//!
//! A red-black tree a CPU: arming and cancelling take logarithmic time, and the next deadline is its leftmost node. A
//! timing wheel would insert in constant time, but it ticks, and an idle CPU of this kernel does not.
//!
//! The CPU that expires a timer takes it out under the lock and runs its action without it, so an action may arm and
//! cancel timers, wake threads and take locks of rank `Timers` and above.

use alloc::sync::Arc;
use core::ops::Deref;

use intrusive_collections::{KeyAdapter, RBTree, RBTreeAtomicLink, intrusive_adapter};

use super::Instant;
use super::timer::{Key, Timer, TimerState};
use crate::addr::{CpuId, MAX_CPUS};
use crate::hal::Cpu;
use crate::sync::{IrqLock, Rank};

intrusive_adapter!(ByDeadline<A> = Arc<Timer<A>>: Timer<A> { link => RBTreeAtomicLink });

impl<'a, A> KeyAdapter<'a> for ByDeadline<A> {
    type Key = Key;

    fn get_key(&self, timer: &'a Timer<A>) -> Key {
        timer.key()
    }
}

/// One queue of timers for each CPU.
pub struct TimerQueues<A, C: Cpu> {
    queues: [IrqLock<Queue<A>, C>; MAX_CPUS],
}

/// Where [`TimerQueues::arm`] put a timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "where the timer is now the first, the CPU's comparator must be programmed anew"]
pub enum Armed {
    /// Another timer of this CPU expires sooner.
    Later {
        /// The CPU in whose queue the timer is.
        cpu: CpuId,
    },
    /// It expires first: the CPU must look at [`TimerQueues::next_deadline`] again.
    First {
        /// The CPU in whose queue the timer is.
        cpu: CpuId,
    },
}

/// What [`TimerQueues::cancel`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "an action may be running still"]
pub enum Cancelled {
    /// The timer was not armed, and no action ran.
    WasIdle,
    /// It was armed and will not fire.
    Cancelled,
    /// Its action runs, or ran until just now on return from [`TimerQueues::cancel_and_wait`]; it will not fire again.
    Firing,
}

/// A timer that has expired. Run its [`action`](Timer::action), then drop this: whoever waits in
/// [`TimerQueues::cancel_and_wait`] waits for that.
#[derive(Debug)]
#[must_use = "the action must run before this is dropped"]
pub struct Expired<A> {
    timer: Arc<Timer<A>>,
}

impl<A> Expired<A> {
    /// The timer, to arm it again from its action.
    #[must_use]
    pub fn timer(&self) -> &Arc<Timer<A>> {
        &self.timer
    }
}

impl<A> Deref for Expired<A> {
    type Target = Timer<A>;

    fn deref(&self) -> &Timer<A> {
        &self.timer
    }
}

impl<A> Drop for Expired<A> {
    fn drop(&mut self) {
        self.timer.end_firing();
    }
}

impl<A, C: Cpu> TimerQueues<A, C> {
    /// Empty queues.
    #[must_use]
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { queues: [const { IrqLock::new(Rank::Timers, Queue::new()) }; MAX_CPUS] }
    }

    /// Empty queues.
    #[must_use]
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { queues: core::array::from_fn(|_| IrqLock::new(Rank::Timers, Queue::new())) }
    }

    /// Lets `timer` expire on `cpu` at `deadline`. Where it is armed already, the new deadline and CPU replace the old
    /// ones. While its action runs it stays on the CPU that runs it, whatever `cpu` says, so that the action never runs
    /// twice at once.
    pub fn arm(&self, timer: &Arc<Timer<A>>, cpu: CpuId, deadline: Instant) -> Armed {
        loop {
            let seen = timer.state();
            let home = seen.cpu().unwrap_or(cpu);
            let mut queue = self.queue(home).lock();
            // Under the lock of `home` an armed timer cannot leave it; an idle one may have been armed meanwhile.
            let (from, to) = match timer.state() {
                TimerState::Idle if home == cpu => (TimerState::Idle, TimerState::Armed { cpu }),
                TimerState::Firing { cpu: at } if at == home => {
                    (TimerState::Firing { cpu: at }, TimerState::FiringAndArmed { cpu: at })
                }
                TimerState::Armed { cpu: at } | TimerState::FiringAndArmed { cpu: at } if at == home => {
                    // Taken out, it is idle or firing, and the next round arms it, perhaps elsewhere.
                    queue.remove(timer);
                    let _ = timer.end_armed();
                    continue;
                }
                _ => continue,
            };
            if timer.change(from, to).is_ok() {
                return if queue.insert(timer, deadline) {
                    Armed::First { cpu: home }
                } else {
                    Armed::Later { cpu: home }
                };
            }
        }
    }

    /// Takes `timer` out of its queue, if it is in one. From any CPU, also from an action.
    pub fn cancel(&self, timer: &Timer<A>) -> Cancelled {
        loop {
            let Some(home) = timer.state().cpu() else {
                return Cancelled::WasIdle;
            };
            let mut queue = self.queue(home).lock();
            match timer.state() {
                TimerState::Firing { cpu } if cpu == home => return Cancelled::Firing,
                TimerState::Armed { cpu } | TimerState::FiringAndArmed { cpu } if cpu == home => {
                    queue.remove(timer);
                    return match timer.end_armed() {
                        TimerState::Firing { .. } => Cancelled::Firing,
                        _ => Cancelled::Cancelled,
                    };
                }
                // It fired to its end or changed its CPU before the lock was ours.
                _ => {}
            }
        }
    }

    /// As [`cancel`](Self::cancel), and waits until an action that runs has ended, so that afterwards whatever the
    /// action uses may go. An action that arms its timer again is stopped too.
    ///
    /// Never call it from the timer's own action, from an interrupt handler that may have interrupted it, or with a lock
    /// that the action takes: it would wait for itself.
    pub fn cancel_and_wait(&self, timer: &Timer<A>) -> Cancelled {
        let first = self.cancel(timer);
        let mut latest = first;
        while latest == Cancelled::Firing {
            while matches!(timer.state(), TimerState::Firing { .. } | TimerState::FiringAndArmed { .. }) {
                C::relax();
            }
            // The action may have armed it once more after the first cancel.
            latest = self.cancel(timer);
        }
        first
    }

    /// The first timer of `cpu` that is due at `now`, taken out of the queue and firing; `None` where none is. Call it
    /// until then, running each action in between.
    ///
    /// A timer whose earlier action is still running (it was armed again, and the earlier [`Expired`] is not dropped)
    /// stays in the queue until that has ended.
    #[must_use]
    pub fn expire(&self, cpu: CpuId, now: Instant) -> Option<Expired<A>> {
        self.queue(cpu).lock().take_due(cpu, now).map(|timer| Expired { timer })
    }

    /// When the next timer of `cpu` expires.
    #[must_use]
    pub fn next_deadline(&self, cpu: CpuId) -> Option<Instant> {
        self.queue(cpu).lock().next_deadline()
    }

    fn queue(&self, cpu: CpuId) -> &IrqLock<Queue<A>, C> {
        &self.queues[cpu.index()]
    }
}

impl<A, C: Cpu> Default for TimerQueues<A, C> {
    fn default() -> Self {
        Self::new()
    }
}

/// The timers of one CPU.
struct Queue<A> {
    tree: RBTree<ByDeadline<A>>,
    next_sequence: u64,
}

impl<A> Queue<A> {
    const fn new() -> Self {
        Self { tree: RBTree::new(ByDeadline::NEW), next_sequence: 0 }
    }

    /// Puts in a timer that is in no queue. Whether it is the first.
    fn insert(&mut self, timer: &Arc<Timer<A>>, deadline: Instant) -> bool {
        let key = Key { deadline, sequence: self.next_sequence };
        // 2⁶⁴ armings do not happen: one a nanosecond takes 584 years.
        self.next_sequence += 1;
        timer.set_key(key);
        self.tree.insert(Arc::clone(timer));
        self.tree.front().get().is_some_and(|first| first.key() == key)
    }

    /// Takes out a timer that is in this queue.
    fn remove(&mut self, timer: &Timer<A>) {
        let removed = self.tree.find_mut(&timer.key()).remove();
        debug_assert!(removed.is_some(), "an armed timer is in the queue of its CPU");
    }

    fn take_due(&mut self, cpu: CpuId, now: Instant) -> Option<Arc<Timer<A>>> {
        let mut cursor = self.tree.front_mut();
        loop {
            let timer = cursor.get().filter(|timer| timer.key().deadline <= now)?;
            if timer.change(TimerState::Armed { cpu }, TimerState::Firing { cpu }).is_ok() {
                return cursor.remove();
            }
            cursor.move_next();
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.tree.front().get().map(|timer| timer.key().deadline)
    }
}

#[cfg(all(test, loom))]
mod loom_models;
#[cfg(all(test, not(loom)))]
mod tests;
