//! The groups of rows.

mod basic;
mod exec;
mod fault;
mod fork;
mod map;
mod pipe;
mod resident;
mod signal;
mod thread;
mod yields;

use sys::Pid;
use sys::process::{Which, wait};

use crate::Bench;
use crate::report::Report;

/// A group: prints its rows.
type Group = fn(&Bench, &mut Report);

/// The groups in the order in which they run.
pub(crate) const GROUPS: [(&str, Group); 10] = [
    ("basic", basic::rows),
    ("fork", fork::rows),
    ("exec", exec::rows),
    ("thread", thread::rows),
    ("pipe", pipe::rows),
    ("fault", fault::rows),
    ("map", map::rows),
    ("sig", signal::rows),
    ("yield", yields::rows),
    ("forkr", resident::rows),
];

const MIB: usize = 1 << 20;

/// Waits for a child whose end is all that matters.
fn reap(pid: Pid) {
    // There is such a child, and nothing else can go wrong.
    let _ = wait(Which::Pid(pid));
}
