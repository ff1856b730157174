//! How a thread goes to sleep without missing its wake-up.
//!
//! ```text
//!            prepare                    finish (after the switch)
//!  Running ----------> Parking -----------------------------------> Parked
//!     ^                 |   |                                          |
//!     |      cancel     |   | unpark                            unpark |
//!     +<----------------+   v                                          |
//!     |      cancel       Notified                                     |
//!     +<-------------------+                                           |
//!     |      finish: queue it                                          |
//!     +<-------------------+                                           |
//!     |                                                      queue it  |
//!     +<---------------------------------------------------------------+
//! ```
//!
//! The thread first says that it is about to sleep ([`Parker::prepare`]), then puts itself where a waker finds it, then
//! looks at what it waits for. Either that is there and it goes on ([`Parker::cancel`]), or it gives up the CPU. Whoever
//! changes what it waits for looks for it *afterwards*, so one of the two sees the other; a waker that comes between
//! leaves `Notified` behind.
//!
//! The state becomes `Parked` only after the switch, by the CPU that the thread has left ([`Parker::finish`]). Until
//! then a waker queues nothing: the thread is still on its stack, and another CPU must not run it. So:
//!
//! * **No wake-up is lost**: an `unpark` after `prepare` ends either in `Notified`, and `finish` sees it, or comes after
//!   `Parked` and queues the thread.
//! * **It is queued once**: each way out of `Parked` or `Notified` is one compare-exchange, and its one winner queues.
//! * **It runs on one CPU**: nothing queues it before `finish`, which comes after the switch.
//!
//! A preemption between `prepare` and the switch is no end of the wait: the thread keeps its state and is queued as any
//! preempted thread is. An `unpark` of a running thread does nothing: the thread has not yet looked. One that comes late,
//! when the thread already waits for something else, is a spurious wake-up; who waits, waits in a loop.

use crate::sync::atomic::{AtomicU8, Ordering};

/// What a thread is about, as far as sleeping goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ParkState {
    /// It runs or waits for a CPU.
    Running = 0,
    /// It is about to sleep and may still find that it need not.
    Parking = 1,
    /// It sleeps; it is on no CPU and in no run queue.
    Parked = 2,
    /// It was woken before it slept.
    Notified = 3,
}

/// What the waker has to do.
#[must_use = "a parked thread must be queued by the one who unparked it"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unparked {
    /// Nothing: it runs, or somebody else woke it.
    Awake,
    /// Nothing: it had not yet left its CPU and will not sleep.
    Notified,
    /// Queue it: it slept.
    Queue,
}

/// What becomes of a thread that has left its CPU in order to sleep.
#[must_use = "a thread that was notified must be queued"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finished {
    /// It sleeps; its waker queues it, and may already have.
    Asleep,
    /// Queue it: it was woken meanwhile.
    Queue,
}

/// A thread's [`ParkState`] and the steps between.
#[derive(Debug)]
pub struct Parker {
    state: AtomicU8,
}

impl Parker {
    /// Of a thread that runs.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { state: AtomicU8::new(ParkState::Running as u8) }
    }

    /// Of a thread that runs.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { state: AtomicU8::new(ParkState::Running as u8) }
    }

    /// By the thread itself: it is about to sleep. What it reads from now on decides whether it does.
    ///
    /// # Panics
    ///
    /// When it was about to sleep already: a condition that is evaluated between here and the switch must not wait.
    pub fn prepare(&self) {
        let was = self.step(ParkState::Running, ParkState::Parking);
        assert!(was.is_ok(), "a thread that is about to sleep waits for something else: {was:?}");
    }

    /// By the thread itself: it need not sleep. Takes back [`prepare`](Self::prepare), and a wake-up since then with it.
    pub fn cancel(&self) {
        // AcqRel: what the waker wrote before `unpark` is seen after this.
        self.state.swap(ParkState::Running as u8, Ordering::AcqRel);
    }

    /// By the CPU that the thread has left to sleep, after the switch.
    pub fn finish(&self) -> Finished {
        if self.step(ParkState::Parking, ParkState::Parked).is_ok() {
            return Finished::Asleep;
        }
        let was = self.step(ParkState::Notified, ParkState::Running);
        assert!(was.is_ok(), "a thread slept that had not said so: {was:?}");
        Finished::Queue
    }

    /// By anybody: the thread shall look again at what it waits for. Whoever gets [`Unparked::Queue`], and only he,
    /// makes the thread runnable.
    pub fn unpark(&self) -> Unparked {
        loop {
            let from = self.state();
            let (to, outcome) = match from {
                ParkState::Running => (ParkState::Running, Unparked::Awake),
                ParkState::Notified => (ParkState::Notified, Unparked::Awake),
                ParkState::Parking => (ParkState::Notified, Unparked::Notified),
                ParkState::Parked => (ParkState::Running, Unparked::Queue),
            };
            // An exchange even where nothing changes: it stands either before the thread's `prepare`, which then
            // acquires what the waker wrote, or after it. A mere load could return `Running` while the thread's own
            // look returns the old value too, and the wake-up would be lost.
            if self.step(from, to).is_ok() {
                return outcome;
            }
        }
    }

    /// The state at some moment.
    #[must_use]
    pub fn state(&self) -> ParkState {
        Self::decode(self.state.load(Ordering::Acquire))
    }

    fn step(&self, from: ParkState, to: ParkState) -> Result<(), ParkState> {
        self.state
            .compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Self::decode)
    }

    fn decode(raw: u8) -> ParkState {
        match raw {
            0 => ParkState::Running,
            1 => ParkState::Parking,
            2 => ParkState::Parked,
            3 => ParkState::Notified,
            _ => unreachable!("no other value is ever stored"),
        }
    }
}

impl Default for Parker {
    fn default() -> Self {
        Self::new()
    }
}
