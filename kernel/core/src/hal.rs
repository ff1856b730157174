//! The seam: what `kcore` asks of a machine, as traits. `kernel::arch` implements them on the boards, `hal::fake`
//! on the host.
//!
//! * [`Cpu`] has associated functions only: a lock cannot carry an instance of it around.
//! * [`FrameAccess`], [`Tlb`], [`Clock`] and [`UserMemory`] are taken by value or reference, so that a test can have several at
//!   once; on the boards they are zero-sized.

pub mod syndrome;

#[cfg(any(test, feature = "fake"))]
pub mod fake;

use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

use crate::addr::{Asid, CpuId, PhysFrame, UserAddr, VirtAddr};

/// The CPU that runs the caller.
pub trait Cpu: 'static {
    /// What [`irq_save`](Self::irq_save) returns and [`irq_restore`](Self::irq_restore) takes.
    type IrqState: Copy;

    /// The CPU we run on. Meaningful only while the caller cannot move: interrupts masked or preemption disabled.
    fn id() -> CpuId;

    /// Masks interrupts on this CPU and returns the state before.
    fn irq_save() -> Self::IrqState;

    /// Puts the interrupt mask back to what [`irq_save`](Self::irq_save) returned.
    fn irq_restore(state: Self::IrqState);

    /// The same, and nothing else: for code of which nothing can have asked for a preemption since the mask was set. What an
    /// interrupt asks for happens when the interrupt comes.
    #[inline]
    fn irq_restore_only(state: Self::IrqState) {
        Self::irq_restore(state);
    }

    /// Forbids preemption of the current thread. Nests.
    fn preempt_disable();

    /// Ends one [`preempt_disable`](Self::preempt_disable). At the outermost one, a preemption that came due meanwhile
    /// happens here.
    fn preempt_enable();

    /// A hint inside a spin loop.
    fn relax();

    /// The ranks of the spin locks that this CPU holds, one bit a rank (`sync::rank`). Used by debug builds only, and
    /// only while the caller cannot move.
    fn held_ranks() -> &'static AtomicU64;
}

/// Reach into physical memory through the kernel's linear map.
///
/// # Safety
///
/// For every frame of the managed memory, [`frame_ptr`](Self::frame_ptr) returns a pointer, aligned to `PAGE_SIZE`,
/// that is valid for reads and writes of the whole frame as long as the value lives; distinct frames do not overlap. And
/// [`CLEAR`](Self::CLEAR) does what it says.
pub unsafe trait FrameAccess {
    /// The machine's own way to fill a frame with zeroes, given where the kernel sees it, if there is a better one than to store
    /// them. It asks of its caller what a store there would.
    const CLEAR: Option<unsafe fn(NonNull<u8>)> = None;

    /// Where the kernel sees `frame`.
    fn frame_ptr(&self, frame: PhysFrame) -> NonNull<u8>;
}

/// Translation maintenance. Each call returns only when it has taken effect on every CPU (inner-shareable form, then
/// `dsb ish; isb`).
pub trait Tlb {
    /// Makes descriptor stores that precede it visible to the table walkers (`dsb ishst`, `isb`).
    fn publish(&self);

    /// Forgets the translation of one page of an address space, at every level of the walk (`TLBI VAE1IS`).
    fn flush_user_page(&self, asid: Asid, page: UserAddr);

    /// Forgets all translations of an address space (`TLBI ASIDE1IS`).
    fn flush_asid(&self, asid: Asid);

    /// Forgets the translation of one kernel page, for all ASIDs (`TLBI VAAE1IS`).
    fn flush_kernel_page(&self, page: VirtAddr);

    /// Forgets everything (`TLBI VMALLE1IS`).
    fn flush_all(&self);
}

/// A monotonic clock.
pub trait Clock {
    /// Nanoseconds since the counter started; never goes back, the same on every CPU.
    fn now_ns(&self) -> u64;
}

/// An address that a program named cannot be used as it asked: nothing is mapped there, or not with that right, or there
/// is no memory for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserFault {
    /// The first such address.
    pub at: UserAddr,
}

/// The memory of the current program, as the kernel may use it: with the program's own rights. Calls may take faults and
/// so may sleep.
pub trait UserMemory {
    /// Fills `to` with what the program has at `from`.
    ///
    /// # Errors
    ///
    /// [`UserFault`]; what came before that address has been copied.
    fn copy_in(&self, from: UserAddr, to: &mut [u8]) -> Result<(), UserFault>;

    /// Stores `from` at the program's `to`.
    ///
    /// # Errors
    ///
    /// [`UserFault`]; what came before that address has been stored.
    fn copy_out(&self, from: &[u8], to: UserAddr) -> Result<(), UserFault>;
}
