//! Nothing happens when there is nothing to do.

use core::time::Duration;

use kcore::addr::MAX_CPUS;

use super::harness::{NEVER, Outcome, cpus, ensure, from_now};
use crate::dev::clock;
use crate::task::{self, switch};

/// How long nothing shall happen.
const QUIET: Duration = Duration::from_millis(300);
/// The switches that the observer itself makes: to sleep, and back.
const OWN: u64 = 2;

/// Fails with a thread that polls every 20 ms.
pub(super) fn nothing_runs_when_there_is_nothing_to_do() -> Outcome {
    let deadline = from_now(NEVER);
    loop {
        let before = switches();
        task::sleep(QUIET);
        let after = switches();
        let queued: u32 = cpus().map(|cpu| switch::load(cpu).0).sum();
        let more = after.iter().sum::<u64>() - before.iter().sum::<u64>();
        if more <= OWN && queued == 0 {
            return Ok(());
        }
        // The first time there may be threads on their way out.
        ensure!(clock::now_ns() < deadline, "{more} switches in {QUIET:?}, {queued} threads queued: {after:?}");
    }
}

/// How often each CPU has switched.
fn switches() -> [u64; MAX_CPUS] {
    let mut switches = [0; MAX_CPUS];
    for cpu in cpus() {
        switches[cpu.index()] = switch::load(cpu).1;
    }
    switches
}
