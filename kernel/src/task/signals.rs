//! Running a program's signal handler, and coming back from it.
//!
//! The frame on the program's stack is Linux's `struct rt_sigframe` of AArch64: `siginfo_t`, `ucontext_t` with the general
//! registers and, in its reserved area, a record of the floating-point registers. Everything in it can be changed by the
//! handler, and is hostile when it comes back: what is restored is what a program could set by itself.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::hal::UserMemory;
use kcore::proc;
use kcore::signal::{Action, Delivery, Info, MaskChange, Signal, SignalSet, StackRequest, code};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use super::{UserThread, thread};
use crate::arch::fp::FpRegisters;
use crate::arch::user_copy::CurrentUser;
use crate::arch::vectors::Frame;

/// `struct rt_sigframe` up to where records are kept, and the one record.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct SignalFrame {
    info: [u8; Info::BYTES],
    flags: u64,
    link: u64,
    stack: [u8; StackRequest::BYTES],
    mask: u64,
    /// Room for larger sets, and alignment.
    unused: [u8; 128],
    fault_address: u64,
    registers: [u64; 31],
    stack_pointer: u64,
    pc: u64,
    state: u64,
    padding: u64,
    record: FpRecord,
    /// The record that ends the list.
    end: [u64; 2],
}

/// `struct fpsimd_context`.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct FpRecord {
    magic: u32,
    bytes: u32,
    status: u32,
    control: u32,
    q: [[u8; 16]; 32],
}

const FP_MAGIC: u32 = 0x4650_8001;
const FP_BYTES: u32 = 528;
const _: () = assert!(size_of::<FpRecord>() == FP_BYTES as usize);
/// Where `uc_mcontext` is in `ucontext_t`, and its records in it.
const _: () = {
    assert!(core::mem::offset_of!(SignalFrame, fault_address) == Info::BYTES + 176);
    assert!(core::mem::offset_of!(SignalFrame, record) == Info::BYTES + 176 + 288);
};
/// The size of the whole frame: records have 4096 bytes.
const FRAME_BYTES: u64 = Info::BYTES as u64 + 176 + 288 + 4096;
/// A frame record in front of it, so that a debugger can walk out of the handler.
const LINK_BYTES: usize = 16;

/// Lets the current thread's program run the handler of `action` when it goes on.
pub(crate) fn deliver(me: &Arc<UserThread>, frame: &mut Frame, info: Info, action: &Action) {
    let blocked = me.mask();
    let saved = me.take_saved_mask().unwrap_or(blocked);
    let stack_pointer = UserAddr::new(frame.sp);
    let Some(plan) = Delivery::plan(info, action, blocked, saved, &me.alternate_stack(), stack_pointer) else { return };
    if store(frame, &plan).is_err() {
        // There is no place for the frame.
        me.process().reset_action(Signal::SEGV);
        return proc::post_fault(me, Info::fault(Signal::SEGV, code::NOT_MAPPED, plan.stack));
    }
    if plan.resets {
        me.process().reset_action(info.signal);
    }
    me.set_alternate_stack(plan.alternate);
    me.change_mask(MaskChange::Set, plan.mask);
}

/// Writes the frame to the program's stack, and the handler's beginning to its registers.
fn store(frame: &mut Frame, plan: &Delivery) -> Result<(), kcore::hal::UserFault> {
    let nowhere = kcore::hal::UserFault { at: plan.stack };
    let top = plan.stack.get() & !15;
    let link = top.checked_sub(LINK_BYTES as u64).ok_or(nowhere)?;
    let at = link.checked_sub(FRAME_BYTES).ok_or(nowhere)?;
    let fp = thread::fp_registers();
    let image = SignalFrame {
        info: plan.info.to_linux(),
        flags: 0,
        link: 0,
        stack: plan.saved_stack.to_linux(),
        mask: plan.saved_mask.bits(),
        unused: [0; 128],
        fault_address: frame.far,
        registers: frame.x,
        stack_pointer: frame.sp,
        pc: frame.elr,
        state: frame.flags(),
        padding: 0,
        record: FpRecord {
            magic: FP_MAGIC,
            bytes: FP_BYTES,
            status: fp.fpsr,
            control: fp.fpcr,
            q: fp.q.map(u128::to_le_bytes),
        },
        end: [0; 2],
    };
    CurrentUser.copy_out(image.as_bytes(), UserAddr::new(at))?;
    let mut words = [0; LINK_BYTES];
    words[..8].copy_from_slice(&frame.x[29].to_le_bytes());
    words[8..].copy_from_slice(&frame.x[30].to_le_bytes());
    CurrentUser.copy_out(&words, UserAddr::new(link))?;
    frame.x[0] = plan.info.signal.number().into();
    if plan.wants_info {
        frame.x[1] = at;
        frame.x[2] = at + Info::BYTES as u64;
    }
    frame.x[29] = link;
    frame.x[30] = plan.restorer.map_or(0, UserAddr::get);
    frame.sp = at;
    frame.elr = plan.handler.get();
    Ok(())
}

/// `rt_sigreturn(2)`: goes back to what the frame on the program's stack says. What is no frame kills the program.
pub(crate) fn go_back(me: &Arc<UserThread>, frame: &mut Frame) {
    let at = UserAddr::new(frame.sp);
    let mut image = SignalFrame::new_zeroed();
    let sound = at.is_aligned(16)
        && CurrentUser.copy_in(at, image.as_mut_bytes()).is_ok()
        && image.record.magic == FP_MAGIC
        && image.record.bytes == FP_BYTES;
    if !sound {
        me.process().reset_action(Signal::SEGV);
        return proc::post_fault(me, Info::fault(Signal::SEGV, code::NOT_MAPPED, at));
    }
    frame.x = image.registers;
    frame.sp = image.stack_pointer;
    frame.elr = image.pc;
    frame.set_flags(image.state);
    thread::set_fp_registers(&FpRegisters {
        q: image.record.q.map(u128::from_le_bytes),
        fpsr: image.record.status,
        fpcr: image.record.control,
    });
    me.change_mask(MaskChange::Set, SignalSet::from_bits(image.mask));
    // A stack that cannot be set again is left as it is, as on Linux.
    let stack_pointer = UserAddr::new(frame.sp);
    if let Ok(stack) = me.alternate_stack().changed(StackRequest::from_linux(&image.stack), stack_pointer) {
        me.set_alternate_stack(stack);
    }
}
