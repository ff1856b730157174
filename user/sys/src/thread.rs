//! Threads and shared-memory children beside those of `std`.

use std::arch::asm;
use std::sync::atomic::{AtomicU32, Ordering};

use bsd::{Errno, Pid, Tfork, Tid};

use crate::call::{call, to_int};
use crate::memory::Mapping;
use crate::process::exit;
use crate::sync::{self, Scope};
use crate::{number, process};

/// Bytes of the stacks made here.
const STACK: usize = 64 << 10;
/// A status that nobody expects.
const BUG: i32 = 125;

/// Runs `body` in a child that has this process's own memory, on another stack, and waits until that child has ended
/// or become another program: Linux's `CLONE_VM | CLONE_VFORK`. The child ends with the status that `body` returns.
///
/// # Errors
///
/// `AGAIN`, `NOMEM`.
pub fn shared_vfork<F: FnOnce() -> i32>(body: F) -> Result<Pid, Errno> {
    shared_vfork_on(&mut Mapping::private(STACK)?, body)
}

/// The same, on this stack.
///
/// # Errors
///
/// `AGAIN`, `NOMEM`.
pub fn shared_vfork_on<F: FnOnce() -> i32>(stack: &mut Mapping, body: F) -> Result<Pid, Errno> {
    const FLAGS: usize = 0x100 | 0x4000 | 17;
    extern "C" fn enter<F: FnOnce() -> i32>(body: *mut Option<F>) -> ! {
        // SAFETY: `shared_vfork` passes its own, and sleeps until this child is gone.
        let body = unsafe { &mut *body };
        exit(body.take().map_or(BUG, |body| body()))
    }
    let mut body = Some(body);
    let returned: isize;
    // SAFETY: the child leaves for `enter` on a stack of its own. The caller sleeps meanwhile, so what `body` borrows
    // is used by one at a time.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x20",
            "br x21",
            "2:",
            in("x8") number::CLONE,
            inlateout("x0") FLAGS => returned,
            in("x1") stack.address() + stack.bytes(),
            in("x2") 0,
            in("x3") 0,
            in("x4") 0,
            in("x20") &raw mut body,
            in("x21") enter::<F> as extern "C" fn(*mut Option<F>) -> !,
            options(nostack),
        );
    }
    bsd::check(returned).map(|pid| Pid(to_int(pid)))
}

/// A thread made by `__tfork`, and what it does: it sets its word to its number and ends.
#[derive(Debug)]
pub struct Tforked {
    /// What the call returned.
    pub returned: Tid,
    /// What the kernel stored before the thread ran.
    pub stored: i32,
    /// What `getthrid` said in the thread.
    pub own: u32,
}

/// Makes a thread by `__tfork`, waits for its word, and compares nothing.
///
/// # Errors
///
/// As of the call.
pub fn tfork() -> Result<Tforked, Errno> {
    // The thread ends at a moment of its own, so its stack stays.
    let stack = Mapping::private(STACK)?.leak();
    let top = stack.address() + stack.bytes() - 64;
    let word = stack.word(0);
    let mut stored = 0_i32;
    let block =
        Tfork { tcb: std::ptr::null_mut(), tid: &raw mut stored, stack: std::ptr::with_exposed_provenance_mut(top) };
    // SAFETY: the stack is the thread's for good; `report` uses no thread-local storage.
    let returned = unsafe { block.spawn(report, stack.address()) }?;
    sync::wait_while(word, 0, Scope::Shared);
    Ok(Tforked { returned, stored, own: word.load(Ordering::Acquire) })
}

/// What the thread does.
extern "C" fn report(word: usize) -> ! {
    let place = std::ptr::with_exposed_provenance_mut::<u32>(word);
    // SAFETY: a word of the thread's own stack, which stays.
    let word: &AtomicU32 = unsafe { AtomicU32::from_ptr(place) };
    let own = bsd::getthrid().map_or(u32::MAX, |tid| tid.0.cast_unsigned());
    sync::set(word, own, Scope::Shared);
    end()
}

/// Ends the calling thread, and nothing else.
fn end() -> ! {
    loop {
        // SAFETY: the thread is one that nobody joins.
        let _ = unsafe { call(number::EXIT, [0]) };
    }
}

/// Calls `__tfork` with the first `size` bytes of a block that the kernel has to refuse: its stack is null, or the size
/// is not that of a block.
///
/// # Errors
///
/// The one that the kernel returned.
pub fn tfork_refused(size: usize) -> Result<Tid, Errno> {
    let block = Tfork::default();
    // SAFETY: no thread can come of it.
    unsafe { Tfork::refused(&raw const block, size) }
}

/// Calls `__tfork` with a block at an address that cannot be read.
///
/// # Errors
///
/// The one that the kernel returned.
pub fn tfork_at(address: usize) -> Result<Tid, Errno> {
    // SAFETY: no thread can come of it.
    unsafe { Tfork::refused(std::ptr::with_exposed_provenance(address), size_of::<Tfork>()) }
}

/// Makes a thread by `__tfork` whose number the kernel cannot store at `address`. It ends by itself.
///
/// # Errors
///
/// As of the call.
pub fn tfork_with_bad_tid(address: usize) -> Result<Tid, Errno> {
    extern "C" fn just_end(_: usize) -> ! {
        end()
    }
    let stack = Mapping::private(STACK)?.leak();
    let top = stack.address() + stack.bytes() - 64;
    let block = Tfork {
        tcb: std::ptr::null_mut(),
        tid: std::ptr::with_exposed_provenance_mut(address),
        stack: std::ptr::with_exposed_provenance_mut(top),
    };
    // SAFETY: the stack is the thread's for good; `just_end` uses no thread-local storage.
    unsafe { block.spawn(just_end, 0) }
}

/// Sets the name of the calling thread, 15 bytes of it.
///
/// # Errors
///
/// `NOSYS`.
pub fn set_name(name: &std::ffi::CStr) -> Result<(), Errno> {
    const SET_NAME: usize = 15;
    // SAFETY: the name is read.
    unsafe { call(number::PRCTL, [SET_NAME, crate::call::text(name)]) }?;
    Ok(())
}

/// The numbers of process and thread, equal in the main thread.
#[must_use]
pub fn is_main() -> bool {
    process::pid().0 == process::tid().0
}

/// Ends the calling thread only, be it the main one: the process lives on with the others.
pub fn leave() -> ! {
    end()
}

unsafe extern "C" {
    fn pthread_create(
        thread: *mut usize,
        attributes: *const u8,
        start: extern "C" fn(usize) -> usize,
        argument: usize,
    ) -> i32;
    fn pthread_join(thread: usize, result: *mut usize) -> i32;
}

/// Makes a thread of the C library that does nothing, and joins it.
///
/// # Errors
///
/// `AGAIN`.
pub fn create_and_join() -> Result<(), Errno> {
    extern "C" fn nothing(argument: usize) -> usize {
        argument
    }
    let mut thread = 0;
    // SAFETY: `nothing` may run in any thread; the handle is stored.
    let error = unsafe { pthread_create(&raw mut thread, std::ptr::null(), nothing, 0) };
    if error != 0 {
        return Err(Errno(u16::try_from(error).unwrap_or(0)));
    }
    let mut result = 0;
    // SAFETY: just made, and joined once.
    unsafe { pthread_join(thread, &raw mut result) };
    Ok(())
}
