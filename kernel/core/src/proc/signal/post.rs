//! A signal's arrival at a process.

use alloc::sync::Arc;

use crate::proc::arena::Chain;
use crate::proc::body::{Body, Stop};
use crate::proc::exit::{ExitStatus, begin_exit};
use crate::proc::id::Pid;
use crate::proc::limit::Resource;
use crate::proc::process::{Process, ProcessFlags};
use crate::proc::system::System;
use crate::proc::table::ProcessTree;
use crate::proc::thread::{Thread, attention};
use crate::proc::tree::{Life, Report};
use crate::proc::usage::ticks;
use crate::signal::{ChildEvent, DefaultAction, Info, Posted, Signal, discarded_by};
use crate::sync::SpinGuard;
use crate::sync::atomic::Ordering::SeqCst;
use crate::sync::atomic::fence;
use crate::time::Split;

/// Sends a signal of the kernel's own to a process, or to one thread of it.
pub fn signal<S: System>(process: &Arc<Process<S>>, thread: Option<&Arc<Thread<S>>>, info: Info) -> Posted {
    let mut tree = S::processes().tree();
    post(&mut tree, process, thread, info)
}

/// Sends a signal of the kernel's own to all members of a group: a terminal does.
pub fn signal_group<S: System>(group: Pid, info: Info) {
    let mut tree = S::processes().tree();
    post_to_group(&mut tree, group, info);
}

pub(in crate::proc) fn post_to_group<S: System>(tree: &mut ProcessTree<S>, group: Pid, info: Info) {
    let mut at = tree.first_member(group);
    while let Some(slot) = at {
        at = tree.next(slot, Chain::Group);
        if tree.life(slot) == Life::Alive {
            let process = Arc::clone(tree.process(slot));
            // A group's signal is a classic one, so there is always room.
            let _merged = post(tree, &process, None, info);
            note_missed(&process, info.signal);
        }
    }
}

/// A child that a member is about to fork is meant, too, though it is not there yet. The member itself has got the signal
/// before: a fork that begins in between finds it there.
pub(super) fn note_missed<S: System>(process: &Process<S>, signal: Signal) {
    process.body().threads.iter().for_each(|thread| thread.note_missed(signal));
}

/// Tells the groups that have been orphaned while a member was stopped: nobody else can wake them.
pub(in crate::proc) fn tell_orphaned<S: System>(tree: &mut ProcessTree<S>) {
    while let Some(group) = tree.take_orphaned() {
        post_to_group(tree, group, Info::kernel(Signal::HUP));
        post_to_group(tree, group, Info::kernel(Signal::CONT));
    }
}

/// A signal arrives at a process, or at one thread of it. The sender may send it; the tree is locked.
pub(in crate::proc) fn post<S: System>(
    tree: &mut ProcessTree<S>,
    process: &Arc<Process<S>>,
    thread: Option<&Arc<Thread<S>>>,
    info: Info,
) -> Posted {
    post_to(tree, process, process.body(), thread, info)
}

/// As [`post`], at a process that is locked already.
#[inline]
pub(in crate::proc) fn post_to<S: System>(
    tree: &mut ProcessTree<S>,
    process: &Arc<Process<S>>,
    mut body: SpinGuard<'_, Body<S>, S::Cpu>,
    thread: Option<&Arc<Thread<S>>>,
    info: Info,
) -> Posted {
    let signal = info.signal;
    if body.control.exit.is_some() || !concerns(process, &body, signal) {
        return Posted::Merged;
    }
    if signal == Signal::KILL {
        begin_exit(process, &mut body, ExitStatus::Killed { signal, core: false });
        return Posted::Queued;
    }
    let undone = discarded_by(signal);
    if !undone.is_empty() {
        body.discard(undone);
    }
    let continued = signal == Signal::CONT && resume(process, &mut body);
    let posted = keep(&mut body, thread, info);
    drop(body);
    if continued {
        tell_parent(tree, process, Report::Continued);
    }
    posted
}

/// The first process is sent only what it handles: nobody could replace it. Those of the kernel are sent nothing.
fn concerns<S: System>(process: &Arc<Process<S>>, body: &Body<S>, signal: Signal) -> bool {
    if process.flags().contains(ProcessFlags::SYSTEM) {
        return false;
    }
    process.pid() != Pid::INIT || body.handlers.look(|actions| actions.caught().contains(signal))
}

/// Keeps a signal as pending, unless it would be ignored, and wakes who can take it.
fn keep<S: System>(body: &mut Body<S>, thread: Option<&Arc<Thread<S>>>, info: Info) -> Posted {
    let signal = info.signal;
    let blocks = |thread: &Arc<Thread<S>>| thread.mask().contains(signal);
    // Who alone can take it.
    let one = thread.or_else(|| body.threads.alone());
    let blocked = one.map_or_else(|| body.threads.iter().all(blocks), blocks);
    if !blocked && body.handlers.look(|actions| actions.ignores(signal)) {
        return Posted::Merged;
    }
    let bound = body.limits.soft(Resource::SignalsPending);
    let posted = match thread {
        Some(thread) => thread.own().pending.post(info, bound),
        None => body.pending.post(info, bound),
    };
    if posted == Posted::Full {
        return posted;
    }
    let one = thread.or_else(|| body.threads.alone());
    match one {
        Some(thread) => thread.note_pending(),
        None => body.threads.iter().for_each(|thread| thread.note_pending()),
    }
    // A mask that is changed from here on is changed by one who finds the note.
    fence(SeqCst);
    // The oldest first: that is the main thread, as programs expect.
    let takes = |thread: &&Arc<Thread<S>>| !blocks(thread);
    let taker = match one {
        Some(thread) => Some(thread).filter(takes),
        None => body.threads.iter().find(takes),
    };
    match (taker, one) {
        (Some(taker), _) => taker.alert(attention::SIGNAL),
        (None, Some(thread)) => alert_waiting(core::iter::once(thread), signal),
        (None, None) => alert_waiting(body.threads.iter(), signal),
    }
    posted
}

/// All of `threads` block the signal, but one may wait for it ([`wait_for_signal`](super::wait_for_signal)).
fn alert_waiting<'a, S: System>(mut threads: impl Iterator<Item = &'a Arc<Thread<S>>>, signal: Signal) {
    if let Some(waiting) = threads.find(|thread| thread.own().wanted.contains(signal)) {
        waiting.alert(attention::SIGNAL);
    }
}

/// Lets a process that a signal holds go on. Says whether the parent knew that it was held.
fn resume<S: System>(process: &Arc<Process<S>>, body: &mut Body<S>) -> bool {
    body.control.continues = body.control.continues.wrapping_add(1);
    let stop = core::mem::take(&mut body.control.stop);
    if stop != Stop::Running {
        process.halted.wake_all();
    }
    matches!(stop, Stop::Stopped(_))
}

/// The process was stopped or goes on: its parent may see that and, unless it does not care, gets `SIGCHLD`.
pub(super) fn tell_parent<S: System>(tree: &mut ProcessTree<S>, process: &Arc<Process<S>>, report: Report) {
    let Some(parent) = tree.report(process.slot(), report).map(Arc::clone) else { return };
    let event = match report {
        Report::Stopped(signal) => ChildEvent::Stopped(signal),
        Report::Continued => ChildEvent::Continued,
    };
    let cares = parent.body().handlers.look(crate::signal::Actions::reports_stops);
    if cares {
        let info = child_info(process, &process.body(), event);
        let _merged = post(tree, &parent, None, info);
    }
    parent.news.tell();
}

/// What a parent's handler is told of a child.
pub(in crate::proc) fn child_info<S: System>(child: &Process<S>, body: &Body<S>, event: ChildEvent) -> Info {
    let Split { user_ns, system_ns } = body.time();
    let uid = body.credentials.uid.real;
    Info::child(event, child.pid().0, uid, ticks(user_ns), ticks(system_ns))
}

/// What becomes of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultPosted {
    /// A handler runs, or the process ended before.
    Handled,
    /// It ends the process.
    Fatal,
}

/// An instruction of the current thread's program cannot be executed. If the program ignores or blocks the signal it is
/// ended by it: the instruction would fail again and again.
pub fn post_fault<S: System>(thread: &Arc<Thread<S>>, info: Info) -> FaultPosted {
    let signal = info.signal;
    let mut body = thread.process().body();
    if body.control.exit.is_some() {
        return FaultPosted::Handled;
    }
    let blocked = thread.mask();
    let handled =
        body.handlers.look(|actions| actions.caught().contains(signal) && !actions.would_lose_fault(signal, blocked));
    if !handled {
        let core = matches!(signal.default_action(), DefaultAction::Core);
        begin_exit(thread.process(), &mut body, ExitStatus::Killed { signal, core });
        return FaultPosted::Fatal;
    }
    let bound = body.limits.soft(Resource::SignalsPending);
    let _merged = thread.own().pending.post(info, bound);
    thread.alert(attention::SIGNAL | attention::PENDING);
    FaultPosted::Handled
}
