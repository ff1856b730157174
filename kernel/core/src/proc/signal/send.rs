//! Who may send what to whom, and finding them.

use alloc::sync::Arc;

use super::post::{note_missed, post, post_to};
use crate::proc::arena::{Chain, Slot};
use crate::proc::id::{Pid, THREAD_OFFSET};
use crate::proc::process::Process;
use crate::proc::system::System;
use crate::proc::table::ProcessTree;
use crate::proc::thread::Thread;
use crate::proc::tree::Life;
use crate::sched::Tid;
use crate::signal::{Info, Posted, Signal};

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
    match (target, signal) {
        (Target::Process(pid), Some(signal)) if pid == process.pid() => kill_own(process, signal),
        _ => {
            let info = signal.map(|signal| Info::user(signal, process.pid().0, process.body().credentials.uid.real));
            send(sender, target, signal, info)
        }
    }
}

/// A process sends itself a signal: it is there, and may.
fn kill_own<S: System>(process: &Arc<Process<S>>, signal: Signal) -> Result<(), SignalError> {
    let mut tree = S::processes().tree();
    let body = process.body();
    let info = Info::user(signal, process.pid().0, body.credentials.uid.real);
    settle(post_to(&mut tree, process, body, None, info))
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
    let info = signal.map(|signal| Info::tkill(signal, process.pid().0, process.body().credentials.uid.real));
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
        // A sender is there, and may.
        Target::Process(pid) if pid == own.pid() => match info {
            Some(info) => settle(post(tree, own, None, info)),
            None => Ok(()),
        },
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
