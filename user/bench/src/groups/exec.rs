//! A new process with a new program: by vfork, fork and `posix_spawn`; from a small and from a large process.

use sys::memory::{Advice, Mapping};
use sys::process::{Prepared, Which, spawn, wait};
use sys::time::now_ns;
use sys::{Errno, Pid, thread};

use super::fork::STACK;
use super::{MIB, reap};
use crate::Bench;
use crate::report::{Report, skip};

/// What children execute: this program, which ends at once.
pub(super) fn program(bench: &Bench) -> Prepared<'_> {
    Prepared::new(&bench.path, &[&bench.path, c"-X"], &bench.environment())
}

/// Becomes the program; the status if that fails.
pub(super) fn become_it(program: &Prepared<'_>) -> i32 {
    program.exec();
    127
}

pub(super) fn rows(bench: &Bench, report: &mut Report) {
    let program = &program(bench);
    // Does it work at all?
    let ended = spawn(|| become_it(program)).and_then(|pid| wait(Which::Pid(pid)));
    if !ended.is_ok_and(|(_, status)| status.success()) {
        return skip("execve", "exec check failed", ended.err().unwrap_or(Errno::NOEXEC));
    }
    set(program, report, "", bench.samples(100, 20));
    let size = bench.largest.min(256);
    match Mapping::private(size * MIB) {
        Ok(memory) => {
            let _ = memory.advise(0, memory.bytes(), Advice::NOHUGEPAGE);
            memory.write_pages(1);
            set(program, report, &format!("_4k_clean_R{size}"), bench.samples(20, 4));
        }
        Err(errno) => skip("exec_R", "mmap", errno),
    }
}

/// The four rows.
fn set(program: &Prepared<'_>, report: &mut Report, suffix: &str, count: usize) {
    match vfork(program, report, count) {
        Ok(()) => {
            report.first.print(&format!("vfork_execve_call{suffix}"), 1);
            report.second.print(&format!("vfork_execve_wait{suffix}"), 1);
        }
        Err(errno) => skip("vfork_execve_wait", "clone", errno),
    }
    let fork = || spawn(|| become_it(program));
    row(report, &format!("fork_execve_wait{suffix}"), count, fork);
    row(report, &format!("posix_spawn_wait{suffix}"), count, || program.spawn());
}

fn vfork(program: &Prepared<'_>, report: &mut Report, count: usize) -> Result<(), Errno> {
    let mut stack = Mapping::private(STACK)?;
    report.first.clear();
    report.second.clear();
    for _ in 0..count {
        let start = now_ns();
        let pid = thread::shared_vfork_on(&mut stack, || become_it(program))?;
        let called = now_ns();
        reap(pid);
        report.second.add(start, now_ns(), 1);
        report.first.add(start, called, 1);
    }
    Ok(())
}

/// Times starting a program and waiting for it.
fn row(report: &mut Report, name: &str, count: usize, start_it: impl Fn() -> Result<Pid, Errno>) {
    report.first.clear();
    for _ in 0..count {
        let start = now_ns();
        match start_it() {
            Ok(pid) => reap(pid),
            Err(errno) => return skip(name, "start", errno),
        }
        report.first.add(start, now_ns(), 1);
    }
    report.first.print(name, 1);
}
