//! What the tests of processes have in common.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::addr::UserAddr;
use crate::fs::{DescriptorFlags, Fd, OpenFile, OpenFlags};
use crate::proc::OnFault;
use crate::proc::cred::Credentials;
use crate::proc::fake::{Fake, Process, World, Zeroes};
use crate::proc::{
    CloneArguments, CloneFlags, ExitStatus, ForkError, ForkFlags, ForkRequest, Pid, Start, ThreadRequest, TidPointers,
    WaitError, WaitRequest, WaitResult, exit_process, exit_thread, find_thread, fork1, relations, thread_fork, wait,
};
use crate::signal::ChildEvent;

pub(super) type Thread = Arc<crate::proc::Thread<Fake>>;

/// Forks with these flags.
pub(super) fn fork_with(world: &'static World, parent: &Thread, flags: ForkFlags) -> Result<Thread, ForkError> {
    let request = ForkRequest::new(flags, Start::Fork);
    world.act(parent, || fork1(parent, &request).map(|forked| forked.thread))
}

/// Forks.
pub(super) fn child_of(world: &'static World, parent: &Thread) -> Thread {
    fork_with(world, parent, ForkFlags::FORK).expect("a fork")
}

/// A further thread.
pub(super) fn sibling_of(world: &'static World, thread: &Thread) -> Thread {
    world.act(thread, || {
        let tid = thread_fork(thread, &thread_request()).expect("a thread");
        find_thread::<Fake>(tid).expect("it lives")
    })
}

pub(super) fn thread_request() -> ThreadRequest {
    ThreadRequest {
        stack: UserAddr::new(0x7000),
        tls: None,
        tid_pointer: None,
        on_fault: OnFault::Signal,
        child: TidPointers::default(),
    }
}

pub(super) fn clone_arguments(flags: CloneFlags, exit_signal: u32) -> CloneArguments {
    let nowhere = UserAddr::new(0);
    CloneArguments { flags, exit_signal, stack: None, tls: nowhere, parent_tid: nowhere, child_tid: nowhere }
}

/// The whole process exits.
pub(super) fn exits(world: &'static World, thread: &Thread, code: u8) {
    world.act(thread, || exit_process(thread, ExitStatus::Exited(code)));
}

/// Only the thread ends.
pub(super) fn ends(world: &'static World, thread: &Thread, code: u8) {
    world.act(thread, || exit_thread(thread, ExitStatus::Exited(code)));
}

/// Looks for a child's news without waiting.
pub(super) fn look(
    world: &'static World,
    parent: &Thread,
    request: WaitRequest,
) -> Result<Option<WaitResult<Fake>>, WaitError> {
    let request = WaitRequest { patience: crate::proc::Patience::Return, ..request };
    world.act(parent, || wait(parent, &request))
}

/// Reaps this child.
pub(super) fn reap(world: &'static World, parent: &Thread, pid: Pid) -> ChildEvent {
    look(world, parent, WaitRequest::exit_of(pid)).expect("a child").expect("a zombie").event
}

pub(super) fn pid(thread: &Thread) -> Pid {
    thread.process().pid()
}

/// Whether the process is a zombie; `None` if it is gone.
pub(super) fn is_zombie(world: &'static World, anybody: &Thread, pid: Pid) -> Option<bool> {
    world.act(anybody, || relations::<Fake>(pid).map(|relations| relations.zombie))
}

/// Makes a process an ordinary user's.
pub(super) fn becomes(world: &'static World, thread: &Thread, uid: u32) {
    world.act(thread, || {
        let change = |_: &Credentials| Ok::<_, ()>(Credentials::user(uid, uid));
        thread.process().change_credentials(change).unwrap();
    });
}

/// Processes, threads and what the user has, as counted.
pub(super) fn counts(world: &World, of: &Process) -> (u32, u32, u32) {
    (world.processes.counts.processes(), world.processes.counts.threads(), of.account().processes())
}

/// Opens a file in a process.
pub(super) fn opens(world: &'static World, thread: &Thread, flags: DescriptorFlags) -> Fd {
    world.act(thread, || {
        let root = Arc::clone(thread.process().context().unwrap().lock().root());
        let file = OpenFile::new(root, Arc::new(Zeroes), OpenFlags::empty(), &world.parking);
        thread.process().files().unwrap().lock().insert(file, flags, Fd::ZERO, 100).unwrap()
    })
}

pub(super) fn file(thread: &Thread, fd: Fd) -> Option<Arc<OpenFile>> {
    thread.process().files().and_then(|files| files.lock().get(fd))
}

/// Writes a byte to a process's memory, and reads one.
pub(super) fn poke(world: &'static World, thread: &Thread, at: UserAddr, byte: u8) {
    world.act(thread, || thread.space().unwrap().lock().write_bytes(world.machine, at, &[byte]).unwrap());
}

pub(super) fn peek(world: &'static World, thread: &Thread, at: UserAddr) -> u8 {
    let mut byte = [0];
    world.act(thread, || thread.space().unwrap().lock().read_bytes(world.machine, at, &mut byte).unwrap());
    byte[0]
}

/// Spins until the condition holds; one that never does hangs the test, which is a failure too.
pub(super) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

pub(super) fn stacks_out(world: &World) -> usize {
    world.stacks_out.load(SeqCst)
}

/// The child of `parent` that is, or soon will be, in vfork.
pub(super) fn vfork_child(world: &'static World, parent: &Thread) -> Thread {
    loop {
        let mut found = None;
        world.act(parent, || {
            world.processes.each(|process| {
                let body = process.body();
                if body.vfork_parent.as_ref().is_some_and(|waiting| Arc::ptr_eq(waiting, parent)) {
                    found = body.threads.iter().next().map(Arc::clone);
                }
            });
        });
        match found {
            Some(child) => return child,
            None => std::thread::yield_now(),
        }
    }
}
