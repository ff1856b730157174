//! Resource limits.

use bsd::Errno;

use crate::call::{call, input, output};
use crate::number;

/// What is limited, by Linux's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resource(pub usize);

impl Resource {
    /// Seconds of processor time.
    pub const CPU: Self = Self(0);
    /// Bytes of a file.
    pub const FILE_SIZE: Self = Self(1);
    /// Bytes of data.
    pub const DATA: Self = Self(2);
    /// Bytes of stack.
    pub const STACK: Self = Self(3);
    /// Processes of a user.
    pub const PROCESSES: Self = Self(6);
    /// Open files.
    pub const OPEN_FILES: Self = Self(7);
    /// Bytes of address space.
    pub const ADDRESS_SPACE: Self = Self(9);
    /// Signals that are pending, and timers.
    pub const SIGNALS: Self = Self(11);
}

/// A limit.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Limit {
    /// What holds.
    pub soft: u64,
    /// How far it may be raised.
    pub hard: u64,
}

/// No limit.
pub const INFINITY: u64 = u64::MAX;

/// The limit of this process.
///
/// # Errors
///
/// `INVAL`.
pub fn get(resource: Resource) -> Result<Limit, Errno> {
    let mut limit = Limit::default();
    // SAFETY: a `struct rlimit` is stored.
    unsafe { call(number::PRLIMIT64, [0, resource.0, 0, output(&mut limit)]) }?;
    Ok(limit)
}

/// Sets it.
///
/// # Errors
///
/// `INVAL`, `PERM`.
pub fn set(resource: Resource, limit: Limit) -> Result<(), Errno> {
    // SAFETY: a `struct rlimit` is read.
    unsafe { call(number::PRLIMIT64, [0, resource.0, input(&limit), 0]) }?;
    Ok(())
}
