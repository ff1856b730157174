//! What init waits for: a child that ends, or somebody who wants the machine to end.
//!
//! The signals are blocked but for the moment of waiting, so that none is missed between a look and the wait.

use std::process::ExitStatus;
use std::time::Duration;

use sys::process::{self, Signal, Which, option, wait_for};
use sys::signal::{self, Handler};
use sys::{Errno, Pid};

/// How the machine ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// It is switched off.
    PowerOff,
    /// It starts again.
    Restart,
}

/// What has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// A child has ended.
    Child(Pid, ExitStatus),
    /// The machine shall end.
    Asked(End),
    /// The time was over.
    TimeOut,
}

/// What is asked by which signal.
const ASKED: [(Signal, End); 3] =
    [(Signal::USR2, End::PowerOff), (Signal::USR1, End::PowerOff), (Signal::TERM, End::Restart)];

/// Lets signals be waited for.
pub(crate) fn prepare() -> Result<(), Errno> {
    let signals = ASKED.iter().map(|&(signal, _)| signal).chain([Signal::CHLD]);
    let mut mask = 0;
    for signal in signals {
        mask |= signal::bit(signal);
        signal::handle(signal, Handler::Remember)?;
    }
    process::block_signals(mask)?;
    Ok(())
}

/// In a child: nothing is blocked or ignored that its program would find so. What init catches is not inherited.
pub(crate) fn forget() {
    // Both are allowed always. Rust's runtime ignores the signal of broken pipes, for init alone.
    let _ = process::block_signals(0);
    let _ = signal::handle(Signal::PIPE, Handler::Default);
}

/// Waits for the next event, or for `timeout`.
///
/// # Errors
///
/// `CHILD` where there are no children to wait for.
pub(crate) fn next(timeout: Option<Duration>) -> Result<Event, Errno> {
    loop {
        if let Some(&(_, end)) = ASKED.iter().find(|&&(signal, _)| signal::take_remembered(signal)) {
            return Ok(Event::Asked(end));
        }
        match wait_for(Which::Any, option::NOHANG) {
            Ok(Some((pid, status))) => return Ok(Event::Child(pid, status)),
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        match signal::wait(0, timeout) {
            Ok(()) => return Ok(Event::TimeOut),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
