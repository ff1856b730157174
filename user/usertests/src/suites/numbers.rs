//! The numbers of processes (F54, F55).

use std::collections::BTreeSet;

use sys::process::{self, Signal, Which, spawn, wait};
use sys::{Errno, Pid};

use crate::expect::{Checked, ensure, equal, on_tine};

super::tests!("pid":
    f55_numbers_are_in_range, f55_numbers_are_not_a_sequence, f54_the_last_128_are_not_used_again, the_first_process_is_one);

/// The numbers of so many children, one after the other.
fn draw(count: usize) -> Result<Vec<i32>, Errno> {
    let one = |_| {
        let pid = spawn(|| 0)?;
        wait(Which::Pid(pid))?;
        Ok(pid.0)
    };
    (0..count).map(one).collect()
}

fn f55_numbers_are_in_range() -> Checked {
    on_tine()?;
    let outside: Vec<i32> = draw(100)?.into_iter().filter(|pid| !(2..=99_999).contains(pid)).collect();
    equal(outside, Vec::<i32>::new())
}

fn f55_numbers_are_not_a_sequence() -> Checked {
    on_tine()?;
    let drawn = draw(64)?;
    let neighbours = drawn.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 100).count();
    ensure(neighbours < 8, &format!("{neighbours} of 63 are close to the one before"))?;
    // Of 64 uniform numbers all are in one half with a probability of 2^-63.
    ensure(drawn.iter().any(|&pid| pid < 50_000) && drawn.iter().any(|&pid| pid >= 50_000), "one half only")
}

fn f54_the_last_128_are_not_used_again() -> Checked {
    let drawn = draw(128)?;
    let distinct: BTreeSet<i32> = drawn.iter().copied().collect();
    equal(distinct.len(), drawn.len())
}

fn the_first_process_is_one() -> Checked {
    process::kill(1, Signal::NONE)?;
    equal(process::group(Pid(0))?, process::pid())
}
