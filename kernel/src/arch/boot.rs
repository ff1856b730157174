//! The head of the image: from the firmware's entry to Rust at a high address, on every CPU.
//!
//! What is true on entry (firmware stub, QEMU with a raw image): core 0 alone, EL2, MMU and caches off, interrupts
//! masked, x0 = device tree or 0x100 or 0. Debuggers and QEMU with an ELF enter at EL3 with all cores; some loaders
//! at EL1. All of that is taken.
//!
//! ```text
//! _start ──► moved to 0x80000? ──► drop_to_el1 ──► bss = 0 ──► boot_tables (Rust, MMU off)
//!        ──► mmu_on ──► high half ──► kernel_entry(tree, counter)
//! an exception before kernel_entry ──► early_vectors ──► early_trouble (Rust, MMU off): the ACT LED
//! secondary_start ──► drop_to_el1 ──► mmu_on ──► high half ──► secondary_entry()
//! ```
//!
//! No atomic and no lock may be touched before `mmu_on`: exclusives need cacheable memory on real cores.

use core::arch::global_asm;

use super::cpu::BOOT_HEADERS;
use super::mmu::{MAIR_VALUE, TCR_BOOT_VALUE};

/// Size of a kernel stack in bytes.
pub(crate) const STACK_SIZE: usize = 32 * 1024;
/// Binary logarithm of [`STACK_SIZE`]. This bit is one in every valid stack pointer: each stack is the upper half of
/// a slot of `2 * STACK_SIZE` that is aligned to its size, and the lower half is never mapped.
pub(crate) const STACK_SHIFT: u32 = STACK_SIZE.trailing_zeros();

/// `SCTLR_EL1` with the MMU and caches off: the RES1 bits of Armv8.0 (Arm ARM D19.2.124), plus EL0 access to cache
/// maintenance (UCI), `CTR_EL0` (UCT), `DC ZVA` (DZE), and untrapped WFE/WFI, as Linux programs expect.
const SCTLR_OFF: u64 = 0x30d0_0800 | 1 << 26 | 1 << 18 | 1 << 16 | 1 << 15 | 1 << 14;
/// The same with M (MMU), C (data cache), I (instruction cache), SA and SA0 (stack alignment checks).
const SCTLR_ON: u64 = SCTLR_OFF | 1 << 0 | 1 << 2 | 1 << 12 | 1 << 3 | 1 << 4;

global_asm!(
    r#"
    .section .text.head, "ax"
    .global _start
_start:
    msr     daifset, #0xf
    mov     x19, x0                     // the device tree, perhaps
    mrs     x1, mpidr_el1
    ands    x1, x1, #3
    b.ne    secondary_wait

    // Are we where we were linked? Firmware may load a headerless image at 0x200000.
    adr     x0, _start
    ldr     x1, =__image_load
    cmp     x0, x1
    b.ne    move_image

    adr     x30, 1f
    b       drop_to_el1
1:  mrs     x20, cntvct_el0             // the moment of entry, for the boot time
    adr     x0, early_vectors           // where exceptions go until the kernel has vectors of its own
    msr     vbar_el1, x0
    isb

    // RAM holds whatever firmware left: clear bss ourselves.
    adrp    x0, __bss_start
    add     x0, x0, :lo12:__bss_start
    adrp    x1, __bss_end
    add     x1, x1, :lo12:__bss_end
2:  stp     xzr, xzr, [x0], #16
    cmp     x0, x1
    b.lo    2b

    adrp    x0, __boot_stacks
    add     x0, x0, #{stack_slot}
    mov     sp, x0
    mov     x29, xzr
    bl      boot_tables

    // What was written with the caches off must not be shadowed by stale lines once they are on: invalidate the whole
    // image by address, to the point of coherency, and the archive behind it.
    adrp    x0, __image_start
    adrp    x1, __builtin_end
    add     x1, x1, :lo12:__builtin_end
    dsb     sy
3:  dc      ivac, x0
    add     x0, x0, #64
    cmp     x0, x1
    b.lo    3b
    dsb     sy

    ldr     x30, =primary_high
    b       mmu_on

    // Sixteen cores or four, a core other than the first waits here when it came in by the front door.
secondary_wait:
    adrp    x2, secondary_release
    add     x2, x2, :lo12:secondary_release
1:  wfe
    ldr     x3, [x2]
    cbz     x3, 1b
    br      x3

    // x0 = where we are, x1 = where we belong. Where the two overlap the loop that copies would copy over itself, so it
    // then runs from a copy beyond both.
move_image:
    ldr     x2, =__image_bytes
    subs    x3, x0, x1
    cneg    x3, x3, lo
    cmp     x3, x2
    b.hs    mover
    cmp     x0, x1
    csel    x3, x0, x1, hi
    add     x3, x3, x2
    add     x3, x3, #63
    and     x3, x3, #~63
    adr     x5, mover
    adr     x6, mover_end
    mov     x7, x3
1:  ldr     w8, [x5], #4
    str     w8, [x7], #4
    cmp     x5, x6
    b.lo    1b
    dsb     sy
    ic      iallu
    dsb     sy
    isb
    br      x3
mover:
    cmp     x1, x0
    b.hi    2f
    mov     x4, x1
    add     x5, x1, x2
1:  ldp     x6, x7, [x0], #16
    stp     x6, x7, [x4], #16
    cmp     x4, x5
    b.lo    1b
    b       3f
2:  add     x0, x0, x2
    add     x4, x1, x2
1:  ldp     x6, x7, [x0, #-16]!
    stp     x6, x7, [x4, #-16]!
    cmp     x4, x1
    b.hi    1b
3:  dsb     sy
    ic      iallu
    dsb     sy
    isb
    mov     x0, x19
    br      x1
mover_end:

    // Returns to x30 at EL1h with interrupts masked, from EL3, EL2 or EL1. Every register that reset leaves unknown is
    // written whole.
drop_to_el1:
    mrs     x0, currentel
    lsr     x0, x0, #2
    cmp     x0, #2
    b.eq    el2_to_el1
    b.lo    at_el1

    // EL3, from a debugger: do what the firmware stub would have done.
    mov     x0, #0x5b1                  // NS, RES1 bits 4 and 5, SMD, HCE, RW
    msr     scr_el3, x0
    msr     cptr_el3, xzr
    msr     mdcr_el3, xzr
    mrs     x0, s3_1_c15_c2_1           // CPUECTLR_EL1.SMPEN: coherency, before any cache is on
    orr     x0, x0, #0x40
    msr     s3_1_c15_c2_1, x0
    ldr     x0, ={sctlr_el2}
    msr     sctlr_el2, x0
    mov     x0, #0x3c9                  // EL2h, DAIF masked
    msr     spsr_el3, x0
    adr     x0, el2_to_el1
    msr     elr_el3, x0
    eret

el2_to_el1:
    mov     x0, #0x80000000             // HCR_EL2.RW and nothing trapped
    msr     hcr_el2, x0
    mov     x0, #3                      // EL1 may use the physical counter and timer
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mov     x0, #0x33ff                 // no FP/SIMD trap; the RES1 bits
    msr     cptr_el2, x0
    msr     hstr_el2, xzr
    msr     vttbr_el2, xzr
    mrs     x0, pmcr_el0                // all event counters belong to EL1
    ubfx    x0, x0, #11, #5
    msr     mdcr_el2, x0
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0
    ldr     x0, ={sctlr_off}
    msr     sctlr_el1, x0
    mov     x0, #0x3c5                  // EL1h, DAIF masked
    msr     spsr_el2, x0
    msr     elr_el2, x30
    eret

at_el1:
    ldr     x0, ={sctlr_off}
    msr     sctlr_el1, x0
    msr     spsel, #1
    isb
    ret

    // Turns the MMU and the caches on with the boot tables and branches to x30, a high address.
mmu_on:
    ldr     x0, ={mair}
    msr     mair_el1, x0
    ldr     x0, ={tcr}
    msr     tcr_el1, x0
    adrp    x0, boot_identity
    msr     ttbr0_el1, x0
    adrp    x0, kernel_root
    msr     ttbr1_el1, x0
    msr     cpacr_el1, xzr              // FP/SIMD trapped: the kernel has no use for it
    msr     contextidr_el1, xzr
    mov     x0, #1 << 12                // MDSCR_EL1.TDCC: no debug channel for programs, and no debug events
    msr     mdscr_el1, x0
    msr     pmuserenr_el0, xzr          // nor performance counters
    msr     csselr_el1, xzr
    mov     x0, #2                      // CNTKCTL_EL1: programs may read CNTVCT_EL0, nothing else
    msr     cntkctl_el1, x0
    msr     tpidr_el0, xzr
    msr     tpidrro_el0, xzr
    isb
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    ldr     x0, ={sctlr_on}
    msr     sctlr_el1, x0
    isb
    br      x30

primary_high:
    ldr     x0, =__boot_stacks + {stack_slot}
    mov     sp, x0
    ldr     x0, =exception_vectors
    msr     vbar_el1, x0
    ldr     x0, ={headers}
    msr     tpidr_el1, x0
    isb
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x19
    mov     x1, x20
    b       kernel_entry

    // An exception of the boot CPU before that: back to how it came in, with the MMU off, and the LED tells.
early_exception:
    msr     daifset, #0xf
    ldr     x0, ={sctlr_off}
    msr     sctlr_el1, x0
    isb
    adrp    x0, __boot_stacks
    add     x0, x0, #{stack_slot}
    mov     sp, x0
    mov     x29, xzr
    b       early_trouble

    .balign 2048
early_vectors:
    .rept 16
    b       early_exception
    .balign 128
    .endr

    // Where the spin table sends the other cores, with the MMU off.
    .global secondary_start
secondary_start:
    msr     daifset, #0xf
    adr     x30, 1f
    b       drop_to_el1
1:  ldr     x30, =secondary_high
    b       mmu_on
secondary_high:
    mrs     x1, mpidr_el1
    and     x1, x1, #3
    ldr     x0, =__boot_stacks + {stack_slot}
    mov     x2, #{stack_slot}
    madd    x0, x1, x2, x0
    mov     sp, x0
    ldr     x0, =exception_vectors
    msr     vbar_el1, x0
    ldr     x0, ={headers}
    mov     x2, #{header_size}
    madd    x0, x1, x2, x0
    msr     tpidr_el1, x0
    isb
    mov     x29, xzr
    mov     x30, xzr
    b       secondary_entry

    .ltorg
    .section .data.secondary_release, "aw"
    .balign 64
    .global secondary_release
secondary_release:
    .quad   0
    .balign 64
    .section .text
"#,
    stack_slot = const 2 * STACK_SIZE,
    sctlr_off = const SCTLR_OFF,
    sctlr_on = const SCTLR_ON,
    sctlr_el2 = const 0x30c5_0830_u64,
    mair = const MAIR_VALUE,
    tcr = const TCR_BOOT_VALUE,
    headers = sym BOOT_HEADERS,
    header_size = const size_of::<super::cpu::Header>(),
);
