//! Waiting for children.

use alloc::sync::Arc;

use super::exit::{ExitStatus, reap};
use super::id::Pid;
use super::process::Process;
use super::signal::interrupted;
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

/// What the tree knows of a child's news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    Exited,
    Stopped(Signal),
    Continued,
}

/// A child's news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitResult {
    /// The child.
    pub pid: Pid,
    /// Its real user id.
    pub uid: u32,
    /// What happened.
    pub event: ChildEvent,
    /// What it and its own children, as far as it waited for them, have used.
    pub usage: Usage,
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
pub fn wait<S: System>(thread: &Arc<Thread<S>>, request: &WaitRequest) -> Result<Option<WaitResult>, WaitError> {
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
        if !process.news.wait(seen, interrupted::<S>) {
            return Err(WaitError::Interrupted);
        }
    }
}

enum Look {
    Told(WaitResult),
    Nothing,
    NoChild,
}

/// Looks once, and takes what it finds.
fn look<S: System>(process: &Arc<Process<S>>, request: &WaitRequest) -> Look {
    let processes = S::processes();
    let mut tree = processes.tree();
    let (slot, event) = match tree.scan(process.slot(), &request.selection) {
        Scan::Found(slot, event) => (slot, event),
        Scan::Nothing => return Look::Nothing,
        Scan::NoChild => return Look::NoChild,
    };
    let child = Arc::clone(tree.process(slot));
    let take = request.delivery == Delivery::Take;
    match event {
        Event::Exited if take => {
            // The child leaves the tree in the same step in which it was found: nobody else can reap it too.
            drop(child);
            let child = reap::<S>(&mut tree, slot);
            drop(tree);
            let result = told(&child, None);
            process.take_usage_of_child(&result.usage);
            Look::Told(result)
        }
        Event::Exited => Look::Told(told(&child, None)),
        Event::Stopped(_) | Event::Continued => {
            if take {
                tree.delivered(slot);
            }
            drop(tree);
            let event = match event {
                Event::Stopped(signal) => ChildEvent::Stopped(signal),
                _ => ChildEvent::Continued,
            };
            Look::Told(told(&child, Some(event)))
        }
    }
}

/// The child's news: this, or that it exited.
fn told<S: System>(child: &Process<S>, event: Option<ChildEvent>) -> WaitResult {
    let body = child.body();
    let mut usage = body.usage();
    usage.add(&body.children_usage);
    let event = event.unwrap_or_else(|| body.exit_status().event());
    WaitResult { pid: child.pid(), uid: body.credentials.uid.real, event, usage }
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
