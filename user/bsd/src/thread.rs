//! `__tfork`: threads.

use core::ffi::c_void;
use core::{fmt, ptr};

use crate::errno::{Errno, check};
use crate::number;
use crate::svc::svc;

/// The number of a thread.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tid(pub i32);

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The parameter block of `__tfork`, 24 bytes. The kernel takes a shorter one too, and zeroes for the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Tfork {
    /// What `TPIDR_EL0` is in the new thread.
    pub tcb: *mut c_void,
    /// Where the kernel stores the number of the new thread before that runs, unless null.
    pub tid: *mut i32,
    /// The stack pointer of the new thread. It must not be null.
    pub stack: *mut c_void,
}

const _: () = assert!(size_of::<Tfork>() == 24);

impl Default for Tfork {
    fn default() -> Self {
        Self { tcb: ptr::null_mut(), tid: ptr::null_mut(), stack: ptr::null_mut() }
    }
}

impl Tfork {
    /// Makes a thread that runs `entry(argument)` on this block's stack.
    ///
    /// # Errors
    ///
    /// `INVAL` for a null stack, `AGAIN` at a limit, `NOMEM`.
    ///
    /// # Safety
    ///
    /// The stack pointer is aligned to 16 bytes, and the memory below it is the new thread's, large enough, until it is
    /// gone. `tid` is null or may be written. `entry` may not use thread-local storage, which is most of `std`, unless
    /// `tcb` is a block that the C library made. It does not return.
    pub unsafe fn spawn(&self, entry: extern "C" fn(usize) -> !, argument: usize) -> Result<Tid, Errno> {
        let result: isize;
        // SAFETY: the new thread leaves for `entry` at once, on a stack that the caller vouches for; in the caller the
        // call changes nothing but x0 and `tid`.
        unsafe {
            core::arch::asm!(
                "svc #0",
                "cbnz x0, 2f",
                "mov x29, xzr",
                "mov x30, xzr",
                "mov x0, x20",
                "br x21",
                "2:",
                in("x8") number::TFORK,
                inlateout("x0") ptr::from_ref(self) => result,
                in("x1") size_of::<Self>(),
                in("x20") argument,
                in("x21") entry,
                options(nostack),
            );
        }
        tid(result)
    }

    /// The call with the first `size` bytes of the block, as it is: for blocks that the kernel must refuse.
    ///
    /// # Errors
    ///
    /// The one that the kernel returned.
    ///
    /// # Safety
    ///
    /// `block` and `size` are such that no thread is made: a new thread would return from here a second time.
    pub unsafe fn refused(block: *const Self, size: usize) -> Result<Tid, Errno> {
        // SAFETY: no thread is made, and then nothing happens.
        tid(unsafe { svc(number::TFORK, [block.expose_provenance(), size, 0, 0, 0, 0]) })
    }
}

fn tid(returned: isize) -> Result<Tid, Errno> {
    i32::try_from(check(returned)?).map(Tid).map_err(|_| Errno::OVERFLOW)
}
