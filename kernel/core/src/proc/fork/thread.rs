//! A further thread for a process.

use alloc::sync::Arc;

use super::ForkError;
use super::reserve::claim_thread;
use crate::addr::UserAddr;
use crate::proc::id::visible;
use crate::proc::signal::post_fault;
use crate::proc::space::AddressSpace;
use crate::proc::system::{Start, System};
use crate::proc::table::ProcessTree;
use crate::proc::thread::{Inherited, Thread, TidPointers};
use crate::sched::Tid;
use crate::signal::{AlternateStack, Info, Signal, code};

/// What happens when the new thread's number cannot be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFault {
    /// The caller gets `SIGSEGV`, and the thread is made all the same.
    Signal,
    /// Nothing.
    Ignore,
}

/// A thread to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadRequest {
    /// Its stack pointer.
    pub stack: UserAddr,
    /// Its thread pointer; else it has the caller's.
    pub tls: Option<UserAddr>,
    /// Where its number is stored before it runs.
    pub tid_pointer: Option<UserAddr>,
    /// What if it cannot be.
    pub on_fault: OnFault,
    /// Where its number is stored before it goes to its program, and zero when it ends.
    pub child: TidPointers,
}

/// Makes a further thread of the caller's process, on a stack of its own. Returns the number that programs know it by.
///
/// # Errors
///
/// [`ForkError`]; then nothing has happened.
pub fn thread_fork<S: System>(caller: &Arc<Thread<S>>, request: &ThreadRequest) -> Result<Tid, ForkError> {
    if request.stack.get() == 0 {
        return Err(ForkError::Invalid);
    }
    let process = caller.process();
    let uid = process.body().credentials.uid.real;
    let claim = claim_thread::<S>(uid)?;
    let seed = S::reserve_thread().map_err(|_| ForkError::OutOfMemory)?;
    if !S::has_room() {
        return Err(ForkError::OutOfMemory);
    }
    let number = S::processes().tree().reserve_thread(&mut S::uniform).map_err(|_| ForkError::OutOfMemory)?;
    claim.keep();

    // The point of no return.
    let inherited = Inherited { mask: caller.mask(), alternate: AlternateStack::DISABLED, name: caller.name() };
    let thread = Thread::new(Arc::clone(process), number, visible(number), inherited, request.child);
    // It has one, or it could not have asked.
    let space = process.with_space(AddressSpace::join);
    let machine = S::make_thread(seed, &thread, Start::Thread { stack: Some(request.stack), tls: request.tls }, space);
    thread.set_machine(&machine);
    publish(&mut S::processes().tree(), number, &thread);
    tell_number(caller, request, thread.tid());
    S::start_thread(machine);

    let statistics = &S::processes().statistics;
    statistics.threads.add(0);
    statistics.count_fork(false, true);
    Ok(thread.tid())
}

/// Enters the thread under its number and at the end of its process's list. If the process is being stopped or ended, or
/// another thread wants to be alone, the new one has to attend to that before it ever gets to its program.
fn publish<S: System>(tree: &mut ProcessTree<S>, number: u32, thread: &Arc<Thread<S>>) {
    tree.enter_thread(number, Arc::clone(thread));
    let mut body = thread.process().body();
    body.threads.push(Arc::clone(thread));
    body.review(thread);
    if let Some(machine) = thread.machine().filter(|_| body.timers.is_some()) {
        S::look_at_processor_time(&machine);
    }
}

fn tell_number<S: System>(caller: &Arc<Thread<S>>, request: &ThreadRequest, tid: Tid) {
    let Some(at) = request.tid_pointer else { return };
    let stored = S::user_memory().copy_out(&tid.0.to_le_bytes(), at);
    if let Err(fault) = stored
        && request.on_fault == OnFault::Signal
    {
        post_fault(caller, Info::fault(Signal::SEGV, code::NOT_MAPPED, fault.at));
    }
}
