//! Fork, with and without exec, of processes that have much memory.

use sys::memory::{Advice, Mapping, Protection, Request, flag};
use sys::process::spawn;
use sys::time::now_ns;

use super::exec::{become_it, program};
use super::fork::samples;
use super::{MIB, reap};
use crate::Bench;
use crate::report::{Report, skip};

/// Resident MiB, and samples of each.
const SIZES: [(usize, usize); 5] = [(1, 100), (16, 50), (64, 30), (256, 12), (512, 8)];
/// Blocks of 2 MiB start at multiples of this.
const BLOCK: usize = 2 * MIB;

pub(super) fn rows(bench: &Bench, report: &mut Report) {
    for (size, many) in SIZES.into_iter().filter(|&(size, _)| size <= bench.largest) {
        for (kind, advice) in [("4k", Some(Advice::NOHUGEPAGE)), ("def", None)] {
            match aligned_untouched(size * MIB, advice) {
                Ok(memory) => {
                    touch(&memory);
                    of_size(bench, report, &memory, kind, size, bench.samples(many, 4));
                }
                Err(errno) => skip(&format!("fork_R{size}"), "mmap", errno),
            }
        }
    }
}

/// Stores a byte in each page.
pub(super) fn touch(memory: &Mapping) {
    memory.write_pages(1);
}

/// Memory that starts at a multiple of [`BLOCK`].
pub(super) fn aligned_untouched(bytes: usize, advice: Option<Advice>) -> Result<Mapping, sys::Errno> {
    let somewhere = Mapping::private(bytes + BLOCK)?.address();
    // The place is free again: the first multiple in it has room behind it.
    let flags = flag::PRIVATE | flag::ANONYMOUS;
    let address = somewhere.next_multiple_of(BLOCK);
    let memory = Mapping::new(Request { address, bytes, protection: Protection::WRITE, flags, file: None })?;
    if let Some(advice) = advice {
        // Where there are no large pages, there is nothing to refuse.
        let _ = memory.advise(0, bytes, advice);
    }
    Ok(memory)
}

fn of_size(bench: &Bench, report: &mut Report, memory: &Mapping, kind: &str, size: usize, count: usize) {
    for (state, dirty) in [("dirty", true), ("clean", false)] {
        let name = format!("fork_call_{kind}_{state}_R{size}");
        let before = || {
            if dirty {
                touch(memory);
            }
        };
        if let Err(errno) = samples(report, count, before) {
            skip(&name, "fork", errno);
            continue;
        }
        report.first.print(&name, 1);
        report.second.print(&format!("fork_exit_wait_{kind}_{state}_R{size}"), 1);
    }
    let program = program(bench);
    let name = format!("fork_execve_wait_{kind}_dirty_R{size}");
    report.first.clear();
    for _ in 0..count {
        touch(memory);
        let start = now_ns();
        match spawn(|| become_it(&program)) {
            Ok(pid) => reap(pid),
            Err(errno) => return skip(&name, "fork", errno),
        }
        report.first.add(start, now_ns(), 1);
    }
    report.first.print(&name, 1);
}
