//! Waiting for children.

use alloc::sync::Arc;
use core::fmt;

use super::exit::{ExitStatus, reap};
use super::id::Pid;
use super::process::Process;
use super::system::System;
use super::thread::Thread;
use super::tree::reports::Scan;
use super::usage::Usage;
use crate::signal::{ChildEvent, Signal};

/// Which children.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Children {
    /// All.
    Any,
    /// One.
    Pid(Pid),
    /// The members of a group.
    Group(Pid),
}

/// What a child is, as Linux's waits tell children apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChildKind {
    /// One whose end is announced by `SIGCHLD`.
    Ordinary,
    /// One whose end is announced by another signal or by none.
    Clone,
}

/// Which kinds of children.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kinds {
    /// Ordinary ones.
    Ordinary,
    /// `__WCLONE`: the others.
    Clone,
    /// `__WALL`: all.
    All,
}

impl Kinds {
    pub(super) const fn take(self, kind: ChildKind) -> bool {
        matches!((self, kind), (Self::All, _) | (Self::Ordinary, ChildKind::Ordinary) | (Self::Clone, ChildKind::Clone))
    }
}

/// Which children, and which of their news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Selection {
    /// Whose.
    pub children: Children,
    /// Of which kind.
    pub kinds: Kinds,
    /// That one exited.
    pub exited: bool,
    /// That a signal stopped one.
    pub stopped: bool,
    /// That one goes on.
    pub continued: bool,
}

/// What to do while there is no news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// Wait.
    Wait,
    /// Return at once (`WNOHANG`).
    Return,
}

/// What becomes of the news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// It is told once; a zombie is reaped.
    Take,
    /// It can be told again (`WNOWAIT`).
    Leave,
}

/// A wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitRequest {
    /// For what.
    pub selection: Selection,
    /// How long.
    pub patience: Patience,
    /// With which effect.
    pub delivery: Delivery,
}

impl WaitRequest {
    /// For the exit of any ordinary child, as `wait()` does.
    pub const ANY: Self = Self {
        selection: Selection {
            children: Children::Any,
            kinds: Kinds::Ordinary,
            exited: true,
            stopped: false,
            continued: false,
        },
        patience: Patience::Wait,
        delivery: Delivery::Take,
    };

    /// The same for one child.
    #[must_use]
    pub const fn exit_of(pid: Pid) -> Self {
        Self { selection: Selection { children: Children::Pid(pid), ..Self::ANY.selection }, ..Self::ANY }
    }
}

/// The same news of the same child.
impl<S: System> PartialEq for WaitResult<S> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.child, &other.child) && self.event == other.event
    }
}

impl<S: System> fmt::Debug for WaitResult<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, uid, event, child: _ } = self;
        f.debug_struct("WaitResult").field("pid", pid).field("uid", uid).field("event", event).finish()
    }
}

/// What the tree knows of a child's news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    Exited,
    Stopped(Signal),
    Continued,
}

/// A child's news.
pub struct WaitResult<S: System> {
    /// The child.
    pub pid: Pid,
    /// Its real user id.
    pub uid: u32,
    /// What happened.
    pub event: ChildEvent,
    child: Arc<Process<S>>,
}

impl<S: System> WaitResult<S> {
    /// What the child and its own children, as far as it waited for them, have used.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.child.body().usage_with_children()
    }
}

/// Why a wait told nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitError {
    /// There is no such child.
    NoChild,
    /// A signal came first.
    Interrupted,
}

/// Waits for a child's news. `None`: there is none yet, and the caller did not want to wait.
///
/// # Errors
///
/// [`WaitError`]
pub fn wait<S: System>(thread: &Arc<Thread<S>>, request: &WaitRequest) -> Result<Option<WaitResult<S>>, WaitError> {
    let process = thread.process();
    loop {
        // Before the look: what comes after it changes the number.
        let seen = process.news.count();
        match look(process, request) {
            Look::Told(result) => return Ok(Some(result)),
            Look::NoChild => return Err(WaitError::NoChild),
            Look::Nothing if request.patience == Patience::Return => return Ok(None),
            Look::Nothing => {}
        }
        if !process.news.wait(seen, || thread.attention()) {
            return Err(WaitError::Interrupted);
        }
    }
}

enum Look<S: System> {
    Told(WaitResult<S>),
    Nothing,
    NoChild,
}

/// Looks once, and takes what it finds.
fn look<S: System>(process: &Arc<Process<S>>, request: &WaitRequest) -> Look<S> {
    let processes = S::processes();
    let mut tree = processes.tree();
    let (slot, event) = match tree.scan(process.slot(), &request.selection) {
        Scan::Found(slot, event) => (slot, event),
        Scan::Nothing => return Look::Nothing,
        Scan::NoChild => return Look::NoChild,
    };
    let take = request.delivery == Delivery::Take;
    let event = match event {
        Event::Exited if take => {
            // The child leaves the tree in the same step in which it was found: nobody else can reap it too.
            let (child, (uid, event, usage)) = reap::<S, _>(&mut tree, slot, |body| {
                (body.credentials.uid.real, body.exit_status().event(), body.usage_with_children())
            });
            drop(tree);
            process.take_usage_of_child(&usage);
            return Look::Told(WaitResult { pid: child.pid(), uid, event, child });
        }
        Event::Exited => None,
        Event::Stopped(signal) => Some(ChildEvent::Stopped(signal)),
        Event::Continued => Some(ChildEvent::Continued),
    };
    if take {
        tree.delivered(slot);
    }
    let child = Arc::clone(tree.process(slot));
    drop(tree);
    let (uid, event) = {
        let body = child.body();
        (body.credentials.uid.real, event.unwrap_or_else(|| body.exit_status().event()))
    };
    Look::Told(WaitResult { pid: child.pid(), uid, event, child })
}

impl ExitStatus {
    /// As a parent is told.
    #[must_use]
    pub const fn event(self) -> ChildEvent {
        match self {
            Self::Exited(code) => ChildEvent::Exited(code),
            Self::Killed { signal, core } => ChildEvent::Killed { signal, core },
        }
    }
}
