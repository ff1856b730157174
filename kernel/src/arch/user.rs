//! Where a program's registers are kept while the kernel runs in its name, and the way into a program.
//!
//! ```text
//! stack top ─► ┌──────────┐
//!              │ FpState  │  the floating-point registers, while they are not in the CPU
//!  SP_EL1 at ─►├──────────┤
//!  EL0         │  Frame   │  everything else
//!              ├──────────┤
//!              │  …       │  the kernel's calls
//! ```
//!
//! Both stand at a place that follows from the stack alone, so that whoever makes a thread, looks at one that has stopped
//! or loads a new program finds them, and neither takes an allocation that could fail.

use core::arch::asm;
use core::mem::offset_of;
use core::ptr::NonNull;

use super::fp::FpState;
use super::vectors::Frame;

/// The top of a kernel stack whose thread runs a program.
#[derive(Debug)]
#[repr(C, align(16))]
pub(crate) struct UserArea {
    /// The registers, while the thread is in the kernel.
    pub(crate) frame: Frame,
    /// The floating-point registers, while they are not in the CPU.
    pub(crate) fp: FpState,
}

// The entries from EL0 find the stack pointer behind the frame.
const _: () = assert!(offset_of!(UserArea, frame) == 0 && offset_of!(UserArea, fp) == size_of::<Frame>());

/// Where the program's registers are on the kernel stack that ends at `stack_top`. Making the pointer is safe; using it
/// is not: the memory is the stack's, and while the thread runs in its program the frame holds what was.
pub(crate) fn area_of(stack_top: u64) -> NonNull<UserArea> {
    let at = stack_top - size_of::<UserArea>() as u64;
    let pointer = core::ptr::with_exposed_provenance_mut(usize::try_from(at).expect("64-bit addresses"));
    NonNull::new(pointer).expect("stacks lie far above zero")
}

/// Goes on in the program, as the frame says that stands at the top of the calling thread's kernel stack. Nothing of the
/// thread's calls is left.
///
/// # Safety
///
/// `stack_top` is the end of the kernel stack that the caller runs on, and the area there is whole. Nothing on the stack
/// needs to be dropped.
pub(crate) unsafe fn enter(stack_top: u64) -> ! {
    let frame = area_of(stack_top);
    // SAFETY: the caller's contract; the frame lies above all calls of this thread.
    unsafe { asm!("mov sp, {}", "b return_to_user", in(reg) frame.as_ptr(), options(noreturn)) }
}
