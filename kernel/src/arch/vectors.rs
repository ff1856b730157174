//! The exception vectors: sixteen entries that save a [`Frame`] and call Rust.
//!
//! Entries from EL1 first make sure that the frame fits the stack. Every valid kernel stack pointer has bit
//! [`STACK_SHIFT`] set (see [`super::boot`]), so one bit test tells, before anything is stored, whether the stack has
//! run into its guard; if so the report is made on an emergency stack of the CPU's own.
//!
//! Entries from EL0 need no such test: a program's stack pointer is another register, and the kernel's stands where
//! [`UserArea`](super::user::UserArea) says. **A system call** is what is asked for most, so its entry is short: all of
//! it fits the vector's own 32 instructions, it looks at one bit field to tell a call from a fault, leaves `FAR_EL1`
//! alone, and calls the layer above with interrupts on. With the way back that makes 57 instructions around the call.
//!
//! **The way back to a program** is one for all: with interrupts masked it looks at one word of the thread's
//! [`Header`], which says whether there is anything to do before, and if so calls and looks again.
//! An interrupt that comes after that look is taken as soon as the program runs, and goes the same way.
//!
//! The Rust side of each call is [`super::exception`].

use core::arch::global_asm;
use core::mem::offset_of;

use zerocopy::{Immutable, IntoBytes};

use super::boot::STACK_SHIFT;
use super::cpu::Header;
#[cfg(feature = "ktest")]
use super::upcall::system_call;
#[cfg(not(feature = "ktest"))]
use super::upcall::tine_syscall as system_call;

/// What an exception interrupted: the registers as they were, and why.
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
    /// The syndrome, raw; of no meaning after an interrupt.
    pub(crate) esr: u64,
    /// The fault address; meaningful for aborts only.
    pub(crate) far: u64,
}

/// The condition flags in `SPSR_EL1`.
const NZCV: u64 = 0xf << 28;

impl Frame {
    /// Where a program starts that has never run: all registers zero, EL0, nothing masked.
    pub(crate) const fn for_program(entry: u64, stack_pointer: u64) -> Self {
        Self { x: [0; 31], sp: stack_pointer, elr: entry, spsr: 0, esr: 0, far: 0 }
    }

    /// The interrupted processor state.
    pub(crate) const fn spsr(&self) -> u64 {
        self.spsr
    }

    /// The program's registers as bytes, in the order of Linux's `struct sigcontext`: x0 to x30, stack pointer, program
    /// counter, processor state. That of a program has nothing but its flags.
    pub(crate) fn program_registers(&self) -> &[u8; Self::PROGRAM_BYTES] {
        let (registers, _) = self.as_bytes().split_first_chunk().expect("a frame begins with them");
        registers
    }

    /// Bytes of [`program_registers`](Self::program_registers).
    pub(crate) const PROGRAM_BYTES: usize = offset_of!(Self, esr);

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

    /// Sets the condition flags of a program's frame; everything else becomes what a program has: AArch64, EL0,
    /// nothing masked, no single step.
    pub(crate) const fn set_flags(&mut self, nzcv: u64) {
        self.spsr = nzcv & NZCV;
    }
}

/// Bytes of an emergency stack.
const EMERGENCY_SIZE: usize = 8 * 1024;

#[repr(C, align(16))]
struct EmergencyStacks(core::cell::UnsafeCell<[u8; 4 * EMERGENCY_SIZE]>);

// SAFETY: only the entry code below uses the bytes, each CPU its own part.
unsafe impl Sync for EmergencyStacks {}

static EMERGENCY_STACKS: EmergencyStacks = EmergencyStacks(core::cell::UnsafeCell::new([0; 4 * EMERGENCY_SIZE]));

global_asm!(
    r#"
    .macro save_registers
    stp     x0, x1, [sp, #16 * 0]
    stp     x2, x3, [sp, #16 * 1]
    stp     x4, x5, [sp, #16 * 2]
    stp     x6, x7, [sp, #16 * 3]
    stp     x8, x9, [sp, #16 * 4]
    stp     x10, x11, [sp, #16 * 5]
    stp     x12, x13, [sp, #16 * 6]
    stp     x14, x15, [sp, #16 * 7]
    stp     x16, x17, [sp, #16 * 8]
    stp     x18, x19, [sp, #16 * 9]
    stp     x20, x21, [sp, #16 * 10]
    stp     x22, x23, [sp, #16 * 11]
    stp     x24, x25, [sp, #16 * 12]
    stp     x26, x27, [sp, #16 * 13]
    stp     x28, x29, [sp, #16 * 14]
    .endm

    // x21 = interrupted stack pointer
    .macro save_state
    stp     x30, x21, [sp, #16 * 15]
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

    // A system call, whole; anything else that a program does goes on at el0_fault.
    .macro entry_system_call
    .balign 0x80
    sub     sp, sp, #{size}
    save_registers
    mrs     x21, sp_el0
    stp     x30, x21, [sp, #16 * 15]
    mrs     x22, elr_el1
    mrs     x23, spsr_el1
    mrs     x24, esr_el1
    stp     x22, x23, [sp, #{elr}]
    lsr     x25, x24, #26
    cmp     x25, #{class_svc}
    b.ne    el0_fault
    str     x24, [sp, #{esr}]
    mov     x29, xzr                    // backtraces end here
    mov     x0, sp
    msr     daifclr, #7
    bl      {system_call}
    b       return_to_user
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

el0_fault:                              // x24 = the syndrome, saved is all else
    mrs     x25, far_el1
    stp     x24, x25, [sp, #{esr}]
    mov     x29, xzr
    mov     x0, sp
    bl      exception_el0_sync
    b       return_to_user

el0_irq:
    save_registers
    mrs     x21, sp_el0
    stp     x30, x21, [sp, #16 * 15]
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
    system_call = sym system_call,
    pending = const Header::PENDING,
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
