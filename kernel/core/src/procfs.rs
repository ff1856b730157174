//! `/proc`: what the kernel knows, as files that are made up when they are read (`proc(5)`).
//!
//! ```text
//! /proc/ meminfo stat loadavg uptime …     the machine           system.rs
//!        self ──► 4711                      who asks
//!        4711/ stat status maps mounts …    a process            process.rs, maps.rs, mounts.rs
//!              fd/ 0 ──► /dev/console       what it has open
//!              task/ 4711/ stat …           its threads
//!        sys/kernel/ … , tine/ …            this kernel's own    system.rs
//! ```
//!
//! Two tables say what there is: a name, permissions, and the function that writes the text. An inode is made when a walk
//! comes by, and holds the process that it is about: a process that has been reaped since is `ESRCH` to whoever still has
//! it open. A text is written when a reader is at its beginning, and later reads go on in the same text, so that what
//! several reads make up is one moment's.
//!
//! What is a process's own (its descriptors, its memory's layout, its environment, the files that it runs and stands in)
//! is shown to root and to processes of the same user only.
//!
//! What the machine has to add comes in through [`Machine`].

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod entry;
mod file;
mod maps;
mod mounts;
mod node;
mod process;
mod system;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod text;

use alloc::sync::Arc;

pub use self::system::{CpuTimes, Facts, Happened, InterruptCounts, Load, Memory};

use self::node::Node;
use crate::fs::{DeviceNumber, FileError, Inode, MountFlags, MountView, Mountable};
use crate::proc::System;

/// The kernel, as `/proc` needs it.
pub trait Machine: System {
    /// What never changes while it runs.
    fn facts() -> &'static Facts;

    /// Where memory is.
    fn memory_in_use() -> Memory;

    /// What the processors did since the start; one entry for each that runs.
    fn each_cpu(visit: &mut dyn FnMut(usize, CpuTimes));

    /// How much there is to do.
    fn load() -> Load;

    /// What happened since the start.
    fn happened() -> Happened;

    /// Calls `visit` with the counts for each reason that a processor can be interrupted for.
    fn each_interrupt(visit: &mut dyn FnMut(InterruptCounts<'_>));

    /// The root of the file system that is mounted with this number.
    fn root_of(device: DeviceNumber) -> Option<Arc<dyn Inode>>;

    /// When the system started, in seconds since 1970.
    fn started_at_s() -> u64;

    /// Calls `visit` with each mount.
    fn each_mount(visit: &mut dyn FnMut(&MountView<'_>));

    /// The root of all mounts.
    fn root() -> Option<Arc<dyn Inode>>;

    /// Calls `visit` for each disk and each partition with its name, its number and its size in bytes. Waits, if need be, until
    /// those that the boot looks for have been found or given up: who reads the list need not ask again. A signal ends that.
    fn each_disk(visit: &mut dyn FnMut(&str, DeviceNumber, u64));
}

/// A `/proc`, to be mounted.
pub struct ProcFs<S: Machine> {
    root: Arc<Node<S>>,
}

impl<S: Machine> ProcFs<S> {
    /// One that is mounted nowhere.
    #[must_use]
    pub fn new() -> Self {
        Self { root: Node::root() }
    }
}

impl<S: Machine> Default for ProcFs<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Machine> Mountable for ProcFs<S> {
    fn kind(&self) -> &'static str {
        "proc"
    }

    fn root(&self) -> Arc<dyn Inode> {
        Arc::clone(&self.root) as Arc<dyn Inode>
    }

    fn set_covered(&self, covered: Option<&Arc<dyn Inode>>) -> Result<(), FileError> {
        self.root.set_covered(covered)
    }

    fn flags(&self) -> MountFlags {
        self.root.mount_flags()
    }

    fn set_flags(&self, flags: MountFlags) -> Result<(), FileError> {
        self.root.set_flags(flags)
    }

    /// All that is there has the root, by way of its parents.
    fn is_used(&self, own: usize) -> Result<bool, FileError> {
        Ok(Arc::strong_count(&self.root) > own)
    }
}
