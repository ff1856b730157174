//! Process groups and sessions, as system calls know them. The rules are the [`Tree`](super::tree::groups)'s.

use alloc::sync::Arc;

use super::id::Pid;
use super::info::Standing;
use super::process::{Process, ProcessFlags};
use super::signal::tell_orphaned;
use super::system::System;

/// Why a group or session cannot be changed or named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupError {
    /// There is no such process, or it is not the caller's.
    NoSuchProcess,
    /// The child has executed a program of its own already.
    HasExecuted,
    /// It leads a session, is in another one, or the group is.
    NotPermitted,
}

/// A session's controlling terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terminal {
    /// Which device it is.
    pub device: u64,
    /// The group that may read from it.
    pub foreground: Pid,
}

/// `setpgid`: moves `target`, the caller itself or a child, into `group`, or into one of its own.
///
/// # Errors
///
/// [`GroupError`]
pub fn set_group<S: System>(
    caller: &Arc<Process<S>>,
    target: Option<Pid>,
    group: Option<Pid>,
) -> Result<(), GroupError> {
    let mut tree = S::processes().tree();
    let pid = target.unwrap_or(caller.pid());
    let slot = tree.find(pid).ok_or(GroupError::NoSuchProcess)?;
    let has_executed = |child: &Arc<Process<S>>| !child.flags().contains(ProcessFlags::FORKED);
    tree.set_group(caller.slot(), slot, group.unwrap_or(pid), has_executed)?;
    tell_orphaned(&mut tree);
    Ok(())
}

/// `setsid`: makes the caller the leader of a new session and a new group, without a controlling terminal.
///
/// # Errors
///
/// [`GroupError::NotPermitted`] if it leads a group already.
pub fn set_session<S: System>(caller: &Arc<Process<S>>) -> Result<Pid, GroupError> {
    let mut tree = S::processes().tree();
    let session = tree.set_session(caller.slot())?;
    caller.clear_flags(ProcessFlags::TERMINAL);
    tell_orphaned(&mut tree);
    Ok(session)
}

/// `getpgid`: the group of a process, or of the caller.
///
/// # Errors
///
/// [`GroupError::NoSuchProcess`]
pub fn group_of<S: System>(caller: &Arc<Process<S>>, target: Option<Pid>) -> Result<Pid, GroupError> {
    let tree = S::processes().tree();
    let slot = target.map_or(Some(caller.slot()), |pid| tree.find(pid)).ok_or(GroupError::NoSuchProcess)?;
    Ok(tree.group(slot))
}

/// `getsid`: the session of a process, or of the caller.
///
/// # Errors
///
/// [`GroupError::NoSuchProcess`]
pub fn session_of<S: System>(caller: &Arc<Process<S>>, target: Option<Pid>) -> Result<Pid, GroupError> {
    let tree = S::processes().tree();
    let slot = target.map_or(Some(caller.slot()), |pid| tree.find(pid)).ok_or(GroupError::NoSuchProcess)?;
    Ok(tree.session(slot))
}

/// Whether nobody is left to move the process's group between foreground and background: a read from the terminal fails
/// then, for to stop would be for ever.
pub fn is_orphaned<S: System>(process: &Arc<Process<S>>) -> bool {
    let tree = S::processes().tree();
    tree.is_orphaned(tree.group(process.slot()))
}

/// The controlling terminal of the process's session.
pub fn terminal_of<S: System>(process: &Arc<Process<S>>) -> Option<Terminal> {
    let tree = S::processes().tree();
    tree.terminal(tree.session(process.slot()))
}

/// Makes a terminal the controlling one of the session that the caller leads, with the caller's group in front.
///
/// # Errors
///
/// [`GroupError::NotPermitted`] if it leads none, the session has one, or another session has this one.
pub fn acquire_terminal<S: System>(caller: &Arc<Process<S>>, device: u64) -> Result<(), GroupError> {
    let mut tree = S::processes().tree();
    let session = tree.session(caller.slot());
    let holder = tree.session_of_terminal(device);
    if !tree.leads_session(caller.slot()) || holder.is_some_and(|holder| holder != session) {
        return Err(GroupError::NotPermitted);
    }
    match tree.terminal(session) {
        Some(terminal) if terminal.device == device => {}
        Some(_) => return Err(GroupError::NotPermitted),
        None => {
            let foreground = tree.group(caller.slot());
            tree.set_terminal(session, Some(Terminal { device, foreground }));
        }
    }
    caller.set_flags(ProcessFlags::TERMINAL);
    Ok(())
}

/// `tcsetpgrp`: puts a group of the caller's session in front.
///
/// # Errors
///
/// [`GroupError::NotPermitted`] if the session has no terminal or the group is none of its.
pub fn set_foreground<S: System>(caller: &Arc<Process<S>>, group: Pid) -> Result<(), GroupError> {
    let mut tree = S::processes().tree();
    let session = tree.session(caller.slot());
    let terminal = tree.terminal(session).ok_or(GroupError::NotPermitted)?;
    if tree.session_of_group(group) != Some(session) {
        return Err(GroupError::NotPermitted);
    }
    tree.set_terminal(session, Some(Terminal { foreground: group, ..terminal }));
    Ok(())
}

/// The process with this number, a zombie too.
pub fn find<S: System>(pid: Pid) -> Option<Arc<Process<S>>> {
    let tree = S::processes().tree();
    tree.find(pid).map(|slot| Arc::clone(tree.process(slot)))
}

/// How the process with this number stands to others; `None` if there is none.
pub fn relations<S: System>(pid: Pid) -> Option<Standing> {
    find::<S>(pid)?.standing()
}
