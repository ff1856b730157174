//! Who looks at the clock for the timers of processes and for those that are files: a thread of the kernel.

use alloc::sync::{Arc, Weak};

use super::file::{TimerFile, WallFiles};
use super::ring::ring;
use crate::addr::CpuId;
use crate::proc::process::Process;
use crate::proc::system::System;
use crate::sched::{self, Switch, unpark};
use crate::sync::WeakOnce;
use crate::time::{Armed, Instant, Timer, TimerQueues};

/// Whose timers an alarm is for.
pub(super) enum Owner<S: System> {
    /// A process; the alarm is for the next of them.
    Process(Weak<Process<S>>),
    /// A file.
    File(Weak<TimerFile<S>>),
}

/// When somebody's next timer goes off.
pub(super) type Alarm<S> = Timer<Owner<S>>;

/// All alarms are in one queue: they are few, and one thread serves them.
const HOME: CpuId = CpuId::BOOT;

/// The alarms of all processes and files.
pub(in crate::proc) struct Alarms<S: System> {
    queue: TimerQueues<Owner<S>, S::Cpu>,
    /// The files whose timers wait for a time of the wall clock.
    pub(super) by_wall: WallFiles<S>,
    /// Who serves them; nobody, early in the boot.
    server: WeakOnce<sched::Thread<S::Payload>>,
}

pub(super) fn new_alarm<S: System>(owner: Owner<S>) -> Arc<Alarm<S>> {
    Arc::new(Timer::new(owner))
}

impl<S: System> Alarms<S> {
    #[cfg(not(loom))]
    pub(in crate::proc) const fn new() -> Self {
        Self { queue: TimerQueues::new(), by_wall: WallFiles::new(), server: WeakOnce::new() }
    }

    #[cfg(loom)]
    pub(in crate::proc) fn new() -> Self {
        Self { queue: TimerQueues::new(), by_wall: WallFiles::new(), server: WeakOnce::new() }
    }

    /// Lets an alarm go at `deadline_ns`, or not at all.
    pub(super) fn set(&self, alarm: &Arc<Alarm<S>>, deadline_ns: Option<u64>) {
        match deadline_ns {
            // Its owner looks, whether it goes at this moment or not.
            None => drop(self.queue.cancel(alarm)),
            Some(deadline_ns) => {
                let armed = self.queue.arm(alarm, HOME, Instant::from_ns(deadline_ns));
                if matches!(armed, Armed::First { .. })
                    && let Some(server) = self.server.get()
                {
                    let _ = unpark::<S>(server);
                }
            }
        }
    }

    /// Serves the alarms that are due.
    pub(in crate::proc) fn serve_due(&self) {
        while let Some(due) = self.queue.expire(HOME, Instant::from_ns(S::now_ns())) {
            match due.action() {
                Owner::Process(process) => {
                    if let Some(process) = process.upgrade() {
                        ring(&process);
                    }
                }
                Owner::File(file) => {
                    if let Some(file) = file.upgrade() {
                        file.look();
                    }
                }
            }
        }
    }

    /// When the next one is due.
    pub(in crate::proc) fn next_ns(&self) -> Option<u64> {
        self.queue.next_deadline(HOME).map(Instant::as_ns)
    }
}

/// Serves the alarms, for ever: what a thread of the kernel does.
pub fn serve_alarms<S: System>() {
    let alarms = &S::processes().alarms;
    let me = <S as Switch>::current();
    alarms.server.set(&me);
    loop {
        alarms.serve_due();
        me.park().prepare();
        match alarms.next_ns() {
            None => S::block(),
            Some(deadline_ns) if deadline_ns > S::now_ns() => S::block_until(deadline_ns),
            Some(_) => me.park().cancel(),
        }
    }
}
