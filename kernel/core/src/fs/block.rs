//! Disks: blocks with a driver below and files or a file system above.
//!
//! * [`Disk`]: what a driver gives
//! * [`partition`]: which parts a disk has

mod disk;
pub mod partition;

pub use disk::{BLOCK_SIZE, Disk, DiskError};
