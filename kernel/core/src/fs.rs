//! Files: what a program reads, writes and executes.
//!
//! ```text
//! descriptor ─ FileTable ─► OpenFile ─► FileOperations   the bytes: a regular file, a device, a pipe, a terminal
//!                              └──────► Inode            the name's side: metadata, lookups, links, permissions
//! path ─ Context + resolve() ─────────► Inode ─ open() ─► FileOperations
//!                                         └──► Pager (vm): contents as pages
//! ```
//!
//! A file system implements [`Inode`] for its kinds of files, a driver [`FileOperations`]; both have defaults for what a
//! kind of file cannot do. Directories know their parent, so a place in the tree is an inode and nothing else: a walk
//! that climbs asks it, and [`absolute_path`] finds the way back. A mount needs no more than that: the directory above
//! the covered one answers the lookup with the other file system's root, and that root calls it its parent.
//!
//! Public items:
//!
//! * names: [`Context`] (root, working directory, umask), [`Base`], [`Follow`], [`resolve`], [`resolve_parent`]
//!   ([`Parent`], [`Last`]), [`absolute_path`], [`path_of`], [`path_of_id`], [`check_directory`], [`same_file`], [`same_place`]
//! * opening: [`open`], [`open_by_rules`] ([`WalkRules`]), [`open_inode`], [`open_program`], [`open_program_inode`], [`make`] ([`Made`]), [`remove`] ([`Removal`])
//! * changing: [`link`], [`rename`] ([`Side`], [`IfTaken`]), [`set_permissions`], [`set_owner`], [`set_times`] ([`NewTime`])
//! * mounts: [`Mounts`], [`Mountable`], [`MountView`], [`MountFlags`], [`Users`], [`Bind`], [`Covered`]
//! * permissions: [`AccessId`] ([`may`](AccessId::may), [`check`](AccessId::check)), [`Wanted`], [`Protection`]
//! * open files: [`OpenFile`], [`OpenFlags`], [`Whence`], [`Mapping`], [`Readiness`], [`FileError`]
//! * descriptors: [`Fd`], [`FileTable`], [`DescriptorFlags`], [`TableError`]
//! * bytes on their way: [`Sink`], [`Source`], and [`BufferSink`], [`BufferSource`] for the kernel's own buffers
//! * metadata: [`Metadata`] (with `to_stat`, `to_statx`), [`FileKind`], [`FileId`], [`DeviceNumber`], [`Timestamp`]
//! * for file systems and drivers: [`Inode`], [`FileOperations`] and what their methods speak of
//! * [`block`]: disks, their partitions and caches
//! * [`devices`]: devices by number, and their nodes in `/dev`; null, zero, full and random
//! * [`epoll`]: sets of watched files; [`EventCounter`]; [`Nameless`], the inode of both and of timers
//! * [`ext`], [`fat`]: the file systems of cards, the first to be read
//! * [`socket`]: sockets between programs of this machine
//! * [`pipe`]: pipes and FIFOs; [`Surroundings`], what they ask of the kernel
//! * locks that bind those who ask: [`FileLocks`], [`RangeLock`] ([`LockRange`], [`LockKind`], [`LockOwner`]), [`LockKeeper`]
//! * [`tmpfs`]: the file system in memory; [`initramfs`]: what the root begins with; [`PageSource`]: the frames behind both
//! * readiness: [`poll`], [`Polled`]; [`Watcher`], [`Watched`], [`WatchList`]: who is told when a file becomes ready
//! * [`Parking`], [`ParkingLot`]: where threads wait for each other at an open file's offset
//!
//! # Locks
//!
//! What is in a pipe or a socket has a sleeping lock (`Stream`), held while bytes are copied. An open file's offset has a sleeping lock, held while bytes are copied. Its place in the order is `FileOffset`, before
//! the address space's, which a fault takes; it is not checked, for this lock knows no threads. Tables and contexts bring
//! no lock: a process keeps them in spin locks of its own, and nothing here that sleeps is called under those. A tree
//! over an archive is read without any lock, and a copied page is published by one exchange.
//!
//! Paths, flags and numbers come from programs and archives from strangers: nothing here indexes or computes unchecked.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod access;
mod bind;
pub mod block;
mod change;
mod context;
mod covered;
pub mod devices;
mod directory;
pub mod epoll;
mod error;
mod event;
pub mod ext;
pub mod fat;
mod flags;
pub mod initramfs;
mod inode;
mod lock;
mod metadata;
mod mount;
mod name_cache;
mod nameless;
mod offset;
mod open;
mod open_file;
mod operations;
mod pages;
mod path;
pub mod pipe;
mod poll;
mod rename;
pub mod socket;
mod surroundings;
mod table;
pub mod tmpfs;
mod transfer;
mod watch;
mod write_count;

pub use access::{AccessId, Wanted};
pub use bind::Bind;
pub use change::{NewTime, set_owner, set_permissions, set_times};
pub use context::{Context, check_directory};
pub use covered::Covered;
pub use error::FileError;
pub use event::{EventCounter, Taking};
pub use flags::{DescriptorFlags, OpenFlags};
pub use inode::{Changeable, DirectoryEntry, Fate, Inode, Link, Made, Making, Renaming, Visit, same_file, same_place};
pub use lock::{FileLocks, LockKeeper, LockKind, LockOwner, LockRange, RangeLock};
pub use metadata::{DeviceNumber, FileId, FileKind, FileSystemStatus, Metadata, Protection, Timestamp};
pub use mount::{MountFlags, MountView, Mountable, Mounts, Users};
pub use nameless::Nameless;
pub use offset::{Parking, ParkingLot};
pub use open::{Removal, make, open, open_by_rules, open_inode, open_program, open_program_inode, remove};
pub use open_file::{OpenFile, Whence};
pub use operations::{Allocation, Appended, Blocking, Extent, FileOperations, Mapping, Place, Readiness, Seeking};
pub use pages::{PageSource, StaticPage};
pub use path::{
    Base, Follow, Last, MAX_LINKS, NAME_MAX, PATH_MAX, Parent, WalkRules, absolute_path, path_of, path_of_id, resolve,
    resolve_parent,
};
pub use poll::{Polled, poll};
pub use rename::{IfTaken, Side, link, rename};
pub use surroundings::Surroundings;
pub use table::{Fd, FileTable, TableError};
pub use transfer::{BufferSink, BufferSource, Sink, Source, Writer};
pub use watch::{WatchId, WatchList, Watched, Watcher};

#[cfg(test)]
#[cfg(loom)]
mod loom_models;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
