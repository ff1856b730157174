//! What firmware hands over, turned into facts.
//!
//! Every module here is a pure function from bytes to values: the kernel maps the bytes, these modules judge them.
//! Firmware, the boot medium and the person at the QEMU prompt wrote the input, so all of it is hostile: nothing here
//! indexes, nothing computes without a check, and no input can cause a panic.
//!
//! The chain of data, in the order of the boot:
//!
//! ```text
//! x0 ── tree::TreeHeader ── tree::TreeFacts ──┬── command_line::CommandLine
//!    └─ atags::AtagFacts ─────────────────────┼── memory_map::MemoryMap ── carve() ── the frame allocator
//!                                             └── initramfs::entries ── the root file system
//! ```
//!
//! No locks: one CPU runs, and nothing is stored.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

pub mod atags;
pub mod command_line;
pub mod initramfs;
pub mod memory_map;
mod range;
pub mod tree;

pub use range::PhysRange;
