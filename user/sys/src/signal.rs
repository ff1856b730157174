//! Signal handlers, as few as the programs here need: one that counts, one that steps over what failed, some that change
//! what they return to. And signals that come with a value, and waiting for them.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bsd::{Errno, Pid, Tid};

use crate::call::{call, input, int, output, to_int};
use crate::number;
use crate::process::Signal;
use crate::time::Timespec;

/// The signals, a bit each, that [`Handler::Remember`] was called for.
static REMEMBERED: AtomicU64 = AtomicU64::new(0);
/// How often a handler ran.
static CAUGHT: AtomicU32 = AtomicU32::new(0);
/// What the last handler found blocked beside the mask that it returns to.
static NESTED: AtomicU32 = AtomicU32::new(0);
/// Where [`Handler::Tamper`] stores what, from the context on.
static TAMPER: (AtomicUsize, AtomicU64) = (AtomicUsize::new(0), AtomicU64::new(0));
/// The handler takes three arguments.
const SA_SIGINFO: i32 = 4;

/// Flags of an action.
pub mod flag {
    /// No `CHLD` when a child stops.
    pub const NOCLDSTOP: i32 = 1;
    /// Children leave no zombie.
    pub const NOCLDWAIT: i32 = 2;
    /// Handlers run on the alternate stack.
    pub const ONSTACK: i32 = 0x0800_0000;
    /// Calls are made again.
    pub const RESTART: i32 = 0x1000_0000;
    /// The signal is not blocked while its handler runs.
    pub const NODEFER: i32 = 0x4000_0000;
    /// Once.
    pub const RESETHAND: i32 = i32::MIN;
}
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
    /// Notes which signal it was, for [`take_remembered`].
    Remember,
    /// Counts, and the call that it interrupted is made again.
    CountAndRestart,
    /// Counts, and goes on after the instruction that failed.
    StepOver,
    /// Counts, and adds one to each of x19 to x28.
    AddToKept,
    /// Counts, and stores something in the context that it returns to ([`tamper`]).
    Tamper,
    /// Counts, sends itself the same signal the first time, and counts if it came at once ([`nested`]).
    Nest,
}

/// What [`Handler::Tamper`] stores in the `ucontext_t`, and at which offset.
pub fn tamper(offset: usize, value: u64) {
    TAMPER.0.store(offset, Ordering::Relaxed);
    TAMPER.1.store(value, Ordering::Relaxed);
}

/// How often [`Handler::Nest`] was interrupted by itself.
#[must_use]
pub fn nested() -> u32 {
    NESTED.swap(0, Ordering::Relaxed)
}

extern "C" fn change_context(_signal: i32, _info: *const u8, context: *mut u8) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
    let place = context.wrapping_add(TAMPER.0.load(Ordering::Relaxed)).cast::<[u8; 8]>();
    // SAFETY: the kernel passes a context of several KiB, which is the handler's to change; what becomes of that is what
    // its caller wants to know.
    unsafe { place.write(TAMPER.1.load(Ordering::Relaxed).to_ne_bytes()) };
}

extern "C" fn nest(signal: i32) {
    if CAUGHT.fetch_add(1, Ordering::Relaxed) == 0 {
        let _ = crate::process::kill(crate::process::pid().0, Signal(signal));
        NESTED.fetch_add(CAUGHT.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }
}

extern "C" fn count(_signal: i32) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn remember(signal: i32) {
    REMEMBERED.fetch_or(bit(Signal(signal)), Ordering::Relaxed);
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
    handle_with(signal, handler, 0)
}

/// The same, with these [flags](flag) beside those that the handler needs.
///
/// # Errors
///
/// As [`handle`].
pub fn handle_with(signal: Signal, handler: Handler, more: i32) -> Result<(), Errno> {
    let (handler, flags) = match handler {
        Handler::Default => (0, 0),
        Handler::Ignore => (1, 0),
        Handler::Count => (count as extern "C" fn(i32) as usize, 0),
        Handler::Remember => (remember as extern "C" fn(i32) as usize, 0),
        Handler::CountAndRestart => (count as extern "C" fn(i32) as usize, flag::RESTART),
        Handler::StepOver => (step_over as extern "C" fn(i32, *const u8, *mut u8) as usize, SA_SIGINFO),
        Handler::Tamper => (change_context as extern "C" fn(i32, *const u8, *mut u8) as usize, SA_SIGINFO),
        Handler::Nest => (nest as extern "C" fn(i32) as usize, 0),
        Handler::AddToKept => (add_to_kept as extern "C" fn(i32, *const u8, *mut u8) as usize, SA_SIGINFO),
    };
    let action = Action { handler, mask: [0; 16], flags: flags | more, restorer: 0 };
    // SAFETY: the handlers use atomics and their own context only.
    let error = unsafe { libc_sigaction(signal.0, &raw const action, std::ptr::null_mut()) };
    if error == 0 {
        return Ok(());
    }
    let errno = std::io::Error::last_os_error().raw_os_error();
    Err(Errno(errno.and_then(|errno| u16::try_from(errno).ok()).unwrap_or(0)))
}

/// Sets a handler that counts and has no restorer, as the C library never does: the kernel knows where it returns to.
///
/// # Errors
///
/// As [`handle`].
pub fn handle_without_restorer(signal: Signal) -> Result<(), Errno> {
    let action = [count as extern "C" fn(i32) as usize, 0, 0, 0];
    // SAFETY: a `struct sigaction` of the kernel's is read; the handler uses an atomic only.
    unsafe { call(number::RT_SIGACTION, [int(signal.0), input(&action), 0, 8]) }.map(drop)
}

/// How often a handler ran since the last time this was asked.
#[must_use]
pub fn caught() -> u32 {
    CAUGHT.swap(0, Ordering::Relaxed)
}

/// What comes with a signal: `siginfo_t`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Info {
    /// Which.
    pub signal: i32,
    /// An error number.
    pub errno: i32,
    /// Who sent it.
    pub code: i32,
    filler: i32,
    /// The sender, a child, or the number of a timer.
    pub first: i32,
    /// The sender's or the child's user, or how often a timer went off beside.
    pub second: i32,
    /// The value.
    pub value: u64,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<Info>() == 128);

impl Info {
    /// As `sigqueue` makes it, with another code.
    #[must_use]
    pub fn new(code: i32, first: i32, value: u64) -> Self {
        Self { code, first, value, ..Self::default() }
    }
}

/// `rt_sigqueueinfo`
///
/// # Errors
///
/// `AGAIN` when too many are pending, `PERM`, `SRCH`, `INVAL`.
pub fn queue(to: Pid, signal: Signal, info: &Info) -> Result<(), Errno> {
    // SAFETY: a `siginfo_t` is read.
    unsafe { call(number::RT_SIGQUEUEINFO, [int(to.0), int(signal.0), input(info)]) }.map(drop)
}

/// `rt_tgsigqueueinfo`
///
/// # Errors
///
/// As [`queue`].
pub fn queue_to_thread(to: Pid, thread: Tid, signal: Signal, info: &Info) -> Result<(), Errno> {
    // SAFETY: a `siginfo_t` is read.
    unsafe { call(number::RT_TGSIGQUEUEINFO, [int(to.0), int(thread.0), int(signal.0), input(info)]) }.map(drop)
}

/// `rt_sigtimedwait`: takes a signal of the mask, or waits for one.
///
/// # Errors
///
/// `AGAIN` when none came in time, `INTR` when another did.
pub fn wait_for(mask: u64, timeout: Option<Duration>) -> Result<Info, Errno> {
    let timeout = timeout.map(Timespec::from);
    let mut info = Info::default();
    let timeout = timeout.as_ref().map_or(0, input);
    // SAFETY: 8 bytes and perhaps a `struct timespec` are read, a `siginfo_t` is stored.
    let taken = unsafe { call(number::RT_SIGTIMEDWAIT, [input(&mask), output(&mut info), timeout, 8]) }?;
    if to_int(taken) == info.signal { Ok(info) } else { Err(Errno(0)) }
}

/// `rt_sigtimedwait` with a timeout that is none.
///
/// # Errors
///
/// `INVAL`.
pub fn wait_for_a_bad_time(mask: u64) -> Result<(), Errno> {
    let timeout = [0_i64, 1_000_000_000];
    // SAFETY: 8 bytes and a `struct timespec` are read.
    unsafe { call(number::RT_SIGTIMEDWAIT, [input(&mask), 0, input(&timeout), 8]) }.map(drop)
}

/// `rt_sigsuspend`
///
/// # Errors
///
/// `INTR`, always.
pub fn suspend(mask: u64) -> Result<(), Errno> {
    // SAFETY: 8 bytes are read.
    unsafe { call(number::RT_SIGSUSPEND, [input(&mask), 8]) }.map(drop)
}

/// Which signals are pending and blocked.
///
/// # Errors
///
/// `NOSYS`.
pub fn pending() -> Result<u64, Errno> {
    let mut mask = 0_u64;
    // SAFETY: 8 bytes are stored.
    unsafe { call(number::RT_SIGPENDING, [output(&mut mask), 8]) }?;
    Ok(mask)
}

/// `restart_syscall`, which is the C library's to call never.
///
/// # Errors
///
/// `INTR`: there is nothing to restart.
pub fn restart() -> Result<(), Errno> {
    // SAFETY: no pointer.
    unsafe { call(number::RESTART_SYSCALL, []) }.map(drop)
}

/// Waits, for ever or for this long, for nothing but a signal: `ppoll` of no file.
///
/// # Errors
///
/// `INTR`.
pub fn poll_nothing(timeout: Option<Duration>) -> Result<(), Errno> {
    let timeout = timeout.map(Timespec::from);
    let timeout = timeout.as_ref().map_or(0, input);
    // SAFETY: at most a `struct timespec` is read.
    unsafe { call(number::PPOLL, [0, 0, timeout, 0, 8]) }.map(drop)
}

/// Returns from a handler that there never was, with the stack pointer in the middle of `memory`, which so is the frame.
/// What is there may not be one: then the process ends.
pub fn return_from_nothing(memory: &crate::Mapping, offset: usize) -> ! {
    let stack = memory.address().wrapping_add(offset);
    // SAFETY: nothing of this program's stack is used any more.
    unsafe {
        std::arch::asm!("mov sp, {}", "svc #0", "brk #1", in(reg) stack, in("x8") number::RT_SIGRETURN, options(noreturn))
    }
}

/// The bit of a signal in a mask.
#[must_use]
pub const fn bit(signal: Signal) -> u64 {
    1_u64.rotate_left(signal.0.wrapping_sub(1).cast_unsigned())
}

/// Whether this signal was [remembered](Handler::Remember) since the last time this was asked.
#[must_use]
pub fn take_remembered(signal: Signal) -> bool {
    REMEMBERED.fetch_and(!bit(signal), Ordering::Relaxed) & bit(signal) != 0
}

/// Sleeps until a handler has run, or for `timeout` at most; meanwhile exactly the signals of `mask` are blocked.
///
/// # Errors
///
/// `INTR` after a handler.
pub fn wait(mask: u64, timeout: Option<Duration>) -> Result<(), Errno> {
    let timeout = timeout.map(Timespec::from);
    let timeout = timeout.as_ref().map_or(0, input);
    // SAFETY: a `struct timespec` and a mask of 8 bytes are read; there are no files.
    unsafe { call(number::PPOLL, [0, 0, timeout, input(&mask), 8]) }?;
    Ok(())
}

/// Stores a zero at the start of memory, one instruction long: where that fails, [`Handler::StepOver`] goes on.
pub fn store_in_vain(memory: &crate::Mapping) {
    // SAFETY: the memory is the mapping's; if the store succeeds, it changes a byte of it.
    unsafe { std::arch::asm!("strb wzr, [{}]", in(reg) memory.address(), options(nostack)) };
}
