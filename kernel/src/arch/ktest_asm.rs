//! What the self-tests of the kernel ask of the processor: every register filled with a pattern and looked at again.

use core::arch::{asm, global_asm};
use core::mem::{MaybeUninit, offset_of};
use core::ptr::NonNull;

use kcore::addr::PAGE_SIZE;

use super::context::Context;
use super::{cpu, memory};

/// One look at the registers: what was put into them, and what was found afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Registers {
    /// x0 to x30.
    pub(crate) x: [u64; 31],
    /// The stack pointer; found only, [`Round::put`] gets it from the assembly.
    pub(crate) sp: u64,
    /// The condition flags, as `NZCV` holds them.
    pub(crate) nzcv: u64,
}

impl Registers {
    /// A pattern of which no two registers have the same value, and no two seeds either.
    pub(crate) fn pattern(seed: u64) -> Self {
        let value = |n: u64| (seed << 8 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut numbers = 0..;
        let x = core::array::from_fn(|_| value(numbers.next().unwrap_or_default()));
        Self { x, sp: 0, nzcv: (seed & 0xf) << 28 }
    }
}

/// What one call of the functions below puts and finds.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Round {
    /// The values before. Of `sp` the assembly notes what it is.
    pub(crate) put: Registers,
    /// The values after.
    pub(crate) found: Registers,
}

impl Round {
    /// A round that puts the pattern of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { put: Registers::pattern(seed), found: Registers { x: [0; 31], sp: 0, nzcv: 0 } }
    }
}

unsafe extern "C" {
    fn ktest_wait_with_registers(round: *mut Round);
    fn ktest_call_with_registers(round: *mut Round, callee: extern "C" fn());
    fn ktest_switch_with_registers(round: *mut Round, sides: *mut Sides);
    safe fn ktest_other_side(sides: usize) -> !;
}

/// Fills all 31 registers and the flags, waits for one interrupt, and notes what it left in them.
pub(crate) fn across_interrupt(round: &mut Round) {
    // SAFETY: the assembly keeps what the procedure call standard preserves, and writes the round alone.
    unsafe { ktest_wait_with_registers(round) }
}

/// Fills the registers that a callee preserves, calls `callee`, and notes what is in them then.
pub(crate) fn across_call(round: &mut Round, callee: extern "C" fn()) {
    // SAFETY: as for `across_interrupt`; `callee` keeps to the procedure call standard itself.
    unsafe { ktest_call_with_registers(round, callee) }
}

/// The two contexts of [`across_switch`].
#[repr(C)]
struct Sides {
    here: Context,
    there: Context,
}

/// Room for a context that calls one function.
#[repr(C, align(16))]
struct SmallStack([u64; 32]);

/// Fills the registers that a callee preserves, changes by `context_switch` to a context that overwrites them all and
/// changes back, and notes what is in them then. No Rust lies in between that would restore them by itself, as it does
/// on the way to any switch of threads.
pub(crate) fn across_switch(round: &mut Round) {
    let state = cpu::irq_save_raw();
    let mut stack = SmallStack([0; 32]);
    let top = (&raw mut stack).expose_provenance() + size_of::<SmallStack>();
    let mut sides = MaybeUninit::<Sides>::uninit();
    let sides_at = sides.as_mut_ptr();
    let there = Context::new(top as u64, ktest_other_side, sides_at.expose_provenance());
    let sides_at = sides.write(Sides { here: Context::default(), there });
    // SAFETY: interrupts are masked; `here` is filled by the assembly before `there` is loaded, once, and `there` comes
    // back to it before this returns, so all three locals live; both run under the header of the current thread.
    unsafe { ktest_switch_with_registers(round, sides_at) }
    core::hint::black_box(&mut stack);
    cpu::irq_restore_raw(state);
}

/// The part of `CPACR_EL1` that traps FP and SIMD instructions: 0 traps those of EL1 and EL0 (Arm ARM, `CPACR_EL1.FPEN`).
pub(crate) fn fp_enabled() -> u64 {
    let cpacr: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, cpacr_el1", out(reg) cpacr, options(nomem, nostack, preserves_flags)) }
    cpacr >> 20 & 3
}

/// q0 to q7.
type Quads = [u128; 8];

unsafe extern "C" {
    fn ktest_put_quads(from: *const Quads);
    fn ktest_get_quads(to: *mut Quads);
}

/// Copies the first page of `pages`, which begin where one does, to the second while q0 to q7 hold a pattern and are open, or
/// not, to who uses them; and says whether all that was found afterwards as it had been.
pub(crate) fn page_copy_leaves_registers(open: bool, pages: &mut [u8]) -> bool {
    assert!(pages.as_ptr().addr().is_multiple_of(PAGE_SIZE), "the pages do not begin where one does");
    let (from, to) = pages.split_at_mut(PAGE_SIZE);
    let (from, to) = (NonNull::from_mut(from).cast(), NonNull::from_mut(&mut to[..PAGE_SIZE]).cast());
    let pattern: Quads = [0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666, 0x7777, 0x8888].map(|n: u128| n << 64 | !n);
    let (mut own, mut found) = ([0; 8], [0; 8]);
    let state = cpu::irq_save_raw();
    let before = fp_enabled();
    enable_fp(3);
    // SAFETY: the registers are open, and the values of whoever used them last are put back below.
    unsafe { ktest_get_quads(&raw mut own) };
    // SAFETY: as above.
    unsafe { ktest_put_quads(&raw const pattern) };
    enable_fp(if open { 3 } else { 0 });
    // SAFETY: both are whole pages of a slice that we have alone, and not the same.
    unsafe { memory::copy_page(from, to) };
    let (after, masked) = (fp_enabled(), cpu::irqs_masked());
    enable_fp(3);
    // SAFETY: the registers are open.
    unsafe { ktest_get_quads(&raw mut found) };
    // SAFETY: as above.
    unsafe { ktest_put_quads(&raw const own) };
    enable_fp(before);
    cpu::irq_restore_raw(state);
    (after != 0) == open && masked && found == pattern
}

/// Sets what [`fp_enabled`] says.
fn enable_fp(enabled: u64) {
    // SAFETY: the kernel's own code uses none of the registers; the barrier is for the assembly that does.
    unsafe { asm!("msr cpacr_el1, {}", "isb", in(reg) enabled << 20, options(nomem, nostack, preserves_flags)) }
}

global_asm!(
    r#"
    .arch_extension fp
    .arch_extension simd
ktest_put_quads:
    ldp     q0, q1, [x0]
    ldp     q2, q3, [x0, #32]
    ldp     q4, q5, [x0, #64]
    ldp     q6, q7, [x0, #96]
    ret
ktest_get_quads:
    stp     q0, q1, [x0]
    stp     q2, q3, [x0, #32]
    stp     q4, q5, [x0, #64]
    stp     q6, q7, [x0, #96]
    ret
    .arch_extension nosimd
    .arch_extension nofp
"#
);

/// Executes `2 * turns` instructions and nothing else.
pub(crate) fn spin_exactly(turns: u64) {
    // SAFETY: counts a register down.
    unsafe { asm!("2: subs {0}, {0}, #1", "b.ne 2b", inout(reg) turns => _, options(nomem, nostack)) }
}

global_asm!(
    r#"
    .macro ktest_enter
    stp     x29, x30, [sp, #-112]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    str     x0, [sp, #96]               // the round
    mov     x9, sp
    str     x9, [x0, #{put_sp}]
    .endm

    .macro ktest_leave
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #112
    ret
    .endm

    // x0 = the round
    .macro ktest_fill_preserved
    ldr     x19, [x0, #8 * 19]
    ldp     x20, x21, [x0, #16 * 10]
    ldp     x22, x23, [x0, #16 * 11]
    ldp     x24, x25, [x0, #16 * 12]
    ldp     x26, x27, [x0, #16 * 13]
    ldp     x28, x29, [x0, #16 * 14]
    .endm

    .macro ktest_note_preserved
    mov     x1, sp
    ldr     x0, [sp, #96]
    add     x0, x0, #{found}
    str     x1, [x0, #{sp_at}]
    str     x19, [x0, #8 * 19]
    stp     x20, x21, [x0, #16 * 10]
    stp     x22, x23, [x0, #16 * 11]
    stp     x24, x25, [x0, #16 * 12]
    stp     x26, x27, [x0, #16 * 13]
    stp     x28, x29, [x0, #16 * 14]
    .endm

    .section .text.ktest, "ax"
ktest_wait_with_registers:
    ktest_enter
    ldr     x1, [x0, #{put_nzcv}]
    msr     nzcv, x1
    ldp     x2, x3, [x0, #16 * 1]
    ldp     x4, x5, [x0, #16 * 2]
    ldp     x6, x7, [x0, #16 * 3]
    ldp     x8, x9, [x0, #16 * 4]
    ldp     x10, x11, [x0, #16 * 5]
    ldp     x12, x13, [x0, #16 * 6]
    ldp     x14, x15, [x0, #16 * 7]
    ldp     x16, x17, [x0, #16 * 8]
    ldp     x18, x19, [x0, #16 * 9]
    ldp     x20, x21, [x0, #16 * 10]
    ldp     x22, x23, [x0, #16 * 11]
    ldp     x24, x25, [x0, #16 * 12]
    ldp     x26, x27, [x0, #16 * 13]
    ldp     x28, x29, [x0, #16 * 14]
    ldr     x30, [x0, #16 * 15]
    ldp     x0, x1, [x0]
    wfi
    sub     sp, sp, #16
    stp     x0, x1, [sp]
    add     x1, sp, #16                 // neither changes the flags
    ldr     x0, [sp, #16 + 96]
    add     x0, x0, #{found}
    str     x1, [x0, #{sp_at}]
    mrs     x1, nzcv
    str     x1, [x0, #{nzcv_at}]
    stp     x2, x3, [x0, #16 * 1]
    stp     x4, x5, [x0, #16 * 2]
    stp     x6, x7, [x0, #16 * 3]
    stp     x8, x9, [x0, #16 * 4]
    stp     x10, x11, [x0, #16 * 5]
    stp     x12, x13, [x0, #16 * 6]
    stp     x14, x15, [x0, #16 * 7]
    stp     x16, x17, [x0, #16 * 8]
    stp     x18, x19, [x0, #16 * 9]
    stp     x20, x21, [x0, #16 * 10]
    stp     x22, x23, [x0, #16 * 11]
    stp     x24, x25, [x0, #16 * 12]
    stp     x26, x27, [x0, #16 * 13]
    stp     x28, x29, [x0, #16 * 14]
    str     x30, [x0, #16 * 15]
    ldp     x2, x3, [sp], #16
    stp     x2, x3, [x0]
    ktest_leave

ktest_call_with_registers:
    ktest_enter
    mov     x9, x1
    ktest_fill_preserved
    blr     x9
    ktest_note_preserved
    ktest_leave

ktest_switch_with_registers:
    ktest_enter
    ktest_fill_preserved
    mov     x0, x1
    add     x1, x1, #{there}
    mrs     x2, tpidr_el1
    bl      context_switch
    ktest_note_preserved
    ktest_leave

ktest_other_side:                       // x0 = the sides
    mov     x1, x0
    add     x0, x0, #{there}
    mrs     x2, tpidr_el1
    .irp    n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
    mov     x\n, #-1
    .endr
    bl      context_switch
    b       .
    .section .text
"#,
    put_sp = const offset_of!(Round, put) + offset_of!(Registers, sp),
    put_nzcv = const offset_of!(Round, put) + offset_of!(Registers, nzcv),
    found = const offset_of!(Round, found),
    sp_at = const offset_of!(Registers, sp),
    nzcv_at = const offset_of!(Registers, nzcv),
    there = const offset_of!(Sides, there),
);

// The assembly reads `put` at the round's own address, and the registers at the begin of each half.
const _: () = assert!(offset_of!(Round, put) == 0 && offset_of!(Registers, x) == 0);
