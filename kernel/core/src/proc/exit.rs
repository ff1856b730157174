//! How threads and processes end.
//!
//! A **thread** leaves its program for good ([`exit_thread`]): the memory that its siblings watch is told, it stops using
//! the address space, and it leaves the list of threads. A **process** ends when its last thread does. Somebody may have
//! decided that before: [`begin_exit`] notes how, and makes all threads come by and end by themselves.
//!
//! The last thread then takes the process apart, in this order, for each step may be waited for by somebody who has seen
//! the one before:
//!
//! 1. A parent in `vfork` gets back what it lent.
//! 2. Files, working directory and memory are given up, with no lock held.
//! 3. With the tree locked: the session loses its leader, orphans get a new parent, orphaned groups are told, the process
//!    becomes a zombie, and its parent is told; or it is reaped on the spot, if nobody wants to know.

use alloc::sync::Arc;

use super::body::{Belongings, Body};
use super::id::Pid;
use super::process::{Process, ProcessFlags};
use super::signal::{child_info, post, settle_stop, tell_orphaned};
use super::space::AddressSpace;
use super::system::System;
use super::table::ProcessTree;
use super::terminal::leader_left;
use super::thread::{Thread, attention};
use super::tree::reports::Scan;
use super::wait::{Children, Kinds, Selection};
use crate::proc::arena::Slot;
use crate::signal::{ChildEvent, Info, Signal};

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// It exited with this code.
    Exited(u8),
    /// A signal ended it.
    Killed {
        /// Which.
        signal: Signal,
        /// Whether its memory was kept.
        core: bool,
    },
}

impl ExitStatus {
    /// As `exit(2)` is given it: the low byte counts.
    #[must_use]
    pub const fn from_code(code: u64) -> Self {
        let [low, ..] = code.to_le_bytes();
        Self::Exited(low)
    }
}

/// `exit_group`: ends the whole process. The caller then gives up its kernel thread.
pub fn exit_process<S: System>(thread: &Arc<Thread<S>>, status: ExitStatus) {
    let mut body = thread.process().body();
    let is_alone = body.threads.len() == 1;
    if is_alone {
        // Nobody waits for it to halt or to end, and it is awake. None can join it: threads are made by threads.
        body.control.exit.get_or_insert(status);
        thread.note(attention::END);
    } else {
        begin_exit(thread.process(), &mut body, status);
    }
    let space = body.space();
    drop(body);
    leave_program(thread, space);
    if is_alone || leave_threads(thread, status) == Left::Last {
        end_process(thread);
    }
    S::processes().counts.release_thread();
}

/// Decides that the process ends, and how; the first to say so is heard. Its threads come by and end.
pub(super) fn begin_exit<S: System>(process: &Arc<Process<S>>, body: &mut Body<S>, status: ExitStatus) {
    if body.control.exit.is_none() {
        body.control.exit = Some(status);
        body.threads.iter().for_each(|thread| thread.alert(attention::END));
        process.halted.wake_all();
    }
}

/// `exit`: ends the calling thread, and the process with the last one. The caller then gives up its kernel thread.
pub fn exit_thread<S: System>(thread: &Arc<Thread<S>>, status: ExitStatus) {
    leave_program(thread, thread.space());
    if leave_threads(thread, status) == Left::Last {
        end_process(thread);
    }
    S::processes().counts.release_thread();
}

/// By the last thread: takes the process apart.
fn end_process<S: System>(thread: &Arc<Thread<S>>) {
    let process = thread.process();
    release_vfork_parent(process);
    let resident_kib = give_up_belongings(process);
    bury(thread, resident_kib);
}

/// Tells those who watch the program's memory, `space`, that the thread is gone, and stops using it.
fn leave_program<S: System>(thread: &Arc<Thread<S>>, space: Option<Arc<AddressSpace<S>>>) {
    let Some(space) = space else { return };
    S::thread_leaves(thread);
    // Nobody watches memory that nobody else runs in; not to write it spares an exiting child a copy.
    if let Some(at) = thread.take_clear_at().filter(|_| space.users() > 1)
        && S::user_memory().copy_out(&0_u32.to_le_bytes(), at).is_ok()
    {
        S::wake_futex(at);
    }
    space.part();
    S::leave_space();
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Others,
    Last,
}

/// Takes the thread from the list, unless it is the last: that one stays, so that the process has a thread until it is
/// buried, and from here on no signal reaches it.
fn leave_threads<S: System>(thread: &Arc<Thread<S>>, status: ExitStatus) -> Left {
    let process = thread.process();
    let mut tree = S::processes().tree();
    let mut body = process.body();
    if thread.is_main() {
        body.control.main_exit = Some(status);
    }
    if body.threads.len() == 1 {
        let status = body.control.main_exit.unwrap_or(status);
        body.control.exit.get_or_insert(status);
        return Left::Last;
    }
    body.keep_usage_of(thread);
    body.threads.remove(thread);
    if body.timers.is_some() {
        body.forget_thread_of_timers(thread.number());
    }
    // Perhaps it alone was told of them.
    body.leave_to_others(body.pending.set(), thread);
    // Whoever waits to be alone, or for the last to stand still, may have waited for us.
    process.halted.wake_all();
    settle_stop(&mut tree, process, body);
    tree.remove_thread(thread.number());
    Left::Others
}

/// Ends the parent's wait in `vfork`, if it waits.
pub(super) fn release_vfork_parent<S: System>(process: &Arc<Process<S>>) {
    // Set before the process ran, and cleared by nobody else.
    if !process.flags().contains(ProcessFlags::PPWAIT) {
        return;
    }
    let parent = process.body().vfork_parent.take();
    process.clear_flags(ProcessFlags::PPWAIT);
    if let Some(parent) = parent {
        parent.gate.open();
    }
}

/// Returns how much of its memory was resident at most.
fn give_up_belongings<S: System>(process: &Arc<Process<S>>) -> u64 {
    let belongings = process.body().belongings.take();
    let Some(Belongings { space, files, context, program }) = belongings else { return 0 };
    let resident_kib = space.as_ref().map_or(0, |space| space.most_resident_kib());
    // The last references close files and tear tables down: no lock is held.
    drop(files);
    drop(context);
    drop(program);
    drop(space);
    resident_kib
}

/// The process has nothing left but its exit status.
fn bury<S: System>(thread: &Arc<Thread<S>>, resident_kib: u64) {
    let process = thread.process();
    let processes = S::processes();
    let mut tree = processes.tree();
    tree.remove_thread(thread.number());
    let (status, exit_signal, info) = {
        let mut body = process.body();
        body.note_resident(resident_kib);
        body.keep_usage_of(thread);
        body.threads.remove(thread);
        body.timers = None;
        body.pending.discard(crate::signal::SignalSet::ALL);
        let status = body.exit_status();
        (status, body.exit_signal, child_info(process, &body, status.event()))
    };
    if process.pid() == Pid::INIT {
        drop(tree);
        S::init_exited(status);
        return;
    }
    leave_session(&mut tree, process);
    let heir = tree.find_alive(Pid::INIT).or_else(|| tree.find_alive(Pid::SYSTEM));
    let inherited = heir.is_some_and(|heir| {
        tree.exit(process.slot(), heir, |child| {
            child.set_parent_pid(Pid::INIT);
            child.body().exit_signal = Some(Signal::CHLD);
        })
    });
    tell_orphaned(&mut tree);
    if let Some(heir) = heir.filter(|_| inherited) {
        present_inherited_zombies::<S>(&mut tree, heir);
    }
    announce(&mut tree, process, exit_signal, info);
}

/// A session that loses its leader loses its terminal, and whoever was in front there is told.
fn leave_session<S: System>(tree: &mut ProcessTree<S>, process: &Arc<Process<S>>) {
    if tree.leads_session(process.slot()) {
        let session = tree.session(process.slot());
        leader_left(tree, session);
    }
}

/// Tells the parent of an exit, or reaps the process if nobody wants to know.
fn announce<S: System>(tree: &mut ProcessTree<S>, process: &Arc<Process<S>>, exit_signal: Option<Signal>, info: Info) {
    let slot = process.slot();
    let parent = tree.parent(slot).map(|parent| Arc::clone(tree.process(parent)));
    let unwanted = process.flags().contains(ProcessFlags::NO_ZOMBIE)
        || parent.as_ref().is_none_or(|parent| is_indifferent(parent, exit_signal));
    if unwanted {
        let _gone = reap(tree, slot, |_| ());
    } else {
        tree.report_exit(slot);
    }
    let Some(parent) = parent else { return };
    // Who ignores `SIGCHLD` gets none, not even blocked; with `SA_NOCLDWAIT` alone it comes.
    let ignored =
        |signal| signal == Signal::CHLD && parent.body().handlers.look(|actions| actions.ignored().contains(signal));
    if let Some(signal) = exit_signal.filter(|&signal| !ignored(signal)) {
        let _merged = post(tree, &parent, None, Info { signal, ..info });
    }
    parent.news.tell();
}

/// Whether the parent has said that it does not wait for children.
fn is_indifferent<S: System>(parent: &Arc<Process<S>>, exit_signal: Option<Signal>) -> bool {
    let body = parent.body();
    parent.flags().contains(ProcessFlags::SYSTEM)
        || (exit_signal == Some(Signal::CHLD) && body.handlers.look(crate::signal::Actions::reaps_children))
}

/// The first process has got zombies from one that exited.
fn present_inherited_zombies<S: System>(tree: &mut ProcessTree<S>, heir: Slot) {
    let init = Arc::clone(tree.process(heir));
    let any = Selection { children: Children::Any, kinds: Kinds::All, exited: true, stopped: false, continued: false };
    let indifferent = is_indifferent(&init, Some(Signal::CHLD));
    while let Scan::Found(zombie, _) = tree.scan(heir, &any) {
        if !indifferent {
            let child = Arc::clone(tree.process(zombie));
            let event: ChildEvent = child.exit_status().event();
            let info = child_info(&child, &child.body(), event);
            let _merged = post(tree, &init, None, info);
            break;
        }
        let _gone = reap(tree, zombie, |_| ());
    }
    init.news.tell();
}

/// Takes a zombie out of the tree: its number goes among the recent ones, and the counts come down. What is left of it is
/// shown to `look`.
pub(super) fn reap<S: System, T>(
    tree: &mut ProcessTree<S>,
    slot: Slot,
    look: impl FnOnce(&Body<S>) -> T,
) -> (Arc<Process<S>>, T) {
    let process = tree.reap(slot);
    S::processes().counts.release_process();
    let seen = {
        let body = process.body();
        body.account.release();
        look(&body)
    };
    (process, seen)
}
