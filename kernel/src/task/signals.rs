//! Running a program's signal handler, and coming back from it.
//!
//! The frame on the program's stack is Linux's `struct rt_sigframe` of AArch64: `siginfo_t`, `ucontext_t` with the general
//! registers and, in its reserved area, a record of the floating-point registers. Everything in it can be changed by the
//! handler, and is hostile when it comes back: what is restored is what a program could set by itself.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::hal::{UserFault, UserMemory};
use kcore::proc;
use kcore::signal::{Action, Delivery, Info, MaskChange, Signal, SignalSet, StackFlags, StackRequest, code, records};
use zerocopy::IntoBytes;

use super::{UserThread, thread, with_current_user};
use crate::arch::fp::FpRegisters;
use crate::arch::user_copy::{self, CurrentUser};
use crate::arch::user_frame::{self, Signals};
use crate::arch::vectors::Frame;
use crate::mem::vdso;

/// Where `ucontext_t` is in the frame: behind `siginfo_t`.
const CONTEXT: u64 = Info::BYTES as u64;
/// The size of the whole frame.
const FRAME_BYTES: u64 = CONTEXT + user_frame::BYTES;
const _: () = assert!(user_frame::BYTES - user_frame::RECORDS == records::AREA_BYTES);

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
fn store(frame: &mut Frame, plan: &Delivery) -> Result<(), UserFault> {
    let nowhere = UserFault { at: plan.stack };
    let top = plan.stack.get() & !15;
    let link = top.checked_sub(user_frame::LINK_BYTES).ok_or(nowhere)?;
    let at = link.checked_sub(FRAME_BYTES).ok_or(nowhere)?;
    let context = at + CONTEXT;
    // As on Linux, who does not ask finds nothing there.
    if plan.wants_info {
        CurrentUser.copy_out(&plan.info.to_linux(), UserAddr::new(at))?;
    }
    let StackRequest { base, flags, bytes } = plan.saved_stack;
    let stack = [base.get(), flags.bits().into(), bytes];
    let signals = Signals { stack, mask: plan.saved_mask.bits() };
    thread::with_fp_registers(|fp| user_frame::store(UserAddr::new(context), frame, fp, &signals))?;
    frame.x[0] = plan.info.signal.number().into();
    if plan.wants_info {
        frame.x[1] = at;
        frame.x[2] = context;
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
    me.change_mask(MaskChange::Set, SignalSet::from_bits(saved.mask));
    // A stack that cannot be set again is left as it is, as on Linux.
    let stack_pointer = UserAddr::new(frame.sp);
    let before = me.alternate_stack();
    let [base, flags, bytes] = saved.stack;
    #[expect(clippy::cast_possible_truncation, reason = "behind the flags there is room for nothing")]
    let flags = StackFlags::from_bits_retain(flags as u32);
    if let Ok(stack) = before.changed(StackRequest { base: UserAddr::new(base), flags, bytes }, stack_pointer)
        && stack != before
    {
        me.set_alternate_stack(stack);
    }
}

/// Reads the registers back from the frame at `at`; `None` if it is none, and then they are worth nothing any more.
fn restore(frame: &mut Frame, at: UserAddr) -> Option<Signals> {
    if !at.is_aligned(16) {
        return None;
    }
    let context = at.checked_add(CONTEXT)?;
    let loaded = thread::set_fp_registers(|fp| {
        let loaded = user_frame::load(context, frame, fp).ok()?;
        if loaded.is_as_stored() { Some(loaded) } else { find_fp_registers(context, fp).map(|()| loaded) }
    })?;
    frame.set_flags(loaded.state);
    Frame::may_have_state(loaded.state).then_some(loaded.signals)
}

/// Reads the floating-point registers from where the handler has put them.
#[cold]
#[inline(never)]
fn find_fp_registers(context: UserAddr, fp: &mut FpRegisters) -> Option<()> {
    let place = |offset: u64| context.checked_add(user_frame::RECORDS)?.checked_add(offset);
    let record = records::find_fp_record(|offset| {
        let [a, b, c, d, bytes @ ..] = user_copy::load_u64(place(offset)?).ok()?.to_le_bytes();
        Some((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(bytes)))
    })?;
    let [a, b, c, d, control @ ..] = user_copy::load_u64(place(record + 8)?).ok()?.to_le_bytes();
    (fp.fpsr, fp.fpcr) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(control));
    CurrentUser.copy_in(place(record + 16)?, fp.q.as_mut_bytes()).ok()
}
