//! A process's timers: the three of `setitimer`(2), and those of `timer_create`(2); and timers that are files,
//! `timerfd_create`(2).
//!
//! * [`schedule`]: when one timer goes off, by its own clock, and what of that was missed
//! * [`set`]: all timers of a process, hung on it by the first call that wants one
//! * [`calls`]: what programs ask of them
//! * [`ring`]: what happens when one goes off
//! * [`alarm`]: who looks at the clock
//! * [`file`](mod@file): timers that are files, which stand still until they are read
//!
//! As on Linux a timer that has gone off stands still until its signal is taken, and is then found to have gone off as
//! many times more as it missed: its **overrun**. So there is never more than one signal of a timer pending, and a
//! short interval keeps no CPU busy that nobody uses. Where a signal is ignored the timer goes on by itself, but not
//! more often than once in a millisecond.
//!
//! No interrupt handler knows a process. The timers that follow the clock have one [`Alarm`](alarm::Alarm) a process, in
//! a queue of which a thread of the kernel takes what is due: it holds the locks that a sender of signals holds. Those
//! that follow processor time are looked at by the threads themselves, as `RLIMIT_CPU` is
//! ([`processor_time`](super::processor_time)).
//!
//! The timers go when the process ends or executes a program (the three intervals stay then), and take the alarm with them;
//! children have none.

mod alarm;
mod calls;
mod file;
mod ring;
mod schedule;
mod set;

pub(super) use alarm::Alarms;
pub use alarm::serve_alarms;
pub use calls::{
    Interval, Notice, TimerClock, TimerError, clock_was_set, create_timer, delete_timer, get_interval, get_timer,
    set_interval, set_timer, timer_overrun,
};
pub use file::{FileClock, TimerFile, Until};
pub(super) use ring::ring_for_processor_time;
pub use schedule::TimerSetting;
pub(super) use set::Timers;
