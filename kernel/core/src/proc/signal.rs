//! Sending signals, and what they do when a thread is about to go back to its program.
//!
//! **Sending.** The sender holds the process tree: so a signal to a group reaches all who are in it at one moment, a
//! child that is being forked with them or not at all, and who has received what is settled before anybody's wait looks.
//! `SIGKILL` ends the whole process there and then ([`begin_exit`]); `SIGCONT` lets a stopped one go on; what would be
//! ignored is dropped; all else is kept as pending, and a thread that does not block it is woken.
//!
//! **Receiving.** A thread whose [`attention`](Thread::attention) is set passes through [`before_user`] on its way back to
//! its program. There it ends if its process does, stands still while the process is stopped, and takes its signals one
//! by one. A handler is the one thing it does not do itself: [`Next::Handle`] says which, and the kernel lays out the
//! frame.
//!
//! Interruptible sleep ends with attention, too: conditions of waits ask [`interrupted`].

use alloc::sync::Arc;

use super::body::{Body, Stop};
use super::exit::{ExitStatus, begin_exit};
use super::id::{Pid, THREAD_OFFSET};
use super::limit::Resource;
use super::process::{Process, ProcessFlags};
use super::system::System;
use super::table::ProcessTree;
use super::thread::{Thread, attention};
use super::tree::{Life, Report};
use crate::proc::arena::{Chain, Slot};
use crate::sched::{Switch, Tid};
use crate::signal::{Action, ChildEvent, Effective, Info, Posted, Signal, SignalSet, discarded_by, take_next};

/// To whom `kill` sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// One process.
    Process(Pid),
    /// A group.
    Group(Pid),
    /// The sender's own group.
    OwnGroup,
    /// Every process that the sender may signal, but itself, the system's and the first.
    Everybody,
}

/// Why a signal was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignalError {
    /// There is nobody of that number.
    NoSuchProcess,
    /// The sender may not.
    NotPermitted,
    /// Too many signals are pending there.
    Full,
}

/// `kill`. Without a signal, only whether one could be sent.
///
/// # Errors
///
/// [`SignalError`]. To several, it is sent if it can be sent to one.
pub fn kill<S: System>(sender: &Arc<Thread<S>>, target: Target, signal: Option<Signal>) -> Result<(), SignalError> {
    let process = sender.process();
    let info = signal.map(|signal| Info::user(signal, process.pid().0, process.credentials().uid.real));
    send(sender, target, signal, info)
}

/// `rt_sigqueueinfo`: as [`kill`] to one process, with a reason that the sender made up.
///
/// # Errors
///
/// [`SignalError`]
pub fn queue<S: System>(sender: &Arc<Thread<S>>, pid: Pid, info: Info) -> Result<(), SignalError> {
    send(sender, Target::Process(pid), Some(info.signal), Some(info))
}

/// `tgkill`, and without a process `tkill`: to one thread, by the number that programs know it by.
///
/// # Errors
///
/// [`SignalError`]
pub fn kill_thread<S: System>(
    sender: &Arc<Thread<S>>,
    pid: Option<Pid>,
    tid: Tid,
    signal: Option<Signal>,
) -> Result<(), SignalError> {
    let process = sender.process();
    let info = signal.map(|signal| Info::tkill(signal, process.pid().0, process.credentials().uid.real));
    queue_thread(sender, pid, tid, signal, info)
}

/// `rt_tgsigqueueinfo`: as [`kill_thread`], with a reason that the sender made up.
///
/// # Errors
///
/// [`SignalError`]
pub fn queue_thread<S: System>(
    sender: &Arc<Thread<S>>,
    pid: Option<Pid>,
    tid: Tid,
    signal: Option<Signal>,
    info: Option<Info>,
) -> Result<(), SignalError> {
    let mut tree = S::processes().tree();
    let thread = find_thread(&tree, tid).ok_or(SignalError::NoSuchProcess)?;
    if pid.is_some_and(|pid| thread.process().pid() != pid) {
        return Err(SignalError::NoSuchProcess);
    }
    if !may_signal(&tree, sender.process(), thread.process(), signal) {
        return Err(SignalError::NotPermitted);
    }
    match info {
        Some(info) => settle(post(&mut tree, thread.process(), Some(&thread), info)),
        None => Ok(()),
    }
}

/// The thread that programs know by this number.
pub fn thread<S: System>(tid: Tid) -> Option<Arc<Thread<S>>> {
    find_thread(&S::processes().tree(), tid)
}

fn find_thread<S: System>(tree: &ProcessTree<S>, tid: Tid) -> Option<Arc<Thread<S>>> {
    if let Some(number) = tid.0.checked_sub(THREAD_OFFSET) {
        return tree.thread(number).map(Arc::clone);
    }
    let slot = tree.find_alive(Pid(tid.0))?;
    let body = tree.process(slot).body();
    body.threads.iter().find(|thread| thread.is_main()).map(Arc::clone)
}

fn send<S: System>(
    sender: &Arc<Thread<S>>,
    target: Target,
    signal: Option<Signal>,
    info: Option<Info>,
) -> Result<(), SignalError> {
    let mut tree = S::processes().tree();
    let tree = &mut *tree;
    let own = sender.process();
    match target {
        Target::Process(pid) => {
            let slot = tree.find(pid).ok_or(SignalError::NoSuchProcess)?;
            send_to(tree, own, slot, signal, info)
        }
        Target::Group(group) => send_to_each(tree, own, signal, info, Audience::Group(group)),
        Target::OwnGroup => {
            let group = tree.group(own.slot());
            send_to_each(tree, own, signal, info, Audience::Group(group))
        }
        Target::Everybody => send_to_each(tree, own, signal, info, Audience::Everybody),
    }
}

/// Several processes.
#[derive(Clone, Copy)]
enum Audience {
    Group(Pid),
    Everybody,
}

impl Audience {
    /// The process after this one, or the first.
    fn next<S: System>(self, tree: &ProcessTree<S>, after: Option<Slot>) -> Option<Slot> {
        match (self, after) {
            (Self::Group(group), None) => tree.first_member(group),
            (Self::Group(_), Some(slot)) => tree.next(slot, Chain::Group),
            (Self::Everybody, after) => tree.next_slot(after),
        }
    }

    /// Whether the process is not meant.
    fn spares<S: System>(self, tree: &ProcessTree<S>, sender: &Process<S>, slot: Slot) -> bool {
        let everybody = matches!(self, Self::Everybody);
        tree.life(slot) == Life::Embryo || (everybody && (tree.pid(slot) <= Pid::INIT || slot == sender.slot()))
    }
}

fn send_to_each<S: System>(
    tree: &mut ProcessTree<S>,
    sender: &Arc<Process<S>>,
    signal: Option<Signal>,
    info: Option<Info>,
    audience: Audience,
) -> Result<(), SignalError> {
    let mut outcome = Err(SignalError::NoSuchProcess);
    let mut at = audience.next(tree, None);
    while let Some(slot) = at {
        at = audience.next(tree, Some(slot));
        if audience.spares(tree, sender, slot) {
            continue;
        }
        let sent = send_to(tree, sender, slot, signal, info);
        if let Some(signal) = signal.filter(|_| sent.is_ok()) {
            note_missed(tree.process(slot), signal);
        }
        // One that was sent is what counts; then why none was.
        if outcome.is_err() && (sent.is_ok() || sent == Err(SignalError::NotPermitted)) {
            outcome = sent;
        }
    }
    outcome
}

/// A child that a member is about to fork is meant, too, though it is not there yet.
fn note_missed<S: System>(process: &Process<S>, signal: Signal) {
    process.body().threads.iter().for_each(|thread| thread.note_missed(signal));
}

fn send_to<S: System>(
    tree: &mut ProcessTree<S>,
    sender: &Arc<Process<S>>,
    slot: Slot,
    signal: Option<Signal>,
    info: Option<Info>,
) -> Result<(), SignalError> {
    let process = Arc::clone(tree.process(slot));
    if !may_signal(tree, sender, &process, signal) {
        return Err(SignalError::NotPermitted);
    }
    match info {
        Some(info) => settle(post(tree, &process, None, info)),
        None => Ok(()),
    }
}

fn settle(posted: Posted) -> Result<(), SignalError> {
    if posted == Posted::Full { Err(SignalError::Full) } else { Ok(()) }
}

fn may_signal<S: System>(
    tree: &ProcessTree<S>,
    sender: &Arc<Process<S>>,
    target: &Arc<Process<S>>,
    signal: Option<Signal>,
) -> bool {
    if Arc::ptr_eq(sender, target) {
        return true;
    }
    let same_session = tree.session(sender.slot()) == tree.session(target.slot());
    sender.credentials().may_signal(&target.credentials(), signal, same_session)
}

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

pub(super) fn post_to_group<S: System>(tree: &mut ProcessTree<S>, group: Pid, info: Info) {
    let mut at = tree.first_member(group);
    while let Some(slot) = at {
        at = tree.next(slot, Chain::Group);
        if tree.life(slot) == Life::Alive {
            let process = Arc::clone(tree.process(slot));
            note_missed(&process, info.signal);
            // A group's signal is a classic one, so there is always room.
            let _merged = post(tree, &process, None, info);
        }
    }
}

/// Tells the groups that have been orphaned while a member was stopped: nobody else can wake them.
pub(super) fn tell_orphaned<S: System>(tree: &mut ProcessTree<S>) {
    while let Some(group) = tree.take_orphaned() {
        post_to_group(tree, group, Info::kernel(Signal::HUP));
        post_to_group(tree, group, Info::kernel(Signal::CONT));
    }
}

/// A signal arrives at a process, or at one thread of it. The sender may send it; the tree is locked.
pub(super) fn post<S: System>(
    tree: &mut ProcessTree<S>,
    process: &Arc<Process<S>>,
    thread: Option<&Arc<Thread<S>>>,
    info: Info,
) -> Posted {
    let signal = info.signal;
    let mut body = process.body();
    if body.control.exit.is_some() || !concerns(process, &body, signal) {
        return Posted::Merged;
    }
    if signal == Signal::KILL {
        begin_exit(process, &mut body, ExitStatus::Killed { signal, core: false });
        return Posted::Queued;
    }
    body.discard(discarded_by(signal));
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
    let blocked = thread.map_or_else(|| body.threads.iter().all(blocks), blocks);
    if !blocked && body.handlers.look(|actions| actions.ignores(signal)) {
        return Posted::Merged;
    }
    let bound = body.limits.soft(Resource::SignalsPending);
    let posted = match thread {
        Some(thread) => thread.own().pending.post(info, bound),
        None => body.pending.post(info, bound),
    };
    if posted != Posted::Full && !blocked {
        // The oldest first: that is the main thread, as programs expect.
        let taker = thread.or_else(|| body.threads.iter().find(|thread| !blocks(thread)));
        if let Some(taker) = taker {
            taker.alert(attention::SIGNAL);
        }
    }
    posted
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
fn tell_parent<S: System>(tree: &mut ProcessTree<S>, process: &Arc<Process<S>>, report: Report) {
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
pub(super) fn child_info<S: System>(child: &Process<S>, body: &Body<S>, event: ChildEvent) -> Info {
    let usage = body.usage();
    let uid = body.credentials.uid.real;
    Info::child(event, child.pid().0, uid, usage.user_ticks(), usage.system_ticks())
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
        let core = matches!(signal.default_action(), crate::signal::DefaultAction::Core);
        begin_exit(thread.process(), &mut body, ExitStatus::Killed { signal, core });
        return FaultPosted::Fatal;
    }
    let bound = body.limits.soft(Resource::SignalsPending);
    let _merged = thread.own().pending.post(info, bound);
    thread.alert(attention::SIGNAL);
    FaultPosted::Handled
}

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
    /// It ends: [`exit_thread`](super::exit::exit_thread) with this.
    Exit(ExitStatus),
    /// It runs a handler.
    Handle(Info, Action),
}

/// By a thread that is about to go back to its program: what it has to do first. Sleeps as long as the process is
/// stopped.
pub fn before_user<S: System>(thread: &Arc<Thread<S>>) -> Next {
    while thread.attention() {
        match step(thread) {
            Step::Next(next) => return next,
            Step::Again => {}
            Step::Halt => halt(thread),
            Step::Stop(signal, continues) => stop(thread, signal, continues),
        }
    }
    Next::Run
}

enum Step {
    Next(Next),
    Again,
    Halt,
    /// The signal asks to stop the process; so many times it had been continued when it was taken.
    Stop(Signal, u32),
}

fn step<S: System>(thread: &Arc<Thread<S>>) -> Step {
    let process = thread.process();
    let mut body = process.body();
    if body.must_end(thread) {
        return Step::Next(Next::Exit(body.control.exit.unwrap_or(ExitStatus::Exited(0))));
    }
    if body.control.stop != Stop::Running {
        return Step::Halt;
    }
    let (taken, left) = {
        let mut own = thread.own();
        (take_next(&mut own.pending, &mut body.pending, thread.mask()), own.pending.set())
    };
    body.review_with(thread, left);
    let Some(info) = taken else { return Step::Again };
    body.ended_usage.signals += 1;
    let effective = body.handlers.look(|actions| actions.effective(info.signal));
    match effective {
        Effective::Ignore | Effective::Continue => Step::Again,
        Effective::Handle(action) => Step::Next(Next::Handle(info, action)),
        Effective::Stop => Step::Stop(info.signal, body.control.continues),
        Effective::Terminate { core } => {
            let status = ExitStatus::Killed { signal: info.signal, core };
            begin_exit(process, &mut body, status);
            Step::Next(Next::Exit(status))
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
pub(super) fn settle_stop<S: System>(
    tree: &mut ProcessTree<S>,
    process: &Arc<Process<S>>,
    mut body: crate::sync::SpinGuard<'_, Body<S>, S::Cpu>,
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
/// it, and one that is traced posts itself `SIGTRAP`.
pub fn child_return<S: System>(thread: &Arc<Thread<S>>) {
    if let Some(at) = thread.take_announce_at() {
        // As on Linux, an address that cannot be written is the program's own business.
        let _ignored = S::user_memory().copy_out(&thread.tid().0.to_le_bytes(), at);
    }
    if thread.process().body().attached.tracing.is_some() {
        let _merged = signal(thread.process(), Some(thread), Info::kernel(Signal::TRAP));
    }
}

/// Takes a signal of `wanted` that is pending for the thread or its process, blocked or not (`sigtimedwait`).
pub fn take_signal<S: System>(thread: &Arc<Thread<S>>, wanted: SignalSet) -> Option<Info> {
    let mut body = thread.process().body();
    let mut own = thread.own();
    let taken = take_next(&mut own.pending, &mut body.pending, !wanted);
    drop(own);
    body.review(thread);
    taken
}
