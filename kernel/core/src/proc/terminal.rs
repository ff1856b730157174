//! What terminals ask of processes: who is in front, who may read, who is told.

use alloc::sync::Arc;

use super::group::{GroupError, Terminal, acquire_terminal};
use super::id::Pid;
use super::process::{Process, ProcessFlags};
use super::signal::{interrupted, post_to_group};
use super::system::System;
use super::table::ProcessTree;
use super::thread::Thread;
use crate::fs::FileError;
use crate::signal::{Info, Signal};
use crate::tty::JobControl;

impl<S: System> JobControl for S {
    fn is_interrupted() -> bool {
        interrupted::<S>()
    }

    fn check_foreground(terminal: u64, signal: Signal) -> Result<(), FileError> {
        let machine = S::current();
        let Some(thread) = S::thread_of(machine.payload()) else { return Ok(()) };
        let process = thread.process();
        let mut tree = S::processes().tree();
        let Some(own) = own_terminal(&tree, process).filter(|own| own.device == terminal) else { return Ok(()) };
        let group = tree.group(process.slot());
        if own.foreground == group {
            return Ok(());
        }
        if is_refused(thread, signal) {
            return if signal == Signal::TTIN { Err(FileError::Io) } else { Ok(()) };
        }
        if tree.is_orphaned(group) {
            return Err(FileError::Io);
        }
        post_to_group(&mut tree, group, Info::kernel(signal));
        Err(FileError::Interrupted)
    }

    fn signal_foreground(terminal: u64, signal: Signal) {
        let mut tree = S::processes().tree();
        if let Some((_, foreground)) = foreground_of(&tree, terminal) {
            post_to_group(&mut tree, foreground, Info::kernel(signal));
        }
    }

    fn acquire(terminal: u64, steal: bool) -> Result<(), FileError> {
        let machine = S::current();
        let Some(thread) = S::thread_of(machine.payload()) else { return Err(FileError::NotPermitted) };
        if steal && thread.process().credentials().is_root() {
            take_away(thread.process(), terminal);
        }
        acquire_terminal(thread.process(), terminal).map_err(|_| FileError::NotPermitted)
    }

    fn release(terminal: u64) -> Result<(), FileError> {
        let machine = S::current();
        let Some(thread) = S::thread_of(machine.payload()) else { return Err(FileError::NotTty) };
        let process = thread.process();
        let mut tree = S::processes().tree();
        if own_terminal(&tree, process).is_none_or(|own| own.device != terminal) {
            return Err(FileError::NotTty);
        }
        if tree.leads_session(process.slot()) {
            let session = tree.session(process.slot());
            hang_up_session(&mut tree, session);
        }
        process.clear_flags(ProcessFlags::TERMINAL);
        Ok(())
    }

    fn own_terminal() -> Option<u64> {
        let machine = S::current();
        let thread = S::thread_of(machine.payload())?;
        own_terminal(&S::processes().tree(), thread.process()).map(|own| own.device)
    }

    fn session_and_foreground(terminal: u64) -> Option<(u32, u32)> {
        let tree = S::processes().tree();
        let session = tree.session_of_terminal(terminal)?;
        Some((session.0, tree.terminal(session)?.foreground.0))
    }

    fn set_foreground(terminal: u64, group: u32) -> Result<(), FileError> {
        let machine = S::current();
        let Some(thread) = S::thread_of(machine.payload()) else { return Err(FileError::NotTty) };
        let tree = S::processes().tree();
        if own_terminal(&tree, thread.process()).is_none_or(|own| own.device != terminal) {
            return Err(FileError::NotTty);
        }
        if tree.session_of_group(Pid(group)).is_none() {
            return Err(FileError::NoProcess);
        }
        drop(tree);
        match super::group::set_foreground(thread.process(), Pid(group)) {
            Ok(()) => Ok(()),
            Err(GroupError::NoSuchProcess) => Err(FileError::NoProcess),
            Err(GroupError::NotPermitted | GroupError::HasExecuted) => Err(FileError::NotPermitted),
        }
    }

    fn is_root() -> bool {
        let machine = S::current();
        S::thread_of(machine.payload()).is_none_or(|thread| thread.process().credentials().is_root())
    }
}

/// The controlling terminal of a process: its session's, unless it has given it up.
fn own_terminal<S: System>(tree: &ProcessTree<S>, process: &Arc<Process<S>>) -> Option<Terminal> {
    if !process.flags().contains(ProcessFlags::TERMINAL) {
        return None;
    }
    tree.terminal(tree.session(process.slot()))
}

/// The session of a terminal, and the group in its foreground as long as there is one: its number may be another's by now.
fn foreground_of<S: System>(tree: &ProcessTree<S>, terminal: u64) -> Option<(Pid, Pid)> {
    let session = tree.session_of_terminal(terminal)?;
    let foreground = tree.terminal(session)?.foreground;
    (tree.session_of_group(foreground) == Some(session)).then_some((session, foreground))
}

/// Whether the thread would never see the signal.
fn is_refused<S: System>(thread: &Arc<Thread<S>>, signal: Signal) -> bool {
    thread.mask().contains(signal) || thread.process().body().handlers.look(|actions| actions.ignores(signal))
}

/// Takes a terminal away from the session that has it, unless that is the caller's own.
fn take_away<S: System>(caller: &Arc<Process<S>>, terminal: u64) {
    let mut tree = S::processes().tree();
    if let Some(session) = tree.session_of_terminal(terminal)
        && session != tree.session(caller.slot())
    {
        // Its processes are not told: Linux does not, either.
        tree.set_terminal(session, None);
    }
}

/// Takes a session's terminal away; whoever is in front there is hung up.
pub(super) fn hang_up_session<S: System>(tree: &mut ProcessTree<S>, session: Pid) -> Option<u64> {
    let terminal = tree.set_terminal(session, None)?;
    if tree.session_of_group(terminal.foreground) == Some(session) {
        post_to_group(tree, terminal.foreground, Info::kernel(Signal::HUP));
        post_to_group(tree, terminal.foreground, Info::kernel(Signal::CONT));
    }
    Some(terminal.device)
}

/// The leader of a session has exited: the session has no terminal any more, and nobody of it uses that one.
pub(super) fn leader_left<S: System>(tree: &mut ProcessTree<S>, session: Pid) {
    if let Some(device) = hang_up_session(tree, session) {
        S::hang_up_terminal(device);
    }
}
