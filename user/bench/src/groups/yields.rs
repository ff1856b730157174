//! Giving the processor away.

use std::sync::atomic::{AtomicU32, Ordering};

use sys::Errno;
use sys::machine::{affinity, set_affinity, yield_now};
use sys::memory::{Mapping, PAGE};
use sys::process::spawn;

use super::reap;
use crate::Bench;
use crate::report::{Report, skip};

const BATCH: u64 = 100;

pub(super) fn rows(bench: &Bench, report: &mut Report) {
    let samples = bench.samples(40, 10);
    report.measure("sched_yield_alone", samples, 500, || {
        let _ = yield_now();
    });
    let all = affinity(0).unwrap_or(u64::MAX);
    if let Err(errno) = set_affinity(0, 1) {
        return skip("sched_yield_ping_pin", "affinity", errno);
    }
    if let Err(errno) = ping(report, samples) {
        skip("sched_yield_ping_pin", "mmap shared", errno);
    }
    let _ = set_affinity(0, all);
}

/// 1 asks, 0 is the answer, 2 is the end.
fn ping(report: &mut Report, samples: usize) -> Result<(), Errno> {
    let memory = Mapping::shared(PAGE)?;
    let word: &AtomicU32 = memory.word(0);
    let pid = spawn(|| {
        loop {
            match word.load(Ordering::SeqCst) {
                0 => {
                    let _ = yield_now();
                }
                1 => word.store(0, Ordering::SeqCst),
                _ => return 0,
            }
        }
    })?;
    let mut yields = 0_u64;
    report.measure("sched_yield_ping_pin", samples, BATCH, || {
        word.store(1, Ordering::SeqCst);
        while word.load(Ordering::SeqCst) != 0 {
            let _ = yield_now();
            yields += 1;
        }
    });
    let handovers = BATCH * u64::try_from(samples).unwrap_or(1);
    println!("FB {:<34} yields_per_handoff_x100={}", "sched_yield_ping_pin_info", yields * 100 / handovers);
    word.store(2, Ordering::SeqCst);
    reap(pid);
    Ok(())
}
