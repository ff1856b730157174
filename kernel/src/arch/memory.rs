//! Moving and clearing memory: whole pages, and what the compiler calls for everything else.
//!
//! The compiler's own `memcpy` and `memset` for this target move a word a turn. These move 64 bytes a turn, and less than
//! that by two accesses that overlap, which costs no loop at all.
//!
//! The boot code runs them too, with the MMU off, when memory is Device memory and must be accessed aligned: there, objects
//! are arrays of words at word addresses with sizes in words, for which every access below is aligned. Zeroes by the cache
//! line (`DC ZVA`, 64 bytes on both cores) are for whole pages, and only with the MMU on.
//!
//! **A page is copied through the SIMD registers**, 64 bytes an instruction. They are programs' ([`super::fp`]): whoever used
//! them last may find its values there without a trap, and they may be shut. So the copy opens them, keeps the eight that
//! it uses on its stack, and puts all back as it was. Interrupts are masked meanwhile, for nobody else knows of this: a
//! switch in between would save the wrong values, or find the registers shut on the way back. It is as long as a short
//! interrupt handler.

use core::arch::global_asm;
use core::ptr::NonNull;

/// Copies the page at `from` to `to`.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of a page, both aligned to one, ordinary memory, and not the same.
pub(crate) unsafe fn copy_page(from: NonNull<u8>, to: NonNull<u8>) {
    // SAFETY: the caller's contract.
    unsafe { page_copy(to.as_ptr(), from.as_ptr()) }
}

/// Fills the page at `page` with zeroes, by the cache line.
///
/// # Safety
///
/// `page` is aligned to a page and valid for writes of one; the MMU is on and that is ordinary memory.
pub(crate) unsafe fn clear_page(page: NonNull<u8>) {
    // SAFETY: the caller's contract.
    unsafe { page_clear(page.as_ptr()) }
}

unsafe extern "C" {
    fn page_copy(to: *mut u8, from: *const u8);
    fn page_clear(page: *mut u8);
}

global_asm!(
    r#"
    .arch_extension fp
    .arch_extension simd
    .section .text.memory, "ax"
    .balign 64
page_copy:                              // x0 = to, x1 = from
    mrs     x2, daif
    msr     daifset, #3
    mrs     x3, cpacr_el1
    mov     x4, #3 << 20                // FPEN: open, whether they were or not
    msr     cpacr_el1, x4
    isb
    sub     sp, sp, #128
    mov     x5, sp
    st1     {{v0.2d, v1.2d, v2.2d, v3.2d}}, [x5], #64
    st1     {{v4.2d, v5.2d, v6.2d, v7.2d}}, [x5]
    add     x4, x1, #1, lsl #12
1:  .rept   8
    ld1     {{v0.2d, v1.2d, v2.2d, v3.2d}}, [x1], #64
    ld1     {{v4.2d, v5.2d, v6.2d, v7.2d}}, [x1], #64
    st1     {{v0.2d, v1.2d, v2.2d, v3.2d}}, [x0], #64
    st1     {{v4.2d, v5.2d, v6.2d, v7.2d}}, [x0], #64
    .endr
    cmp     x1, x4
    b.ne    1b
    ld1     {{v0.2d, v1.2d, v2.2d, v3.2d}}, [sp], #64
    ld1     {{v4.2d, v5.2d, v6.2d, v7.2d}}, [sp], #64
    msr     cpacr_el1, x3
    msr     daif, x2
    ret

    .balign 64
page_clear:                             // x0 = what to clear
    add     x1, x0, #1, lsl #12
1:  .rept   16
    dc      zva, x0
    add     x0, x0, #64
    .endr
    cmp     x0, x1
    b.ne    1b
    ret

    // x0 = to, kept for the result, x1 = from, x2 = bytes. Up to 64 bytes are all loaded before the first is stored, whatever
    // overlaps; more than that memcpy loads and stores by turns, and the last 64 of them from the end.
    .balign 64
    .global memmove
memmove:
    cmp     x2, #64
    b.hi    moves
    add     x4, x1, x2
    add     x5, x0, x2
    b       small
    .balign 64
    .global memcpy
memcpy:
    add     x4, x1, x2
    add     x5, x0, x2
    cmp     x2, #64
    b.hi    copies
small:                                  // x4, x5 = the ends
    cmp     x2, #16
    b.lo    3f
    ldp     x6, x7, [x1]
    ldp     x12, x13, [x4, #-16]
    cmp     x2, #32
    b.ls    2f
    ldp     x8, x9, [x1, #16]
    ldp     x10, x11, [x4, #-32]
    stp     x8, x9, [x0, #16]
    stp     x10, x11, [x5, #-32]
2:  stp     x6, x7, [x0]
    stp     x12, x13, [x5, #-16]
    ret
3:  tbz     x2, #3, 4f
    ldr     x6, [x1]
    ldr     x7, [x4, #-8]
    str     x6, [x0]
    str     x7, [x5, #-8]
    ret
4:  tbz     x2, #2, 5f
    ldr     w6, [x1]
    ldr     w7, [x4, #-4]
    str     w6, [x0]
    str     w7, [x5, #-4]
    ret
5:  cbz     x2, 6f
    lsr     x9, x2, #1                  // 1 to 3 bytes: the first, the middle one, the last
    ldrb    w6, [x1]
    ldrb    w7, [x1, x9]
    ldrb    w8, [x4, #-1]
    strb    w6, [x0]
    strb    w7, [x0, x9]
    strb    w8, [x5, #-1]
6:  ret
copies:                                 // more than 64 bytes, apart or in the same place
    mov     x3, x0
    sub     x2, x2, #64
1:  ldp     x8, x9, [x1, #16]
    ldp     x10, x11, [x1, #32]
    ldp     x12, x13, [x1, #48]
    ldp     x6, x7, [x1], #64
    stp     x8, x9, [x3, #16]
    stp     x10, x11, [x3, #32]
    stp     x12, x13, [x3, #48]
    stp     x6, x7, [x3], #64
    subs    x2, x2, #64
    b.hi    1b
    ldp     x6, x7, [x4, #-64]
    ldp     x8, x9, [x4, #-48]
    ldp     x10, x11, [x4, #-32]
    ldp     x12, x13, [x4, #-16]
    stp     x6, x7, [x5, #-64]
    stp     x8, x9, [x5, #-48]
    stp     x10, x11, [x5, #-32]
    stp     x12, x13, [x5, #-16]
    ret
moves:                                  // more than 64 bytes that may overlap
    add     x4, x1, x2
    add     x5, x0, x2
    sub     x3, x0, x1
    cmp     x3, x2
    b.lo    backwards                   // the target begins within the source
    neg     x3, x3
    cmp     x3, x2
    b.hs    copies                      // they are apart
    mov     x3, x0                      // the source begins within the target
1:  ldp     x6, x7, [x1]
    ldp     x8, x9, [x1, #16]
    ldp     x10, x11, [x1, #32]
    ldp     x12, x13, [x1, #48]
    add     x1, x1, #64
    stp     x6, x7, [x3]
    stp     x8, x9, [x3, #16]
    stp     x10, x11, [x3, #32]
    stp     x12, x13, [x3, #48]
    add     x3, x3, #64
    sub     x2, x2, #64
    cmp     x2, #64
    b.hi    1b
    b       rest
backwards:
    ldp     x6, x7, [x4, #-16]
    ldp     x8, x9, [x4, #-32]
    ldp     x10, x11, [x4, #-48]
    ldp     x12, x13, [x4, #-64]!
    stp     x6, x7, [x5, #-16]
    stp     x8, x9, [x5, #-32]
    stp     x10, x11, [x5, #-48]
    stp     x12, x13, [x5, #-64]!
    sub     x2, x2, #64
    cmp     x2, #64
    b.hi    backwards
    b       small                       // what is left begins where all began
rest:                                   // what is left ends where all ended: to x3
    mov     x14, x0
    mov     x0, x3
    mov     x15, x30
    bl      small
    mov     x0, x14
    ret     x15

    // x0 = to, kept for the result, w1 = the byte, x2 = how many.
    .balign 64
    .global memset
memset:
    bfi     w1, w1, #8, #8
    bfi     w1, w1, #16, #16
    bfi     x1, x1, #32, #32
    add     x5, x0, x2
    cmp     x2, #16
    b.lo    3f
    subs    x2, x2, #64
    b.hi    1f
    stp     x1, x1, [x0]
    stp     x1, x1, [x5, #-16]
    cmn     x2, #32
    b.le    2f
    stp     x1, x1, [x0, #16]
    stp     x1, x1, [x5, #-32]
2:  ret
1:  mov     x3, x0
    cbnz    x1, 2f
    cmp     x2, #4096 - 64
    b.lo    2f
    tst     x0, #63
    b.ne    2f
    mrs     x9, sctlr_el1
    tbz     x9, #0, 2f
    add     x2, x2, #64
7:  .rept   8
    dc      zva, x3
    add     x3, x3, #64
    .endr
    sub     x2, x2, #512
    cmp     x2, #512
    b.hs    7b
    subs    x2, x2, #64                 // nothing may be left: what stands before the end is zero by now
    b.ls    8f
2:  stp     x1, x1, [x3, #16]
    stp     x1, x1, [x3, #32]
    stp     x1, x1, [x3, #48]
    stp     x1, x1, [x3], #64
    subs    x2, x2, #64
    b.hi    2b
8:  stp     x1, x1, [x5, #-64]
    stp     x1, x1, [x5, #-48]
    stp     x1, x1, [x5, #-32]
    stp     x1, x1, [x5, #-16]
    ret
3:  tbz     x2, #3, 4f
    str     x1, [x0]
    str     x1, [x5, #-8]
    ret
4:  tbz     x2, #2, 5f
    str     w1, [x0]
    str     w1, [x5, #-4]
    ret
5:  cbz     x2, 6f
    lsr     x9, x2, #1
    strb    w1, [x0]
    strb    w1, [x0, x9]
    strb    w1, [x5, #-1]
6:  ret

    // x0, x1 = what to compare, x2 = bytes; returns the sign of the first difference.
    .balign 64
    .global memcmp
    .global bcmp
memcmp:
bcmp:
    subs    x2, x2, #8
    b.lo    2f
1:  ldr     x3, [x0], #8
    ldr     x4, [x1], #8
    cmp     x3, x4
    b.ne    4f
    subs    x2, x2, #8
    b.hs    1b
2:  adds    x2, x2, #8
    b.eq    5f
3:  ldrb    w3, [x0], #1
    ldrb    w4, [x1], #1
    subs    w3, w3, w4
    b.ne    6f
    subs    x2, x2, #1
    b.ne    3b
5:  mov     w0, #0
    ret
4:  rev     x3, x3                      // the first byte in memory decides
    rev     x4, x4
    cmp     x3, x4
    mov     w0, #1
    csinv   w0, w0, wzr, hi
    ret
6:  mov     w0, w3
    ret
    .section .text
    .arch_extension nosimd
    .arch_extension nofp
"#
);
