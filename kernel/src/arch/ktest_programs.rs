//! The programs of the self-tests: a page of code, each program at an offset of it. They run at any address.
//!
//! A program asks its test by `svc #0`; what it wants is in x8: see [`Call`].

use core::arch::global_asm;

global_asm!(
    r#"
    .arch_extension fp
    .arch_extension simd
    .section .rodata.ktest_programs, "a"
    .balign 4096
    .global ktest_programs
ktest_programs:

    // sp = the data page: 256 bytes for what is found, then what is put. Nothing but x8 is the test's own.
    .global program_registers
program_registers:
    ldr     x1, [sp, #256 + 8 * 31]
    msr     nzcv, x1
    .irp    n, 2, 4, 6, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28
    ldr     x\n, [sp, #256 + 8 * \n]
    .endr
    .irp    n, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29
    ldr     x\n, [sp, #256 + 8 * \n]
    .endr
    ldr     x30, [sp, #256 + 8 * 30]
    ldp     x0, x1, [sp, #256]
    mov     x8, #{nothing}
    svc     #0
    stp     x0, x1, [sp]
    .irp    n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    str     x\n, [sp, #8 * \n]
    .endr
    mrs     x1, nzcv
    str     x1, [sp, #8 * 31]
    mov     x0, sp
    mov     x8, #{end}
    svc     #0

    // Never gives up its CPU.
    .global program_loop
program_loop:
    add     x0, x0, #1
    str     x0, [x1]
    b       program_loop

    // Loads from x0, stores x2 to x1, each if it is not zero, then jumps to x3 if that is not zero.
    .global program_touch
program_touch:
    cbz     x0, 1f
    ldrb    w4, [x0]
1:  cbz     x1, 2f
    strb    w2, [x1]
2:  cbz     x3, 3f
    br      x3
3:  mov     x8, #{end}
    svc     #0

    // What a program may ask the processor directly.
    .global program_allowed
program_allowed:
    mrs     x1, cntvct_el0
    mrs     x1, cntfrq_el0
    mrs     x1, ctr_el0
    mrs     x1, dczid_el0
    mrs     x1, tpidrro_el0
    msr     tpidr_el0, xzr
    dc      zva, x0
    dc      cvau, x0
    ic      ivau, x0
    dc      civac, x0
    dsb     ish
    isb
    sevl
    wfe
    mov     x8, #{end}
    svc     #0

    // What it may not: each must be an exception, after which the test skips it.
    .global program_forbidden
program_forbidden:
    mrs     x1, pmccntr_el0
    mrs     x1, cntpct_el0
    mrs     x1, midr_el1
    mrs     x1, mdccsr_el0
    msr     daifset, #2
    mrs     x1, ttbr0_el1
    hvc     #0
    udf     #7
    mov     x8, #{end}
    svc     #0

    // x0 = a seed of which all FP registers and the thread pointer are made, x1 = how often to ask the test to move it
    // somewhere else. Ends with x0 = 0 if nothing was ever lost.
    .global program_fp
program_fp:
    msr     tpidr_el0, x0
    and     x5, x0, #0xf
    lsl     x5, x5, #27                 // some status bits: QC is bit 27
    msr     fpsr, x5
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    add     x3, x0, #\n
    dup     v\n\().2d, x3
    .endr
    .irp    n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    add     x3, x0, #\n
    dup     v\n\().2d, x3
    .endr
1:  mov     x8, #{move}
    svc     #0
    mov     x6, #20000
2:  subs    x6, x6, #1
    b.ne    2b
    mrs     x4, tpidr_el0
    cmp     x4, x0
    b.ne    3f
    mrs     x4, fpsr
    cmp     x4, x5
    b.ne    3f
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    add     x3, x0, #\n
    umov    x4, v\n\().d[0]
    umov    x7, v\n\().d[1]
    cmp     x3, x4
    ccmp    x3, x7, #0, eq
    b.ne    3f
    .endr
    .irp    n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    add     x3, x0, #\n
    umov    x4, v\n\().d[0]
    umov    x7, v\n\().d[1]
    cmp     x3, x4
    ccmp    x3, x7, #0, eq
    b.ne    3f
    .endr
    subs    x1, x1, #1
    b.ne    1b
    mov     x0, #0
3:  mov     x8, #{end}
    svc     #0

    // Asks the test for whatever x0 says, as often as x1.
    .global program_ask
program_ask:
    mov     x19, x0
    mov     x20, x1
1:  mov     x0, x19
    mov     x8, #{ask}
    svc     #0
    subs    x20, x20, #1
    b.ne    1b
    mov     x8, #{end}
    svc     #0

    .balign 4096
    .arch_extension nosimd
    .arch_extension nofp
    .section .text
"#,
    nothing = const Call::Nothing as u64,
    end = const Call::End as u64,
    move = const Call::Move as u64,
    ask = const Call::Ask as u64,
);

/// What a program asks of its test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(crate) enum Call {
    /// Nothing at all.
    Nothing = 1,
    /// To end it; x0 is how.
    End = 2,
    /// To go on later and elsewhere.
    Move = 3,
    /// Whatever the test does.
    Ask = 4,
}

impl Call {
    /// The call with this number.
    pub(crate) fn of(number: u64) -> Option<Self> {
        [Self::Nothing, Self::End, Self::Move, Self::Ask].into_iter().find(|&call| call as u64 == number)
    }
}

unsafe extern "C" {
    static ktest_programs: [u8; 4096];
    static program_registers: u8;
    static program_loop: u8;
    static program_touch: u8;
    static program_allowed: u8;
    static program_forbidden: u8;
    static program_fp: u8;
    static program_ask: u8;
}

/// One of the programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Program {
    /// Every register filled, a system call, every register noted.
    Registers,
    /// A loop without an end.
    Loop,
    /// One load, one store, one jump.
    Touch,
    /// What programs may do.
    Allowed,
    /// What they may not.
    Forbidden,
    /// The floating-point registers and the thread pointer, over and over.
    Fp,
    /// Calls of the test.
    Ask,
}

impl Program {
    /// Where it begins in [`code`].
    pub(crate) fn offset(self) -> u64 {
        let start = match self {
            Self::Registers => &raw const program_registers,
            Self::Loop => &raw const program_loop,
            Self::Touch => &raw const program_touch,
            Self::Allowed => &raw const program_allowed,
            Self::Forbidden => &raw const program_forbidden,
            Self::Fp => &raw const program_fp,
            Self::Ask => &raw const program_ask,
        };
        (start.addr() - (&raw const ktest_programs).addr()) as u64
    }
}

/// All programs' code: one page.
pub(crate) fn code() -> &'static [u8; 4096] {
    // SAFETY: the assembly makes a page of it.
    unsafe { &ktest_programs }
}
