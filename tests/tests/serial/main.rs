//! The serial console tests: one table of tests a subject, each run on each board.
//!
//! `cargo test -p tests` runs them; README.md tells how to choose a board or one test.

mod boot;
mod card;
mod card_ext;
mod case;
mod debian;
mod disks;
mod editing;
mod ext_tree;
mod fallback;
mod gdb;
mod idle;
mod image;
mod led;
mod login;
mod monitor;
mod on_board;
mod panic;
mod power;
mod push;
mod screen;
mod sending;
mod session;
mod shell;
mod trace;
mod tree;
mod userland;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use tests::bench::{Bench, Place};

use crate::case::Case;

/// A board in QEMU has four CPUs of its own; with more of them at once every time-out would have to grow.
const MOST_AT_ONCE: usize = 2;

/// All the tables.
const SUBJECTS: &[&[Case]] = &[
    boot::CASES,
    tree::CASES,
    monitor::CASES,
    editing::CASES,
    trace::CASES,
    panic::CASES,
    led::CASES,
    power::CASES,
    push::CASES,
    on_board::CASES,
    idle::CASES,
    userland::CASES,
    shell::CASES,
    screen::CASES,
    sending::CASES,
    card::CASES,
    card_ext::CASES,
    disks::CASES,
    image::CASES,
    login::CASES,
    debian::CASES,
    fallback::CASES,
    gdb::CASES,
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let benches = match Bench::all() {
        Ok(benches) => benches,
        Err(error) => {
            eprintln!("serial tests: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let most = if benches.iter().any(|bench| matches!(bench.place, Place::Cable(_))) { 1 } else { MOST_AT_ONCE };
    arguments.test_threads = Some(arguments.test_threads.unwrap_or(most).min(most));
    libtest_mimic::run(&arguments, trials(benches)).exit_code()
}

/// Every case on every board, the boards in turn so that a filter by board keeps the order.
fn trials(benches: Vec<Bench>) -> Vec<Trial> {
    let benches = benches.into_iter().map(Arc::new);
    benches.flat_map(|bench| SUBJECTS.iter().copied().flatten().map(move |case| case.trial(&bench))).collect()
}
