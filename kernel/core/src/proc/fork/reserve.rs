//! What can fail in a fork, and how it is given back.

use alloc::sync::Arc;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;

use super::{ContextSharing, ForkError, ForkFlags, ForkRequest};
use crate::fs::{FileTable, OpenFile};
use crate::proc::attach::Attachments;
use crate::proc::body::{Belongings, Handlers, Said};
use crate::proc::count::{Account, Claim, Full};
use crate::proc::cred::Credentials;
use crate::proc::id::{STOCK, Source};
use crate::proc::limit::{Limits, Resource};
use crate::proc::process::{FileContext, Files};
use crate::proc::space::AddressSpace;
use crate::proc::system::System;
use crate::proc::thread::Thread;
use crate::proc::tree;
use crate::sched::ThreadName;
use crate::sync::{Rank, SpinLock};
use crate::util::place::arc_with;

/// What the parent has at the moment of the fork, read with its lock taken once.
pub(super) struct Parent<'a, S: System> {
    pub(super) thread: &'a Arc<Thread<S>>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) account: Arc<Account>,
    pub(super) limits: Arc<Limits>,
    pub(super) name: ThreadName,
    pub(super) nice: i8,
    pub(super) attached: Attachments,
    said: Said,
    space: Option<Arc<AddressSpace<S>>>,
    files: Option<Arc<Files<S>>>,
    context: Option<Arc<FileContext<S>>>,
    pub(super) program: Option<Arc<OpenFile>>,
}

impl<'a, S: System> Parent<'a, S> {
    /// What is sent to the group is either seen here or noted for the child, for it arrives with the process locked, and
    /// only then is noted.
    pub(super) fn of(thread: &'a Arc<Thread<S>>) -> Result<Self, ForkError> {
        let body = thread.process().body();
        if thread.attention() {
            return Err(ForkError::Interrupted);
        }
        thread.forget_missed();
        let belongings = body.belongings.as_ref();
        Ok(Self {
            thread,
            credentials: Arc::clone(&body.credentials),
            account: Arc::clone(&body.account),
            limits: Arc::clone(&body.limits),
            name: body.name.clone(),
            nice: body.nice,
            attached: body.attached.clone(),
            said: body.handlers.said(),
            space: belongings.and_then(|belongings| belongings.space.clone()),
            files: belongings.map(|belongings| Arc::clone(&belongings.files)),
            context: belongings.map(|belongings| Arc::clone(&belongings.context)),
            program: belongings.and_then(|belongings| belongings.program.clone()),
        })
    }

    /// What the child does about signals.
    pub(super) fn handlers_for(&self, request: &ForkRequest) -> Handlers<S> {
        if request.flags.contains(ForkFlags::SIGHAND) {
            return self.thread.process().body().handlers.shared();
        }
        let mut handlers = Handlers::Own(self.said.clone());
        if request.clear_handlers {
            handlers.reset();
        }
        handlers
    }
}

/// The newcomer, counted everywhere.
pub(super) struct Claims<'a> {
    thread: Claim<'a>,
    process: Claim<'a>,
    user: Claim<'a>,
}

impl Claims<'_> {
    pub(super) fn keep(self) {
        self.thread.keep();
        self.process.keep();
        self.user.keep();
    }
}

/// Counts the newcomer: in the table of threads, in that of processes, and for the user.
pub(super) fn claim<'a, S: System>(parent: &'a Parent<'_, S>) -> Result<Claims<'a>, ForkError> {
    let uid = parent.credentials.uid.real;
    let thread = claim_thread::<S>(uid)?;
    let process = S::processes().counts.claim_process(uid, S::now_ns).map_err(full::<S>)?;
    let limit = parent.limits.soft(Resource::Processes);
    let user = parent.account.claim(limit).map_err(|_| ForkError::UserLimit)?;
    Ok(Claims { thread, process, user })
}

/// Counts a thread.
pub(super) fn claim_thread<S: System>(uid: u32) -> Result<Claim<'static>, ForkError> {
    S::processes().counts.claim_thread(uid, S::now_ns).map_err(full::<S>)
}

fn full<S: System>(full: Full) -> ForkError {
    if full.tell {
        S::log(format_args!("{}: table is full", full.table.name()));
    }
    ForkError::TableFull(full.table)
}

/// All that a child needs and that can be refused.
pub(super) struct Reserved<S: System> {
    pub(super) seed: S::Seed,
    pub(super) numbers: Numbers<S>,
    pub(super) belongings: Belongings<S>,
    /// Of data and stack.
    pub(super) pages: u64,
}

/// Takes what can be refused: the kernel stack, then numbers and places in the tree, then memory and files.
pub(super) fn reserve<S: System>(
    parent: &Parent<'_, S>,
    program: Option<Arc<OpenFile>>,
    request: &ForkRequest,
) -> Result<Reserved<S>, ForkError> {
    let seed = S::reserve_thread().map_err(|_| ForkError::OutOfMemory)?;
    let numbers = Numbers::draw()?;
    let (belongings, pages) = belongings(parent, program, request)?;
    Ok(Reserved { seed, numbers, belongings, pages })
}

/// Numbers that go back to the tree unless they are [kept](Self::keep).
pub(super) struct Numbers<S: System> {
    reserved: tree::Reserved,
    system: PhantomData<fn() -> S>,
}

impl<S: System> Numbers<S> {
    fn draw() -> Result<Self, ForkError> {
        let reserved =
            S::processes().tree().reserve(&mut FromSystem::<S>(PhantomData)).map_err(|_| ForkError::OutOfMemory)?;
        Ok(Self { reserved, system: PhantomData })
    }

    pub(super) fn keep(self) -> tree::Reserved {
        ManuallyDrop::new(self).reserved
    }
}

/// The system's random numbers.
struct FromSystem<S>(PhantomData<fn() -> S>);

impl<S: System> Source for FromSystem<S> {
    fn uniform(&mut self, bound: u64) -> u64 {
        S::uniform(bound)
    }

    fn several(&mut self, bound: u64, out: &mut [u64; STOCK]) -> usize {
        S::uniform_several(bound, out)
    }
}

impl<S: System> Drop for Numbers<S> {
    fn drop(&mut self) {
        S::processes().tree().cancel(self.reserved);
    }
}

/// The child's memory, files and working directory: shared or copied; and how many pages of data and stack it has.
fn belongings<S: System>(
    parent: &Parent<'_, S>,
    program: Option<Arc<OpenFile>>,
    request: &ForkRequest,
) -> Result<(Belongings<S>, u64), ForkError> {
    let files = parent.files.as_ref().ok_or(ForkError::Invalid)?;
    let context = parent.context.as_ref().ok_or(ForkError::Invalid)?;
    let files = if request.flags.contains(ForkFlags::SHAREFILES) {
        Arc::clone(files)
    } else {
        let mut copy = arc_with(|| SpinLock::new(Rank::FileTable, FileTable::new()));
        let table = Arc::get_mut(&mut copy).ok_or(ForkError::OutOfMemory)?.get_mut();
        files.lock().fork_into(table).map_err(|_| ForkError::OutOfMemory)?;
        copy
    };
    let context = match request.context {
        ContextSharing::Share => Arc::clone(context),
        ContextSharing::Copy => arc_with(|| SpinLock::new(Rank::FileContext, context.lock().clone())),
    };
    let (space, pages) = match &parent.space {
        None => (None, 0),
        Some(space) if request.flags.contains(ForkFlags::SHAREVM) => (Some(Arc::clone(space)), space.pages()),
        Some(space) => {
            let (space, pages) = space.fork()?;
            (Some(space), pages)
        }
    };
    Ok((Belongings { space, files, context, program }, pages))
}
