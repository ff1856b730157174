//! What is aimed at, in guest instructions on raspi3b with one processor.

use super::figures::{BOOT, PROMPT, Tenths};

/// The most that a row should take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Goal {
    /// The row.
    pub row: &'static str,
    /// The most, in the row's unit.
    pub at_most: Tenths,
}

const fn goal(row: &'static str, at_most: u64) -> Goal {
    Goal { row, at_most: Tenths(10 * at_most) }
}

/// All of them.
pub const GOALS: &[Goal] = &[
    goal(BOOT, 20_000),
    goal("getppid", 150),
    goal("fork_call", 4_000),
    goal("fork_exit_wait", 15_000),
    goal("fork_call_4k_dirty_R512", 4_000),
    goal("fork_exit_wait_4k_dirty_R512", 20_000),
    goal("fork_execve_wait", 40_000),
    goal("vfork_execve_wait", 35_000),
    goal("pthread_create_join", 12_000),
    goal("pipe_rt_pin", 4_000),
    goal("pf_anon_write_4k_perpage", 1_000),
    goal("pf_cow_child_write_4k_perpage", 1_500),
    goal("mmap_munmap_4k", 3_000),
    goal("sig_catch_kill_self", 1_500),
    // The last column of the record, for there are lines without it.
    goal(PROMPT, 1_000_000),
];

/// The goal of a row, if it has one.
#[must_use]
pub fn of(row: &str) -> Option<Goal> {
    GOALS.iter().find(|goal| goal.row == row).copied()
}
