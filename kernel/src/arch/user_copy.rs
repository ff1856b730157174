//! The kernel's reads and writes of the current program's memory, by instructions that have the program's own rights
//! (`LDTR`, `STTR`): what EL0 may not touch, they do not touch. [`exchange_u32`] is the one exception, and says why.
//!
//! Any of them may fault. [`recover`] is asked by the exception handler and knows each by its address: the layer above
//! resolves the fault if it can (a page that was not there yet, a shared one that is written to), and the instruction is
//! tried again. Otherwise control goes to the landing of the range that the instruction belongs to:
//!
//! * the wide loops move 64 bytes a turn and land in a loop that goes on byte by byte from the turn's begin, so that
//!   everything before the address that fails has been moved;
//! * the rest land at the end, with the address.
//!
//! Where the thread may not sleep (interrupts are masked, preemption is off, a handler runs) nobody is asked: the access
//! just fails. So a futex looks at its word with its bucket locked.
//!
//! A range is checked before anything is touched: it ends at or below 2^39, computed without overflow. That a device or the
//! kernel stands there is then impossible.

use core::arch::global_asm;

use kcore::addr::{USER_END, UserAddr};
use kcore::hal::syndrome::{Abort, Fault};
use kcore::hal::{Cpu, UserFault, UserMemory};

use super::cpu::{self, Arm, header};
use super::upcall::{self, KernelFault};
use super::vectors::Frame;

/// The memory of the current program, for `kcore`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CurrentUser;

/// What the assembly returns when nothing failed: no address of a program.
const DONE: u64 = u64::MAX;

/// What a load returns.
#[repr(C)]
struct Loaded {
    /// [`DONE`], or the address that failed.
    status: u64,
    value: u64,
}

unsafe extern "C" {
    fn user_copy_in(to: *mut u8, from: u64, bytes: usize) -> u64;
    fn user_copy_out(to: u64, from: *const u8, bytes: usize) -> u64;
    fn user_zero(to: u64, bytes: usize) -> u64;
    fn user_string_in(to: *mut u8, from: u64, bytes: usize) -> Loaded;
    safe fn user_load_32(from: u64) -> Loaded;
    safe fn user_load_64(from: u64) -> Loaded;
    safe fn user_store_32(to: u64, value: u32) -> u64;
    safe fn user_store_64(to: u64, value: u64) -> u64;
    safe fn user_exchange_32(at: u64, expected: u32, new: u32) -> Loaded;
}

impl UserMemory for CurrentUser {
    fn copy_in(&self, from: UserAddr, to: &mut [u8]) -> Result<(), UserFault> {
        let at = check(from, to.len())?;
        // SAFETY: `to` is valid for writes of its length; the program's side checks itself.
        outcome(unsafe { user_copy_in(to.as_mut_ptr(), at, to.len()) })
    }

    fn copy_out(&self, from: &[u8], to: UserAddr) -> Result<(), UserFault> {
        let at = check(to, from.len())?;
        // SAFETY: `from` is valid for reads of its length; the program's side checks itself, and what is overwritten there
        // is nothing that the kernel has a reference to.
        outcome(unsafe { user_copy_out(at, from.as_ptr(), from.len()) })
    }
}

/// Stores `bytes` zeroes at the program's `to`.
///
/// # Errors
///
/// [`UserFault`]; what came before that address has been stored.
#[cfg_attr(not(feature = "ktest"), expect(dead_code, reason = "so far only the self-tests use it"))]
pub(crate) fn zero(to: UserAddr, bytes: usize) -> Result<(), UserFault> {
    let at = check(to, bytes)?;
    // SAFETY: as in `copy_out`.
    outcome(unsafe { user_zero(at, bytes) })
}

/// Copies the program's string at `from` to `to`, up to and with its zero, and says how many bytes stand before that; `None`
/// if `to` is full before. What comes behind the zero in memory is not looked at, and need not be there.
///
/// # Errors
///
/// [`UserFault`] if an address fails before the zero and before `to` is full.
pub(crate) fn copy_in_string(from: UserAddr, to: &mut [u8]) -> Result<Option<usize>, UserFault> {
    let at = from.get();
    // The string may end before the last address, so only what there is room for is cut.
    let room = USER_END.checked_sub(at).filter(|&room| room > 0).ok_or(UserFault { at: from })?;
    let bytes = usize::try_from(room).map_or(to.len(), |room| room.min(to.len()));
    // SAFETY: as in `copy_in`, for at most `bytes`.
    let Loaded { status, value } = unsafe { user_string_in(to.as_mut_ptr(), at, bytes) };
    outcome(status)?;
    match usize::try_from(value) {
        Ok(length) if length < bytes => Ok(Some(length)),
        _ if bytes < to.len() => Err(UserFault { at: UserAddr::new(USER_END) }),
        _ => Ok(None),
    }
}

/// The program's word at `from`.
///
/// # Errors
///
/// [`UserFault`].
pub(crate) fn load_u32(from: UserAddr) -> Result<u32, UserFault> {
    let Loaded { status, value } = user_load_32(check(from, size_of::<u32>())?);
    outcome(status)?;
    #[expect(clippy::cast_possible_truncation, reason = "32 bits were loaded")]
    Ok(value as u32)
}

/// The program's word at `from`.
///
/// # Errors
///
/// [`UserFault`].
pub(crate) fn load_u64(from: UserAddr) -> Result<u64, UserFault> {
    let Loaded { status, value } = user_load_64(check(from, size_of::<u64>())?);
    outcome(status).map(|()| value)
}

/// Stores `value` at the program's `to`.
///
/// # Errors
///
/// [`UserFault`].
#[cfg_attr(not(feature = "ktest"), expect(dead_code, reason = "so far only the self-tests use it"))]
pub(crate) fn store_u32(to: UserAddr, value: u32) -> Result<(), UserFault> {
    outcome(user_store_32(check(to, size_of::<u32>())?, value))
}

/// Stores `value` at the program's `to`.
///
/// # Errors
///
/// [`UserFault`].
pub(crate) fn store_u64(to: UserAddr, value: u64) -> Result<(), UserFault> {
    outcome(user_store_64(check(to, size_of::<u64>())?, value))
}

/// Stores `new` at the program's `at` if that holds `expected`, in one step and after all that came before; says whether
/// it did.
///
/// # Errors
///
/// [`UserFault`], also where the word is not aligned.
pub(crate) fn exchange_u32(at: UserAddr, expected: u32, new: u32) -> Result<bool, UserFault> {
    let Loaded { status, value } = user_exchange_32(check(at, size_of::<u32>())?, expected, new);
    outcome(status).map(|()| value != 0)
}

/// As [`load_u32`], if the word can be read now: no fault is resolved, nothing sleeps. For a look under a lock.
///
/// # Errors
///
/// [`UserFault`]: the caller gives its lock back, has the fault resolved and tries again.
pub(crate) fn load_u32_no_fault(from: UserAddr) -> Result<u32, UserFault> {
    without_faults(|| load_u32(from))
}

/// As [`exchange_u32`], if the word can be written now; see [`load_u32_no_fault`].
///
/// # Errors
///
/// [`UserFault`].
pub(crate) fn exchange_u32_no_fault(at: UserAddr, expected: u32, new: u32) -> Result<bool, UserFault> {
    without_faults(|| exchange_u32(at, expected, new))
}

/// With preemption off [`recover`] asks nobody.
fn without_faults<T>(access: impl FnOnce() -> T) -> T {
    Arm::preempt_disable();
    let outcome = access();
    Arm::preempt_enable();
    outcome
}

/// The range's start, if all of it is a program's.
#[inline]
pub(super) fn check(start: UserAddr, bytes: usize) -> Result<u64, UserFault> {
    let at = start.get();
    match USER_END.checked_sub(bytes as u64) {
        Some(last) if at <= last => Ok(at),
        _ => Err(UserFault { at: start }),
    }
}

#[inline]
pub(super) fn outcome(status: u64) -> Result<(), UserFault> {
    if status == DONE { Ok(()) } else { Err(UserFault { at: UserAddr::new(status) }) }
}

/// A range of instructions that access a program's memory, and where they land when that cannot be.
#[repr(C)]
struct Landing {
    start: u64,
    end: u64,
    landing: u64,
}

unsafe extern "C" {
    static user_landings: [Landing; LANDINGS];
}

const LANDINGS: usize = 9;

/// What an abort in the kernel is to the copies above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Recovery {
    /// It was one of them, and the frame says how to go on.
    Recovered,
    /// It was none.
    NotOurs,
}

/// Called by the handler of a data abort that interrupted the kernel, with interrupts masked.
pub(super) fn recover(frame: &mut Frame, abort: Abort) -> Recovery {
    // SAFETY: the assembly below defines that many.
    let landings = unsafe { &user_landings };
    let Some(range) = landings.iter().find(|range| (range.start..range.end).contains(&frame.elr)) else {
        return Recovery::NotOurs;
    };
    if !abort.address_valid || frame.far >= USER_END {
        return Recovery::NotOurs;
    }
    let resolvable = matches!(abort.fault, Fault::Translation(_) | Fault::Permission(_) | Fault::AccessFlag(_));
    if resolvable && header().preempt_count() == 0 && !frame.masks_interrupts() {
        cpu::irqs_unmask();
        let resolved = upcall::kernel_fault(UserAddr::new(frame.far), abort.access);
        cpu::irqs_mask_all();
        if resolved == KernelFault::Resolved {
            return Recovery::Recovered;
        }
    }
    frame.elr = range.landing;
    frame.x[0] = if range.landing == user_failed as *const () as u64 { frame.far } else { frame.x[0] };
    Recovery::Recovered
}

unsafe extern "C" {
    fn user_failed();
}

global_asm!(
    r#"
    // Registers of all copies: x0 = to, x1 = from, x2 = bytes left less what the turn or the tail takes, x3 = the end on
    // the program's side. x0 and x1 change only when a turn or a piece is done, so a landing can begin it anew.

    .section .text.user_copy, "ax"
user_copy_in:
    add     x3, x1, x2
    subs    x2, x2, #64
    b.lo    2f
1:  ldtr    x4, [x1]
    ldtr    x5, [x1, #8]
    ldtr    x6, [x1, #16]
    ldtr    x7, [x1, #24]
    ldtr    x8, [x1, #32]
    ldtr    x9, [x1, #40]
    ldtr    x10, [x1, #48]
    ldtr    x11, [x1, #56]
    stp     x4, x5, [x0]
    stp     x6, x7, [x0, #16]
    stp     x8, x9, [x0, #32]
    stp     x10, x11, [x0, #48]
    add     x1, x1, #64
    add     x0, x0, #64
    subs    x2, x2, #64
    b.hs    1b
2:  tbz     x2, #5, 3f
    ldtr    x4, [x1]
    ldtr    x5, [x1, #8]
    ldtr    x6, [x1, #16]
    ldtr    x7, [x1, #24]
    stp     x4, x5, [x0], #16
    stp     x6, x7, [x0], #16
    add     x1, x1, #32
3:  tbz     x2, #4, 4f
    ldtr    x4, [x1]
    ldtr    x5, [x1, #8]
    stp     x4, x5, [x0], #16
    add     x1, x1, #16
4:  tbz     x2, #3, 5f
    ldtr    x4, [x1]
    str     x4, [x0], #8
    add     x1, x1, #8
5:  tbz     x2, #2, 6f
    ldtr    w4, [x1]
    str     w4, [x0], #4
    add     x1, x1, #4
6:  tbz     x2, #1, 7f
    ldtrh   w4, [x1]
    strh    w4, [x0], #2
    add     x1, x1, #2
7:  tbz     x2, #0, 8f
    ldtrb   w4, [x1]
    strb    w4, [x0]
8:  mov     x0, #-1
    ret
user_copy_in_bytes:
    ldtrb   w4, [x1]
    strb    w4, [x0], #1
    add     x1, x1, #1
    cmp     x1, x3
    b.ne    user_copy_in_bytes
    mov     x0, #-1
    ret

user_copy_out:
    add     x3, x0, x2
    subs    x2, x2, #64
    b.lo    2f
1:  ldp     x4, x5, [x1]
    ldp     x6, x7, [x1, #16]
    ldp     x8, x9, [x1, #32]
    ldp     x10, x11, [x1, #48]
    sttr    x4, [x0]
    sttr    x5, [x0, #8]
    sttr    x6, [x0, #16]
    sttr    x7, [x0, #24]
    sttr    x8, [x0, #32]
    sttr    x9, [x0, #40]
    sttr    x10, [x0, #48]
    sttr    x11, [x0, #56]
    add     x1, x1, #64
    add     x0, x0, #64
    subs    x2, x2, #64
    b.hs    1b
2:  tbz     x2, #5, 3f
    ldp     x4, x5, [x1]
    ldp     x6, x7, [x1, #16]
    sttr    x4, [x0]
    sttr    x5, [x0, #8]
    sttr    x6, [x0, #16]
    sttr    x7, [x0, #24]
    add     x1, x1, #32
    add     x0, x0, #32
3:  tbz     x2, #4, 4f
    ldp     x4, x5, [x1]
    sttr    x4, [x0]
    sttr    x5, [x0, #8]
    add     x1, x1, #16
    add     x0, x0, #16
4:  tbz     x2, #3, 5f
    ldr     x4, [x1]
    sttr    x4, [x0]
    add     x1, x1, #8
    add     x0, x0, #8
5:  tbz     x2, #2, 6f
    ldr     w4, [x1]
    sttr    w4, [x0]
    add     x1, x1, #4
    add     x0, x0, #4
6:  tbz     x2, #1, 7f
    ldrh    w4, [x1]
    sttrh   w4, [x0]
    add     x1, x1, #2
    add     x0, x0, #2
7:  tbz     x2, #0, 8f
    ldrb    w4, [x1]
    sttrb   w4, [x0]
8:  mov     x0, #-1
    ret
user_copy_out_bytes:
    ldrb    w4, [x1]
    sttrb   w4, [x0]
    add     x1, x1, #1
    add     x0, x0, #1
    cmp     x0, x3
    b.ne    user_copy_out_bytes
    mov     x0, #-1
    ret

user_zero:                              // x0 = to, x1 = bytes
    add     x3, x0, x1
    subs    x1, x1, #64
    b.lo    2f
1:  sttr    xzr, [x0]
    sttr    xzr, [x0, #8]
    sttr    xzr, [x0, #16]
    sttr    xzr, [x0, #24]
    sttr    xzr, [x0, #32]
    sttr    xzr, [x0, #40]
    sttr    xzr, [x0, #48]
    sttr    xzr, [x0, #56]
    add     x0, x0, #64
    subs    x1, x1, #64
    b.hs    1b
2:  cmp     x0, x3
    b.eq    4f
user_zero_bytes:
    sttrb   wzr, [x0]
    add     x0, x0, #1
    cmp     x0, x3
    b.ne    user_zero_bytes
4:  mov     x0, #-1
    ret

    // x0 = to, x1 = from, x2 = room; returns x0 = status, x1 = bytes before the zero, or the room.
    // Words are loaded from multiples of eight, so none reaches into a page that no byte of the string is in.
user_string_in:
    mov     x3, x2
    mov     x5, #0x0101010101010101
1:  cbz     x2, 4f
    tst     x1, #7
    b.ne    3f
    cmp     x2, #8
    b.lo    3f
2:  ldtr    x4, [x1]
    sub     x6, x4, x5
    bic     x6, x6, x4
    tst     x6, #0x8080808080808080
    b.ne    3f
    str     x4, [x0], #8
    add     x1, x1, #8
    sub     x2, x2, #8
    cmp     x2, #8
    b.hs    2b
    cbz     x2, 4f
3:  ldtrb   w4, [x1]
    strb    w4, [x0], #1
    cbz     w4, 4f
    add     x1, x1, #1
    sub     x2, x2, #1
    b       1b
4:  sub     x1, x3, x2
    mov     x0, #-1
    ret
user_string_in_end:

user_load_32:
    ldtr    w1, [x0]
    mov     x0, #-1
    ret
user_load_64:
    ldtr    x1, [x0]
    mov     x0, #-1
    ret
user_store_32:
    sttr    w1, [x0]
    mov     x0, #-1
    ret
user_store_64:
    sttr    x1, [x0]
    mov     x0, #-1
    ret
    // There are no exclusives with a program's rights. What it may write the kernel may, too, and what it may not it may
    // not either; that it may read is for the first load to find out.
user_exchange_32:                       // x0 = at, w1 = expected, w2 = new
    ldtr    w3, [x0]
1:  ldxr    w3, [x0]
    cmp     w3, w1
    b.ne    2f
    stlxr   w3, w2, [x0]
    cbnz    w3, 1b
    dmb     ish
    mov     x1, #1
    mov     x0, #-1
    ret
2:  clrex
    mov     x1, #0
    mov     x0, #-1
user_failed:                            // x0 = the address that failed
    ret

    .section .rodata.user_copy, "a"
    .balign 8
user_landings:
    .quad   user_copy_in, user_copy_in_bytes, user_copy_in_bytes
    .quad   user_copy_in_bytes, user_copy_out, user_failed
    .quad   user_copy_out, user_copy_out_bytes, user_copy_out_bytes
    .quad   user_copy_out_bytes, user_zero, user_failed
    .quad   user_zero, user_zero_bytes, user_zero_bytes
    .quad   user_zero_bytes, user_string_in, user_failed
    .quad   user_string_in, user_string_in_end, user_failed
    .quad   user_load_32, user_failed, user_failed
    .quad   user_frame_store, user_frame_end, user_failed
    .section .text
"#,
);
