//! A kernel made of the host's threads (loom's, under loom): each is a [`Thread`], and sleeps on a condition variable.

use std::cell::RefCell;
use std::sync::Arc;

#[cfg(loom)]
use loom::sync::{Condvar, Mutex};
#[cfg(loom)]
use loom::thread_local;
#[cfg(not(loom))]
use std::sync::{Condvar, Mutex};
#[cfg(not(loom))]
use std::thread_local;

use super::{Finished, Priority, Switch, Thread, Tid, unpark};
use crate::hal::fake::FakeCpu;

/// Where a sleeping thread sits.
#[derive(Default)]
pub(crate) struct Seat {
    runnable: Mutex<bool>,
    changed: Condvar,
}

impl Seat {
    /// Sleeps until somebody calls [`wake`](Self::wake).
    pub(crate) fn sleep(&self) {
        let mut runnable = self.runnable.lock().unwrap();
        while !*runnable {
            runnable = self.changed.wait(runnable).unwrap();
        }
        *runnable = false;
    }

    /// Ends one sleep, the present one or the next.
    ///
    /// # Panics
    ///
    /// When it was called already: a thread is queued once.
    pub(crate) fn wake(&self) {
        let mut runnable = self.runnable.lock().unwrap();
        assert!(!*runnable, "a thread is queued twice");
        *runnable = true;
        self.changed.notify_one();
    }
}

/// The fake kernel. Its clock stands at 1,000 ns; a deadline before that has passed, one after it never comes.
pub(crate) enum HostSwitch {}

/// The time on [`HostSwitch`]'s clock.
pub(crate) const NOW_NS: u64 = 1_000;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Thread<Seat>>>> = RefCell::default();
}

impl Switch for HostSwitch {
    type Payload = Seat;
    type Cpu = FakeCpu;

    fn current() -> Arc<Thread<Seat>> {
        CURRENT.with(|current| {
            let new = || Thread::new(Tid(1), "host", Priority::DEFAULT, Seat::default());
            Arc::clone(current.borrow_mut().get_or_insert_with(new))
        })
    }

    fn block() {
        let me = Self::current();
        match me.park().finish() {
            Finished::Queue => {}
            Finished::Asleep => me.payload().sleep(),
        }
    }

    fn block_until(deadline_ns: u64) {
        if deadline_ns <= NOW_NS {
            let _outcome = unpark::<Self>(Self::current());
        }
        Self::block();
    }

    fn now_ns() -> u64 {
        NOW_NS
    }

    fn make_runnable(thread: Arc<Thread<Seat>>) {
        thread.payload().wake();
    }
}
