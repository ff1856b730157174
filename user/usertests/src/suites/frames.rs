//! Frames of signal handlers that were changed or made up: their program may die of them, and gets nothing that it has
//! not.

use sys::Mapping;
use sys::memory::PAGE;
use sys::process::{self, Disposition, Signal, kill, set_disposition};
use sys::signal::{self, Handler, caught, handle, tamper};

use crate::expect::{Checked, Failure, dies, end_of, ensure, equal, exited, in_child};

super::tests!("frame":
    flags_are_the_programs, states_of_the_kernel_are_refused, nowhere_to_go_is_a_fault, a_stack_may_be_anywhere_until_it_is_used,
    records_are_checked, frames_that_are_none_are_refused, any_word_of_a_frame_may_be_wrong, a_handler_hears_of_a_bad_frame);

/// Where the parts of a `ucontext_t` are.
const MASK: usize = 40;
const CONTEXT: usize = 176;
const REGISTERS: usize = CONTEXT + 8;
const STACK_POINTER: usize = REGISTERS + 31 * 8;
const COUNTER: usize = STACK_POINTER + 8;
const STATE: usize = COUNTER + 8;
const RECORD: usize = CONTEXT + 288;
const FP_BYTES: usize = 528;
const NEXT: usize = RECORD + FP_BYTES;
const FP_HEAD: u64 = 0x4650_8001 | (FP_BYTES as u64) << 32;

/// Lets faults end the process: `std` has handlers that look for a stack that ran over, and try again.
fn mind_faults() {
    for signal in [Signal::SEGV, Signal::BUS] {
        let _ = set_disposition(signal, Disposition::Default);
    }
}

/// Has a handler return to a context that has `value` at `offset`, and says 7 afterwards.
fn returns_with(offset: usize, value: u64) -> i32 {
    tamper(offset, value);
    if handle(Signal::USR1, Handler::Tamper).is_err() || kill(process::pid().0, Signal::USR1).is_err() {
        return 1;
    }
    if caught() == 1 { 7 } else { 2 }
}

fn survives(offset: usize, value: u64) -> Checked {
    exited(end_of(|| returns_with(offset, value))?, 7)
}

fn is_ended(by: Signal, offset: usize, value: u64) -> Checked {
    dies(by, || {
        mind_faults();
        returns_with(offset, value)
    })
}

fn is_refused(offset: usize, value: u64) -> Checked {
    is_ended(Signal::SEGV, offset, value).map_err(|failure| Failure::new(format!("{value:#x} at {offset}: {failure}")))
}

fn flags_are_the_programs() -> Checked {
    survives(STATE, 0xf << 28)?;
    survives(STATE, 0)?;
    // Bits that say nothing here are as good as not set.
    survives(STATE, 1 << 21 | 1 << 20 | 3 << 10)
}

fn states_of_the_kernel_are_refused() -> Checked {
    // EL1 and above with either stack pointer, AArch32, masks, all of it.
    let modes = [1, 4, 5, 8, 9, 0xc, 0xd, 0x10, 0x1f];
    let masks = [1 << 6, 1 << 7, 1 << 8, 1 << 9, 0x3c0, 0x3c5, u64::MAX];
    modes.into_iter().chain(masks).try_for_each(|state| is_refused(STATE, state))
}

fn nowhere_to_go_is_a_fault() -> Checked {
    for counter in [0, 1 << 39, 0xffff_ffff_8008_0000, 0xffff_ff80_0008_0000, 0xffff_0000_0000_0000, u64::MAX - 3] {
        is_refused(COUNTER, counter)?;
    }
    // There is code at this one, but no instruction begins there.
    let between = (mind_faults as fn() as usize + 2) as u64;
    is_ended(Signal::BUS, COUNTER, between)
}

fn a_stack_may_be_anywhere_until_it_is_used() -> Checked {
    for stack in [0, 16, 1 << 39, 0xffff_ffff_8008_0000, 0xffff_ffff_ffff_fff0] {
        is_refused(STACK_POINTER, stack)?;
    }
    Ok(())
}

fn records_are_checked() -> Checked {
    survives(RECORD, FP_HEAD)?;
    for head in [
        0,
        FP_HEAD + 1,
        0x4650_8001,
        0x4650_8001 | 16 << 32,
        0x4650_8001 | 512 << 32,
        0x4650_8001 | 520 << 32,
        0x4650_8001 | 4096 << 32,
        0x4650_8001 | 8192 << 32,
        0x4650_8001 | 0xffff_fff0 << 32,
        u64::MAX,
    ] {
        is_refused(RECORD, head)?;
    }
    // What comes next: the end; one that says nothing; those that are too short, endless, unknown, or there twice.
    survives(NEXT, 0x4553_5201 | 16 << 32)?;
    for head in
        [0x4553_5201, 0x4553_5201 | 4096 << 32, 0x4553_5201 | 8 << 32, FP_HEAD, 16 << 32, 0x5356_4501 | 16 << 32]
    {
        is_refused(NEXT, head)?;
    }
    Ok(())
}

fn frames_that_are_none_are_refused() -> Checked {
    let memory = Mapping::private(4 * PAGE)?;
    let last = 4 * PAGE;
    for offset in [0, 8, 1, PAGE, last - 16, last, last - 4096] {
        ends_in_nothing(&memory, offset).map_err(|failure| Failure::new(format!("at {offset}: {failure}")))?;
    }
    let memory = Mapping::private(4 * PAGE)?;
    (0..4 * PAGE).for_each(|offset| memory.write(offset, 0xff));
    ends_in_nothing(&memory, 0)
}

fn ends_in_nothing(memory: &Mapping, offset: usize) -> Checked {
    dies(Signal::SEGV, || {
        mind_faults();
        signal::return_from_nothing(memory, offset)
    })
}

fn any_word_of_a_frame_may_be_wrong() -> Checked {
    // The program goes on or dies; nobody else notices.
    for offset in (0..NEXT + 16).step_by(8) {
        for value in [0, u64::MAX, 0xffff_ffff_8008_0000] {
            let status = end_of(|| {
                mind_faults();
                returns_with(offset, value)
            })?;
            ensure(status.code() == Some(7) || !status.success(), &format!("{offset}: {status}"))?;
        }
    }
    // Nor can it block what cannot be blocked.
    dies(Signal::KILL, || {
        let _ = returns_with(MASK, u64::MAX);
        let _ = kill(process::pid().0, Signal::KILL);
        0
    })
}

fn a_handler_hears_of_a_bad_frame() -> Checked {
    in_child(|| {
        handle(Signal::SEGV, Handler::Count)?;
        // Nobody gets such a state: the handler for that returns to all else that the frame said, and both were counted.
        equal(returns_with(STATE, 5), 2)
    })
}
