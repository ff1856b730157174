//! Timers that are files: `timerfd_create(2)`.
//!
//! One that has gone off stands still until somebody reads how often it did, and goes on from there. What it does is
//! looked for by whoever asks, by the clock; the [alarm](super::alarm) is for those who wait.
//!
//! The state has a spin lock (`FileObject`). Those that wait for a time of the wall clock are in a list, under another of the same rank,
//! from the first time that they are set so: when the clock is set, they are looked at. Never are both locks held.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::ops::Bound;

use super::alarm::{Alarm, Owner, new_alarm};
use super::schedule::{Schedule, TimerSetting};
use crate::fs::{Blocking, FileError, FileOperations, Readiness, Sink, WatchList, Watched};
use crate::proc::signal::interrupted;
use crate::proc::system::System;
use crate::sched::WaitQueue;
use crate::sync::{Rank, SpinGuard, SpinLock};

/// By which clock a timer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileClock {
    /// `CLOCK_REALTIME`
    Wall,
    /// `CLOCK_MONOTONIC`, `CLOCK_BOOTTIME`: nothing ever sleeps here.
    Monotonic,
}

/// What the value of a setting says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// How long it takes from now on.
    Length,
    /// What the clock will show: `TFD_TIMER_ABSTIME`.
    Time,
    /// The same; and if the wall clock is set meanwhile, whoever reads learns that instead: `TFD_TIMER_CANCEL_ON_SET`.
    TimeUnlessSet,
}

/// A timer that is read: 8 bytes with the number of times that it has gone off.
pub struct TimerFile<S: System> {
    me: Weak<Self>,
    clock: FileClock,
    state: SpinLock<State, S::Cpu>,
    alarm: Arc<Alarm<S>>,
    to_read: WaitQueue<S>,
    watchers: WatchList<S::Cpu>,
}

struct State {
    schedule: Schedule,
    /// Whether the schedule is by the wall clock.
    by_wall: bool,
    /// How often it has gone off since it was read or set, but for what it missed while it stood still.
    ticks: u64,
    /// Whether setting the clock is told.
    tells_set: bool,
    /// The clock was set, and nobody was told yet.
    was_set: bool,
    /// What the wall clock showed when the system started, as it was when that was looked at last.
    epoch_ns: u64,
}

/// The time, by both clocks.
#[derive(Clone, Copy)]
struct Now {
    monotonic_ns: u64,
    epoch_ns: u64,
}

impl Now {
    fn read<S: System>() -> Self {
        Self { monotonic_ns: S::now_ns(), epoch_ns: S::epoch_ns() }
    }

    fn by(self, wall: bool) -> u64 {
        self.monotonic_ns.saturating_add(if wall { self.epoch_ns } else { 0 })
    }
}

impl State {
    /// Notes what has happened by now.
    fn note(&mut self, now: Now) {
        if self.epoch_ns != now.epoch_ns {
            self.epoch_ns = now.epoch_ns;
            if self.tells_set {
                self.was_set = true;
                self.ticks = self.ticks.saturating_add(1);
            }
        }
        if self.schedule.goes_off(now.by(self.by_wall)) {
            self.ticks = self.ticks.saturating_add(1);
        }
    }

    /// Lets it go on after it went off.
    fn go_on(&mut self, now: Now) {
        let missed = self.schedule.settle(now.by(self.by_wall), 0);
        self.ticks = self.ticks.saturating_add(missed);
    }

    /// What a read takes; nothing if nothing has happened.
    fn take(&mut self, now: Now) -> Option<Result<u64, FileError>> {
        if core::mem::take(&mut self.was_set) {
            self.ticks = 0;
            if self.schedule.is_signalled() {
                // It stands still for good: its program has to think again.
                self.schedule = Schedule::set(None, self.schedule.left(0).interval_ns);
            }
            return Some(Err(FileError::ClockSet));
        }
        if self.ticks == 0 {
            return None;
        }
        self.go_on(now);
        Some(Ok(core::mem::take(&mut self.ticks)))
    }
}

impl<S: System> TimerFile<S> {
    /// One that is not set.
    #[must_use]
    pub fn new(clock: FileClock) -> Arc<Self> {
        let state = State {
            schedule: Schedule::default(),
            by_wall: false,
            ticks: 0,
            tells_set: false,
            was_set: false,
            epoch_ns: S::epoch_ns(),
        };
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            clock,
            state: SpinLock::new(Rank::FileObject, state),
            alarm: new_alarm(Owner::File(Weak::clone(me))),
            to_read: WaitQueue::new(),
            watchers: WatchList::new(),
        })
    }

    /// Sets it, or with a value of 0 lets it stand, and says what was left: `timerfd_settime(2)`.
    ///
    /// # Errors
    ///
    /// [`ClockSet`](FileError::ClockSet) where the clock was set since the last time and nobody has read that; the timer
    /// is set all the same. [`OutOfMemory`](FileError::OutOfMemory)
    pub fn set(&self, setting: TimerSetting, until: Until) -> Result<TimerSetting, FileError> {
        let by_wall = self.clock == FileClock::Wall && until != Until::Length;
        if by_wall {
            // Before it is set: a clock that is set from here on sets it anew.
            S::processes().alarms.by_wall.enter(self)?;
        }
        let mut state = self.state.lock();
        let now = Now::read::<S>();
        state.note(now);
        state.go_on(now);
        let before = state.schedule.left(now.by(state.by_wall));
        state.tells_set = by_wall && until == Until::TimeUnlessSet;
        state.was_set &= state.tells_set;
        state.by_wall = by_wall;
        state.ticks = 0;
        let start_ns = if until == Until::Length { now.monotonic_ns } else { 0 };
        let expiry_ns = (setting.value_ns != 0).then(|| start_ns.saturating_add(setting.value_ns));
        state.schedule = Schedule::set(expiry_ns, setting.interval_ns);
        self.set_alarm(&state);
        if expiry_ns.is_some() && core::mem::take(&mut state.was_set) {
            return Err(FileError::ClockSet);
        }
        Ok(before)
    }

    /// What is left of it, and its interval: `timerfd_gettime(2)`.
    #[must_use]
    pub fn left(&self) -> TimerSetting {
        let mut state = self.state.lock();
        let now = Now::read::<S>();
        state.note(now);
        if state.schedule.is_signalled() {
            state.go_on(now);
            self.set_alarm(&state);
        }
        state.schedule.left(now.by(state.by_wall))
    }

    /// Its time may have come, or the clock was set: who waits is told.
    pub(super) fn look(&self) {
        if self.note_and_set_alarm().ticks == 0 {
            return;
        }
        self.to_read.wake_all();
        self.watchers.notify(Readiness::READ | Readiness::READ_NORMAL);
    }

    fn note_and_set_alarm(&self) -> SpinGuard<'_, State, S::Cpu> {
        let mut state = self.state.lock();
        state.note(Now::read::<S>());
        self.set_alarm(&state);
        state
    }

    /// Whether there is something to read.
    fn is_ready(&self) -> bool {
        let mut state = self.state.lock();
        state.note(Now::read::<S>());
        state.ticks > 0
    }

    /// Sees to it that somebody looks when it goes off.
    fn set_alarm(&self, state: &State) {
        let epoch_ns = if state.by_wall { state.epoch_ns } else { 0 };
        let deadline_ns = state.schedule.next_ns().map(|at_ns| at_ns.saturating_sub(epoch_ns));
        S::processes().alarms.set(&self.alarm, deadline_ns);
    }

    fn take(&self) -> Option<Result<u64, FileError>> {
        let mut state = self.state.lock();
        let now = Now::read::<S>();
        state.note(now);
        let taken = state.take(now);
        if matches!(taken, Some(Ok(_))) {
            self.set_alarm(&state);
        }
        taken
    }
}

impl<S: System> Drop for TimerFile<S> {
    fn drop(&mut self) {
        let alarms = &S::processes().alarms;
        alarms.set(&self.alarm, None);
        alarms.by_wall.leave(self);
    }
}

impl<S: System> FileOperations for TimerFile<S> {
    fn read(&self, _at: u64, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        if sink.room() < size_of::<u64>() {
            return Err(FileError::Invalid);
        }
        let ticks = loop {
            if let Some(taken) = self.take() {
                break taken?;
            }
            if blocking == Blocking::No {
                return Err(FileError::WouldBlock);
            }
            self.to_read.wait_while(|| !self.is_ready() && !interrupted::<S>());
            if !self.is_ready() {
                return Err(FileError::Interrupted);
            }
        };
        // As on Linux, what was taken is gone where it cannot be stored.
        Ok(sink.put(&ticks.to_ne_bytes())?)
    }

    fn readiness(&self) -> Readiness {
        if self.is_ready() { Readiness::READ | Readiness::READ_NORMAL } else { Readiness::empty() }
    }

    fn watched(&self) -> Option<&dyn Watched> {
        Some(&self.watchers)
    }

    fn as_any(self: Arc<Self>) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(self)
    }
}

/// The files whose timers wait for a time of the wall clock, or did, by their addresses.
pub(super) struct WallFiles<S: System> {
    files: SpinLock<BTreeMap<usize, Weak<TimerFile<S>>>, S::Cpu>,
}

impl<S: System> WallFiles<S> {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Self { files: SpinLock::new(Rank::FileObject, BTreeMap::new()) }
    }

    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Self { files: SpinLock::new(Rank::FileObject, BTreeMap::new()) }
    }

    fn enter(&self, file: &TimerFile<S>) -> Result<(), FileError> {
        if !S::has_room() {
            return Err(FileError::OutOfMemory);
        }
        self.files.lock().insert(core::ptr::from_ref(file).addr(), Weak::clone(&file.me));
        Ok(())
    }

    fn leave(&self, file: &TimerFile<S>) {
        let left = self.files.lock().remove(&core::ptr::from_ref(file).addr());
        drop(left);
    }

    /// Looks at all. One at a time: the last reference to one may go with it.
    pub(super) fn clock_was_set(&self) {
        let mut behind = Bound::Unbounded;
        while let Some((at, file)) = self.next(behind) {
            behind = Bound::Excluded(at);
            if let Some(file) = file {
                file.look();
            }
        }
    }

    fn next(&self, behind: Bound<usize>) -> Option<(usize, Option<Arc<TimerFile<S>>>)> {
        let files = self.files.lock();
        files.range((behind, Bound::Unbounded)).next().map(|(at, file)| (*at, file.upgrade()))
    }
}
