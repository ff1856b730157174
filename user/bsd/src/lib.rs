//! The calls of OpenBSD that Linux lacks, for programs on Tine.
//!
//! Tine numbers them at 0x1000 + OpenBSD's number ([`number`]); errors are Linux's ([`Errno`]). A kernel that does not
//! know them, Linux for one, answers [`Errno::NOSYS`]. `user/include/tine.h` is the same for C.
//!
//! * [`fork`], [`vfork`]: new processes; unlike Linux's, the child of this `vfork` has memory of its own
//! * [`Tfork`]: a new thread, and its parameter block
//! * [`getthrid`], [`issetugid`], [`minherit`]
//! * [`counters`]: what the kernel counts
//! * [`svc`]: any call at all
#![no_std]

mod errno;
mod process;
mod svc;
mod thread;

pub use abi::counters::Counters;

pub use crate::errno::{Errno, check};
pub use crate::process::{Forked, Inheritance, Pid, counters, fork, getthrid, issetugid, minherit, vfork};
pub use crate::svc::svc;
pub use crate::thread::{Tfork, Tid};

/// The numbers of the calls.
pub mod number {
    /// Where OpenBSD's numbers start.
    pub const BASE: usize = 0x1000;
    /// `fork()`
    pub const FORK: usize = BASE + 2;
    /// `__tfork(param, size)`
    pub const TFORK: usize = BASE + 8;
    /// `vfork()`
    pub const VFORK: usize = BASE + 66;
    /// `minherit(address, bytes, inheritance)`
    pub const MINHERIT: usize = BASE + 250;
    /// `issetugid()`
    pub const ISSETUGID: usize = BASE + 253;
    /// `getthrid()`
    pub const GETTHRID: usize = BASE + 299;
}
