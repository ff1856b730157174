//! A program's floating-point and SIMD registers. The kernel itself is compiled without them.
//!
//! They are given lazily. `CPACR_EL1.FPEN` keeps them shut until a program uses one; the trap opens them and, unless
//! they still hold what this thread left there, loads them. From then on they are *open* until the thread is switched
//! away from: then they are saved, because the thread may go on anywhere, and shut. A thread that does no arithmetic
//! with them in its time slice pays two instructions a switch; one that comes back to a CPU on which nobody else used
//! them pays the trap and no load.
//!
//! Loading eagerly at each switch would save the trap where every slice uses them, and cost the loads and stores where one
//! does not. A build that did so was measured beside this one (forkbench, guest instructions, raspi3b): a futex round trip
//! of two threads that use them came to 3034 instead of 3208, but vfork, exit and wait to 6176 instead of 6016, a bare
//! fork, exit and wait to 8128 instead of 8032, and fork, exit and wait to 13392 instead of 13360. A short-lived child is
//! what this kernel is for, so they are given lazily; both ways keep the same state in the same place.
//!
//! Whose values the registers of a CPU are takes two to say: the CPU names the thread whose state it loaded last, and the
//! state names the CPU where it was loaded last. Only if both agree are they the newest: the thread may have used
//! another CPU's meanwhile, or another thread this CPU's.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::mem::{MaybeUninit, offset_of};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

use kcore::addr::{CpuId, MAX_CPUS};
use kcore::hal::Cpu;

use super::cpu::{Arm, Header, header};

/// The registers' values, laid out as Linux's `user_fpsimd_state`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(16))]
pub(crate) struct FpRegisters {
    /// q0 to q31.
    pub(crate) q: [u128; 32],
    /// The status register.
    pub(crate) fpsr: u32,
    /// The control register.
    pub(crate) fpcr: u32,
}

impl FpRegisters {
    /// What a program starts with.
    pub(crate) const ZERO: Self = Self { q: [0; 32], fpsr: 0, fpcr: 0 };
}

/// `FpState::on` of registers that are in no CPU.
const NOWHERE: u32 = u32::MAX;

/// A thread's floating-point registers, at the top of its kernel stack.
///
/// It is used by its thread alone, with interrupts masked, and by whoever makes the thread before it runs; so that its
/// words are atomics only to be shared.
#[derive(Debug)]
#[repr(C, align(16))]
pub(crate) struct FpState {
    /// The values, if `kept`, as of the last time that they were saved.
    values: UnsafeCell<MaybeUninit<FpRegisters>>,
    /// The CPU whose registers were loaded with this state last, or [`NOWHERE`].
    on: AtomicU32,
    /// Whether there is anything in `values`: 0 while the thread has not used the registers.
    kept: AtomicU32,
}

// SAFETY: `values` is reached as the type's comment says.
unsafe impl Sync for FpState {}

/// The state that each CPU's registers were loaded with last. Only that CPU looks.
#[repr(align(64))]
struct Loaded(AtomicPtr<FpState>);

static LOADED: [Loaded; MAX_CPUS] = [const { Loaded(AtomicPtr::new(ptr::null_mut())) }; MAX_CPUS];

static ZERO: FpRegisters = FpRegisters::ZERO;

unsafe extern "C" {
    fn fp_save(into: *mut FpRegisters);
    fn fp_load(from: *const FpRegisters);
}

impl FpState {
    /// The state of a program that has not used the registers yet. `values` is not written: making a thread stays cheap.
    pub(crate) const fn new() -> Self {
        Self { values: UnsafeCell::new(MaybeUninit::uninit()), on: AtomicU32::new(NOWHERE), kept: AtomicU32::new(0) }
    }

    /// Makes [`new`](Self::new) at `place`, without writing where the values go.
    ///
    /// # Safety
    ///
    /// `place` is aligned, good for writes and nobody else's, for as long as the reference lives.
    pub(crate) unsafe fn begin<'a>(place: *mut Self) -> &'a mut Self {
        // SAFETY: the caller's contract; the fields are within `place`.
        let (on, kept) = (unsafe { &raw mut (*place).on }, unsafe { &raw mut (*place).kept });
        // SAFETY: as above.
        unsafe { on.write(AtomicU32::new(NOWHERE)) };
        // SAFETY: as above.
        unsafe { kept.write(AtomicU32::new(0)) };
        // SAFETY: as above; what was not written may have any contents.
        unsafe { &mut *place }
    }

    fn values(&self) -> *mut FpRegisters {
        self.values.get().cast()
    }

    fn is_kept(&self) -> bool {
        self.kept.load(Relaxed) != 0
    }

    /// Saves the CPU's registers here. They are open, and this state's.
    fn save(&self) {
        // SAFETY: the registers are open, `values` is ours to write, as the type says, and aligned.
        unsafe { fp_save(self.values()) };
        self.kept.store(1, Relaxed);
    }
}

/// The current program has used a register that was shut. `state` is its own; interrupts are masked.
pub(super) fn on_trap(state: &FpState) {
    let here = Arm::id();
    open();
    let pointer = ptr::from_ref(state).cast_mut();
    if !is_loaded(state) {
        let values = if state.is_kept() { state.values().cast_const() } else { &raw const ZERO };
        // SAFETY: the registers are open; the values were saved whole, or are constant.
        unsafe { fp_load(values) };
        LOADED[here.index()].0.store(pointer, Relaxed);
        state.on.store(number(here), Relaxed);
    }
    header().open_fp.store(pointer, Relaxed);
}

/// Whether the registers of this CPU hold what `state` was last. Interrupts are masked.
fn is_loaded(state: &FpState) -> bool {
    let here = Arm::id();
    ptr::eq(LOADED[here.index()].0.load(Relaxed), state) && state.on.load(Relaxed) == number(here)
}

/// The thread of `header`, the current one, is about to leave its CPU. Interrupts are masked. If the registers are open
/// they are saved and shut; they stay this thread's until somebody else uses them here.
#[inline]
pub(super) fn switch_out(header: &Header) {
    let open = header.open_fp.load(Relaxed);
    if !open.is_null() {
        // SAFETY: the state is at the top of the stack of the thread that still runs on it.
        unsafe { &*open }.save();
        header.open_fp.store(ptr::null_mut(), Relaxed);
        shut();
    }
}

/// Gives `child`, which is as [`FpState::begin`] made it, the registers that the current thread, whose own state is `parent`,
/// has now.
#[inline]
pub(crate) fn clone_into(parent: &FpState, child: &mut FpState) {
    let interrupts = Arm::irq_save();
    if !header().open_fp.load(Relaxed).is_null() {
        child.save();
    } else if parent.is_kept() && is_loaded(parent) {
        // Shut, but nobody has used them since: they are saved with fewer instructions than a copy takes.
        open();
        child.save();
        shut();
    } else if parent.is_kept() {
        // SAFETY: the parent's values were saved whole, nobody else uses them, and the child is exclusively ours.
        unsafe { child.values().copy_from_nonoverlapping(parent.values(), 1) };
        child.kept.store(1, Relaxed);
    }
    // Nothing was woken.
    Arm::irq_restore_only(interrupts);
}

/// Forgets the current thread's registers, whose state is `state`: its next use finds zeroes. For a new program, or the
/// end of a thread.
pub(crate) fn discard(state: &FpState) {
    let interrupts = Arm::irq_save();
    forget(state);
    state.kept.store(0, Relaxed);
    Arm::irq_restore(interrupts);
}

/// Shows the current thread's registers, whose state is `state`, to `look`, which may sleep: zeroes if it has never used
/// them. They are shut afterwards, but stay in the CPU.
pub(crate) fn read<T>(state: &FpState, look: impl FnOnce(&FpRegisters) -> T) -> T {
    let interrupts = Arm::irq_save();
    switch_out(header());
    Arm::irq_restore(interrupts);
    if !state.is_kept() {
        return look(&ZERO);
    }
    // SAFETY: they were saved whole. They are shut, and only the thread's program could open them again, so no switch
    // writes to them meanwhile.
    look(unsafe { &*state.values() })
}

/// Lets `set` say what the current thread's registers, whose state is `state`, hold from now on; it may sleep. What it does
/// not set holds what it once did.
pub(crate) fn write<T>(state: &FpState, set: impl FnOnce(&mut FpRegisters) -> T) -> T {
    let interrupts = Arm::irq_save();
    forget(state);
    Arm::irq_restore(interrupts);
    if !state.is_kept() {
        // SAFETY: the state is the caller's own, and the registers are shut.
        unsafe { state.values().write(FpRegisters::ZERO) };
        state.kept.store(1, Relaxed);
    }
    // SAFETY: they are whole and, as in `read`, nobody else reaches them meanwhile.
    set(unsafe { &mut *state.values() })
}

/// Shuts the registers if they are open; what is in the CPU is the state's no more.
fn forget(state: &FpState) {
    if !header().open_fp.swap(ptr::null_mut(), Relaxed).is_null() {
        shut();
    }
    state.on.store(NOWHERE, Relaxed);
}

fn number(cpu: CpuId) -> u32 {
    u32::try_from(cpu.index()).unwrap_or(NOWHERE)
}

/// `CPACR_EL1.FPEN`: neither EL0 nor EL1 traps.
const OPEN: u64 = 3 << 20;

fn open() {
    // SAFETY: the kernel's own code uses none of the registers, open or not; the barrier is for the loads that follow.
    unsafe { asm!("msr cpacr_el1, {}", "isb", in(reg) OPEN, options(nomem, nostack, preserves_flags)) }
}

fn shut() {
    // No barrier: the next use by a program is behind a return from an exception.
    // SAFETY: the kernel's own code uses none of the registers.
    unsafe { asm!("msr cpacr_el1, xzr", options(nomem, nostack, preserves_flags)) }
}

global_asm!(
    r#"
    .arch_extension fp
    .arch_extension simd
    .section .text.fp, "ax"
fp_save:
    stp     q0, q1, [x0, #32 * 0]
    stp     q2, q3, [x0, #32 * 1]
    stp     q4, q5, [x0, #32 * 2]
    stp     q6, q7, [x0, #32 * 3]
    stp     q8, q9, [x0, #32 * 4]
    stp     q10, q11, [x0, #32 * 5]
    stp     q12, q13, [x0, #32 * 6]
    stp     q14, q15, [x0, #32 * 7]
    stp     q16, q17, [x0, #32 * 8]
    stp     q18, q19, [x0, #32 * 9]
    stp     q20, q21, [x0, #32 * 10]
    stp     q22, q23, [x0, #32 * 11]
    stp     q24, q25, [x0, #32 * 12]
    stp     q26, q27, [x0, #32 * 13]
    stp     q28, q29, [x0, #32 * 14]
    stp     q30, q31, [x0, #32 * 15]
    mrs     x1, fpsr
    mrs     x2, fpcr
    str     w1, [x0, #{status}]
    str     w2, [x0, #{control}]
    ret
fp_load:
    ldp     q0, q1, [x0, #32 * 0]
    ldp     q2, q3, [x0, #32 * 1]
    ldp     q4, q5, [x0, #32 * 2]
    ldp     q6, q7, [x0, #32 * 3]
    ldp     q8, q9, [x0, #32 * 4]
    ldp     q10, q11, [x0, #32 * 5]
    ldp     q12, q13, [x0, #32 * 6]
    ldp     q14, q15, [x0, #32 * 7]
    ldp     q16, q17, [x0, #32 * 8]
    ldp     q18, q19, [x0, #32 * 9]
    ldp     q20, q21, [x0, #32 * 10]
    ldp     q22, q23, [x0, #32 * 11]
    ldp     q24, q25, [x0, #32 * 12]
    ldp     q26, q27, [x0, #32 * 13]
    ldp     q28, q29, [x0, #32 * 14]
    ldp     q30, q31, [x0, #32 * 15]
    ldr     w1, [x0, #{status}]
    ldr     w2, [x0, #{control}]
    msr     fpsr, x1
    msr     fpcr, x2
    ret
    .section .text
    .arch_extension nosimd
    .arch_extension nofp
"#,
    status = const offset_of!(FpRegisters, fpsr),
    control = const offset_of!(FpRegisters, fpcr),
);

// The assembly stores pairs from the start on.
const _: () = assert!(offset_of!(FpRegisters, q) == 0);
