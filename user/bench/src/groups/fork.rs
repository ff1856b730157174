//! Fork and vfork of a small process.

use sys::memory::Mapping;
use sys::process::{self, spawn};
use sys::time::now_ns;
use sys::{Errno, Forked, thread};

use super::reap;
use crate::Bench;
use crate::report::{Report, skip};

/// The flags of a plain fork: the signal at its end.
const SIGCHLD: usize = 17;
/// Bytes of the stack of a child that shares memory.
pub(super) const STACK: usize = 64 << 10;

/// Times `count` forks: the call alone into the first samples, with the child's end and the wait into the second. `before`
/// is not timed.
pub(super) fn samples(report: &mut Report, count: usize, before: impl Fn()) -> Result<(), Errno> {
    report.first.clear();
    report.second.clear();
    for _ in 0..count {
        before();
        let start = now_ns();
        let pid = spawn(|| 0)?;
        let forked = now_ns();
        reap(pid);
        report.second.add(start, now_ns(), 1);
        report.first.add(start, forked, 1);
    }
    Ok(())
}

pub(super) fn rows(bench: &Bench, report: &mut Report) {
    let count = bench.samples(300, 30);
    // Warms up.
    let _ = samples(report, 5, || ());
    if let Err(errno) = samples(report, count, || ()) {
        return skip("fork_exit_wait", "fork", errno);
    }
    report.first.print("fork_call", 1);
    report.second.print("fork_exit_wait", 1);
    if let Err(errno) = raw(report, count) {
        skip("rawfork_exit_wait", "clone", errno);
    }
    report.first.print("rawfork_exit_wait", 1);
    if let Err(errno) = vfork(report, count) {
        return skip("vfork_exit_wait", "clone", errno);
    }
    report.first.print("vfork_call", 1);
    report.second.print("vfork_exit_wait", 1);
}

/// The call without the C library.
fn raw(report: &mut Report, count: usize) -> Result<(), Errno> {
    report.first.clear();
    for _ in 0..count {
        let start = now_ns();
        match process::clone(SIGCHLD)? {
            Forked::Child => process::exit(0),
            Forked::Parent(pid) => reap(pid),
        }
        report.first.add(start, now_ns(), 1);
    }
    Ok(())
}

fn vfork(report: &mut Report, count: usize) -> Result<(), Errno> {
    let mut stack = Mapping::private(STACK)?;
    report.first.clear();
    report.second.clear();
    for _ in 0..count {
        let start = now_ns();
        let pid = thread::shared_vfork_on(&mut stack, || 0)?;
        let forked = now_ns();
        reap(pid);
        report.second.add(start, now_ns(), 1);
        report.first.add(start, forked, 1);
    }
    Ok(())
}
