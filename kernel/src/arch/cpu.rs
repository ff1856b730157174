//! The CPU that runs us: who we are, what is masked, what the current thread's header says.
//!
//! `TPIDR_EL1` points to the [`Header`] of the current thread, not to a block of the CPU: a thread that is preempted
//! between reading the register and using it still holds *its own* header, wherever it goes on. The CPU's number is
//! in the header, written by the scheduler at each switch.

use core::arch::asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, compiler_fence};

use kcore::addr::{CpuId, MAX_CPUS, UserAddr};
use kcore::hal::Cpu;

use super::fp::FpState;
use super::upcall;

/// The I bit of `DAIF`.
const IRQ_MASKED: u64 = 1 << 7;

/// Added to [`Header::preempt`] while an interrupt is handled.
const IN_INTERRUPT: u32 = 1 << 16;

/// What the lowest layers keep for every thread. Only the CPU that runs the thread touches it, but for `attention`, so
/// plain loads and stores (relaxed atomics) do.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct Header {
    /// How many reasons there are not to preempt: locks held, interrupts being handled.
    preempt: AtomicU32,
    /// The CPU the thread runs on.
    cpu: AtomicU8,
    /// Set by an interrupt handler when the scheduler should run as soon as it may.
    need_resched: AtomicU32,
    /// Set, by any CPU, when the thread has something to do before it goes on in its program. With `need_resched` it
    /// makes the one word that the way back to a program looks at.
    attention: AtomicU32,
    /// The scheduler's own object for this thread; null before there is a scheduler.
    pub(crate) thread: AtomicPtr<()>,
    /// Where the thread's floating-point registers belong while they are open to it; null while they are not.
    pub(super) open_fp: AtomicPtr<FpState>,
    /// Who stands in for the layers above while a self-test runs a program.
    #[cfg(feature = "ktest")]
    pub(super) supervisor: AtomicPtr<()>,
}

impl Header {
    /// Offset of `need_resched` and `attention` as one word of 64 bits.
    pub(super) const PENDING: usize = {
        let at = offset_of!(Self, need_resched);
        assert!(at.is_multiple_of(8) && offset_of!(Self, attention) == at + 4);
        at
    };

    /// A header whose thread may not be preempted yet: new threads start inside the scheduler.
    pub(crate) const fn new(cpu: u8, preempt: u32) -> Self {
        Self {
            preempt: AtomicU32::new(preempt),
            need_resched: AtomicU32::new(0),
            cpu: AtomicU8::new(cpu),
            attention: AtomicU32::new(0),
            thread: AtomicPtr::new(core::ptr::null_mut()),
            open_fp: AtomicPtr::new(core::ptr::null_mut()),
            #[cfg(feature = "ktest")]
            supervisor: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Lets the thread come by `tine_before_user` before it goes on in its program: at its next way back, or at once if
    /// it runs and its CPU is interrupted after this. What was written before is seen there.
    pub(crate) fn request_attention(&self) {
        self.attention.store(1, Ordering::Release);
    }

    /// Whether [`request_attention`](Self::request_attention) was called and has not been answered.
    pub(crate) fn attention_requested(&self) -> bool {
        self.attention.load(Ordering::Acquire) != 0
    }

    /// Takes the request back, if there was one. What is found out after this is as new as any request.
    pub(super) fn take_attention(&self) -> bool {
        self.attention_requested() && self.attention.swap(0, Ordering::AcqRel) != 0
    }

    /// Names the CPU that is about to run the thread.
    pub(crate) fn set_cpu(&self, cpu: CpuId) {
        #[expect(clippy::cast_possible_truncation, reason = "a CpuId is below MAX_CPUS")]
        self.cpu.store(cpu.index() as u8, Ordering::Relaxed);
    }

    /// How many reasons there are not to preempt.
    pub(crate) fn preempt_count(&self) -> u32 {
        self.preempt.load(Ordering::Relaxed)
    }

    /// Asks for a pass through the scheduler at the next point where the thread may be preempted.
    pub(crate) fn request_resched(&self) {
        self.need_resched.store(1, Ordering::Relaxed);
    }

    /// Takes the request back; the scheduler does so on its way in.
    pub(crate) fn clear_resched(&self) {
        self.need_resched.store(0, Ordering::Relaxed);
    }

    /// Whether the thread should go through the scheduler now.
    #[inline]
    pub(crate) fn should_preempt(&self) -> bool {
        self.preempt_count() == 0 && self.need_resched.load(Ordering::Relaxed) != 0
    }

    /// Whether a pass through the scheduler was asked for and has not been made.
    #[inline]
    pub(crate) fn resched_requested(&self) -> bool {
        self.need_resched.load(Ordering::Relaxed) != 0
    }

    // Each reason is a guard, and comes and goes once: neither of these can overflow, and both are in every lock.

    #[inline]
    fn add(&self, n: u32) {
        self.preempt.store(self.preempt_count().wrapping_add(n), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// Returns how many are left.
    #[inline]
    fn sub(&self, n: u32) -> u32 {
        compiler_fence(Ordering::SeqCst);
        let before = self.preempt_count();
        debug_assert!(before >= n, "a reason is taken back once");
        let left = before.wrapping_sub(n);
        self.preempt.store(left, Ordering::Relaxed);
        // An interrupt that comes after the store preempts by itself; what an earlier one has asked for is looked at below.
        compiler_fence(Ordering::SeqCst);
        left
    }

    /// Marks the begin of interrupt handling.
    pub(crate) fn enter_interrupt(&self) {
        self.add(IN_INTERRUPT);
    }

    /// Marks the end of interrupt handling.
    pub(crate) fn leave_interrupt(&self) {
        self.sub(IN_INTERRUPT);
    }
}

/// The headers that CPUs boot with. No preemption before the scheduler takes over.
pub(crate) static BOOT_HEADERS: [Header; MAX_CPUS] =
    [Header::new(0, 1), Header::new(1, 1), Header::new(2, 1), Header::new(3, 1)];

#[repr(align(64))]
struct HeldRanks(AtomicU64);

static HELD_RANKS: [HeldRanks; MAX_CPUS] = [const { HeldRanks(AtomicU64::new(0)) }; MAX_CPUS];

/// The header of the current thread.
#[inline]
pub(crate) fn header() -> &'static Header {
    let pointer: *const Header;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, tpidr_el1", out(reg) pointer, options(nomem, nostack, preserves_flags)) }
    // SAFETY: the boot code and the scheduler put only headers there that live as long as the thread runs, and it is
    // the thread itself that asks.
    unsafe { &*pointer }
}

/// Makes `header` the current one without switching stacks: a CPU's boot context becomes its idle thread.
///
/// # Safety
///
/// `header` must live as long as any code runs under it, and no other CPU may use it. Interrupts must be masked.
pub(crate) unsafe fn adopt_header(header: &'static Header) {
    let pointer = core::ptr::from_ref(header);
    // SAFETY: the register holds nothing but this pointer, and the caller vouches for it.
    unsafe { asm!("msr tpidr_el1, {}", in(reg) pointer, options(nostack, preserves_flags)) }
}

/// The CPU's interrupt mask bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Daif(u64);

/// The CPU, for `kcore`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arm;

/// The stack pointer of the program that this CPU was in last: that of the current thread, unless another came between.
pub(crate) fn program_stack_pointer() -> UserAddr {
    let pointer: u64;
    // SAFETY: reading the register changes nothing.
    unsafe { asm!("mrs {}, sp_el0", out(reg) pointer, options(nomem, nostack, preserves_flags)) }
    UserAddr::new(pointer)
}

impl Cpu for Arm {
    type IrqState = Daif;

    #[inline]
    fn id() -> CpuId {
        CpuId::known(header().cpu.load(Ordering::Relaxed))
    }

    #[inline]
    fn irq_save() -> Daif {
        let state: u64;
        // SAFETY: masking interrupts is always allowed; not `nomem`, so no access moves across.
        unsafe { asm!("mrs {}, daif", "msr daifset, #3", out(reg) state, options(nostack, preserves_flags)) }
        Daif(state)
    }

    #[inline]
    fn irq_restore(state: Daif) {
        // SAFETY: restores what `irq_save` found.
        unsafe { asm!("msr daif, {}", in(reg) state.0, options(nostack, preserves_flags)) }
        // A wake-up under the lock may have asked for the scheduler: a masked interrupt could not carry it out.
        if state.0 & IRQ_MASKED == 0 && header().should_preempt() {
            preempt_here();
        }
    }

    #[inline]
    fn irq_restore_only(state: Daif) {
        // SAFETY: restores what `irq_save` found.
        unsafe { asm!("msr daif, {}", in(reg) state.0, options(nostack, preserves_flags)) }
    }

    #[inline]
    fn preempt_disable() {
        header().add(1);
    }

    #[inline]
    fn preempt_enable() {
        let header = header();
        if header.sub(1) == 0 && header.resched_requested() {
            preempt_here();
        }
    }

    #[inline]
    fn relax() {
        // Not `core::hint::spin_loop`, which is an ISB: QEMU lets another CPU run at a YIELD when it runs them in turn
        // (`-icount`), and a waiting CPU would otherwise use up its whole turn.
        // SAFETY: a hint.
        unsafe { asm!("yield", options(nomem, nostack, preserves_flags)) }
    }

    fn held_ranks() -> &'static AtomicU64 {
        &HELD_RANKS[Self::id().index()].0
    }
}

/// What was asked for while the thread could not be preempted happens now, unless interrupts are masked. Out of the way of
/// the many that are asked for nothing.
#[cold]
#[inline(never)]
fn preempt_here() {
    if !irqs_masked() {
        upcall::preempt();
    }
}

/// As [`Arm::irq_save`], as a number for `critical-section`.
pub(crate) fn irq_save_raw() -> u64 {
    Arm::irq_save().0
}

/// As [`Arm::irq_restore`], with a number of [`irq_save_raw`].
pub(crate) fn irq_restore_raw(state: u64) {
    Arm::irq_restore(Daif(state));
}

/// Whether interrupts are masked on this CPU.
#[inline]
pub(crate) fn irqs_masked() -> bool {
    let daif: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, daif", out(reg) daif, options(nomem, nostack, preserves_flags)) }
    daif & IRQ_MASKED != 0
}

/// Unmasks all asynchronous exceptions: IRQ, FIQ and `SError`.
#[inline]
pub(crate) fn irqs_unmask() {
    // SAFETY: the callers are the ends of the boot paths and of the thread trampoline, where handlers may run.
    unsafe { asm!("msr daifclr, #7", options(nostack)) }
}

/// Masks everything, for good.
pub(crate) fn irqs_mask_all() {
    // SAFETY: masking is always allowed.
    unsafe { asm!("msr daifset, #0xf", options(nostack)) }
}

/// Sleeps until an interrupt is pending, masked or not.
#[inline]
pub(crate) fn wait_for_interrupt() {
    // SAFETY: WFI waits; the barrier before it lets earlier stores be seen while we sleep.
    unsafe { asm!("dsb sy", "wfi", options(nostack, preserves_flags)) }
}

/// Sleeps until an event (`SEV`), an interrupt, or for no reason at all.
#[inline]
pub(crate) fn wait_for_event() {
    // SAFETY: WFE waits.
    unsafe { asm!("wfe", options(nostack, preserves_flags)) }
}

/// Wakes the cores that wait for an event.
#[inline]
pub(crate) fn send_event() {
    // SAFETY: barrier and hint only.
    unsafe { asm!("dsb sy", "sev", options(nostack, preserves_flags)) }
}

/// The current program's thread pointer, which it sets by itself (`TPIDR_EL0`). Switches keep it.
pub(crate) fn user_tls() -> u64 {
    let tls: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) tls, options(nomem, nostack, preserves_flags)) }
    tls
}

/// Sets what [`user_tls`] says: zero for a new program.
pub(crate) fn set_user_tls(tls: u64) {
    // SAFETY: the kernel itself does not use the register, but for the report of an overflown stack.
    unsafe { asm!("msr tpidr_el0, {}", in(reg) tls, options(nomem, nostack, preserves_flags)) }
}

/// Stops this CPU for good.
pub(crate) fn park() -> ! {
    irqs_mask_all();
    loop {
        wait_for_interrupt();
    }
}

/// The core's number as the hardware says it, for the paths that cannot trust a header.
pub(crate) fn hardware_id() -> u8 {
    let mpidr: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, mpidr_el1", out(reg) mpidr, options(nomem, nostack, preserves_flags)) }
    mpidr.to_le_bytes()[0] & 3
}

/// What an interrupt interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Interrupted {
    /// A program.
    Program,
    /// The kernel.
    Kernel,
}

/// By a handler, whose CPU takes no other exception until it is done: what was interrupted.
pub(crate) fn interrupted() -> Interrupted {
    const EXCEPTION_LEVEL: u64 = 0b11 << 2;
    let spsr: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, spsr_el1", out(reg) spsr, options(nomem, nostack, preserves_flags)) }
    if spsr & EXCEPTION_LEVEL == 0 { Interrupted::Program } else { Interrupted::Kernel }
}

/// `MIDR_EL1`: the implementer, part and revision of the core.
pub(crate) fn midr() -> u64 {
    let midr: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, midr_el1", out(reg) midr, options(nomem, nostack, preserves_flags)) }
    midr
}

/// Makes every store before it visible to other CPUs and complete at the devices before what follows: ahead of an
/// interrupt to another CPU, between two peripherals, ahead of a doorbell.
#[inline]
pub(crate) fn publish_to_devices() {
    // SAFETY: a barrier.
    unsafe { asm!("dsb sy", options(nostack, preserves_flags)) }
}

/// What programs are told of the CPU: `AT_HWCAP` and `AT_HWCAP2` (Linux, `uapi/asm/hwcap.h`). From the ID registers: the
/// boards' cores lack the cryptographic instructions that QEMU's have.
pub(crate) fn hardware_capabilities() -> [u64; 2] {
    const FP: u64 = 1 << 0;
    const ASIMD: u64 = 1 << 1;
    // Fields of ID_AA64ISAR0_EL1 (Arm ARM D19.2.61): shift, least value, what it means.
    const INSTRUCTIONS: [(u32, u64, u64); 6] =
        [(4, 1, 1 << 3), (4, 2, 1 << 4), (8, 1, 1 << 5), (12, 1, 1 << 6), (16, 1, 1 << 7), (20, 2, 1 << 8)];
    let (features, instructions): (u64, u64);
    // SAFETY: reads registers.
    unsafe { asm!("mrs {}, id_aa64pfr0_el1", out(reg) features, options(nomem, nostack, preserves_flags)) }
    // SAFETY: as above.
    unsafe { asm!("mrs {}, id_aa64isar0_el1", out(reg) instructions, options(nomem, nostack, preserves_flags)) }
    let mut capabilities = 0;
    // Bits 19:16 and 23:20 are 15 where there is none.
    if features >> 16 & 0xf != 0xf {
        capabilities |= FP;
    }
    if features >> 20 & 0xf != 0xf {
        capabilities |= ASIMD;
    }
    for (shift, least, bit) in INSTRUCTIONS {
        if instructions >> shift & 0xf >= least {
            capabilities |= bit;
        }
    }
    [capabilities, 0]
}
