//! Signal handlers, as few as the programs here need: one that counts, one that steps over what failed, one that changes
//! registers.

use std::sync::atomic::{AtomicU32, Ordering};

use bsd::Errno;

use crate::process::Signal;

/// How often a handler ran.
static CAUGHT: AtomicU32 = AtomicU32::new(0);
/// The handler takes three arguments.
const SA_SIGINFO: i32 = 4;
/// Calls that it interrupts are made again.
const SA_RESTART: i32 = 0x1000_0000;
/// Where the C library's `ucontext_t` has the program counter.
const PROGRAM_COUNTER: usize = REGISTERS + 31 * 8 + 8;
/// Where it has x0 to x30.
const REGISTERS: usize = 176 + 8;

/// The C library's `struct sigaction`.
#[repr(C)]
struct Action {
    handler: usize,
    mask: [u64; 16],
    flags: i32,
    restorer: usize,
}

unsafe extern "C" {
    #[link_name = "sigaction"]
    fn libc_sigaction(signal: i32, action: *const Action, before: *mut Action) -> i32;
}

/// What a handler does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handler {
    /// The default action: there is no handler.
    Default,
    /// Nothing happens; children and programs that are executed inherit that.
    Ignore,
    /// Counts.
    Count,
    /// Counts, and the call that it interrupted is made again.
    CountAndRestart,
    /// Counts, and goes on after the instruction that failed.
    StepOver,
    /// Counts, and adds one to each of x19 to x28.
    AddToKept,
}

extern "C" fn count(_signal: i32) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn step_over(_signal: i32, _info: *const u8, context: *mut u8) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
    let counter = context.wrapping_add(PROGRAM_COUNTER).cast::<[u8; 8]>();
    // SAFETY: the kernel passes a context, which is the handler's to change.
    let at = u64::from_ne_bytes(unsafe { counter.read() });
    // SAFETY: as above; instructions have four bytes.
    unsafe { counter.write((at + 4).to_ne_bytes()) };
}

extern "C" fn add_to_kept(_signal: i32, _info: *const u8, context: *mut u8) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
    for register in 19..=28 {
        let place = context.wrapping_add(REGISTERS + register * 8).cast::<[u8; 8]>();
        // SAFETY: the kernel passes a context, which is the handler's to change.
        let value = u64::from_ne_bytes(unsafe { place.read() });
        // SAFETY: as above.
        unsafe { place.write(value.wrapping_add(1).to_ne_bytes()) };
    }
}

/// Sets what happens on a signal.
///
/// # Errors
///
/// `INVAL` for signals that cannot be caught.
pub fn handle(signal: Signal, handler: Handler) -> Result<(), Errno> {
    let (handler, flags) = match handler {
        Handler::Default => (0, 0),
        Handler::Ignore => (1, 0),
        Handler::Count => (count as extern "C" fn(i32) as usize, 0),
        Handler::CountAndRestart => (count as extern "C" fn(i32) as usize, SA_RESTART),
        Handler::StepOver => (step_over as extern "C" fn(i32, *const u8, *mut u8) as usize, SA_SIGINFO),
        Handler::AddToKept => (add_to_kept as extern "C" fn(i32, *const u8, *mut u8) as usize, SA_SIGINFO),
    };
    let action = Action { handler, mask: [0; 16], flags, restorer: 0 };
    // SAFETY: the handlers use atomics and their own context only.
    let error = unsafe { libc_sigaction(signal.0, &raw const action, std::ptr::null_mut()) };
    if error == 0 {
        return Ok(());
    }
    let errno = std::io::Error::last_os_error().raw_os_error();
    Err(Errno(errno.and_then(|errno| u16::try_from(errno).ok()).unwrap_or(0)))
}

/// How often a handler ran since the last time this was asked.
#[must_use]
pub fn caught() -> u32 {
    CAUGHT.swap(0, Ordering::Relaxed)
}

/// Stores a zero at the start of memory, one instruction long: where that fails, [`Handler::StepOver`] goes on.
pub fn store_in_vain(memory: &crate::Mapping) {
    // SAFETY: the memory is the mapping's; if the store succeeds, it changes a byte of it.
    unsafe { std::arch::asm!("strb wzr, [{}]", in(reg) memory.address(), options(nostack)) };
}
