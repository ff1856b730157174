//! The exception vectors: sixteen entries that save a [`Frame`] and call Rust.
//!
//! Entries from EL1 first make sure that the frame fits the stack. Every valid kernel stack pointer has bit
//! [`STACK_SHIFT`] set (see [`super::boot`]), so one bit test tells, before anything is stored, whether the stack has
//! run into its guard; if so the report is made on an emergency stack of the CPU's own.
//!
//! Entries from EL0 need no such test: a program's stack pointer is another register, and the kernel's stands where
//! [`UserArea`](super::user::UserArea) says. **A system call** is what is asked for most, so its entry is short: all of
//! it fits the vector's own 32 instructions, it looks at one bit field to tell a call from a fault, leaves `FAR_EL1`
//! alone, and calls the layer above with interrupts on, through a table of that layer's.
//!
//! A call keeps x19 to x28 by itself, for the procedure call standard has it so: they are neither saved nor restored. The
//! frame of such a call is not whole. Where it must be, because the call makes a thread, executes a program or may run a
//! handler, the table names [`system_call_whole`], which completes the frame before the call. Anything that happens on
//! the way back happens with a whole frame, too. With the way back there are 52 instructions around a call, and 64
//! around one with a whole frame.
//!
//! **The way back to a program** is the same for all: with interrupts masked it looks at one word of the thread's
//! [`Header`], which says whether there is anything to do before, and if so calls and looks again.
//! An interrupt that comes after that look is taken as soon as the program runs, and goes the same way.
//!
//! The Rust side of each call is [`super::exception`].

use core::arch::global_asm;
use core::mem::offset_of;
use core::ptr;

use zerocopy::{Immutable, IntoBytes};

use super::boot::STACK_SHIFT;
use super::cpu::Header;
use super::upcall::{self, SystemCall};

/// What an exception interrupted: the registers as they were, and why. During a system call that needs no more x19 to x28
/// are not here.
#[derive(Clone, Debug, IntoBytes, Immutable)]
#[repr(C, align(16))]
pub(crate) struct Frame {
    /// x0 to x30.
    pub(crate) x: [u64; 31],
    /// The interrupted stack pointer: `SP_EL0` for an exception from EL0, else the kernel's own.
    pub(crate) sp: u64,
    /// Where to return to.
    pub(crate) elr: u64,
    /// The interrupted processor state. Nobody sets more of it than the flags: see [`set_flags`](Self::set_flags).
    spsr: u64,
    /// The syndrome, raw; of no meaning after an interrupt or a system call.
    pub(crate) esr: u64,
    /// The fault address; meaningful for aborts only.
    pub(crate) far: u64,
}

/// The condition flags in `SPSR_EL1`.
const NZCV: u64 = 0xf << 28;
/// Its exception level, stack pointer and execution state.
const MODE: u64 = 0x1f;
/// Its masks: debug exceptions, system errors, interrupts.
const DAIF: u64 = 0xf << 6;

impl Frame {
    /// Where a program starts that has never run: all registers zero, EL0, nothing masked.
    pub(crate) const fn for_program(entry: u64, stack_pointer: u64) -> Self {
        Self { x: [0; 31], sp: stack_pointer, elr: entry, spsr: 0, esr: 0, far: 0 }
    }

    /// Makes `to` a copy of `from`, in pieces that are small enough for the compiler to copy in place: the call that it makes
    /// for the whole takes half as many instructions again.
    ///
    /// # Safety
    ///
    /// `to` is aligned, good for writes, and nobody else's.
    #[inline]
    pub(crate) unsafe fn copy_to(&self, to: *mut Self) {
        type Piece = [u64; 12];
        const { assert!(size_of::<Self>() == 3 * size_of::<Piece>()) };
        let (from, to): (*const Piece, *mut Piece) = (ptr::from_ref(self).cast(), to.cast());
        // SAFETY: the caller's contract; a frame is three pieces long.
        unsafe { to.copy_from_nonoverlapping(from, 1) };
        // SAFETY: as above.
        unsafe { to.wrapping_add(1).copy_from_nonoverlapping(from.wrapping_add(1), 1) };
        // SAFETY: as above.
        unsafe { to.wrapping_add(2).copy_from_nonoverlapping(from.wrapping_add(2), 1) };
    }

    /// The interrupted processor state.
    pub(crate) const fn spsr(&self) -> u64 {
        self.spsr
    }

    /// Whether interrupts were masked.
    pub(crate) const fn masks_interrupts(&self) -> bool {
        const I: u64 = 1 << 7;
        self.spsr & I != 0
    }

    /// The interrupted program's condition flags, as `NZCV` holds them.
    #[cfg(feature = "ktest")]
    pub(crate) const fn flags(&self) -> u64 {
        self.spsr & NZCV
    }

    /// Whether a program may ask for this state: with other modes than its own, or anything masked, it may not.
    pub(crate) const fn may_have_state(state: u64) -> bool {
        state & (MODE | DAIF) == 0
    }

    /// Sets the condition flags of a program's frame; everything else becomes what a program has: AArch64, EL0,
    /// nothing masked, no single step.
    pub(crate) const fn set_flags(&mut self, nzcv: u64) {
        self.spsr = nzcv & NZCV;
    }
}

unsafe extern "C" {
    /// Stands in the table of quick calls for one that needs a whole frame: completes it, and makes the call that the other
    /// table has for the number. Does not return to who called it, but to the program; only the vector calls it.
    pub(crate) safe fn system_call_whole(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, frame: &mut Frame) -> u64;
}

const _: SystemCall = system_call_whole;

/// Bytes of an emergency stack.
const EMERGENCY_SIZE: usize = 8 * 1024;

#[repr(C, align(16))]
struct EmergencyStacks(core::cell::UnsafeCell<[u8; 4 * EMERGENCY_SIZE]>);

// SAFETY: only the entry code below uses the bytes, each CPU its own part.
unsafe impl Sync for EmergencyStacks {}

static EMERGENCY_STACKS: EmergencyStacks = EmergencyStacks(core::cell::UnsafeCell::new([0; 4 * EMERGENCY_SIZE]));

global_asm!(
    r#"
    // What a procedure may change, and x29.
    .macro save_changeable
    stp     x0, x1, [sp, #16 * 0]
    stp     x2, x3, [sp, #16 * 1]
    stp     x4, x5, [sp, #16 * 2]
    stp     x6, x7, [sp, #16 * 3]
    stp     x8, x9, [sp, #16 * 4]
    stp     x10, x11, [sp, #16 * 5]
    stp     x12, x13, [sp, #16 * 6]
    stp     x14, x15, [sp, #16 * 7]
    stp     x16, x17, [sp, #16 * 8]
    str     x18, [sp, #8 * 18]
    stp     x29, x30, [sp, #8 * 29]
    .endm

    // What a procedure keeps.
    .macro save_kept
    stp     x19, x20, [sp, #8 * 19]
    stp     x21, x22, [sp, #8 * 21]
    stp     x23, x24, [sp, #8 * 23]
    stp     x25, x26, [sp, #8 * 25]
    stp     x27, x28, [sp, #8 * 27]
    .endm

    .macro save_registers
    save_changeable
    save_kept
    .endm

    // x21 = interrupted stack pointer
    .macro save_state
    str     x21, [sp, #{sp}]
    mrs     x22, elr_el1
    mrs     x23, spsr_el1
    stp     x22, x23, [sp, #{elr}]
    mrs     x22, esr_el1
    mrs     x23, far_el1
    stp     x22, x23, [sp, #{esr}]
    add     x29, sp, #{x29}             // a frame record for backtraces
    .endm

    .macro entry_el1 handler
    .balign 0x80
    sub     sp, sp, #{size}
    add     sp, sp, x0                  // no register is free yet: swap x0 and sp by arithmetic
    sub     x0, sp, x0
    tbz     x0, #{shift}, 1f
    sub     x0, sp, x0
    sub     sp, sp, x0
    b       \handler
1:  msr     tpidrro_el0, x0             // the stack pointer less a frame
    sub     x0, sp, x0
    msr     tpidr_el0, x0               // x0 as it was
    b       overflow
    .endm

    .macro entry_el0 handler
    .balign 0x80
    sub     sp, sp, #{size}
    b       \handler
    .endm

    .macro from_el1 label, rust
\label:
    save_registers
    add     x21, sp, #{size}
    save_state
    mov     x0, sp
    bl      \rust
    b       return_el1
    .endm

    .macro from_el0 label, rust
\label:
    save_registers
    mrs     x21, sp_el0
    save_state
    mov     x29, xzr                    // nothing of the kernel lies below
    mov     x0, sp
    bl      \rust
    b       return_to_user
    .endm

    // A system call; anything else that a program does goes on at el0_fault.
    .macro entry_system_call
    .balign 0x80
    sub     sp, sp, #{size}
    save_changeable
    mrs     x9, sp_el0
    mrs     x10, elr_el1
    mrs     x11, spsr_el1
    mrs     x12, esr_el1
    str     x9, [sp, #{sp}]
    stp     x10, x11, [sp, #{elr}]
    lsr     x13, x12, #26
    cmp     x13, #{class_svc}
    b.ne    el0_fault
    mov     x29, xzr                    // backtraces end here
    mov     x6, sp
    msr     daifclr, #7
    cmp     x8, #{calls}
    b.hs    system_call_other
    adr     x9, {quick_calls}
    ldr     x9, [x9, x8, lsl #3]
    blr     x9                          // x0 to x5 are as the program set them
    b       return_from_call
    .endm

    .macro restore_and_return
    ldp     x0, x1, [sp, #16 * 0]
    ldp     x2, x3, [sp, #16 * 1]
    ldp     x4, x5, [sp, #16 * 2]
    ldp     x6, x7, [sp, #16 * 3]
    ldp     x8, x9, [sp, #16 * 4]
    ldp     x10, x11, [sp, #16 * 5]
    ldp     x12, x13, [sp, #16 * 6]
    ldp     x14, x15, [sp, #16 * 7]
    ldp     x16, x17, [sp, #16 * 8]
    ldp     x18, x19, [sp, #16 * 9]
    ldp     x20, x21, [sp, #16 * 10]
    ldp     x22, x23, [sp, #16 * 11]
    ldp     x24, x25, [sp, #16 * 12]
    ldp     x26, x27, [sp, #16 * 13]
    ldp     x28, x29, [sp, #16 * 14]
    add     sp, sp, #{size}
    eret
    .endm

    .section .text.vectors, "ax"
    .balign 2048
    .global exception_vectors
exception_vectors:
    // Current EL with SP_EL0: this kernel never selects it.
    entry_el1 sp0_sync
    entry_el1 sp0_irq
    entry_el1 sp0_fiq
    entry_el1 sp0_serror
    // Current EL with SP_EL1.
    entry_el1 el1_sync
    entry_el1 el1_irq
    entry_el1 el1_fiq
    entry_el1 el1_serror
    // EL0, AArch64.
    entry_system_call
    entry_el0 el0_irq
    entry_el0 el0_fiq
    entry_el0 el0_serror
    // EL0, AArch32.
    entry_el0 el0_32_sync
    entry_el0 el0_32_irq
    entry_el0 el0_32_fiq
    entry_el0 el0_32_serror
    .balign 0x80

    from_el1 el1_sync, exception_el1_sync
    from_el1 el1_irq, exception_irq
    from_el1 el1_fiq, exception_fiq
    from_el1 el1_serror, exception_serror
    from_el0 el0_fiq, exception_fiq
    from_el0 el0_serror, exception_serror
    from_el1 sp0_sync, exception_impossible
    from_el1 sp0_irq, exception_impossible
    from_el1 sp0_fiq, exception_impossible
    from_el1 sp0_serror, exception_impossible
    from_el0 el0_32_sync, exception_el0_32_sync
    from_el0 el0_32_irq, exception_el0_32_irq
    from_el0 el0_32_fiq, exception_fiq
    from_el0 el0_32_serror, exception_serror

    // A call that needs a whole frame: x8 is a number of the tables, x0 to x6 are the arguments.
    .global system_call_whole
system_call_whole:
    save_kept
    adr     x9, {whole_calls}
    ldr     x9, [x9, x8, lsl #3]
    blr     x9
    str     x0, [sp]
    b       return_to_user

system_call_other:
    save_kept
    mov     x0, sp
    bl      {system_call}
    b       return_to_user

el0_fault:                              // x12 = the syndrome
    save_kept
    mrs     x13, far_el1
    stp     x12, x13, [sp, #{esr}]
    mov     x29, xzr
    mov     x0, sp
    bl      exception_el0_sync
    b       return_to_user

el0_irq:
    save_registers
    mrs     x21, sp_el0
    str     x21, [sp, #{sp}]
    mrs     x22, elr_el1
    mrs     x23, spsr_el1
    stp     x22, x23, [sp, #{elr}]
    mov     x29, xzr
    mov     x0, sp
    bl      exception_irq
    // Falls through.

    // sp = a program's frame, with nothing else on the stack.
    .global return_to_user
return_to_user:
    msr     daifset, #7
    mrs     x0, tpidr_el1
    ldr     x1, [x0, #{pending}]
    cbnz    x1, 1f
    ldp     x21, x22, [sp, #{elr}]
    ldp     x30, x23, [sp, #16 * 15]
    msr     elr_el1, x21
    msr     spsr_el1, x22
    msr     sp_el0, x23
    restore_and_return
1:  mov     x0, sp
    bl      exception_before_user
    b       return_to_user

    // x0 = the answer, x19 to x28 = the program's, sp = its frame without these.
return_from_call:
    msr     daifset, #7
    mrs     x9, tpidr_el1
    ldr     x9, [x9, #{pending}]
    cbnz    x9, 1f
    ldp     x10, x11, [sp, #{elr}]
    ldr     x12, [sp, #{sp}]
    msr     elr_el1, x10
    msr     spsr_el1, x11
    msr     sp_el0, x12
    ldr     x1, [sp, #8 * 1]
    ldp     x2, x3, [sp, #16 * 1]
    ldp     x4, x5, [sp, #16 * 2]
    ldp     x6, x7, [sp, #16 * 3]
    ldp     x8, x9, [sp, #16 * 4]
    ldp     x10, x11, [sp, #16 * 5]
    ldp     x12, x13, [sp, #16 * 6]
    ldp     x14, x15, [sp, #16 * 7]
    ldp     x16, x17, [sp, #16 * 8]
    ldr     x18, [sp, #8 * 18]
    ldp     x29, x30, [sp, #8 * 29]
    add     sp, sp, #{size}
    eret
1:  str     x0, [sp]
    save_kept
    b       return_to_user

return_el1:
    ldp     x21, x22, [sp, #{elr}]
    ldr     x30, [sp, #16 * 15]
    msr     elr_el1, x21
    msr     spsr_el1, x22
    restore_and_return

overflow:
    mrs     x0, mpidr_el1
    and     x0, x0, #3
    add     x0, x0, #1
    lsl     x0, x0, #{emergency_shift}
    mov     sp, x0
    ldr     x0, ={emergency}
    add     sp, sp, x0
    sub     sp, sp, #{size}
    mrs     x0, tpidr_el0
    save_registers
    mrs     x21, tpidrro_el0
    add     x21, x21, #{size}
    save_state
    mov     x0, sp
    bl      exception_stack_overflow
    b       .
    .ltorg
    .section .text
"#,
    size = const size_of::<Frame>(),
    class_svc = const 0x15,
    calls = const upcall::QUICK_NUMBERS,
    quick_calls = sym upcall::TINE_QUICK_CALLS,
    whole_calls = sym upcall::TINE_WHOLE_CALLS,
    system_call = sym upcall::system_call,
    pending = const Header::PENDING,
    sp = const offset_of!(Frame, sp),
    elr = const offset_of!(Frame, elr),
    esr = const offset_of!(Frame, esr),
    x29 = const offset_of!(Frame, x) + 29 * 8,
    shift = const STACK_SHIFT,
    emergency = sym EMERGENCY_STACKS,
    emergency_shift = const EMERGENCY_SIZE.trailing_zeros(),
);

// The stores above name pairs: x30 with sp, elr with spsr, esr with far.
const _: () = {
    assert!(offset_of!(Frame, sp) == 31 * 8);
    assert!(offset_of!(Frame, spsr) == offset_of!(Frame, elr) + 8);
    assert!(offset_of!(Frame, far) == offset_of!(Frame, esr) + 8);
    assert!(size_of::<Frame>().is_multiple_of(16));
};
