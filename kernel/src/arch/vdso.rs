//! The kernel's own shared object (`vdso(7)`): how programs read the clock without a call, and where signal handlers return
//! to.
//!
//! It is one page, an ELF file without section headers that is mapped as it is. The functions have the names and the version
//! of Linux's for AArch64, by which the C libraries find them through `AT_SYSINFO_EHDR`, and do what the calls do: the same
//! arithmetic (`kcore::time::CounterScale`), and for all that they cannot answer, the call itself.
//!
//! What they read stands behind them in the same page, written by the kernel only: one page is one fault and one area for
//! each program. All of it but the epoch is settled before there are programs. The epoch is one word, which is read whole,
//! so there is no sequence counter: whoever reads the old one and then the counter reads as if he had been a little earlier.

use core::arch::global_asm;
use core::mem::offset_of;

/// What the functions read.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Data {
    /// What the wall clock showed when the counter started.
    pub(crate) epoch_ns: u64,
    /// Nanoseconds a tick, rounded down.
    pub(crate) whole_ns: u64,
    /// The rest in units of 2⁻⁶⁴ ns.
    pub(crate) fraction: u64,
    /// Up to so many ticks that is exact.
    pub(crate) exact_ticks: u64,
    /// What `clock_getres` says.
    pub(crate) resolution_ns: u64,
}

// The assembly has places for five words.
const _: () = assert!(size_of::<Data>() == 5 * size_of::<u64>());

unsafe extern "C" {
    static tine_vdso_start: u8;
    static tine_vdso_end: u8;
    static tine_vdso_data: u8;
    static tine_vdso_sigreturn: u8;
}

/// The object as it was assembled, with nothing in its data.
pub(crate) fn image() -> &'static [u8] {
    let start = &raw const tine_vdso_start;
    let bytes = (&raw const tine_vdso_end).addr() - start.addr();
    // SAFETY: what the assembly below defines is between both, and constant.
    unsafe { core::slice::from_raw_parts(start, bytes) }
}

/// Where in it its [`Data`] is; a multiple of eight.
pub(crate) fn data_offset() -> usize {
    (&raw const tine_vdso_data).addr() - (&raw const tine_vdso_start).addr()
}

/// Where in it a signal handler returns to.
pub(crate) fn sigreturn_offset() -> usize {
    (&raw const tine_vdso_sigreturn).addr() - (&raw const tine_vdso_start).addr()
}

/// Clocks that are read here, a bit each by Linux's numbers: real, monotonic, raw, both coarse ones, boot time, TAI.
const CLOCKS: u32 = 1 << 0 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 11;
/// Those that show the time of day.
const WALL_CLOCKS: u32 = 1 << 0 | 1 << 5 | 1 << 11;

global_asm!(
    r#"
    // A symbol of the dynamic table: its name, and where it begins and ends.
    .macro vdso_symbol name, start, end
    .word   \name - vdso_strings
    .byte   0x12                // STB_GLOBAL, STT_FUNC
    .byte   0
    .hword  1                   // defined, in a section that nobody asks for
    .quad   \start - tine_vdso_start
    .quad   \end - \start
    .endm

    .section .rodata.vdso, "a"
    .balign 16
    .globl  tine_vdso_start
tine_vdso_start:
    // Elf64_Ehdr (System V ABI, chapter 4).
    .byte   0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0
    .quad   0
    .hword  3, 183              // ET_DYN, EM_AARCH64
    .word   1
    .quad   0
    .quad   vdso_segments - tine_vdso_start
    .quad   0
    .word   0
    .hword  64, 56, 2, 64, 0, 0
vdso_segments:
    .word   1, 5                // PT_LOAD, read and execute
    .quad   0, 0, 0
    .quad   tine_vdso_end - tine_vdso_start, tine_vdso_end - tine_vdso_start
    .quad   4096
    .word   2, 4                // PT_DYNAMIC, read
    .quad   vdso_dynamic - tine_vdso_start, vdso_dynamic - tine_vdso_start, vdso_dynamic - tine_vdso_start
    .quad   vdso_dynamic_end - vdso_dynamic, vdso_dynamic_end - vdso_dynamic
    .quad   8
vdso_dynamic:
    .quad   14, vdso_name - vdso_strings                // DT_SONAME
    .quad   4, vdso_hash - tine_vdso_start              // DT_HASH
    .quad   5, vdso_strings - tine_vdso_start           // DT_STRTAB
    .quad   6, vdso_symbols - tine_vdso_start           // DT_SYMTAB
    .quad   10, vdso_strings_end - vdso_strings         // DT_STRSZ
    .quad   11, 24                                      // DT_SYMENT
    .quad   0x6ffffff0, vdso_versions - tine_vdso_start // DT_VERSYM
    .quad   0x6ffffffc, vdso_defined - tine_vdso_start  // DT_VERDEF
    .quad   0x6ffffffd, 2                               // DT_VERDEFNUM
    .quad   0, 0
vdso_dynamic_end:
vdso_symbols:
    .zero   24
    vdso_symbol vdso_name_gettime, vdso_gettime, vdso_gettime_end
    vdso_symbol vdso_name_timeofday, vdso_timeofday, vdso_timeofday_end
    vdso_symbol vdso_name_getres, vdso_getres, vdso_getres_end
    vdso_symbol vdso_name_sigreturn, tine_vdso_sigreturn, vdso_sigreturn_end
    // One bucket: a chain of all of them.
vdso_hash:
    .word   1, 5
    .word   1
    .word   0, 2, 3, 4, 0
    // Elf64_Verdef: the object itself, and the version that its symbols have.
vdso_defined:
    .hword  1, 1, 1, 1
    .word   0x0deebfa1, 20, 28
    .word   vdso_name - vdso_strings, 0
    .hword  1, 0, 2, 1
    .word   0x075fcb89, 20, 0
    .word   vdso_version - vdso_strings, 0
vdso_versions:
    .hword  0, 2, 2, 2, 2
vdso_strings:
    .byte   0
vdso_name:
    .asciz  "linux-vdso.so.1"
vdso_version:
    .asciz  "LINUX_2.6.39"
vdso_name_gettime:
    .asciz  "__kernel_clock_gettime"
vdso_name_timeofday:
    .asciz  "__kernel_gettimeofday"
vdso_name_getres:
    .asciz  "__kernel_clock_getres"
vdso_name_sigreturn:
    .asciz  "__kernel_rt_sigreturn"
vdso_strings_end:

    // x5: nanoseconds since the counter started; or goes on at `slow`, with all arguments as they were. Uses x4 to x7.
    .macro vdso_now slow
    adr     x4, tine_vdso_data
    ldp     x6, x7, [x4, #{whole}]
    isb                         // what came before has been before
    mrs     x5, cntvct_el0
    umulh   x7, x5, x7
    madd    x7, x5, x6, x7
    ldr     x6, [x4, #{exact}]
    cmp     x5, x6
    b.hi    \slow
    mov     x5, x7
    .endm

    // x5: the time of day instead. Uses x6.
    .macro vdso_add_epoch
    ldr     x6, [x4, #{epoch}]
    adds    x5, x5, x6
    csinv   x5, x5, xzr, cc     // no later than 64 bits can say
    .endm

    // x7, x5: seconds and nanoseconds of x5. Uses x6.
    .macro vdso_split
    mov     w6, #0xca00         // 1,000,000,000
    movk    w6, #0x3b9a, lsl #16
    udiv    x7, x5, x6
    msub    x5, x7, x6, x5
    .endm

    // w3: the bit of clock w0; or goes on at `slow` if that clock is not read here.
    .macro vdso_clock slow
    cmp     w0, #31
    b.hi    \slow
    mov     w2, #1
    lsl     w3, w2, w0
    mov     w2, #{clocks}
    tst     w3, w2
    b.eq    \slow
    .endm

    .balign 8
    // int clock_gettime(clockid_t, struct timespec *)
vdso_gettime:
    vdso_clock 2f
    vdso_now 2f
    mov     w2, #{wall_clocks}
    tst     w3, w2
    b.eq    1f
    vdso_add_epoch
1:  vdso_split
    stp     x7, x5, [x1]
    mov     w0, #0
    ret
2:  mov     x8, #{clock_gettime}
    svc     #0
    ret
vdso_gettime_end:

    // int gettimeofday(struct timeval *, struct timezone *)
vdso_timeofday:
    cbz     x0, 1f
    vdso_now 2f
    vdso_add_epoch
    vdso_split
    mov     w6, #1000
    udiv    x5, x5, x6
    stp     x7, x5, [x0]
1:  cbz     x1, 3f
    str     xzr, [x1]
3:  mov     w0, #0
    ret
2:  mov     x8, #{gettimeofday}
    svc     #0
    ret
vdso_timeofday_end:

    // int clock_getres(clockid_t, struct timespec *)
vdso_getres:
    vdso_clock 2f
    cbz     x1, 1f
    adr     x4, tine_vdso_data
    ldr     x5, [x4, #{resolution}]
    stp     xzr, x5, [x1]
1:  mov     w0, #0
    ret
2:  mov     x8, #{clock_getres}
    svc     #0
    ret
vdso_getres_end:

    // Debuggers know a handler's caller by these two instructions, and look for them one before the address to return to, too.
    nop
    .globl  tine_vdso_sigreturn
tine_vdso_sigreturn:
    mov     x8, #{rt_sigreturn}
    svc     #0
vdso_sigreturn_end:

    .balign 8
    .globl  tine_vdso_data
tine_vdso_data:
    .zero   40
    .globl  tine_vdso_end
tine_vdso_end:
    .section .text
"#,
    epoch = const offset_of!(Data, epoch_ns),
    whole = const offset_of!(Data, whole_ns),
    exact = const offset_of!(Data, exact_ticks),
    resolution = const offset_of!(Data, resolution_ns),
    clocks = const CLOCKS,
    wall_clocks = const WALL_CLOCKS,
    clock_gettime = const 113,
    clock_getres = const 114,
    rt_sigreturn = const 139,
    gettimeofday = const 169,
);

// `ldp` takes both factors at once.
const _: () = assert!(offset_of!(Data, fraction) == offset_of!(Data, whole_ns) + 8);
