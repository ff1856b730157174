//! Tests of the kernel, from a program's side: `usertests [--list] [--once] [NAME…]`.
//!
//! Each test is a child process, so one that dies ends nothing but itself. A name selects the tests that begin with it;
//! without a name all run but the heavy ones (`many`, `bomb`, `oom`).
//!
//! * [`suites`]: the tests, one file a subject
//! * [`expect`]: how a test says what it expects
//! * [`runner`]: runs a test, once to warm up and once to see whether anything is lost
//! * [`helper`]: what this program does when a test has it executed
//! * [`meeting`]: how the processes of a test wait for each other
//!
//! Started as the first process (`init=/bin/usertests`) it reaps orphans and switches the machine off at the end.

mod expect;
mod helper;
mod meeting;
mod runner;
mod suites;

use std::process::ExitCode;

use sys::{Pid, process};

use crate::runner::{Rounds, Runner, Verdict};

/// A test.
#[derive(Clone, Copy)]
struct Test {
    /// Suite and name.
    name: &'static str,
    /// What it does, in a process of its own.
    body: fn() -> expect::Checked,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(status) = helper::run(&arguments) {
        return ExitCode::from(status);
    }
    let (options, names): (Vec<_>, Vec<_>) = arguments.into_iter().partition(|word| word.starts_with("--"));
    let tests = selected(&names);
    if options.iter().any(|option| option == "--list") {
        tests.iter().for_each(|test| println!("{}", test.name));
        return ExitCode::SUCCESS;
    }
    let rounds = if options.iter().any(|option| option == "--once") { Rounds::One } else { Rounds::WarmUpAndCompare };
    let status = run(&tests, rounds);
    if process::pid() == Pid(1) {
        process::sync();
        // Without power-off the end of the first process has to do.
        let _ = process::power_off();
    }
    status
}

/// The tests whose names begin with one of `names`; without names all that are not heavy.
fn selected(names: &[String]) -> Vec<Test> {
    let all = suites::SUITES.iter().flat_map(|suite| suite.iter());
    if names.is_empty() {
        return all.filter(|test| !suites::HEAVY.iter().any(|heavy| test.name.starts_with(heavy))).copied().collect();
    }
    all.filter(|test| names.iter().any(|name| test.name.starts_with(name.as_str()))).copied().collect()
}

fn run(tests: &[Test], rounds: Rounds) -> ExitCode {
    let mut runner = Runner::new(rounds);
    let [mut passed, mut failed, mut skipped] = [0_u32; 3];
    for test in tests {
        match runner.run(test) {
            Verdict::Passed => passed += 1,
            Verdict::Failed => failed += 1,
            Verdict::Skipped => skipped += 1,
        }
    }
    if skipped > 0 {
        println!("usertests: {skipped} skipped");
    }
    println!("usertests: {passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
