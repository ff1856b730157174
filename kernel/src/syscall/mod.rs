//! System calls: the border between programs and the kernel.
//!
//! A call comes in by `SVC` with its number in x8 and its arguments in x0 to x5, as on Linux. [`table`] says what each number
//! means, and is the only place that knows one; arguments become values of types ([`argument`]) before the call does
//! anything with them; a handler reads like its man page and returns a value or an [`Errno`], and [`errno`] is the only place
//! where an error of the kernel becomes a number.
//!
//! * [`table`]: numbers, names, promises, argument formats, handlers
//! * [`argument`], [`user`]: registers and memory of the program, as values
//! * [`errno`], [`failure`]: errors as programs see them
//! * [`process`], [`exec`], [`identity`], [`capability`], [`signal`], [`schedule`]: processes and threads
//! * [`memory`], [`futex`]: address spaces
//! * [`file`](mod@file), [`contents`], [`path`], [`names`], [`lock`], [`attributes`], [`mount`], [`memfd`]: files; [`pipe`],
//!   [`splice`], [`socket`]; [`poll`], [`epoll`]: waiting for them
//! * [`time`], [`timer`], [`system`]: clocks; timers; the machine
//!
//! What Linux does is what these calls do, unless their number is OpenBSD's (0x1000 and up).

mod argument;
mod attributes;
mod capability;
mod contents;
mod epoll;
mod errno;
mod exec;
mod failure;
mod file;
mod futex;
mod identity;
mod lock;
mod memfd;
mod memory;
mod mount;
mod names;
mod path;
mod pipe;
mod poll;
mod process;
mod schedule;
mod signal;
mod socket;
mod splice;
mod system;
mod table;
mod time;
mod timer;
mod user;

use alloc::sync::Arc;
use core::ops::{Deref, DerefMut};

use kcore::fs::{Context, OpenFile};
use kcore::proc::cred::Credentials;
use kcore::proc::{self, FileContext, Files, Next, Process};
use kcore::signal::{Action, ActionFlags, Info, SignalSet};
use kcore::vm::Space;

use crate::arch::vectors::Frame;
use crate::task::{Kernel, UserThread, signals, with_current_user};
use argument::Descriptor;
use errno::Errno;

/// What a call returns.
type Answer = Result<u64, Errno>;

/// Who calls, and with which registers.
struct Caller<'a> {
    thread: &'a Arc<UserThread>,
    /// Without x19 to x28, which the call keeps; all are there in the frame of a [`WholeCaller`].
    frame: &'a mut Frame,
}

/// One whose registers are all in the frame, so that a signal's handler may run before the call returns: only such calls can
/// wait. The [`table`] says which they are.
struct WholeCaller<'a> {
    caller: Caller<'a>,
    /// The signal that ended the call's wait; its handler runs before the program goes on.
    caught: Option<(Info, Action)>,
    /// Whether the call is made again after such a handler, if that one's action says so.
    again: Again,
}

impl<'a> Deref for WholeCaller<'a> {
    type Target = Caller<'a>;

    fn deref(&self) -> &Caller<'a> {
        &self.caller
    }
}

impl DerefMut for WholeCaller<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.caller
    }
}

/// What becomes of an interrupted call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// It is made again, if the handler's action says so (`SA_RESTART`).
    IfWanted,
    /// It is made again: the program never learns of it.
    Always,
    /// It says that it was interrupted: calls with a time-out (signal(7)).
    Never,
}

/// Bytes of an `SVC` instruction.
const SVC_BYTES: u64 = 4;

/// The vectors call this for an `SVC` of a program whose number is not in their tables, with interrupts enabled and a whole
/// frame. The answer is in x0 when it returns.
#[unsafe(no_mangle)]
extern "C" fn tine_syscall(frame: &mut Frame) {
    let [a, b, c, d, e, f, .., number] = *frame.x.first_chunk::<9>().expect("x0 to x8 are among them");
    frame.x[0] = table::find(number)(a, b, c, d, e, f, frame);
}

/// Makes a call in the name of the current program, and says what x0 holds afterwards.
#[inline(always)]
fn make(frame: &mut Frame, call: impl FnOnce(&mut Caller<'_>) -> Answer) -> u64 {
    with_current_user(|thread| call(&mut Caller { thread, frame }).unwrap_or_else(Errno::to_register))
}

/// The same for a frame that is whole.
#[inline(always)]
fn make_whole(frame: &mut Frame, call: impl FnOnce(&mut WholeCaller<'_>) -> Answer) -> u64 {
    with_current_user(|thread| {
        let mut caller = WholeCaller { caller: Caller { thread, frame }, caught: None, again: Again::IfWanted };
        let answer = call(&mut caller).unwrap_or_else(Errno::to_register);
        if caller.caught.is_some() { handle_caught(&mut caller, answer) } else { answer }
    })
}

/// Lets the handler run whose signal ended the call's wait, before the call is made again or the program learns that it was
/// interrupted.
#[cold]
#[inline(never)]
fn handle_caught(caller: &mut WholeCaller<'_>, answer: u64) -> u64 {
    let WholeCaller { caller: Caller { thread, frame }, caught, again } = caller;
    let Some((info, action)) = caught.take() else { return answer };
    let restarts = match again {
        Again::IfWanted => action.flags.contains(ActionFlags::RESTART),
        Again::Always => true,
        Again::Never => false,
    };
    // Until the call has an answer x0 in the frame is its first argument.
    if restarts && answer == Errno::EINTR.to_register() {
        frame.elr -= SVC_BYTES;
    } else {
        frame.x[0] = answer;
    }
    signals::deliver(thread, frame, info, &action);
    frame.x[0]
}

impl Caller<'_> {
    /// The process that the caller is a thread of.
    fn process(&self) -> &Arc<Process<Kernel>> {
        self.thread.process()
    }

    /// Does something with the address space, alone.
    fn with_space<T>(&self, work: impl FnOnce(&mut Space) -> T) -> Result<T, Errno> {
        let space = self.thread.space().ok_or(Errno::ESRCH)?;
        Ok(work(&mut space.lock()))
    }

    /// The process's open files. Only a process that has ended has none.
    fn files(&self) -> Result<Arc<Files<Kernel>>, Errno> {
        self.process().files().ok_or(Errno::ESRCH)
    }

    /// The open file of a descriptor.
    fn file(&self, descriptor: Descriptor) -> Result<Arc<OpenFile>, Errno> {
        let fd = descriptor.fd()?;
        crate::task::with_files(|files| files.lock().get(fd)).flatten().ok_or(Errno::EBADF)
    }

    /// Working directory, root and umask, as they are now.
    fn context(&self) -> Result<Context, Errno> {
        Ok(self.shared_context()?.lock().clone())
    }

    /// The same, to be changed for all who share them.
    fn shared_context(&self) -> Result<Arc<FileContext<Kernel>>, Errno> {
        self.process().context().ok_or(Errno::ESRCH)
    }

    /// Who the caller is.
    fn credentials(&self) -> Arc<Credentials> {
        self.process().credentials()
    }

    /// Refuses callers whose effective user is not root.
    fn must_be_root(&self) -> Result<(), Errno> {
        if self.credentials().is_root() { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Whether a wait should end, for there is a signal to be acted upon.
    fn is_interrupted(&self) -> bool {
        self.thread.attention()
    }

    /// How long the process has run, in nanoseconds.
    fn process_time_ns(&self) -> u64 {
        self.process().run_time_ns()
    }

    /// How long the thread has run, in nanoseconds.
    fn thread_time_ns(&self) -> u64 {
        self.thread.run_time_ns()
    }
}

impl WholeCaller<'_> {
    /// All of the program's registers.
    const fn whole_frame(&mut self) -> &mut Frame {
        self.caller.frame
    }

    /// Does something that waits. A signal interrupts the wait; if it is one that the program does not see, such as a stop
    /// that was continued, the call goes on where it was.
    fn restarting<T>(&mut self, mut wait: impl FnMut(&mut Self) -> Result<T, Errno>) -> Result<T, Errno> {
        loop {
            match wait(self) {
                Err(Errno::EINTR) if self.settles() => {}
                outcome => return outcome,
            }
        }
    }

    /// Does something that no signal may be pending for; what is pending is acted upon first.
    fn undisturbed<T>(&mut self, work: impl FnMut(&mut Self) -> Result<T, Errno>) -> Result<T, Errno> {
        self.again = Again::Always;
        self.restarting(work)
    }

    /// Does what a signal wants of the thread that its program does not see: stops it for as long as it is to be stopped.
    /// Says whether that was all.
    fn settles(&mut self) -> bool {
        match proc::before_user(self.thread) {
            Next::Run => true,
            // What is left is found again on the way out.
            Next::Exit(_) => false,
            Next::Handle(info, action) => {
                self.caught = Some((info, action));
                false
            }
        }
    }

    /// Does something that waits, with these signals blocked meanwhile if any are given. A handler that ends the wait
    /// returns to the mask before.
    fn with_mask<T>(
        &mut self,
        mask: Option<SignalSet>,
        wait: impl FnOnce(&mut Self) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let Some(mask) = mask else { return wait(self) };
        self.thread.exchange_mask(mask);
        let outcome = wait(self);
        if !matches!(outcome, Err(Errno::EINTR)) {
            self.thread.restore_mask();
        }
        outcome
    }
}
