//! Disks: blocks with a driver below and files or a file system above.
//!
//! ```text
//! Volume      a disk or a partition: bytes at offsets; the file behind a node of /dev
//! Cache       the disk's pages in memory, written back later; requests wait in a queue, where neighbours become one
//! Disk        what a driver gives: blocks
//! ```
//!
//! [`partition`] finds the parts that a disk has.

mod cache;
mod disk;
pub mod partition;
pub(super) mod queue;
mod volume;

pub use cache::{Cache, CacheNeeds};
pub use disk::{BLOCK_SIZE, Disk, DiskError};
pub use volume::{IsMounted, Volume};
