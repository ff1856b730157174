//! What a thread does about signals before it goes back to its program.

use alloc::sync::Arc;

use super::post::{signal, tell_parent};
use crate::proc::body::{Body, Stop};
use crate::proc::exit::{ExitStatus, begin_exit};
use crate::proc::limit::{Limit, Resource};
use crate::proc::process::{Process, ProcessFlags};
use crate::proc::processor_time::check_processor_time;
use crate::proc::system::System;
use crate::proc::table::ProcessTree;
use crate::proc::thread::{Thread, attention};
use crate::proc::tree::Report;
use crate::sched::Switch;
use crate::signal::{Action, Effective, Info, Signal, SignalSet, take_next};
use crate::sync::SpinGuard;

/// Whether the current thread's sleep is to end because of a signal, a stop, or its own end. Threads of the kernel are
/// never interrupted.
#[must_use]
pub fn interrupted<S: System>() -> bool {
    let current = <S as Switch>::current();
    S::thread_of(current.payload()).is_some_and(|thread| thread.attention())
}

/// What a thread does instead of going back to its program.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing: it goes back.
    Run,
    /// It ends: [`exit_thread`](super::super::exit_thread) with this.
    Exit(ExitStatus),
    /// It runs a handler.
    Handle(Info, Action),
}

/// By a thread that is about to go back to its program: what it has to do first. Sleeps as long as the process is
/// stopped.
#[inline]
pub fn before_user<S: System>(thread: &Arc<Thread<S>>) -> Next {
    if thread.attention() { attend(thread) } else { Next::Run }
}

#[inline(never)]
fn attend<S: System>(thread: &Arc<Thread<S>>) -> Next {
    // Filled in where it is returned: a signal and an action are no small thing to move about.
    let mut next = Next::Run;
    while thread.attention() {
        match step(thread, &mut next) {
            Step::Done => break,
            Step::Again => {}
            Step::Halt => halt(thread),
            Step::Stop(signal, continues) => stop(thread, signal, continues),
        }
    }
    next
}

enum Step {
    /// What it has to do has been said.
    Done,
    Again,
    Halt,
    /// The signal asks to stop the process; so many times it had been continued when it was taken.
    Stop(Signal, u32),
}

#[inline]
fn step<S: System>(thread: &Arc<Thread<S>>, next: &mut Next) -> Step {
    let process = thread.process();
    let mut body = process.body();
    if body.must_end(thread) {
        *next = Next::Exit(body.control.exit.unwrap_or(ExitStatus::Exited(0)));
        return Step::Done;
    }
    if body.control.stop != Stop::Running {
        return Step::Halt;
    }
    let (taken, left) = {
        let mut own = thread.own();
        (take_next(&mut own.pending, &mut body.pending, thread.mask()), own.pending.set())
    };
    body.review_with(thread, left);
    let Some(mut info) = taken else { return Step::Again };
    body.note_timer_signal(&mut info);
    body.ended_usage.signals += 1;
    let effective = body.handlers.look(|actions| actions.effective(info.signal));
    match effective {
        Effective::Ignore | Effective::Continue => Step::Again,
        Effective::Handle(action) => {
            *next = Next::Handle(info, action);
            Step::Done
        }
        Effective::Stop => Step::Stop(info.signal, body.control.continues),
        Effective::Terminate { core } => {
            let status = ExitStatus::Killed { signal: info.signal, core };
            begin_exit(process, &mut body, status);
            *next = Next::Exit(status);
            Step::Done
        }
    }
}

/// Begins to stop the process, unless it was continued since the signal was taken, its parent waits for it in `vfork`,
/// or nobody is left who could continue it.
fn stop<S: System>(thread: &Arc<Thread<S>>, signal: Signal, continues: u32) {
    let process = thread.process();
    let tree = S::processes().tree();
    let orphaned = signal != Signal::STOP && tree.is_orphaned(tree.group(process.slot()));
    let mut body = process.body();
    if orphaned || process.flags().contains(ProcessFlags::PPWAIT) || body.control.continues != continues {
        return;
    }
    if body.control.exit.is_none() && body.control.stop == Stop::Running {
        body.control.stop = Stop::Stopping(signal);
        body.threads.iter().for_each(|thread| thread.alert(attention::STOP));
    }
}

/// Stands still until the process goes on or the thread is to end. The last one to do so tells the parent.
fn halt<S: System>(thread: &Arc<Thread<S>>) {
    let process = thread.process();
    {
        let mut tree = S::processes().tree();
        let mut body = process.body();
        if body.control.stop == Stop::Running {
            body.review(thread);
            return;
        }
        body.control.halted += 1;
        settle_stop(&mut tree, process, body);
    }
    process.halted.wait_while(|| {
        let body = process.body();
        body.control.stop != Stop::Running && !body.must_end(thread)
    });
    let mut body = process.body();
    body.control.halted -= 1;
    body.review(thread);
}

/// If all threads stand still the process is stopped, and its parent is told.
pub(in crate::proc) fn settle_stop<S: System>(
    tree: &mut ProcessTree<S>,
    process: &Arc<Process<S>>,
    mut body: SpinGuard<'_, Body<S>, S::Cpu>,
) {
    if let Stop::Stopping(signal) = body.control.stop
        && body.control.halted == body.threads.len()
        && body.control.halted > 0
    {
        body.control.stop = Stop::Stopped(signal);
        drop(body);
        tell_parent(tree, process, Report::Stopped(signal));
    }
}

/// What a new thread or process does before it first goes to its program: its number is stored where its program wants
/// it, one that is traced posts itself `SIGTRAP`, and one that may not compute for ever looks how long that is.
pub fn child_return<S: System>(thread: &Arc<Thread<S>>) {
    if let Some(at) = thread.take_announce_at() {
        // As on Linux, an address that cannot be written is the program's own business.
        let _ignored = S::user_memory().copy_out(&thread.tid().0.to_le_bytes(), at);
    }
    let (traced, limited) = {
        let body = thread.process().body();
        (body.attached.get().tracing.is_some(), body.limits.get(Resource::Cpu) != Limit::INFINITE)
    };
    if limited {
        check_processor_time(thread);
    }
    if traced {
        let _merged = signal(thread.process(), Some(thread), Info::kernel(Signal::TRAP));
    }
}

/// Takes a signal of `wanted` that is pending for the thread or its process, blocked or not.
pub fn take_signal<S: System>(thread: &Arc<Thread<S>>, wanted: SignalSet) -> Option<Info> {
    let mut body = thread.process().body();
    let taken = take_wanted(&mut body, thread, wanted);
    body.review(thread);
    taken
}

fn take_wanted<S: System>(body: &mut Body<S>, thread: &Arc<Thread<S>>, wanted: SignalSet) -> Option<Info> {
    let mut own = thread.own();
    let mut taken = take_next(&mut own.pending, &mut body.pending, !wanted);
    drop(own);
    if let Some(info) = &mut taken {
        body.note_timer_signal(info);
    }
    taken
}

/// By the thread itself: takes a signal as [`take_signal`] does, and waits for one by calling `sleep` as long as that says
/// that something came (`sigtimedwait`). `None` if there was none.
pub fn wait_for_signal<S: System>(
    thread: &Arc<Thread<S>>,
    wanted: SignalSet,
    mut sleep: impl FnMut() -> Woken,
) -> Option<Info> {
    let mut woken = Woken::Alerted;
    loop {
        let mut body = thread.process().body();
        let taken = take_wanted(&mut body, thread, wanted);
        let goes_on = taken.is_none() && woken == Woken::Alerted;
        // Set with the process locked: what is posted from here on finds it.
        thread.own().wanted = if goes_on { wanted } else { SignalSet::EMPTY };
        body.review(thread);
        // Another signal, or a stop: that is looked at first.
        if !goes_on || thread.attention() {
            thread.own().wanted = SignalSet::EMPTY;
            return taken;
        }
        drop(body);
        woken = sleep();
    }
}

/// How a sleep ended.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// Something wants attention.
    Alerted,
    /// It was long enough.
    InTime,
}
