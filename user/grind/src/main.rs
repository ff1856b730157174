//! Random calls from many processes: `grind [COUNT|SECONDSs] [SEED]`, 600 calls of each process and seed 1 unless said
//! otherwise.
//!
//! A few workers draw what they do next from a generator, so a seed repeats a run as far as the scheduler does. Each
//! knows what its memory, its files and its children should be like, and looks; children made by fork know it too, and go
//! on the same way for a while. At the end everything is gone again, and what the kernel counts must be what it was.
//!
//! * [`sys::random`]: the generator
//! * [`worker`]: one process: draws and does
//! * [`memory`], [`files`], [`family`]: what it does, and what it knows of that
//! * [`wrong`]: what it may find

mod family;
mod files;
mod memory;
mod worker;
mod wrong;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sys::balance::{Balance, Losses};
use sys::process::{self, Signal, Which, spawn, wait};
use sys::random::Random;
use sys::signal::{self, Handler};
use sys::{Errno, Pid};

use crate::worker::Worker;
use crate::wrong::{Checked, Wrong};

/// How long a worker goes on.
#[derive(Clone, Copy)]
enum Until {
    /// So many calls.
    Count(u64),
    /// This moment.
    Moment(Instant),
}

/// Processes that draw.
const WORKERS: u64 = 6;
/// The first round warms the kernel's caches up; the others are compared.
const ROUNDS: u32 = 3;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [leaf, number] = &words[..]
        && leaf == family::LEAF
    {
        return ExitCode::from(family::leaf_status(number.parse().unwrap_or(0)));
    }
    let (length, seed) = (words.first().map_or("600", String::as_str), words.get(1).map_or("1", String::as_str));
    let (Some(length), Ok(seed)) = (Length::parse(length), seed.parse()) else {
        eprintln!("usage: grind [COUNT|SECONDSs] [SEED]");
        return ExitCode::from(2);
    };
    // A group that is orphaned while a member is stopped gets SIGHUP, and here groups come and go.
    if let Err(errno) = signal::handle(Signal::HUP, Handler::Ignore) {
        eprintln!("grind: {errno}");
        return ExitCode::FAILURE;
    }
    println!("grind: {WORKERS} workers, {ROUNDS} rounds, seed {seed}");
    let outcome = rounds(length, seed);
    match &outcome {
        Ok(()) => println!("grind: ok"),
        Err(wrong) => println!("grind: FAILED: {wrong}"),
    }
    if process::pid() == Pid(1) {
        process::sync();
        // Without power-off the end of the first process has to do.
        let _ = process::power_off();
    }
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How long all of it takes.
#[derive(Clone, Copy)]
enum Length {
    Calls(u64),
    Time(Duration),
}

impl Length {
    fn parse(word: &str) -> Option<Self> {
        match word.strip_suffix('s') {
            Some(seconds) => seconds.parse().ok().map(|seconds| Self::Time(Duration::from_secs(seconds))),
            None => word.parse().ok().map(Self::Calls),
        }
    }

    /// How long a round takes that starts now.
    fn round(self) -> Until {
        match self {
            Self::Calls(calls) => Until::Count(calls.div_ceil(u64::from(ROUNDS))),
            Self::Time(time) => Until::Moment(Instant::now() + time / ROUNDS),
        }
    }
}

/// All rounds, and what is lost between them. What stays away after one round may be in a cache, or be this program's own,
/// which touched a page or divided a table for the first time; one more of a kind after every round is a leak.
fn rounds(length: Length, seed: u64) -> Checked {
    let mut lost_before = Losses::default();
    let mut before = None;
    for number in 0..ROUNDS {
        round(length.round(), seed ^ u64::from(number) << 32)?;
        println!("grind: round {}", number + 1);
        let now = match Balance::at_rest() {
            Ok(now) => now,
            // This kernel does not count.
            Err(Errno::NOSYS) => continue,
            Err(errno) => return Err(errno.into()),
        };
        if let Some(before) = before.replace(now) {
            let losses = before.losses()?;
            let exact = losses.clone().leaks(u64::MAX);
            if !exact.none() || !losses.clone().again(&lost_before).none() {
                return Err(Wrong::new(losses.to_string()));
            }
            lost_before = losses;
        }
    }
    Ok(())
}

/// One round: the workers, and their ends.
fn round(until: Until, seed: u64) -> Checked {
    let workers: Result<Vec<Pid>, Errno> = (0..WORKERS)
        .map(|number| spawn(|| Worker::new(Random::new(seed.wrapping_mul(WORKERS + 1) + number)).run(until)))
        .collect();
    for pid in workers? {
        let (_, status) = wait(Which::Pid(pid))?;
        if !status.success() {
            return Err(Wrong::new(format!("worker {pid}: {status}")));
        }
    }
    Ok(())
}
