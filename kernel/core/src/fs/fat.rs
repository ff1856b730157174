//! FAT12, FAT16 and FAT32 with long names (Microsoft, "FAT: General Overview of On-Disk Format", 1.03).
//!
//! ```text
//! boot sector ─► Geometry       where things are; what cannot be is refused
//! table       ─► chain, alloc   the clusters of a file, one after the other; those that are free
//! directory   ─► Entry          name, size, first cluster; insert puts them in and takes them out
//! Nodes       ─► Node           a file that somebody uses: inode, open file and pager in one
//! Pending     ─► commit         what was changed, and the order in which it goes to the disk
//! Repair                        what a power cut left half done, at mount
//! ```
//!
//! Bytes come from the disk's cache each time; what is kept is where names were found (`NameCache`). Contents of files are
//! written to that cache at once, and it writes them to the disk when it likes. The table and directories are not: their
//! blocks wait (`pending`) until all of them are committed (`commit`) in an order that bears a power cut, by fsync(2),
//! sync(2), every few seconds, or when there are many.
//!
//! A file is one node as long as anybody uses it (`nodes`); one that has lost its name keeps its clusters until then.
//!
//! Images come from strangers. A chain that leads out of the table, to a free cluster or in a circle is an input/output
//! error where it does so; directories end after as many entries as one can have; names that are no names are left out.
//!
//! As on Linux, names are found in whichever case, files belong to root and have permissions 755, or what [`FatOptions`] say,
//! without those to write if they are marked so. Times are taken for UTC.
//!
//! # Locks
//!
//! Three kinds that sleep, in this order: a file's `writing`, held by who writes or resizes it, while bytes are taken from
//! programs; a file's `chain`, held while its clusters are looked for, read or written, and by a fault; and `changing`, held
//! by who changes the table or a directory. Under that, directories' `chain`s: who changes one has it, and may have two,
//! who reads one has it alone and asks for nothing else. Programs' memory is touched with `writing` at most. Spin locks are
//! held for moments, one at a time.

mod alloc;
mod chain;
mod commit;
mod contents;
mod directory;
mod file;
mod geometry;
mod insert;
mod name;
mod new_name;
mod node;
mod nodes;
mod options;
mod pending;
mod rename;
mod repair;
mod slot;
mod time;
mod tree;

use ::alloc::sync::Arc;

use self::alloc::{Changing, Freed};
pub use geometry::BadFat;
use geometry::{FIRST_CLUSTER, Geometry, Width};
use node::Node;
use nodes::Nodes;
pub use options::FatOptions;
use pending::Pending;
pub use repair::{Finding, Repairs};

use super::block::Volume;
use super::covered::Covered;
use super::error::FileError;
use super::inode::Inode;
use super::metadata::{DeviceNumber, FileSystemStatus, Timestamp};
use super::mount::{MountFlags, Mountable};
use super::name_cache::NameCache;
use super::offset::{Parked, ParkedGuard, Parking};
use super::pages::PageSource;
use super::tmpfs::Mappings;
use super::write_count::MountState;
use crate::hal::Cpu;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Rank, SpinLock};

/// `MSDOS_SUPER_MAGIC` (`linux/magic.h`).
const MAGIC: u64 = 0x4d44;

/// What a file system needs of the kernel.
#[derive(Clone)]
pub struct FatNeeds {
    /// Frames for what is mapped, and whether there is memory.
    pub pages: Arc<dyn PageSource>,
    /// The wall clock.
    pub now: fn() -> Timestamp,
    /// Where threads wait for each other.
    pub parking: &'static dyn Parking,
    /// Where its files are mapped.
    pub mappings: &'static dyn Mappings,
    /// Called when something begins to wait for [`write_back`](Mountable::write_back), with a lock that sleeps held at
    /// most.
    pub dirtied: fn(),
    /// Told what became of what had not been unmounted.
    pub report: fn(DeviceNumber, Finding),
}

/// A file system on a volume.
pub struct Fat<C: Cpu> {
    volume: Arc<Volume<C>>,
    geometry: Geometry,
    device: DeviceNumber,
    needs: FatNeeds,
    options: FatOptions,
    /// Where names were found: directories by their first cluster, files by the place of their entry.
    names: NameCache<C>,
    /// Numbers for what is mapped.
    next_object: AtomicU64,
    /// The directory that its root covers, if it is mounted.
    covered: Covered<C>,
    /// What may be done in it, and who writes.
    state: MountState,
    /// Held by who changes the table or directories.
    changing: Parked<Changing>,
    pending: SpinLock<Pending, C>,
    freed: SpinLock<Freed, C>,
    nodes: SpinLock<Nodes<C>, C>,
}

impl<C: Cpu> Fat<C> {
    /// What is on `volume`, whose number is `device`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) for what is no FAT file system, or a damaged one; [`Io`](FileError::Io).
    pub fn open(volume: Arc<Volume<C>>, device: DeviceNumber, needs: FatNeeds) -> Result<Arc<Self>, FileError> {
        Self::open_with(volume, device, needs, FatOptions::USUAL)
    }

    /// The same, with owners and permissions as `options` say.
    ///
    /// # Errors
    ///
    /// As those of [`open`](Self::open).
    pub fn open_with(
        volume: Arc<Volume<C>>,
        device: DeviceNumber,
        needs: FatNeeds,
        options: FatOptions,
    ) -> Result<Arc<Self>, FileError> {
        let mut sector = [0; 512];
        if volume.bytes() < sector.len() as u64 {
            return Err(FileError::Invalid);
        }
        volume.read_at(0, &mut sector)?;
        let geometry = Geometry::parse(&sector, volume.bytes()).map_err(|BadFat| FileError::Invalid)?;
        let flags = if volume.is_read_only() { MountFlags::READ_ONLY } else { MountFlags::empty() };
        let changing = Changing { hint: FIRST_CLUSTER, free: None, is_marked: false, was_marked: false };
        let fs = Arc::new(Self {
            volume,
            geometry,
            device,
            options,
            names: NameCache::new(),
            next_object: AtomicU64::new(device.encoded() << 32 | 1 << 63),
            covered: Covered::nothing(),
            state: MountState::new(flags),
            changing: Parked::new(needs.parking, changing),
            pending: SpinLock::new(Rank::FileObject, Pending::new()),
            freed: SpinLock::new(Rank::FileObject, Freed::new()),
            nodes: SpinLock::new(Rank::FileObject, Nodes::new()),
            needs,
        });
        let was_marked = fs.is_marked()?;
        {
            let mut changing = fs.changing.lock();
            (changing.was_marked, changing.is_marked) = (was_marked, was_marked);
        }
        Ok(fs)
    }

    /// Whether the disk said, when it was opened, that who wrote to it last did not unmount it; and nothing was done about it.
    fn was_left_open(&self) -> bool {
        self.changing.lock().was_marked
    }

    fn new_object(&self) -> u64 {
        self.next_object.fetch_add(1, Ordering::Relaxed)
    }

    fn flags(&self) -> MountFlags {
        self.state.flags()
    }

    fn check_writable(&self) -> Result<(), FileError> {
        self.state.check_writable()
    }

    fn now(&self) -> Timestamp {
        (self.needs.now)()
    }

    /// Waits until nobody else changes it. There is memory for what is going to wait, and not too much waits already.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](FileError::ReadOnly); [`OutOfMemory`](FileError::OutOfMemory); [`Io`](FileError::Io) where what waits cannot be written.
    fn change(&self) -> Result<ParkedGuard<'_, Changing>, FileError> {
        let mut changing = self.changing.lock();
        self.check_writable()?;
        if !self.needs.pages.has_room() {
            return Err(FileError::OutOfMemory);
        }
        if self.pending.lock().is_full() {
            self.commit(&mut changing)?;
        }
        Ok(changing)
    }

    /// Whether something waits.
    fn is_dirty(&self) -> bool {
        !self.pending.lock().is_empty() || self.freed.lock().len() > 0
    }

    /// Brings all to the disk that was changed: fsync(2), which does not look for what is one file's.
    fn sync_file(&self) -> Result<(), FileError> {
        let mut changing = self.changing.lock();
        self.commit(&mut changing)
    }

    /// All that statfs(2) tells.
    fn status(&self) -> FileSystemStatus {
        let free = {
            let mut changing = self.changing.lock();
            if self.freed.lock().len() > 0 {
                // What was removed is free: who asks may be about to use it. Where it cannot be given back it is not.
                let _given_back = self.commit(&mut changing);
            }
            self.free_clusters(&mut changing).unwrap_or(0)
        };
        let flags = self.flags();
        FileSystemStatus {
            magic: MAGIC,
            block_size: self.geometry.cluster_bytes.into(),
            blocks: self.geometry.clusters.into(),
            free_blocks: free.into(),
            files: 0,
            free_files: 0,
            device: self.device,
            read_only: flags.contains(MountFlags::READ_ONLY),
            flags,
        }
    }
}

impl<C: Cpu> Drop for Fat<C> {
    /// Its last user outlived its mount.
    fn drop(&mut self) {
        if self.is_dirty() {
            let mut changing = self.changing.lock();
            // There is nobody to tell.
            let _outcome = self.sync_all(&mut changing);
        }
    }
}

/// A file system with its root, to be mounted.
pub struct MountableFat<C: Cpu> {
    fs: Arc<Fat<C>>,
    root: Arc<Node<C>>,
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
        Arc::clone(&self.root) as Arc<dyn Inode>
    }

    /// Who takes it away, or lets it cover something else, has nothing left that waits.
    fn set_covered(&self, covered: Option<&Arc<dyn Inode>>) -> Result<(), FileError> {
        self.fs.covered.set(covered)?;
        if covered.is_none() { self.sync() } else { Ok(()) }
    }

    fn flags(&self) -> MountFlags {
        self.fs.flags()
    }

    /// What was not unmounted is repaired before anybody writes. Where that cannot be done, it is mounted to be read, and
    /// stays so.
    fn set_flags(&self, flags: MountFlags) -> Result<(), FileError> {
        let is_mounted = self.fs.covered.get().is_some();
        let report = |finding| (self.fs.needs.report)(self.fs.device, finding);
        if flags.contains(MountFlags::READ_ONLY) {
            if !is_mounted && self.fs.was_left_open() {
                report(Finding::Unrepaired);
            }
        } else if self.fs.volume.is_read_only() {
            return Err(FileError::ReadOnly);
        } else if let Err(error) = self.fs.repair(&self.root) {
            report(Finding::Failed(error));
            if is_mounted {
                return Err(error);
            }
            self.fs.state.force(flags | MountFlags::READ_ONLY);
            return Ok(());
        }
        self.fs.state.set_flags(flags, || self.sync())
    }

    /// Each node has the file system: the root does, and this.
    fn is_used(&self, own: usize) -> Result<bool, FileError> {
        const IDLE: usize = 2;
        Ok(Arc::strong_count(&self.root) > own || Arc::strong_count(&self.fs) > IDLE)
    }

    fn sync(&self) -> Result<(), FileError> {
        let mut changing = self.fs.changing.lock();
        self.fs.sync_all(&mut changing)
    }

    fn write_back(&self) -> Result<(), FileError> {
        if self.fs.is_dirty() { self.fs.sync_file() } else { Ok(()) }
    }
}
