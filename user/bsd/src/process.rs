//! Calls about processes.

use core::fmt;
use core::mem::MaybeUninit;

use abi::counters::{self, Counters};

use crate::errno::{Errno, check};
use crate::number;
use crate::svc::svc;
use crate::thread::Tid;

/// The number of a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pid(pub i32);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who returned from a fork.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Forked {
    /// The new process.
    Child,
    /// The caller, with the number of the new process.
    Parent(Pid),
}

impl Forked {
    /// What a fork returned: 0 in the child.
    ///
    /// # Errors
    ///
    /// The error that it returned.
    pub fn from_call(returned: isize) -> Result<Self, Errno> {
        match check(returned)? {
            0 => Ok(Self::Child),
            pid => i32::try_from(pid).map(|pid| Self::Parent(Pid(pid))).map_err(|_| Errno::OVERFLOW),
        }
    }
}

/// `fork`. The child has the calling thread only, and does not tell the C library: locks that other threads held stay
/// locked in it.
///
/// # Errors
///
/// `AGAIN` at a limit, `NOMEM`.
pub fn fork() -> Result<Forked, Errno> {
    // SAFETY: the call takes no arguments and touches no memory of the caller; each process returns once.
    Forked::from_call(unsafe { svc(number::FORK, [0; 6]) })
}

/// OpenBSD's `vfork`: the parent waits until the child has called `execve` or is gone. The child has a copy of the
/// memory, so it may do whatever the child of a [`fork`] may.
///
/// # Errors
///
/// As of [`fork`].
pub fn vfork() -> Result<Forked, Errno> {
    // SAFETY: as in `fork`; the child's memory is its own.
    Forked::from_call(unsafe { svc(number::VFORK, [0; 6]) })
}

/// The number of the calling thread.
///
/// # Errors
///
/// `NOSYS` elsewhere than on Tine.
pub fn getthrid() -> Result<Tid, Errno> {
    // SAFETY: no arguments, no memory.
    let tid = check(unsafe { svc(number::GETTHRID, [0; 6]) })?;
    i32::try_from(tid).map(Tid).map_err(|_| Errno::OVERFLOW)
}

/// Whether the program runs with rights that its caller did not have.
///
/// # Errors
///
/// `NOSYS` elsewhere than on Tine.
pub fn issetugid() -> Result<bool, Errno> {
    // SAFETY: no arguments, no memory.
    Ok(check(unsafe { svc(number::ISSETUGID, [0; 6]) })? != 0)
}

/// What a child gets of a piece of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inheritance {
    /// The memory itself.
    Share = 0,
    /// A copy.
    Copy = 1,
    /// Nothing is mapped there.
    None = 2,
    /// Zeroes.
    Zero = 3,
}

/// Says what children get of the pages from `address` on.
///
/// # Errors
///
/// `INVAL`, `NOMEM`; `NOSYS` elsewhere than on Tine.
pub fn minherit(address: usize, bytes: usize, inheritance: Inheritance) -> Result<(), Errno> {
    let inheritance = match inheritance {
        Inheritance::Share => 0,
        Inheritance::Copy => 1,
        Inheritance::None => 2,
        Inheritance::Zero => 3,
    };
    // SAFETY: changes nothing in this process.
    check(unsafe { svc(number::MINHERIT, [address, bytes, inheritance, 0, 0, 0]) })?;
    Ok(())
}

/// What the kernel counts. Numbers that it does not know are 0.
///
/// # Errors
///
/// `NOSYS` elsewhere than on Tine.
pub fn counters() -> Result<Counters, Errno> {
    let mut words = MaybeUninit::new([0_u64; counters::COUNT]);
    let address = words.as_mut_ptr().expose_provenance();
    // SAFETY: the kernel stores at most BYTES bytes there.
    check(unsafe { svc(counters::CALL, [address, counters::BYTES, 0, 0, 0, 0]) })?;
    // SAFETY: initialised above, and every bit pattern is a number.
    Ok(Counters::from_words(unsafe { words.assume_init() }))
}
