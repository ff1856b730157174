//! The process side of executing a program: a thread that has the new program ready puts it in the old one's place.
//!
//! First it makes itself the only one ([`be_alone`]): the other threads end, and if it is not the main thread it takes
//! over that one's number, for the process is known by it. Only then is anything changed, so an exec that is refused or
//! killed before has changed nothing.

use alloc::sync::Arc;

use super::body::Belongings;
use super::cred::Credentials;
use super::exit::{ExitStatus, release_vfork_parent};
use super::process::{Process, ProcessFlags};
use super::space::AddressSpace;
use super::system::System;
use super::thread::{Thread, attention};
use crate::fs::{Fd, OpenFile};
use crate::sched::ThreadName;
use crate::signal::Signal;
use crate::sync::{Rank, SpinLock};

/// A program, ready to run.
pub struct NewImage<S: System> {
    /// Its memory.
    pub space: Arc<AddressSpace<S>>,
    /// The file that it came from.
    pub program: Option<Arc<OpenFile>>,
    /// Its name.
    pub name: ThreadName,
    /// Who the process is from now on, if the program's file changes that or the saved ids do.
    pub credentials: Option<Arc<Credentials>>,
    /// Whether the file is set-id.
    pub set_id: bool,
}

/// Why an exec went no further: the thread is to end, with its process or in favour of another thread's exec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended(pub ExitStatus);

/// Puts a new program in the place of the caller's. What it had is given up; the caller then goes to the new program.
///
/// # Errors
///
/// [`Ended`]: the image is given up, and the thread ends.
pub fn exec_commit<S: System>(thread: &Arc<Thread<S>>, image: NewImage<S>) -> Result<(), Ended> {
    be_alone(thread)?;
    let process = thread.process();
    let NewImage { space, program, name, credentials, set_id } = image;
    process.note_resident();
    space.join();
    let (old, old_program) = replace_program(process, &space, program);
    S::adopt_space(&space);
    thread.forget_addresses();
    own_files(process);
    close_on_exec(process);
    if let Some(credentials) = credentials {
        process.set_credentials(credentials);
    }
    settle_flags(process, set_id);
    {
        let mut body = process.body();
        body.handlers.reset();
        body.exit_signal = Some(Signal::CHLD);
        body.name = name.clone();
        body.attached.note_exec();
        if body.timers.is_some() {
            body.keep_intervals_only();
        }
    }
    thread.own().name = name;
    // The old memory first: it may be the parent's, who gets it back at the next step.
    if let Some(old) = &old {
        old.part();
    }
    drop(old);
    drop(old_program);
    S::processes().tree().becomes_ordinary(process.slot());
    release_vfork_parent(process);
    Ok(())
}

/// Ends all other threads of the process and waits until they have ended. Another thread that tries the same at the
/// same time is among those.
fn be_alone<S: System>(thread: &Arc<Thread<S>>) -> Result<(), Ended> {
    let process = thread.process();
    {
        let mut body = process.body();
        if body.must_end(thread) {
            return Err(Ended(body.control.exit.unwrap_or(ExitStatus::Exited(0))));
        }
        if body.threads.len() > 1 {
            body.control.alone = Some(thread.number());
            let others = body.threads.iter().filter(|other| !Arc::ptr_eq(other, thread));
            others.for_each(|other| other.alert(attention::END));
            process.halted.wake_all();
        }
    }
    process.halted.wait_while(|| {
        let body = process.body();
        body.threads.len() > 1 && body.control.exit.is_none()
    });
    let mut body = process.body();
    body.control.alone = None;
    if let Some(status) = body.control.exit {
        return Err(Ended(status));
    }
    body.control.main_exit = None;
    thread.become_main();
    Ok(())
}

/// Puts the new memory and file in the place of the old ones, and returns those, to be dropped without a lock.
fn replace_program<S: System>(
    process: &Arc<Process<S>>,
    space: &Arc<AddressSpace<S>>,
    program: Option<Arc<OpenFile>>,
) -> (Option<Arc<AddressSpace<S>>>, Option<Arc<OpenFile>>) {
    let mut body = process.body();
    let Some(belongings) = &mut body.belongings else { return (None, program) };
    (belongings.space.replace(Arc::clone(space)), core::mem::replace(&mut belongings.program, program))
}

/// A table of files that is shared with another process is left to that one: its files must not be closed.
fn own_files<S: System>(process: &Arc<Process<S>>) {
    let Some(files) = process.files() else { return };
    // One reference is the process's, one ours.
    if Arc::strong_count(&files) <= 2 {
        return;
    }
    let copy = files.lock().for_fork();
    if let Ok(copy) = copy {
        let own = Arc::new(SpinLock::new(Rank::FileTable, copy));
        let shared = process.body().belongings.as_mut().map(|Belongings { files, .. }| core::mem::replace(files, own));
        drop(shared);
    }
}

fn close_on_exec<S: System>(process: &Arc<Process<S>>) {
    let Some(files) = process.files() else { return };
    let mut next = Some(Fd::ZERO);
    while let Some(first) = next {
        // The file is closed without the lock.
        let closed = files.lock().close_next_on_exec(first);
        next = closed.and_then(|(fd, _file)| fd.next());
    }
}

fn settle_flags<S: System>(process: &Arc<Process<S>>, set_id: bool) {
    process.clear_flags(ProcessFlags::FORKED | ProcessFlags::SET_ID_BY_EXEC);
    if set_id {
        process.set_flags(ProcessFlags::SET_ID | ProcessFlags::SET_ID_BY_EXEC);
    } else {
        let credentials = process.credentials();
        if credentials.uid.real == credentials.uid.effective && credentials.gid.real == credentials.gid.effective {
            process.clear_flags(ProcessFlags::SET_ID);
        }
    }
}
