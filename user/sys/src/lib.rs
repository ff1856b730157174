//! System calls as safe functions, for the programs of this directory: the one crate, beside `bsd`, with unsafe code.
//!
//! A function is safe here when the worst that wrong arguments can do is an error, or the end of the calling process.
//! Memory is therefore handed out as [`Mapping`]s that own what they map and are read and written through volatile
//! accesses only, hostile calls are made by children that do nothing else ([`sacrifice`]), and accesses that must die do
//! not return ([`die`]).
//!
//! Errors are [`Errno`]s as the kernel returned them; the C library's `errno` is not involved.

pub mod balance;
pub mod die;
pub mod file;
pub mod identity;
pub mod limit;
pub mod lock;
pub mod machine;
pub mod memory;
pub mod message;
pub mod names;
pub mod number;
pub mod process;
pub mod random;
pub mod registers;
pub mod sacrifice;
pub mod signal;
pub mod splice;
pub mod stream;
pub mod sync;
pub mod terminal;
pub mod thread;
pub mod time;
pub mod timer;
pub mod vdso;

mod call;

pub use bsd::{Counters, Errno, Forked, Pid, Tid, counters};

pub use crate::memory::Mapping;
