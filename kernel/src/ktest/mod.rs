//! The kernel's tests of itself, on the machine: what no host test can see.
//!
//! A kernel with the feature `ktest` boots as any other and then runs [`TESTS`] in order, in its first thread. The
//! console gets a line for each, `test NAME ... ok` or `test NAME ... FAILED: reason`, at last
//! `ktest: N passed, M failed`; then the board switches off, and QEMU ends with a status that says how it went.
//!
//! * [`harness`]: failures as values, threads on chosen CPUs, bounded waits
//! * [`watchdog`]: ends a run in which a test hangs
//! * one file a subject for the rest; a test is a function without arguments
//!
//! Every wait has a bound in guest time. A bound says "never" and is far from "late": a loaded host makes no test fail.
//! At each test a comment names a change to the kernel that made it fail.

mod clock;
mod cpus;
mod devices;
mod frames;
mod harness;
mod heap;
mod idle;
mod interrupts;
mod mapping;
mod memory;
mod preemption;
mod programs;
mod registers;
mod stacks;
mod timers;
mod waiting;
mod watchdog;

use crate::dev::power;
use crate::log::{print, println};
use harness::Outcome;

/// A test.
struct Test {
    name: &'static str,
    run: fn() -> Outcome,
}

macro_rules! tests {
    ($($subject:ident: $($name:ident,)*;)*) => {
        &[$($(Test { name: concat!(stringify!($subject), "::", stringify!($name)), run: $subject::$name },)*)*]
    };
}

/// Every test, in the order in which they run: what the later ones rely on comes first.
static TESTS: &[Test] = tests! {
    cpus: every_cpu_starts_a_thread, a_ping_reaches_each_cpu_from_each_and_no_other,;
    clock: time_never_goes_back_between_cpus, a_sleep_never_ends_early, sleepers_wake_in_the_order_of_their_deadlines,;
    registers: every_register_survives_an_interrupt_and_a_switch, preserved_registers_survive_a_switch,
        floating_point_is_trapped_in_the_kernel,;
    interrupts: an_interrupt_is_taken_with_no_lock_held, an_interrupt_is_taken_under_a_spin_lock_without_preemption,
        an_interrupt_waits_for_an_irq_lock, nested_locks_let_interrupts_through_one_by_one,;
    preemption: a_thread_that_never_yields_is_preempted, nothing_preempts_while_preemption_is_off,
        a_better_thread_runs_at_once, new_threads_share_a_cpu,;
    timers: a_cancelled_timer_never_fires, an_armed_timer_fires_once, timers_survive_a_storm_from_every_cpu,;
    waiting: a_sleeping_mutex_excludes_on_every_cpu, what_is_produced_is_consumed_once, wake_one_wakes_one,
        wake_all_wakes_all, a_wait_ends_at_its_deadline,;
    memory: memory_is_moved_whole_whatever_overlaps, memory_is_filled_to_its_end_and_no_further,
        memory_is_compared_by_its_first_difference, a_page_is_copied_and_programs_registers_stay,;
    frames: frames_keep_their_contents_and_come_back, memory_for_a_device_lies_where_it_reaches_it,;
    heap: the_heap_keeps_its_contents_and_comes_back,;
    stacks: a_guard_lies_below_a_stack, an_ended_thread_gives_its_memory_back, a_stack_is_used_again,;
    mapping: text_and_constants_are_not_writable, data_is_writable, the_linear_map_shows_the_image_read_only,
        address_zero_is_not_mapped,;
    devices: a_missing_generator_is_no_harm, random_numbers_differ, a_uniform_number_is_below_its_bound,;
    programs: every_register_survives_a_system_call, a_fault_is_reported_with_its_address,
        a_program_may_keep_time_and_caches, what_a_program_may_not_is_its_exception,
        a_program_that_never_calls_is_preempted_and_gives_attention, floating_point_survives_switches_between_cpus,
        copies_stop_at_the_first_address_that_fails,;
    idle: nothing_runs_when_there_is_nothing_to_do,;
};

/// Runs every test and switches off.
pub(crate) fn run() -> ! {
    let mut failed = 0;
    if let Err(failure) = watchdog::start() {
        println!("ktest: no watchdog: {failure}");
        failed += 1;
    }
    for (index, test) in TESTS.iter().enumerate() {
        watchdog::watch(index, failed);
        // The name first: a panic or a hang comes after it.
        print!("test {} ... ", test.name);
        match (test.run)() {
            Ok(()) => println!("ok"),
            Err(failure) => {
                println!("FAILED: {failure}");
                failed += 1;
            }
        }
    }
    println!("ktest: {} passed, {failed} failed", TESTS.len().saturating_sub(failed));
    power::exit(if failed == 0 { abi::exit::POWEROFF } else { abi::exit::KTEST_FAILED })
}
