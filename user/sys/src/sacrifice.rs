//! Calls that may do anything, made by a child that does nothing else.
//!
//! The child has a copy of the memory, so whatever a call destroys is the child's own: it reports each result through a
//! page that it shares with its parent, and ends. Arguments should not point into memory that is shared.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bsd::{Errno, Pid, svc};

use crate::memory::Mapping;
use crate::process::{self, Signal, Which, option, wait_for};
use crate::time;

/// A call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Its number.
    pub number: usize,
    /// Its arguments.
    pub arguments: [usize; 6],
}

/// What came of a list of calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What the calls returned that returned. The low 32 bits; errors are -1 to -4095.
    pub returned: Vec<i32>,
    /// How the child ended.
    pub end: End,
}

/// How the child ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It made all calls, and what its last check returned is the status.
    Done(ExitStatus),
    /// The call after those that returned ended it.
    Died(ExitStatus),
    /// The call after those that returned did not return in time.
    Hung,
}

/// Makes the calls in a child, after `prepare` and before `check`, which gives its status; each call, and the check, may
/// take as long as `patience`.
///
/// # Errors
///
/// When there can be no child.
pub fn sacrifice(
    attempts: &[Attempt],
    patience: Duration,
    prepare: impl FnOnce(),
    check: impl FnOnce() -> i32,
) -> Result<Outcome, Errno> {
    let report = Mapping::shared((attempts.len() + 1) * 4)?;
    let pid = process::spawn(|| {
        prepare();
        for (index, attempt) in attempts.iter().enumerate() {
            make(*attempt, report.word(4 + 4 * index));
            report.word(0).store(u32::try_from(index + 1).unwrap_or(u32::MAX), Ordering::Release);
        }
        check()
    })?;
    let count = || usize::try_from(report.word(0).load(Ordering::Acquire)).unwrap_or(0);
    let status = wait_patiently(pid, patience, &count)?;
    let done = count().min(attempts.len());
    let returned = (0..done).map(|index| report.word(4 + 4 * index).load(Ordering::Relaxed).cast_signed()).collect();
    let end = match status {
        None => End::Hung,
        Some(status) if done == attempts.len() => End::Done(status),
        Some(status) => End::Died(status),
    };
    Ok(Outcome { returned, end })
}

/// Makes one call. Where it is a fork of some kind, the new process ends at once.
fn make(attempt: Attempt, result: &AtomicU32) {
    let own = process::pid();
    // SAFETY: this process has a copy of its parent's memory, does nothing but make such calls, and ends without running
    // code that depends on what they leave.
    let returned = unsafe { svc(attempt.number, attempt.arguments) };
    if process::pid() != own {
        process::exit(0);
    }
    let low = u32::try_from(returned.cast_unsigned() & 0xffff_ffff).unwrap_or(0);
    result.store(low, Ordering::Relaxed);
}

/// Waits for the child as long as `progress` changes within `patience`; kills it otherwise.
fn wait_patiently(pid: Pid, patience: Duration, progress: &dyn Fn() -> usize) -> Result<Option<ExitStatus>, Errno> {
    let mut seen = (progress(), Instant::now());
    let mut pause = Duration::from_micros(20);
    loop {
        if let Some((_, status)) = wait_for(Which::Pid(pid), option::NOHANG)? {
            return Ok(Some(status));
        }
        let now = progress();
        if now != seen.0 {
            seen = (now, Instant::now());
        } else if seen.1.elapsed() > patience {
            process::kill(pid.0, Signal::KILL)?;
            process::wait(Which::Pid(pid))?;
            return Ok(None);
        }
        // Where the kernel cannot sleep, this spins.
        let _ = time::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}
