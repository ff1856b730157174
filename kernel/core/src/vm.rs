//! A program's address space: areas, mappings, faults, fork.
//!
//! A [`Space`] is two descriptions of the same memory. The **areas** say what a program may do: which ranges exist, with
//! what protection, where their contents come from. The **tables** ([`UserTree`](crate::paging::UserTree)) say what a
//! CPU can do at this moment, which is never more, and at first is nothing at all: a page is brought in by the
//! [fault](Space::fault) that misses it. So a mapping costs one area whatever its size, and what nobody touches costs no
//! memory.
//!
//! # Where a page comes from
//!
//! | area | first read | first write | write to a page that others have, too |
//! |---|---|---|---|
//! | anonymous | the one page of zeroes, read-only | a fresh page of zeroes | a copy |
//! | private, of a file | the file's own page, read-only | a copy of the file's page | a copy |
//! | shared | the object's own page | the same | cannot be: it is meant to be shared |
//!
//! There is no list of a program's pages beside its tables: a frame is counted by the leaves that map it, and a count of
//! one is what makes it ours to write ([`LeafCounts`](crate::paging::LeafCounts)).
//!
//! # Fork
//!
//! Tables are shared ([`paging::share`](crate::paging::share)), and so is the list of areas: an [`Arc`](alloc::sync::Arc)
//! that whoever changes it first copies. So fork looks neither at pages nor at areas, and costs the same for one page
//! and for a million. Only areas that asked to be treated otherwise ([`Inheritance`], locked pages) are looked at, and
//! a sum that is kept as areas change says whether there are any.
//!
//! # When there is no memory
//!
//! Each verb asks for all that it needs before it changes anything that a program can tell, or leaves behind a state that
//! is as good as the one before. Promises are counted ([`Commitments`]), as Linux counts them. A fault that finds no
//! frame says so ([`Fault::OutOfMemory`]); what becomes of the program is not decided here.
//!
//! # Modules
//!
//! * [`system`]: what a space needs of its surroundings; [`Pager`], the contents of files as memory
//! * [`area`], `areas`: one range, and the ordered list of them
//! * [`layout`], [`limits`], [`commit`], [`statistics`]: where things go, how much, and how much there is
//! * [`space`]: the address space itself; beside it, a file for each verb: `map`, `unmap`, `protect`, `remap`, `brk`,
//!   `advise`, `inherit`, `lock`, `resident`, `fault`, `forget`, `cut`, `stack`, `fork`, `transfer`, `futex`
//! * [`shared`]: memory that several programs map; [`asid`]: the tags of spaces in TLBs
//!
//! # Locks
//!
//! None but those of [`shared`] and [`asid`], which are leaves of the lock order. Whoever has `&mut Space` has the lock of
//! that space; two threads' faults come one after another. All verbs may be preempted, as long as they take.

mod advise;
pub mod area;
mod areas;
pub mod asid;
mod brk;
pub mod commit;
mod cut;
pub mod failure;
mod fault;
mod forget;
mod fork;
mod futex;
mod inherit;
pub mod layout;
pub mod limits;
mod lock;
mod map;
mod place;
mod protect;
pub mod range;
mod remap;
mod resident;
pub mod shared;
pub mod space;
mod stack;
pub mod statistics;
pub mod system;
mod transfer;
mod unmap;

#[cfg(test)]
#[cfg(not(loom))]
pub mod fake;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use advise::Advice;
pub use area::{AccessKind, AreaKind, AreaView, Inheritance, Protection, Sharing};
pub use asid::Asids;
pub use commit::{Commitments, OverCommitted, Overcommit};
pub use failure::MapFailure;
pub use fault::Fault;
pub use fork::ForkError;
pub use futex::FutexObject;
pub use layout::Layout;
pub use limits::Limits;
pub use lock::LockAll;
pub use map::{MapFlags, MapRequest, Source};
pub use place::Place;
pub use remap::Moving;
pub use shared::SharedMemory;
pub use space::{ProgramStrings, Space};
pub use statistics::SpaceStatistics;
pub use system::{FileNumbers, MemorySystem, OutOfMemory, Pager, PagerError, each_ready};
