//! Running a program's signal handler, and coming back from it.
//!
//! The frame on the program's stack is Linux's `struct rt_sigframe` of AArch64: `siginfo_t`, `ucontext_t` with the general
//! registers and, in its reserved area, a record of the floating-point registers. Everything in it can be changed by the
//! handler, and is hostile when it comes back: what is restored is what a program could set by itself.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::hal::UserMemory;
use kcore::proc;
use kcore::signal::records::{self, FP_BYTES, FP_MAGIC};
use kcore::signal::{Action, Delivery, Info, MaskChange, Signal, SignalSet, StackRequest, code};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use super::{UserThread, thread, with_current_user};
use crate::arch::user_copy::{self, CurrentUser};
use crate::arch::vectors::Frame;
use crate::mem::vdso;

/// `struct rt_sigframe` up to the registers, as far as it is written: behind the mask there is room for larger sets.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Head {
    info: [u8; Info::BYTES],
    flags: u64,
    link: u64,
    stack: [u8; StackRequest::BYTES],
    mask: u64,
}

/// `struct fpsimd_context` up to the registers.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct FpHead {
    magic: u32,
    bytes: u32,
    status: u32,
    control: u32,
}

const _: () = assert!(size_of::<FpHead>() + size_of::<[u128; 32]>() == FP_BYTES as usize);

/// Where `uc_mcontext` is, which begins with the address of a fault: `ucontext_t` aligns it.
const CONTEXT: u64 = Info::BYTES as u64 + 176;
/// Where its registers are.
const REGISTERS: u64 = CONTEXT + 8;
/// Where its records begin, aligned again.
const RECORD: u64 = CONTEXT + 288;
/// Where the record behind the one is that ends the list.
const END: u64 = RECORD + FP_BYTES as u64;
const _: () = assert!(size_of::<Head>() == Info::BYTES + 48);
/// The size of the whole frame.
const FRAME_BYTES: u64 = RECORD + records::AREA_BYTES;
/// A frame record in front of it, so that a debugger can walk out of the handler.
const LINK_BYTES: usize = 16;

/// Lets the current thread's program run the handler of `action` when it goes on.
pub(crate) fn deliver(me: &Arc<UserThread>, frame: &mut Frame, info: Info, action: &Action) {
    let blocked = me.mask();
    let (saved, alternate) = me.begin_handler();
    let stack_pointer = UserAddr::new(frame.sp);
    let Some(plan) = Delivery::plan(info, action, blocked, saved, &alternate, stack_pointer) else { return };
    if store(frame, &plan).is_err() {
        // There is no place for the frame. The handler of that may have a stack of its own; if it is this one, it has not.
        if info.signal == Signal::SEGV {
            me.process().reset_action(Signal::SEGV);
        }
        proc::post_fault(me, Info::fault(Signal::SEGV, code::NOT_MAPPED, plan.stack));
        return;
    }
    if plan.resets {
        me.process().reset_action(info.signal);
    }
    // It is the same, or put away with its flags.
    if plan.alternate.flags() != alternate.flags() {
        me.set_alternate_stack(plan.alternate);
    }
    me.change_mask(MaskChange::Set, plan.mask);
}

/// Writes the frame to the program's stack, and the handler's beginning to its registers.
fn store(frame: &mut Frame, plan: &Delivery) -> Result<(), kcore::hal::UserFault> {
    let nowhere = kcore::hal::UserFault { at: plan.stack };
    let top = plan.stack.get() & !15;
    let link = top.checked_sub(LINK_BYTES as u64).ok_or(nowhere)?;
    let at = link.checked_sub(FRAME_BYTES).ok_or(nowhere)?;
    // None of it can pass the end of all addresses: `top` does not.
    let place = |offset: u64| UserAddr::new(at + offset);
    let head = Head {
        info: plan.info.to_linux(),
        flags: 0,
        link: 0,
        stack: plan.saved_stack.to_linux(),
        mask: plan.saved_mask.bits(),
    };
    CurrentUser.copy_out(head.as_bytes(), place(0))?;
    user_copy::store_u64(place(CONTEXT), frame.far)?;
    CurrentUser.copy_out(frame.program_registers(), place(REGISTERS))?;
    thread::with_fp_registers(|fp| {
        let head = FpHead { magic: FP_MAGIC, bytes: FP_BYTES, status: fp.fpsr, control: fp.fpcr };
        CurrentUser.copy_out(head.as_bytes(), place(RECORD))?;
        CurrentUser.copy_out(fp.q.as_bytes(), place(RECORD + size_of::<FpHead>() as u64))
    })?;
    CurrentUser.copy_out([0_u64; 2].as_bytes(), place(END))?;
    CurrentUser.copy_out([frame.x[29], frame.x[30]].as_bytes(), UserAddr::new(link))?;
    frame.x[0] = plan.info.signal.number().into();
    if plan.wants_info {
        frame.x[1] = at;
        frame.x[2] = at + Info::BYTES as u64;
    }
    frame.x[29] = link;
    frame.x[30] = plan.restorer.or_else(trampoline).map_or(0, UserAddr::get);
    frame.sp = at;
    frame.elr = plan.handler.get();
    Ok(())
}

/// Where a handler returns to that says nothing of it: to the kernel's own object, wherever the program has moved it.
#[cold]
#[inline(never)]
fn trampoline() -> Option<UserAddr> {
    let (pager, offset) = (vdso::pager()?, vdso::sigreturn_offset());
    with_current_user(|me| me.space())?.lock().place_of(&**pager, offset)
}

/// `rt_sigreturn(2)`: goes back to what the frame on the program's stack says. What is no frame is a fault of the program.
pub(crate) fn go_back(me: &Arc<UserThread>, frame: &mut Frame) {
    let at = UserAddr::new(frame.sp);
    let Some(saved) = restore(frame, at) else {
        proc::post_fault(me, Info::fault(Signal::SEGV, code::NOT_MAPPED, at));
        return;
    };
    let mask = SignalSet::from_bits(saved.mask);
    me.change_mask(MaskChange::Set, mask);
    // A stack that cannot be set again is left as it is, as on Linux.
    let stack_pointer = UserAddr::new(frame.sp);
    let before = me.alternate_stack();
    if let Ok(stack) = before.changed(StackRequest::from_linux(&saved.stack), stack_pointer)
        && stack != before
    {
        me.set_alternate_stack(stack);
    }
}

/// What a frame says of signals.
#[derive(FromBytes, IntoBytes)]
#[repr(C)]
struct Saved {
    stack: [u8; StackRequest::BYTES],
    mask: u64,
}

/// Where that is.
const SAVED: u64 = size_of::<Head>() as u64 - size_of::<Saved>() as u64;

/// Reads the registers back from the frame at `at`; `None` if it is none, and then they are worth nothing any more.
fn restore(frame: &mut Frame, at: UserAddr) -> Option<Saved> {
    if !at.is_aligned(16) {
        return None;
    }
    let place = |offset: u64| at.checked_add(offset);
    let mut saved = Saved::new_zeroed();
    CurrentUser.copy_in(place(SAVED)?, saved.as_mut_bytes()).ok()?;
    CurrentUser.copy_in(place(REGISTERS)?, frame.x.as_mut_bytes()).ok()?;
    let mut rest = [0_u64; 3];
    CurrentUser.copy_in(place(REGISTERS + size_of_val(&frame.x) as u64)?, rest.as_mut_bytes()).ok()?;
    let [stack_pointer, pc, state] = rest;
    frame.sp = stack_pointer;
    frame.elr = pc;
    frame.set_flags(state);
    if !Frame::may_have_state(state) {
        return None;
    }
    let record = records::find_fp_record(|offset| {
        let [a, b, c, d, bytes @ ..] = user_copy::load_u64(place(RECORD + offset)?).ok()?.to_le_bytes();
        Some((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(bytes)))
    })?;
    let record = place(RECORD + record)?;
    let mut head = FpHead::new_zeroed();
    CurrentUser.copy_in(record, head.as_mut_bytes()).ok()?;
    let registers = record.checked_add(size_of::<FpHead>() as u64)?;
    thread::set_fp_registers(|fp| {
        (fp.fpsr, fp.fpcr) = (head.status, head.control);
        CurrentUser.copy_in(registers, fp.q.as_mut_bytes()).ok()
    })?;
    Some(saved)
}
