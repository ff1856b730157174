//! The part of a signal handler's frame that is the same in all of them, stored and loaded in one go: Linux's `ucontext_t` of
//! AArch64 with one record of the floating-point registers.
//!
//! Both are straight lines of accesses with the program's rights, as the copies of [`user_copy`](super::user_copy) are: each
//! is tried again where a fault can be resolved, and where it cannot, all of it has failed.

use core::arch::global_asm;
use core::mem::offset_of;

use kcore::addr::UserAddr;
use kcore::hal::UserFault;

use super::fp::FpRegisters;
use super::user_copy::{check, outcome};
use super::vectors::Frame;

/// Where `uc_mcontext` is, which begins with the address of a fault: `ucontext_t` aligns it.
const CONTEXT: u64 = 176;
/// Where its registers are: x0 to x30, stack pointer, program counter, processor state.
const REGISTERS: u64 = CONTEXT + 8;
/// Where its records begin, aligned again.
pub(crate) const RECORDS: u64 = CONTEXT + 288;
/// Bytes of a record of the floating-point registers: magic number and length, both control registers, q0 to q31.
const FP_BYTES: u64 = 528;
/// What its head holds.
const FP_HEAD: u64 = 0x4650_8001 | FP_BYTES << 32;
/// Bytes of the whole: records have 4096.
pub(crate) const BYTES: u64 = RECORDS + 4096;
/// Behind it stands a frame record, so that a debugger can walk out of the handler.
pub(crate) const LINK_BYTES: u64 = 16;

/// How much of a program's memory is checked before.
const STORED: usize = LOADED + 16;
const LOADED: usize = 464 + 4096;
const _: () = assert!(LOADED as u64 == BYTES && STORED as u64 == BYTES + LINK_BYTES);

/// What else is in it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Signals {
    /// `uc_stack`, in words.
    pub(crate) stack: [u64; 3],
    /// `uc_sigmask`, as much as there are signals.
    pub(crate) mask: u64,
}

/// What was loaded of it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Loaded {
    /// What else is in it.
    pub(crate) signals: Signals,
    /// The processor state, which nobody has looked at.
    pub(crate) state: u64,
    /// The heads of the record that was loaded as the floating-point registers, and of the one behind it.
    heads: [u64; 2],
}

impl Loaded {
    /// Whether the records are those that [`store`] leaves. If not, the registers are somewhere else, or nowhere.
    pub(crate) fn is_as_stored(&self) -> bool {
        self.heads == [FP_HEAD, 0]
    }
}

unsafe extern "C" {
    fn user_frame_store(to: u64, frame: *const Frame, fp: *const FpRegisters, signals: *const Signals) -> u64;
    fn user_frame_load(from: u64, frame: *mut Frame, fp: *mut FpRegisters, loaded: *mut Loaded) -> u64;
}

/// Stores the context of the program with these registers at its `to`, and a frame record behind.
///
/// # Errors
///
/// [`UserFault`]; some of it may have been stored.
pub(crate) fn store(to: UserAddr, frame: &Frame, fp: &FpRegisters, signals: &Signals) -> Result<(), UserFault> {
    let at = check(to, STORED)?;
    // SAFETY: all three are references; the program's side checks itself, as of `copy_out`.
    outcome(unsafe { user_frame_store(at, frame, fp, signals) })
}

/// Loads the context at the program's `from`: general registers, stack pointer and program counter to `frame`, of which
/// nothing else changes, and the others to `fp`.
///
/// # Errors
///
/// [`UserFault`]; some of it may have been loaded.
pub(crate) fn load(from: UserAddr, frame: &mut Frame, fp: &mut FpRegisters) -> Result<Loaded, UserFault> {
    let at = check(from, LOADED)?;
    let mut loaded = Loaded { signals: Signals { stack: [0; 3], mask: 0 }, state: 0, heads: [0; 2] };
    // SAFETY: all three are references to plain words; the program's side checks itself, as of `copy_in`.
    outcome(unsafe { user_frame_load(at, frame, fp, &raw mut loaded) })?;
    Ok(loaded)
}

global_asm!(
    r#"
    // The 256 bytes at \from to the program's \to.
    .macro store_block from, to
    .irp    n, 0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240
    ldp     x4, x5, [\from, #\n]
    sttr    x4, [\to, #\n]
    sttr    x5, [\to, #\n + 8]
    .endr
    .endm

    .macro load_block from, to
    .irp    n, 0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240
    ldtr    x4, [\from, #\n]
    ldtr    x5, [\from, #\n + 8]
    stp     x4, x5, [\to, #\n]
    .endr
    .endm

    .section .text.user_frame, "ax"
    .globl  user_frame_store
user_frame_store:                       // x0 = to, x1 = frame, x2 = fp, x3 = signals
    ldp     x4, x5, [x3, #{stack}]
    ldp     x6, x7, [x3, #{stack} + 16]
    sttr    xzr, [x0]                   // flags, link
    sttr    xzr, [x0, #8]
    sttr    x4, [x0, #16]
    sttr    x5, [x0, #24]
    sttr    x6, [x0, #32]
    sttr    x7, [x0, #40]
    ldr     x4, [x1, #{far}]
    sttr    x4, [x0, #{context}]
    add     x9, x0, #{registers}
    store_block x1, x9
    ldp     x4, x5, [x1, #256]
    add     x9, x9, #256
    sttr    x4, [x9]
    sttr    x5, [x9, #8]
    add     x9, x0, #{records}
    mov     x4, #{fp_magic_low}
    movk    x4, #{fp_magic_high}, lsl #16
    movk    x4, #{fp_bytes}, lsl #32
    ldr     x5, [x2, #{status}]
    sttr    x4, [x9]
    sttr    x5, [x9, #8]
    add     x9, x9, #16
    store_block x2, x9
    add     x9, x9, #256
    add     x10, x2, #256
    store_block x10, x9
    add     x9, x9, #256
    sttr    xzr, [x9]                   // the end of the records
    sttr    xzr, [x9, #8]
    ldp     x4, x5, [x1, #29 * 8]
    add     x9, x9, #{end_to_link}
    sttr    x4, [x9]
    sttr    x5, [x9, #8]
    mov     x0, #-1
    ret

    .globl  user_frame_load
user_frame_load:                        // x0 = from, x1 = frame, x2 = fp, x3 = loaded
    ldtr    x4, [x0, #16]
    ldtr    x5, [x0, #24]
    ldtr    x6, [x0, #32]
    ldtr    x7, [x0, #40]
    stp     x4, x5, [x3, #{stack}]
    stp     x6, x7, [x3, #{stack} + 16]
    add     x9, x0, #{registers}
    load_block x9, x1
    add     x9, x9, #256
    ldtr    x4, [x9]
    ldtr    x5, [x9, #8]
    str     x4, [x1, #{counter}]
    str     x5, [x3, #{state}]
    add     x9, x0, #{records}
    ldtr    x6, [x9]
    ldtr    x4, [x9, #8]
    str     x4, [x2, #{status}]
    add     x9, x9, #16
    load_block x9, x2
    add     x9, x9, #256
    add     x10, x2, #256
    load_block x9, x10
    add     x9, x9, #256
    ldtr    x7, [x9]
    stp     x6, x7, [x3, #{heads}]
    mov     x0, #-1
    ret
    .globl  user_frame_end
user_frame_end:
    .section .text
"#,
    stack = const offset_of!(Signals, stack),
    state = const offset_of!(Loaded, state),
    heads = const offset_of!(Loaded, heads),
    far = const offset_of!(Frame, far),
    counter = const offset_of!(Frame, elr),
    context = const CONTEXT,
    registers = const REGISTERS,
    records = const RECORDS,
    fp_magic_low = const FP_HEAD & 0xffff,
    fp_magic_high = const FP_HEAD >> 16 & 0xffff,
    fp_bytes = const FP_BYTES,
    status = const offset_of!(FpRegisters, fpsr),
    end_to_link = const BYTES - RECORDS - FP_BYTES,
);

// The assembly moves blocks and pairs of words that follow each other.
const _: () = assert!(offset_of!(Frame, x) == 0 && offset_of!(Frame, sp) == 31 * 8 && offset_of!(Frame, elr) == 256);
const _: () =
    assert!(offset_of!(FpRegisters, q) == 0 && offset_of!(FpRegisters, fpcr) == offset_of!(FpRegisters, fpsr) + 4);
const _: () = assert!(offset_of!(Signals, mask) == offset_of!(Signals, stack) + 24 && offset_of!(Loaded, signals) == 0);
