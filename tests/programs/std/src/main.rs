//! What a Rust program does with the standard library, as anybody writes it: threads, channels, files, other programs, time,
//! and panics that unwind. Nothing here knows of Tine; it passes on Linux, too.
//!
//! `stdtest` runs all tests and says how many passed. `stdtest --as ROLE` is what it runs as another program.

#![forbid(unsafe_code)]
#![expect(clippy::panic_in_result_fn, reason = "these are tests: what they find wrong they panic at")]

mod children;
mod files;
mod panics;
mod threads;
mod times;

use std::error::Error;
use std::panic;
use std::process::ExitCode;

/// A test; what it returns an error for, or panics at, has failed.
type Test = fn() -> Result<(), Box<dyn Error>>;

/// All tests with their names.
const TESTS: [&[(&str, Test)]; 5] = [threads::TESTS, children::TESTS, files::TESTS, times::TESTS, panics::TESTS];

/// A table of tests by the names of their functions.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => { &[$((stringify!($name), $name as $crate::Test)),+] };
}
pub(crate) use tests;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--as") {
        return children::play(&arguments.next().unwrap_or_default());
    }
    let (mut passed, mut failed) = (0, 0);
    for &(name, test) in TESTS.into_iter().flatten() {
        match panic::catch_unwind(test) {
            Ok(Ok(())) => {
                println!("ok {name}");
                passed += 1;
            }
            Ok(Err(error)) => {
                println!("FAILED {name}: {error}");
                failed += 1;
            }
            Err(_) => {
                println!("FAILED {name}: it panicked");
                failed += 1;
            }
        }
    }
    println!("stdtest: {passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
