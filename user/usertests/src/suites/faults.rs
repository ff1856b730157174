//! What a program dies of.

use std::os::unix::process::ExitStatusExt as _;

use sys::memory::{Mapping, PAGE};
use sys::process::Signal;
use sys::{die, limit};

use crate::expect::{Checked, dies, ensure, exited, in_child};

super::tests!("fault":
    null, addresses_of_the_kernel, addresses_that_are_none, text_cannot_be_written, data_cannot_be_executed,
    an_undefined_instruction, a_privileged_instruction, a_breakpoint, a_misaligned_stack_pointer,
    a_misaligned_program_counter, a_misaligned_exclusive, the_stack_grows, the_stack_ends, a_misaligned_load_is_fine);

fn null() -> Checked {
    dies(Signal::SEGV, || die::reading(0))?;
    dies(Signal::SEGV, || die::writing(0))?;
    dies(Signal::SEGV, || die::writing(8))?;
    dies(Signal::SEGV, || die::executing(0))
}

fn addresses_of_the_kernel() -> Checked {
    for address in [0xffff_ff80_0008_0000, 0xffff_ffff_8008_0000, 0xffff_ffc0_0000_0000, usize::MAX - 7] {
        dies(Signal::SEGV, || die::reading(address))?;
        dies(Signal::SEGV, || die::writing(address))?;
        dies(Signal::SEGV, || die::executing(address & !3))?;
    }
    Ok(())
}

fn addresses_that_are_none() -> Checked {
    for address in [1 << 39, 1 << 47, 1 << 48, 1 << 55, 0x00ff_ffff_ffff_fff8] {
        dies(Signal::SEGV, || die::reading(address))?;
        dies(Signal::SEGV, || die::writing(address))?;
    }
    Ok(())
}

fn text_cannot_be_written() -> Checked {
    let text = null as fn() -> Checked as usize;
    dies(Signal::SEGV, || die::writing(text))
}

fn data_cannot_be_executed() -> Checked {
    let memory = Mapping::private(PAGE)?;
    memory.write(0, 0);
    dies(Signal::SEGV, || die::executing(memory.address()))?;
    let local = 0_u64;
    dies(Signal::SEGV, || die::executing(std::ptr::from_ref(&local).addr()))
}

fn an_undefined_instruction() -> Checked {
    dies(Signal::ILL, || die::by_undefined_instruction())
}

fn a_privileged_instruction() -> Checked {
    dies(Signal::ILL, || die::by_privileged_instruction())
}

fn a_breakpoint() -> Checked {
    dies(Signal::TRAP, || die::by_breakpoint())
}

fn a_misaligned_stack_pointer() -> Checked {
    // QEMU's processors do not check it: then the program goes on.
    let status = crate::expect::end_of(|| die::by_misaligned_stack())?;
    ensure(status.signal() == Some(Signal::BUS.0) || status.code() == Some(die::SURVIVED), &status.to_string())
}

fn a_misaligned_program_counter() -> Checked {
    let text = null as fn() -> Checked as usize;
    dies(Signal::BUS, || die::executing(text + 2))
}

fn a_misaligned_exclusive() -> Checked {
    dies(Signal::BUS, || die::by_misaligned_exclusive())
}

fn a_misaligned_load_is_fine() -> Checked {
    let bytes = std::hint::black_box([1_u8, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    let word = |from: usize| bytes[from..].first_chunk().map(|&chunk| u64::from_ne_bytes(chunk));
    ensure(word(3) == Some(0x0b0a_0908_0706_0504), "wrong")
}

/// Uses so many pages of stack.
fn use_stack(pages: usize) -> usize {
    let frame = std::hint::black_box([1_u8; PAGE]);
    if pages == 0 { frame.len() } else { use_stack(pages - 1) + usize::from(std::hint::black_box(&frame)[PAGE - 1]) }
}

fn the_stack_grows() -> Checked {
    in_child(|| ensure(use_stack(1000) >= PAGE, "wrong"))
}

fn the_stack_ends() -> Checked {
    dies(Signal::SEGV, || die::by_using_up_the_stack())?;
    // A smaller limit is a smaller stack.
    let limited = || -> Checked {
        let limit::Limit { hard, .. } = limit::get(limit::Resource::STACK)?;
        limit::set(limit::Resource::STACK, limit::Limit { soft: 1 << 20, hard })?;
        Ok(())
    };
    dies(Signal::SEGV, || {
        if limited().is_err() {
            return 1;
        }
        i32::try_from(use_stack(1000) & 1).unwrap_or(0)
    })?;
    let status = crate::expect::end_of(|| if limited().is_ok() { i32::from(use_stack(100) == 0) } else { 1 })?;
    exited(status, 0)
}
