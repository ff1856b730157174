//! FAT12, FAT16 and FAT32 with long names, to be read (Microsoft, "FAT: General Overview of On-Disk Format", 1.03).
//!
//! ```text
//! boot sector ─► Geometry       where things are; what cannot be is refused
//! table       ─► Chain          the clusters of a file, one after the other
//! directory   ─► Entry          name, size, first cluster
//! Node                          a file, as the walk over names and open files see it
//! ```
//!
//! Bytes come from the disk's cache each time, and inodes are made as they are looked up; what is kept is where names were
//! found ([`NameCache`]). A file's number is the place of its directory entry.
//!
//! Images come from strangers. A chain that leads out of the table, to a free cluster or in a circle is an input/output
//! error where it does so; directories end after as many entries as one can have; names that are no names are left out.
//!
//! As on Linux, names are found in whichever case, files belong to root and have permissions 755, without those to write if
//! they are marked so. Times are taken for UTC.

mod chain;
mod directory;
mod geometry;
mod name;
mod node;
mod time;

use alloc::sync::Arc;

pub use geometry::BadFat;
use geometry::{Geometry, Width};
use node::Node;

use super::block::Volume;
use super::covered::Covered;
use super::error::FileError;
use super::inode::Inode;
use super::metadata::{DeviceNumber, FileSystemStatus};
use super::mount::{MountFlags, Mountable};
use super::name_cache::NameCache;
use super::pages::PageSource;
use crate::hal::Cpu;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// `MSDOS_SUPER_MAGIC` (`linux/magic.h`).
const MAGIC: u64 = 0x4d44;

/// A file system on a volume.
pub struct Fat<C: Cpu> {
    volume: Arc<Volume<C>>,
    geometry: Geometry,
    device: DeviceNumber,
    pages: Arc<dyn PageSource>,
    /// Where names were found.
    names: NameCache<C>,
    /// Numbers for what is mapped.
    next_object: AtomicU64,
    /// The directory that its root covers, if it is mounted.
    covered: Covered<C>,
    /// What may be done in it: [`MountFlags`], always without writing.
    flags: AtomicU32,
}

impl<C: Cpu> Fat<C> {
    /// What is on `volume`, whose number is `device`. Frames for mapped files come from `pages`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) for what is no FAT file system, or a damaged one; [`Io`](FileError::Io).
    pub fn open(
        volume: Arc<Volume<C>>,
        device: DeviceNumber,
        pages: Arc<dyn PageSource>,
    ) -> Result<Arc<Self>, FileError> {
        let mut sector = [0; 512];
        if volume.bytes() < sector.len() as u64 {
            return Err(FileError::Invalid);
        }
        volume.read_at(0, &mut sector)?;
        let geometry = Geometry::parse(&sector, volume.bytes()).map_err(|BadFat| FileError::Invalid)?;
        let next_object = AtomicU64::new(device.encoded() << 32 | 1 << 63);
        let covered = Covered::nothing();
        let flags = AtomicU32::new(MountFlags::READ_ONLY.bits());
        let names = NameCache::new();
        Ok(Arc::new(Self { volume, geometry, device, pages, names, next_object, covered, flags }))
    }

    fn new_object(&self) -> u64 {
        self.next_object.fetch_add(1, Ordering::Relaxed)
    }

    fn flags(&self) -> MountFlags {
        MountFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// All that statfs(2) tells; free clusters are counted.
    fn status(&self) -> FileSystemStatus {
        FileSystemStatus {
            magic: MAGIC,
            block_size: self.geometry.cluster_bytes.into(),
            blocks: self.geometry.clusters.into(),
            free_blocks: self.free_clusters().unwrap_or(0),
            files: 0,
            free_files: 0,
            device: self.device,
            read_only: true,
            flags: self.flags(),
        }
    }
}

/// A file system with its root, to be mounted.
pub struct MountableFat<C: Cpu> {
    fs: Arc<Fat<C>>,
    root: Arc<dyn Inode>,
}

impl<C: Cpu> MountableFat<C> {
    /// Of `fs`.
    #[must_use]
    pub fn new(fs: Arc<Fat<C>>) -> Self {
        let root = Node::root(&fs);
        Self { fs, root }
    }
}

impl<C: Cpu> Mountable for MountableFat<C> {
    fn kind(&self) -> &'static str {
        "vfat"
    }

    fn root(&self) -> Arc<dyn Inode> {
        Arc::clone(&self.root)
    }

    fn set_covered(&self, covered: Option<&Arc<dyn Inode>>) -> Result<(), FileError> {
        self.fs.covered.set(covered)
    }

    fn flags(&self) -> MountFlags {
        self.fs.flags()
    }

    fn set_flags(&self, flags: MountFlags) -> Result<(), FileError> {
        if !flags.contains(MountFlags::READ_ONLY) {
            return Err(FileError::ReadOnly);
        }
        self.fs.flags.store(flags.bits(), Ordering::Relaxed);
        Ok(())
    }

    /// Each node has the file system: the root does, and this.
    fn is_used(&self, own: usize) -> Result<bool, FileError> {
        const IDLE: usize = 2;
        Ok(Arc::strong_count(&self.root) > own || Arc::strong_count(&self.fs) > IDLE)
    }
}
