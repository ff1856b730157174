//! `__tfork`, and the numbers of threads.

use sys::memory::{PAGE, Protection};
use sys::process::Signal;
use sys::signal::{self, Handler};
use sys::{Errno, Mapping, thread};

use crate::expect::{Checked, dies, ensure, equal, known, refused};

super::tests!("tfork":
    f4_the_size_of_the_block_is_checked, f4_a_short_block_is_legal, f4_a_bad_block_is_a_fault, f48_a_null_stack_is_refused,
    f51_the_number_is_returned_and_stored, f51_a_bad_place_for_the_number_is_a_segmentation_fault,
    getthrid_is_constant, f52_the_kernel_counts_threads, two_hundred_in_a_row);

/// Bytes of the block.
const BLOCK: usize = 24;

fn f4_the_size_of_the_block_is_checked() -> Checked {
    known(bsd::getthrid())?;
    for size in [0, BLOCK + 1, BLOCK + 8, 4096, usize::MAX, 1 << 63] {
        refused(thread::tfork_refused(size), Errno::INVAL)?;
    }
    Ok(())
}

fn f4_a_short_block_is_legal() -> Checked {
    known(bsd::getthrid())?;
    // Legal as a block, but then its stack is null.
    (1..BLOCK).try_for_each(|size| refused(thread::tfork_refused(size), Errno::INVAL))
}

fn f4_a_bad_block_is_a_fault() -> Checked {
    known(bsd::getthrid())?;
    let edge = Mapping::private(2 * PAGE)?;
    edge.protect(PAGE, PAGE, Protection::NONE)?;
    for address in [0, PAGE, edge.address() + PAGE, edge.address() + PAGE - BLOCK + 1, 1 << 39, usize::MAX - 100] {
        refused(thread::tfork_at(address), Errno::FAULT)?;
    }
    Ok(())
}

fn f48_a_null_stack_is_refused() -> Checked {
    let before = known(sys::counters())?;
    refused(thread::tfork_refused(BLOCK), Errno::INVAL)?;
    equal(sys::counters()?.cnttfork, before.cnttfork)
}

fn f51_the_number_is_returned_and_stored() -> Checked {
    let thread = known(thread::tfork())?;
    equal(thread.stored, thread.returned.0)?;
    equal(thread.own.cast_signed(), thread.returned.0)?;
    ensure((100_001..=624_288).contains(&thread.returned.0), &format!("tid {}", thread.returned))
}

fn f51_a_bad_place_for_the_number_is_a_segmentation_fault() -> Checked {
    known(bsd::getthrid())?;
    dies(Signal::SEGV, || {
        // `std` has a handler, which leaves what is no overflow of a stack to the next attempt of the same instruction.
        let _ = signal::handle(Signal::SEGV, Handler::Default);
        let _ = thread::tfork_with_bad_tid(PAGE);
        0
    })
}

fn getthrid_is_constant() -> Checked {
    let own = known(bsd::getthrid())?;
    equal(bsd::getthrid()?, own)?;
    let other = std::thread::spawn(bsd::getthrid).join();
    match other {
        Ok(other) => ensure(other? != own, "two threads have one number"),
        Err(_) => ensure(false, "the thread died"),
    }
}

fn f52_the_kernel_counts_threads() -> Checked {
    let before = known(sys::counters())?;
    thread::tfork()?;
    let after = sys::counters()?;
    ensure(after.cnttfork > before.cnttfork, "threads made")?;
    ensure(after.forks_sharevm > before.forks_sharevm, "forks with shared memory")
}

fn two_hundred_in_a_row() -> Checked {
    known(bsd::getthrid())?;
    for _ in 0..200 {
        let thread = thread::tfork()?;
        equal(thread.stored, thread.returned.0)?;
    }
    Ok(())
}
