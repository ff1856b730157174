//! What the tables of `/proc` are made of.

use alloc::sync::Arc;
use core::fmt;

use super::Machine;
use super::text::Text;
use crate::fs::{FileError, Inode};
use crate::proc::{Process, Thread};

/// Why a text could not be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// No memory.
    OutOfMemory,
    /// The process that it is about is no more.
    Gone,
}

impl From<fmt::Error> for Failure {
    /// [`Text`] has no other reason.
    fn from(fmt::Error: fmt::Error) -> Self {
        Self::OutOfMemory
    }
}

impl From<Failure> for FileError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::OutOfMemory => Self::OutOfMemory,
            Failure::Gone => Self::NoProcess,
        }
    }
}

/// Writes a text about the system.
pub(super) type WriteText = fn(&mut Text) -> fmt::Result;
/// Writes a text about a process or thread.
pub(super) type WriteAbout<S> = fn(&Subject<S>, &mut Text) -> Result<(), Failure>;
/// Where a link about a process leads.
pub(super) type LeadFrom<S> = fn(&Subject<S>) -> Option<Arc<dyn Inode>>;

/// A name that is always there.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) what: What,
}

/// What it stands for.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// A text for everybody.
    Text(WriteText),
    /// More names.
    Folder(&'static [Entry]),
    /// A link to the directory of the process that asks, and `Thread` to that of the thread.
    Own(Own),
}

/// Whose directory a link leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Own {
    Process,
    Thread,
}

/// A name in the directory of each process, and of each thread unless it is `only_process`.
pub(super) struct About<S: Machine> {
    pub(super) name: &'static str,
    pub(super) what: Of<S>,
    pub(super) only_process: bool,
}

/// What it stands for.
pub(super) enum Of<S: Machine> {
    /// A text for everybody.
    Text(WriteAbout<S>),
    /// A text for the process's user and root.
    Private(WriteAbout<S>),
    /// A link, for those too.
    Link(LeadFrom<S>),
    /// Its descriptors.
    Descriptors,
    /// Its threads.
    Tasks,
}

impl<S: Machine> Clone for Of<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Machine> Copy for Of<S> {}

/// What a directory is about: a process, or a thread of it.
pub(super) struct Subject<S: Machine> {
    pub(super) process: Arc<Process<S>>,
    pub(super) thread: Option<Arc<Thread<S>>>,
}

impl<S: Machine> Clone for Subject<S> {
    fn clone(&self) -> Self {
        Self { process: Arc::clone(&self.process), thread: self.thread.clone() }
    }
}
