//! Futexes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bsd::Errno;

use crate::call::{call, input};
use crate::number;
use crate::time::Timespec;

/// Who may wait for a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Threads of this process.
    Private,
    /// Everybody who maps it.
    Shared,
}

const WAIT: usize = 0;
const WAKE: usize = 1;
const CMP_REQUEUE: usize = 4;
const WAIT_BITSET: usize = 9;
const WAKE_BITSET: usize = 10;

impl Scope {
    const fn flag(self) -> usize {
        match self {
            Self::Private => 128,
            Self::Shared => 0,
        }
    }
}

fn address(word: &AtomicU32) -> usize {
    word.as_ptr().expose_provenance()
}

/// Sleeps until woken, if the word is `expected`.
///
/// # Errors
///
/// `AGAIN` when it is not, `TIMEDOUT`, `INTR`.
pub fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>, scope: Scope) -> Result<(), Errno> {
    let timeout = timeout.map(Timespec::from);
    let timeout = timeout.as_ref().map_or(0, input);
    // SAFETY: the kernel reads the word and the time.
    unsafe { call(number::FUTEX, [address(word), WAIT | scope.flag(), expected as usize, timeout]) }?;
    Ok(())
}

/// Sleeps as [`wait`] does, for wakers that have a bit in common.
///
/// # Errors
///
/// As of [`wait`]; `INVAL` without a bit.
pub fn wait_bits(word: &AtomicU32, expected: u32, bits: u32, scope: Scope) -> Result<(), Errno> {
    let arguments = [address(word), WAIT_BITSET | scope.flag(), expected as usize, 0, 0, bits as usize];
    // SAFETY: the kernel reads the word.
    unsafe { call(number::FUTEX, arguments) }?;
    Ok(())
}

/// Wakes up to `count` sleepers; returns how many.
///
/// # Errors
///
/// `FAULT`, `INVAL`.
pub fn wake(word: &AtomicU32, count: u32, scope: Scope) -> Result<usize, Errno> {
    // SAFETY: the kernel uses the address only.
    unsafe { call(number::FUTEX, [address(word), WAKE | scope.flag(), count as usize]) }
}

/// Wakes up to `count` sleepers that have a bit in common.
///
/// # Errors
///
/// As of [`wake`].
pub fn wake_bits(word: &AtomicU32, count: u32, bits: u32, scope: Scope) -> Result<usize, Errno> {
    let arguments = [address(word), WAKE_BITSET | scope.flag(), count as usize, 0, 0, bits as usize];
    // SAFETY: the kernel uses the address only.
    unsafe { call(number::FUTEX, arguments) }
}

/// Wakes up to `wake` sleepers and moves up to `requeue` others to another word, if the first word is `expected`.
/// Returns how many it woke and moved.
///
/// # Errors
///
/// `AGAIN` when it is not.
pub fn requeue(from: &AtomicU32, to: &AtomicU32, wake: u32, requeue: u32, expected: u32) -> Result<usize, Errno> {
    let flags = CMP_REQUEUE | Scope::Private.flag();
    let arguments = [address(from), flags, wake as usize, requeue as usize, address(to), expected as usize];
    // SAFETY: the kernel reads the first word.
    unsafe { call(number::FUTEX, arguments) }
}

/// Sleeps until the word is not `value` any more.
pub fn wait_while(word: &AtomicU32, value: u32, scope: Scope) {
    while word.load(Ordering::Acquire) == value {
        // Woken, changed meanwhile or interrupted: the loop looks again. Without futexes it spins.
        if wait(word, value, None, scope) == Err(Errno::NOSYS) {
            std::hint::spin_loop();
        }
    }
}

/// Stores `value` and wakes everybody.
pub fn set(word: &AtomicU32, value: u32, scope: Scope) {
    word.store(value, Ordering::Release);
    // Without futexes nobody sleeps.
    let _ = wake(word, u32::MAX >> 1, scope);
}
