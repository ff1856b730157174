//! Atomics, of `core` or of loom (`--cfg loom`). Code whose ordering matters takes them from here, so that its models
//! run the code itself and not a copy.
//!
//! Loom's have no `const fn new`: what is made of them is `const` only without loom.

#[cfg(not(loom))]
pub use core::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(loom)]
pub use loom::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
