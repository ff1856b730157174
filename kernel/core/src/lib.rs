//! `kcore`: everything in Tine that is true on any machine.
//!
//! No assembly, no statics, no `cfg(target_arch)`: what it needs of the machine comes in through the traits of
//! [`hal`], and each of them has a fake, so that the whole crate runs under `cargo test`, Miri and loom on the
//! developer's own computer.
//!
//! Modules, each importing only what stands before it:
//!
//! * [`util`]: small containers and arithmetic that know nothing of kernels
//! * [`addr`]: physical, virtual and user addresses, frames, CPU ids, ASIDs: one type for each kind of number
//! * [`hal`]: the seam to the machine, as traits
//! * [`sync`]: ranked spin locks, once cells, per-CPU slots; [`sync::rank`] is *the* lock order
//! * [`frame`]: the physical frame allocator (buddy, per-CPU caches, reference counts)
//! * [`paging`]: translation tables of the AArch64 VMSA, 4 KiB granule; fork by sharing them ([`paging::share`])
//! * [`vm`]: a program's address space: areas, mappings, faults, fork
//! * [`time`]: instants and the timer queue
//! * [`signal`]: signals, what is done about them, which are pending
//! * [`sched`]: threads, parking, run queues, wait queues, sleeping mutexes
//! * [`fs`]: files, directories, descriptors, the initial file system
//! * [`tty`]: terminals, and what a shell's job control needs of them
//! * [`futex`]: waiting on a word of a program's memory
//! * [`elf`]: program files
//! * [`proc`]: processes and their threads: fork, exec, exit, wait
//! * [`procfs`]: what the kernel knows, as files
//! * [`boot`]: what firmware hands over: device tree, command line, memory map
//! * [`random`]: the generator behind every random number in the kernel

#![cfg_attr(not(test), no_std)]

extern crate alloc;
#[cfg(all(feature = "fake", not(test)))]
extern crate std;

pub mod addr;
pub mod boot;
pub mod elf;
pub mod frame;
pub mod fs;
pub mod futex;
pub mod hal;
pub mod paging;
pub mod proc;
pub mod procfs;
pub mod random;
pub mod sched;
pub mod signal;
pub mod sync;
pub mod time;
pub mod tty;
pub mod util;
pub mod vm;
