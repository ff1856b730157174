//! What processes and memory cost: the rows of `forkbench`, the C program that Linux was measured with.
//!
//! ```text
//! bench [--pin] [--quick] [--maxr MiB] [--stamp] [--list] [GROUP…]
//! FB <name> n=<samples> batch=<operations a sample> min=.. med=.. mean=.. max=..      nanoseconds an operation
//! FB <name> SKIP <why> errno=<n>                                                      what this kernel cannot do
//! ```
//!
//! * [`report`]: samples and their lines
//! * [`groups`]: the rows, a file for each group
//!
//! Where `forkbench` calls the C library, this calls it too if that is what a program would do (clock, fork, threads,
//! `posix_spawn`); plain system calls are made directly.

mod groups;
mod report;

use std::ffi::{CStr, CString};
use std::process::ExitCode;

use sys::{machine, process, time};

use crate::report::{Report, skip};

/// What the arguments and the environment say.
struct Bench {
    /// Fewer samples.
    quick: bool,
    /// The largest resident size of a forking process, in MiB.
    largest: usize,
    /// This program, for rows that execute it.
    path: CString,
    /// Its environment, passed on.
    environment: Vec<CString>,
}

impl Bench {
    /// So many samples, or fewer when it has to be quick.
    const fn samples(&self, many: usize, few: usize) -> usize {
        if self.quick { few } else { many }
    }

    fn environment(&self) -> Vec<&CStr> {
        self.environment.iter().map(CString::as_c_str).collect()
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut bench =
        Bench { quick: false, largest: 512, path: process::own_path(), environment: process::environment() };
    let (mut pinned, mut names) = (false, Vec::new());
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            // What the rows about exec execute.
            "-X" => process::exit(0),
            "--list" => {
                groups::GROUPS.iter().for_each(|(name, _)| println!("{name}"));
                return ExitCode::SUCCESS;
            }
            "--stamp" => {
                stamp();
                return ExitCode::SUCCESS;
            }
            "--quick" => bench.quick = true,
            "--pin" => pinned = true,
            "--maxr" => match words.next().and_then(|size| size.parse().ok()) {
                Some(size) => bench.largest = size,
                None => return usage(),
            },
            name if groups::GROUPS.iter().any(|(group, _)| *group == name) => names.push(name),
            _ => return usage(),
        }
    }
    if pinned && let Err(errno) = machine::set_affinity(0, 1) {
        skip("pin", "sched_setaffinity", errno);
        pinned = false;
    }
    let (counter, frequency) = time::counter();
    println!(
        "FBSTART pid={} pinned={} quick={} cntfrq={frequency} cntvct={counter} mono_ns={}",
        process::pid(),
        i32::from(pinned),
        i32::from(bench.quick),
        time::now_ns()
    );
    let mut report = Report::new();
    for (_, group) in groups::GROUPS.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        group(&bench, &mut report);
    }
    println!("FBEND cntvct={}", time::counter().0);
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: bench [--pin] [--quick] [--maxr MiB] [--stamp] [--list] [GROUP...]");
    ExitCode::from(2)
}

/// The time since power-on.
fn stamp() {
    let (counter, frequency) = time::counter();
    let microseconds = u128::from(counter) * 1_000_000 / u128::from(frequency.max(1));
    println!("FBSTAMP cntvct={counter} cntfrq={frequency} virt_us={microseconds} mono_us={}", time::now_ns() / 1000);
}
