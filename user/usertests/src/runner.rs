//! Runs a test.

use std::io::Write as _;
use std::time::{Duration, Instant};

use sys::balance::Balance;
use sys::process::{self, Signal, Which, option, spawn, wait_for};
use sys::{Errno, Pid, time};

use crate::Test;
use crate::expect::{SKIPPED, settle};

/// How long a test may take.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often a test runs again when something is missing after it.
const MORE_RUNS: u64 = 3;

/// How a test ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// How often a test is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rounds {
    /// Once, and nothing is compared.
    One,
    /// Once to warm up, once to compare, and more often if something is missing.
    WarmUpAndCompare,
}

/// Runs tests one after the other.
pub(crate) struct Runner {
    rounds: Rounds,
}

impl Runner {
    /// A runner; says so when the kernel cannot count.
    pub(crate) fn new(rounds: Rounds) -> Self {
        if rounds == Rounds::WarmUpAndCompare && Balance::at_rest().is_err() {
            println!("usertests: this kernel has no counters; nothing is compared");
            return Self { rounds: Rounds::One };
        }
        Self { rounds }
    }

    /// Runs `test` and prints its line.
    pub(crate) fn run(&mut self, test: &Test) -> Verdict {
        print!("test {} ... ", test.name);
        // A console that does not take the line is no reason not to test.
        let _ = std::io::stdout().flush();
        let verdict = self.verdict(test);
        println!(
            "{}",
            match verdict {
                Verdict::Passed => "ok",
                Verdict::Failed => "FAILED",
                Verdict::Skipped => "skipped",
            }
        );
        verdict
    }

    fn verdict(&self, test: &Test) -> Verdict {
        let first = once(test);
        if first != Verdict::Passed || self.rounds == Rounds::One {
            return first;
        }
        match compare(test) {
            Ok(verdict) => verdict,
            Err(errno) => {
                print!("(counters: {errno}) ");
                Verdict::Failed
            }
        }
    }
}

/// Runs `test` again, and looks for losses.
fn compare(test: &Test) -> Result<Verdict, Errno> {
    let before = Balance::at_rest()?;
    let second = once(test);
    if second != Verdict::Passed || before.losses()?.none() {
        return Ok(second);
    }
    for _ in 0..MORE_RUNS {
        let again = once(test);
        if again != Verdict::Passed {
            return Ok(again);
        }
    }
    let leaks = before.losses()?.leaks(1 + MORE_RUNS);
    if leaks.none() {
        return Ok(Verdict::Passed);
    }
    print!("({leaks} in {} runs) ", 1 + MORE_RUNS);
    Ok(Verdict::Failed)
}

/// Runs `test` in a child that leads a process group; afterwards nobody of the group lives.
fn once(test: &Test) -> Verdict {
    let started = spawn(|| {
        let _ = process::set_group(Pid(0), Pid(0));
        settle((test.body)())
    });
    let verdict = match started {
        Ok(pid) => {
            let verdict = wait_patiently(pid);
            let _ = process::kill(pid.0.wrapping_neg(), Signal::KILL);
            verdict
        }
        Err(errno) => {
            print!("(fork: {errno}) ");
            Verdict::Failed
        }
    };
    reap();
    verdict
}

/// Waits for the test's own process, and ends it when it takes too long.
fn wait_patiently(pid: Pid) -> Verdict {
    let start = Instant::now();
    let mut pause = Duration::from_micros(50);
    loop {
        match wait_for(Which::Pid(pid), option::NOHANG) {
            Ok(None) | Err(Errno::INTR) => {}
            Ok(Some((_, status))) => {
                if status.success() {
                    return Verdict::Passed;
                }
                if status.code() == Some(SKIPPED) {
                    return Verdict::Skipped;
                }
                if status.code() != Some(1) {
                    print!("({status}) ");
                }
                return Verdict::Failed;
            }
            Err(errno) => {
                print!("(wait: {errno}) ");
                return Verdict::Failed;
            }
        }
        if start.elapsed() > PATIENCE {
            print!("(still running after {} s) ", PATIENCE.as_secs());
            let _ = process::kill(pid.0, Signal::KILL);
            let _ = process::wait(Which::Pid(pid));
            return Verdict::Failed;
        }
        if time::sleep(pause).is_err() {
            std::thread::yield_now();
        }
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Reaps what was left to this process: orphans, when it is the first one.
fn reap() {
    while let Ok(Some(_)) = wait_for(Which::Any, option::NOHANG) {}
}
