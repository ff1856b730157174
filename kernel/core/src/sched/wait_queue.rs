//! The threads that wait for one event.

use alloc::sync::Arc;

use super::link::{WaitAdapter, WaitList};
use super::park::Unparked;
use super::switch::{Switch, unpark};
use super::thread::Thread;
use crate::sync::{IrqLock, Rank, Waiters, assert_none_held};

/// How a wait with a deadline ended.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// The condition no longer held the thread back.
    Satisfied,
    /// It still did at the deadline.
    TimedOut,
}

/// A FIFO of the threads that wait for one event.
///
/// A waiter names the condition that keeps it waiting. Who ends the condition first does so and then wakes:
///
/// ```text
/// waiter                                 waker
/// queue.wait_while(|| ring.is_empty())   ring.push(byte); queue.wake_one()
/// ```
///
/// The condition is evaluated while the thread is about to sleep ([`park`](super::park)): it may take spin and irq locks
/// but must not sleep. It can be evaluated any number of times, since wake-ups may be spurious.
///
/// [`wake_one`](Self::wake_one) gives its wake-up to a waiter that will look at its condition after it; a waiter that
/// looks and then leaves for another reason (a signal), not taking what it was woken for, wakes the next one.
///
/// The lock is held for a push or a pop, and quietly; a thread is unparked without it.
pub struct WaitQueue<S: Switch> {
    waiting: IrqLock<WaitList<S::Payload>, S::Cpu>,
}

impl<S: Switch> WaitQueue<S> {
    /// A queue in which nobody waits.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { waiting: IrqLock::new(Rank::WaitQueue, WaitList::new(WaitAdapter::NEW)) }
    }

    /// A queue in which nobody waits.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { waiting: IrqLock::new(Rank::WaitQueue, WaitList::new(WaitAdapter::NEW)) }
    }

    /// Sleeps until `condition` is false.
    ///
    /// # Panics
    ///
    /// In a debug build, when the caller holds a spin or irq lock.
    pub fn wait_while(&self, condition: impl FnMut() -> bool) {
        // Without a deadline it ends in one way only.
        let _satisfied = self.wait(None, AfterWaking::GetReady, condition);
    }

    /// As [`wait_while`](Self::wait_while), where nearly all wake-ups come after the end of the condition: the thread looks as
    /// soon as it is woken, and mostly need not get ready to sleep again. One that was woken for nothing looks twice.
    ///
    /// # Panics
    ///
    /// In a debug build, when the caller holds a spin or irq lock.
    pub fn wait_to_be_woken(&self, condition: impl FnMut() -> bool) {
        let _satisfied = self.wait(None, AfterWaking::LookFirst, condition);
    }

    /// Sleeps until `condition` is false or the clock shows `deadline_ns`.
    ///
    /// # Panics
    ///
    /// In a debug build, when the caller holds a spin or irq lock.
    pub fn wait_while_until(&self, deadline_ns: u64, condition: impl FnMut() -> bool) -> Waited {
        self.wait(Some(deadline_ns), AfterWaking::GetReady, condition)
    }

    /// Wakes the thread that has waited longest, if one waits. Says whether one did.
    pub fn wake_one(&self) -> bool {
        // One that a timer or a signal has woken already is on its way and looks for itself: this wake-up is the next
        // one's.
        while let Some(thread) = self.pop() {
            if unpark::<S>(thread) != Unparked::Awake {
                return true;
            }
        }
        false
    }

    /// Wakes all threads that wait now. Says how many.
    pub fn wake_all(&self) -> usize {
        let (first, others) = {
            let mut waiting = self.waiting.lock_quietly();
            let first = waiting.pop_front();
            (first, waiting.iter().count())
        };
        let Some(first) = first else { return 0 };
        let woken = Self::wake(first);
        if others == 0 { woken } else { woken + self.wake_up_to(others) }
    }

    /// Wakes `most` threads, or all if they are fewer: those who come back meanwhile stand behind. Says how many it woke.
    #[cold]
    #[inline(never)]
    fn wake_up_to(&self, most: usize) -> usize {
        (0..most).map_while(|_| self.pop()).map(Self::wake).sum()
    }

    /// Wakes the thread, and counts it if it did not wake before.
    #[inline]
    fn wake(thread: Arc<Thread<S::Payload>>) -> usize {
        usize::from(unpark::<S>(thread) != Unparked::Awake)
    }

    /// How many threads wait, a moment ago.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.lock_quietly().iter().count()
    }

    /// The thread that has waited longest.
    #[cfg(all(test, not(loom)))]
    pub(super) fn first(&self) -> Option<Arc<Thread<S::Payload>>> {
        self.waiting.lock_quietly().front().clone_pointer()
    }

    #[inline]
    fn wait(&self, deadline_ns: Option<u64>, then: AfterWaking, mut condition: impl FnMut() -> bool) -> Waited {
        assert_none_held::<S::Cpu>(None);
        if !condition() {
            return Waited::Satisfied;
        }
        let me = S::current();
        let outcome = loop {
            me.park().prepare();
            self.join(&me);
            if !condition() {
                me.park().cancel();
                break Waited::Satisfied;
            }
            match deadline_ns {
                None => S::block(),
                Some(deadline_ns) if S::now_ns() < deadline_ns => S::block_until(deadline_ns),
                Some(_) => {
                    me.park().cancel();
                    break Waited::TimedOut;
                }
            }
            if then == AfterWaking::LookFirst && !condition() {
                break Waited::Satisfied;
            }
        };
        match (self.leave(&me), outcome) {
            // A waker chose us while we gave up: what it announced is ours if it is still there, else the next one's.
            (Left::ByWaker, Waited::TimedOut) if !condition() => Waited::Satisfied,
            (Left::ByWaker, Waited::TimedOut) => {
                self.wake_one();
                Waited::TimedOut
            }
            (_, outcome) => outcome,
        }
    }

    /// Puts the thread at the end. One that was woken by something else is still in its place and keeps it.
    fn join(&self, me: &Arc<Thread<S::Payload>>) {
        if !me.wait_link.is_linked() {
            self.waiting.lock_quietly().push_back(Arc::clone(me));
        }
    }

    /// Takes the thread out, unless a waker has.
    fn leave(&self, me: &Arc<Thread<S::Payload>>) -> Left {
        if !me.wait_link.is_linked() {
            return Left::ByWaker;
        }
        let mut waiting = self.waiting.lock_quietly();
        let mut cursor = waiting.front_mut();
        while cursor.get().is_some_and(|thread| !core::ptr::eq(thread, &raw const **me)) {
            cursor.move_next();
        }
        match cursor.remove() {
            Some(_) => Left::ByItself,
            None => Left::ByWaker,
        }
    }

    fn pop(&self) -> Option<Arc<Thread<S::Payload>>> {
        self.waiting.lock_quietly().pop_front()
    }
}

/// What a thread does that has been woken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AfterWaking {
    /// It gets ready to sleep again, and then looks at its condition, once.
    GetReady,
    /// It looks at its condition before that, too.
    LookFirst,
}

/// Who took a thread out of its queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    ByItself,
    ByWaker,
}

impl<S: Switch> Default for WaitQueue<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Switch> Waiters for WaitQueue<S> {
    fn wait_while(&self, condition: impl FnMut() -> bool) {
        self.wait_while(condition);
    }

    fn wake_one(&self) {
        self.wake_one();
    }
}
