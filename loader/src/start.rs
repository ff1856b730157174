//! From firmware's entry to Rust, and from there to the kernel's: all that is unsafe.
//!
//! Entered as a kernel is (core 0, EL2, MMU and caches off, x0 the device tree or not), and so the kernel is entered. In
//! between the MMU is on, at EL2, with every address mapped onto itself: memory below 128 MiB cacheable, the peripherals of
//! either board as devices, nothing else. Without it all memory would be device memory, to which the compiler's unaligned
//! accesses are faults, and inflating would take ten times as long.

use core::arch::{asm, global_asm};
use core::ptr::NonNull;

use aarch64_cpu::registers::{MIDR_EL1, Readable};
use drivers::gpio::GpioRegisters;
use drivers::mmio::Mmio;
use drivers::pl011::Pl011Registers;

use crate::{KERNEL, MEMORY_END};

/// Part number of the Pi 4's Cortex-A72; anything else is taken for a Pi 3.
const CORTEX_A72: u64 = 0xd08;

/// `SCTLR_EL2` with the MMU and the caches off: its RES1 bits (Arm ARM D19.2.125).
const SCTLR_OFF: u64 = 0x30c5_0830;
/// The same with M (MMU), C (data cache) and I (instruction cache).
const SCTLR_ON: u64 = SCTLR_OFF | 1 << 0 | 1 << 2 | 1 << 12;
/// `TCR_EL2`: 32-bit addresses, 4 KiB granule, walks inner-shareable and cacheable; bits 31 and 23 are RES1.
const TCR: u64 = 1 << 31 | 1 << 23 | 3 << 12 | 1 << 10 | 1 << 8 | 32;
/// `MAIR_EL2`: attribute 0 normal write-back memory, attribute 1 Device-nGnRE.
const MAIR: u64 = 0x04ff;
/// A block of normal memory: AF, inner shareable, `AP[1]` (RES1 at EL2).
const NORMAL: u64 = 1 << 10 | 3 << 8 | 1 << 6 | 0b01;
/// A block of device memory, never executed.
const DEVICE: u64 = 1 << 54 | 1 << 10 | 1 << 6 | 1 << 2 | 0b01;

/// What is mapped as memory: up to where firmware and QEMU put the initramfs.
const MEMORY: usize = 0x800_0000;

global_asm!(
    r#"
    .section .text.head, "ax"
    .global _start
_start:
    msr     daifset, #0xf
    mov     x19, x0                     // the device tree, perhaps
    mrs     x1, mpidr_el1
    tst     x1, #3
    b.ne    loader_park
    mrs     x1, currentel
    cmp     x1, #2 << 2
    b.ne    loader_park

    // To where we belong. The two places are far apart.
    adr     x0, _start
    ldr     x1, =__loader_start
    ldr     x2, =__loader_bytes
    add     x2, x0, x2
1:  ldp     x3, x4, [x0], #16
    stp     x3, x4, [x1], #16
    cmp     x0, x2
    b.lo    1b
    dsb     sy
    ic      iallu
    dsb     sy
    isb
    ldr     x0, =2f
    br      x0

2:  ldr     x0, =__bss_start
    ldr     x1, =__bss_end
3:  stp     xzr, xzr, [x0], #16
    cmp     x0, x1
    b.lo    3b

    // The first GiB in blocks of 2 MiB: memory, and from 0x3f000000 on a Pi 3's peripherals. The fourth is a Pi 4's.
    ldr     x0, =__table_2
    ldr     x1, ={normal}
    mov     x2, #{memory_blocks}
4:  str     x1, [x0], #8
    add     x1, x1, #0x200000
    subs    x2, x2, #1
    b.ne    4b
    ldr     x0, =__table_2
    ldr     x1, ={device} + 0x3f000000
    mov     x2, #504
5:  str     x1, [x0, x2, lsl #3]
    add     x1, x1, #0x200000
    add     x2, x2, #1
    cmp     x2, #512
    b.lo    5b
    orr     x0, x0, #3
    ldr     x1, =__table_1
    str     x0, [x1]
    ldr     x0, ={device} + 0xc0000000
    str     x0, [x1, #24]

    // What was written with the caches off must not be shadowed by stale lines once they are on.
    ldr     x0, =__loader_start
    ldr     x2, =__loader_end
    dsb     sy
6:  dc      ivac, x0
    add     x0, x0, #64
    cmp     x0, x2
    b.lo    6b
    dsb     sy

    ldr     x0, =loader_vectors
    msr     vbar_el2, x0
    mov     x0, #{mair}
    msr     mair_el2, x0
    ldr     x0, ={tcr}
    msr     tcr_el2, x0
    msr     ttbr0_el2, x1
    isb
    tlbi    alle2
    ic      iallu
    dsb     nsh
    isb
    ldr     x0, ={sctlr_on}
    msr     sctlr_el2, x0
    isb

    ldr     x0, =__stack_top
    mov     sp, x0
    mov     x29, xzr
    mov     x30, xzr
    bl      loader_main

    // The kernel runs with the caches off at first: all that is in them goes to memory, and nothing stays that could
    // shadow what it writes there.
    mov     x0, xzr
    mov     x1, #{memory}
7:  dc      civac, x0
    add     x0, x0, #64
    cmp     x0, x1
    b.lo    7b
    dsb     sy
    ldr     x0, ={sctlr_off}
    msr     sctlr_el2, x0
    isb
    tlbi    alle2
    ic      iallu
    dsb     sy
    isb
    mov     x0, x19
    mov     x1, xzr
    mov     x2, xzr
    mov     x3, xzr
    mov     x4, #{kernel}
    br      x4

    .global loader_park
loader_park:
    wfe
    b       loader_park

loader_exception_entry:
    ldr     x0, =__stack_top
    mov     sp, x0
    mrs     x0, esr_el2
    mrs     x1, elr_el2
    mrs     x2, far_el2
    b       loader_exception

    .ltorg
    .section .text.vectors, "ax"
    .balign 2048
loader_vectors:
    .rept 16
    .balign 128
    b       loader_exception_entry
    .endr
    .section .text
"#,
    normal = const NORMAL,
    device = const DEVICE,
    memory = const MEMORY,
    memory_blocks = const MEMORY >> 21,
    mair = const MAIR,
    tcr = const TCR,
    sctlr_on = const SCTLR_ON,
    sctlr_off = const SCTLR_OFF,
    kernel = const KERNEL,
);

/// Whether this is a Pi 4.
pub(crate) fn is_pi4() -> bool {
    MIDR_EL1.get() >> 4 & 0xfff == CORTEX_A72
}

/// Where the peripherals begin.
fn peripherals() -> usize {
    if is_pi4() { 0xfe00_0000 } else { 0x3f00_0000 }
}

/// The registers of the pins.
pub(crate) fn gpio() -> Mmio<GpioRegisters> {
    // SAFETY: the tables map it as device memory; it is the GPIO block of this board.
    unsafe { Mmio::new(registers(0x20_0000)) }
}

/// The registers of the UART.
pub(crate) fn pl011() -> Mmio<Pl011Registers> {
    // SAFETY: the tables map it as device memory; it is UART0 of this board.
    unsafe { Mmio::new(registers(0x20_1000)) }
}

fn registers<R>(offset: usize) -> NonNull<R> {
    let address = core::num::NonZero::new(peripherals() + offset).expect("no register is at zero");
    NonNull::with_exposed_provenance(address)
}

/// The memory for a kernel. Called once.
pub(crate) fn kernel_memory() -> &'static mut [u8] {
    let start: *mut u8 = core::ptr::with_exposed_provenance_mut(KERNEL);
    // SAFETY: RAM on every board, mapped as normal memory; the loader has left it, and nothing else is there: firmware's
    // stub is below, the initramfs and the device tree are above. The one caller calls once.
    unsafe { core::slice::from_raw_parts_mut(start, MEMORY_END - KERNEL) }
}

/// Waits for ever.
pub(crate) fn park() -> ! {
    loop {
        // SAFETY: sleeps until an event, and touches nothing.
        unsafe { asm!("wfe", options(nomem, nostack, preserves_flags)) };
    }
}
