//! All timers of a process.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::alarm::{Alarm, Owner, new_alarm};
use super::calls::Interval;
use super::schedule::{LEAST_NS, Schedule};
use crate::proc::body::Body;
use crate::proc::process::Process;
use crate::proc::system::System;
use crate::sched::Switch;
use crate::signal::{Detail, Info, Signal, SignalSet};
use crate::sync::SpinGuard;

/// By what a timer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Clock {
    /// Time since the system started.
    Monotonic,
    /// The wall clock: when that is set, what is left changes.
    Wall,
    /// Processor time of the process in user mode.
    User,
    /// All its processor time.
    Process,
    /// That of the thread with this number.
    Thread(u32),
    /// That of a thread that has ended: it stands still.
    Ended,
}

impl Clock {
    /// Whether it goes on by itself: an [`Alarm`] waits for it.
    pub(super) const fn is_a_clock(self) -> bool {
        matches!(self, Self::Monotonic | Self::Wall)
    }
}

/// Who is told that a timer went off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Recipient {
    Nobody,
    Process,
    /// The thread with this number.
    Thread(u32),
}

/// A timer of `timer_create`.
#[derive(Debug)]
pub(super) struct Created {
    pub(super) id: i32,
    pub(super) clock: Clock,
    /// Whether the clock that it was made for is the wall's: `clock` depends on how it is set.
    pub(super) of_wall: bool,
    pub(super) recipient: Recipient,
    pub(super) signal: Signal,
    pub(super) value: u64,
    pub(super) schedule: Schedule,
    /// How many times the signal that was taken last stood for beside the first.
    pub(super) overrun: i32,
}

impl Created {
    /// What the signal says, but for what is missed until it is taken.
    pub(super) const fn info(&self) -> Info {
        Info::timer(self.signal, self.id, 0, self.value)
    }
}

/// The timers of a process that has any, or had.
pub(in crate::proc) struct Timers<S: System> {
    /// By [`Interval`].
    pub(super) intervals: [Schedule; 3],
    pub(super) created: Vec<Created>,
    pub(super) last_id: i32,
    pub(super) alarm: Arc<Alarm<S>>,
}

impl<S: System> Timers<S> {
    pub(super) fn new(process: &Arc<Process<S>>) -> Self {
        Self {
            intervals: [Schedule::default(); 3],
            created: Vec::new(),
            last_id: -1,
            alarm: new_alarm(Owner::Process(Arc::downgrade(process))),
        }
    }

    /// When the clocks reach the first of the timers that wait for them, in time since the system started.
    pub(super) fn next_alarm_ns(&self) -> Option<u64> {
        let epoch_ns = S::epoch_ns();
        let since_start = |created: &Created| match created.clock {
            Clock::Monotonic => created.schedule.next_ns(),
            Clock::Wall => created.schedule.next_ns().map(|wall_ns| wall_ns.saturating_sub(epoch_ns)),
            _ => None,
        };
        // Of one that tells nobody, somebody asks.
        let created = self.created.iter().filter(|created| created.recipient != Recipient::Nobody);
        created.filter_map(since_start).chain(self.intervals[Interval::Real as usize].next_ns()).min()
    }

    /// Sees to it that the alarm goes when the first timer does.
    pub(super) fn set_alarm(&self) {
        S::processes().alarms.set(&self.alarm, self.next_alarm_ns());
    }

    /// Whether any timer is left that a process would miss.
    fn is_empty(&self) -> bool {
        self.created.is_empty() && !self.intervals.iter().any(Schedule::is_set)
    }
}

impl<S: System> Drop for Timers<S> {
    fn drop(&mut self) {
        S::processes().alarms.set(&self.alarm, None);
    }
}

/// What the clocks of a process show.
pub(super) struct Readings {
    monotonic_ns: u64,
    wall_ns: u64,
    user_ns: u64,
    process_ns: u64,
}

impl<S: System> Body<S> {
    /// Reads them, all at one moment.
    pub(super) fn readings(&self) -> Readings {
        let monotonic_ns = S::now_ns();
        Readings {
            monotonic_ns,
            wall_ns: monotonic_ns.saturating_add(S::epoch_ns()),
            user_ns: self.time().user_ns,
            process_ns: self.run_time_ns(),
        }
    }

    /// What `clock` shows.
    pub(super) fn reading(&self, readings: &Readings, clock: Clock) -> u64 {
        match clock {
            Clock::Monotonic => readings.monotonic_ns,
            Clock::Wall => readings.wall_ns,
            Clock::User => readings.user_ns,
            Clock::Process => readings.process_ns,
            Clock::Thread(number) => self.thread_time_ns(number),
            Clock::Ended => 0,
        }
    }

    fn thread_time_ns(&self, number: u32) -> u64 {
        let thread = self.threads.iter().find(|thread| thread.number() == number);
        thread.map_or(0, |thread| thread.run_time_ns())
    }

    /// Lets the threads concerned look at the processor time that a timer by `clock` has left.
    pub(super) fn look_by(&self, clock: Clock) {
        let concerned = |thread: u32| match clock {
            Clock::User | Clock::Process => true,
            Clock::Thread(number) => number == thread,
            Clock::Monotonic | Clock::Wall | Clock::Ended => false,
        };
        let threads = self.threads.iter().filter(|thread| concerned(thread.number()));
        threads.filter_map(|thread| thread.machine()).for_each(|machine| S::look_at_processor_time(&machine));
    }

    /// A signal has been taken: if a timer sent it, the timer goes on, and the signal says what was missed.
    pub(in crate::proc) fn note_timer_signal(&mut self, info: &mut Info) {
        if self.timers.is_some() && (info.signal == Signal::ALRM || matches!(info.detail, Detail::Timer { .. })) {
            self.settle_timer(info);
        }
    }

    #[cold]
    #[inline(never)]
    fn settle_timer(&mut self, info: &mut Info) {
        let readings = self.readings();
        let Some(mut timers) = self.timers.take() else { return };
        if let Detail::Timer { id, overrun, .. } = &mut info.detail {
            if let Some(timer) = timers.created.iter_mut().find(|timer| timer.id == *id) {
                let missed = timer.schedule.settle(self.reading(&readings, timer.clock), 0);
                timer.overrun = i32::try_from(missed).unwrap_or(i32::MAX);
                *overrun = timer.overrun;
                self.look_by(timer.clock);
            }
        } else {
            let _missed = timers.intervals[Interval::Real as usize].settle(readings.monotonic_ns, 0);
        }
        timers.set_alarm();
        self.timers = Some(timers);
    }

    /// The signal of a timer could not be kept: the timer goes on, but not at once.
    pub(super) fn settle_created(&mut self, id: i32, readings: &Readings) {
        let Some(mut timers) = self.timers.take() else { return };
        if let Some(timer) = timers.created.iter_mut().find(|timer| timer.id == id) {
            let _missed = timer.schedule.settle(self.reading(readings, timer.clock), LEAST_NS);
        }
        self.timers = Some(timers);
    }

    /// These signals are forgotten: the timers that sent them go on.
    #[cold]
    #[inline(never)]
    pub(in crate::proc) fn forget_timer_signals(&mut self, signals: SignalSet) {
        let readings = self.readings();
        let Some(mut timers) = self.timers.take() else { return };
        for timer in &mut timers.created {
            if signals.contains(timer.signal) {
                let _missed = timer.schedule.settle(self.reading(&readings, timer.clock), LEAST_NS);
                self.look_by(timer.clock);
            }
        }
        let real = &mut timers.intervals[Interval::Real as usize];
        if signals.contains(Signal::ALRM) {
            let _missed = real.settle(readings.monotonic_ns, LEAST_NS);
        }
        timers.set_alarm();
        self.timers = Some(timers);
    }

    /// Takes back the signal of a timer, if it is pending.
    pub(super) fn take_back(&mut self, id: i32) {
        self.pending.discard_timer(Some(id));
        self.threads.iter().for_each(|thread| thread.own().pending.discard_timer(Some(id)));
    }

    /// A thread ends while others go on: nobody else gets what was for it, and its time stands still.
    #[cold]
    #[inline(never)]
    pub(in crate::proc) fn forget_thread_of_timers(&mut self, number: u32) {
        let Some(timers) = &mut self.timers else { return };
        for timer in &mut timers.created {
            if timer.recipient == Recipient::Thread(number) {
                timer.recipient = Recipient::Nobody;
            }
            if timer.clock == Clock::Thread(number) {
                timer.clock = Clock::Ended;
            }
        }
    }

    /// The process executes a program: only the three intervals stay.
    #[cold]
    #[inline(never)]
    pub(in crate::proc) fn keep_intervals_only(&mut self) {
        self.pending.discard_timer(None);
        self.threads.iter().for_each(|thread| thread.own().pending.discard_timer(None));
        let Some(timers) = &mut self.timers else { return };
        timers.created = Vec::new();
        if timers.is_empty() {
            self.timers = None;
        } else {
            timers.set_alarm();
        }
    }
}

/// A process whose timers are at hand, locked.
pub(super) type Locked<'a, S> = SpinGuard<'a, Body<S>, <S as Switch>::Cpu>;
