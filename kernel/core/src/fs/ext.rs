//! ext2, ext3 and ext4, to be read (Linux's `Documentation/filesystems/ext4`).
//!
//! ```text
//! superblock  ─► Layout        where things are; what cannot be is refused
//! journal     ─► Disk          which blocks are there and not in their places yet
//! group       ─► inode table
//! inode       ─► Record        kind, owner, times, size, and the map
//! map         ─► Run           where blocks are: extents, or blocks of their numbers; or the data is in the inode
//! directory   ─► Entry         name, number of the inode
//! Node                         a file, as the walk over names and open files see it
//! ```
//!
//! Nothing is kept but what a node needs, and what names stand for: bytes come from the disk's cache each time, and nodes are
//! made as they are looked up. Only what is open is known by its number, so that programs share the pages of what they map, and the pipe of a FIFO.
//!
//! Images come from strangers. What has a checksum is read only if that is right; numbers of blocks and inodes lead nowhere
//! but into the file system; and whatever is walked along (levels of a map, entries, attributes, directories above) gets less
//! with each step. What is wrong is an error for whoever came by, and a line in the kernel's messages, the first few times.
//!
//! If a journal has changes that were not written to their places, they are read from there. Where it cannot be read, what is
//! there may be of two times: such a file system is mounted only by those who say `noload`.
//!
//! Attributes and access lists are not read.

mod checksum;
mod directory;
mod disk;
mod extents;
mod features;
mod fields;
mod indirect;
mod inline;
mod journal;
mod layout;
mod map;
mod node;
mod problem;
mod record;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;

use disk::Disk;
pub use features::Incompatible;
use layout::{Layout, ROOT, SUPERBLOCK_AT, SUPERBLOCK_BYTES};
use node::Node;
pub use problem::{Part, Problem};

use super::block::Volume;
use super::covered::Covered;
use super::devices::DeviceTable;
use super::error::FileError;
use super::inode::Inode;
use super::metadata::{DeviceNumber, FileSystemStatus};
use super::mount::{MountFlags, Mountable};
use super::name_cache::NameCache;
use super::pages::PageSource;
use super::pipe::NamedPipe;
use crate::hal::Cpu;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Rank, SpinLock};

/// `EXT4_SUPER_MAGIC` (`linux/magic.h`), that of all three.
const MAGIC: u64 = 0xef53;
/// How many problems of one file system are told.
const MOST_TOLD: u32 = 16;

/// As what it is mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Without a journal and what came later.
    Ext2,
    /// With one.
    Ext3,
    /// With everything that is known.
    Ext4,
}

impl Kind {
    /// The name, as in `/proc/filesystems`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How it shall be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// As what.
    pub kind: Kind,
    /// Even if there is something in its journal (`noload`).
    pub without_journal: bool,
}

/// What such a file system needs of the kernel.
#[derive(Clone)]
pub struct Needs {
    /// Frames for files that are mapped.
    pub pages: Arc<dyn PageSource>,
    /// What is behind device nodes.
    pub devices: &'static dyn DeviceTable,
    /// What is behind the node of a FIFO that this user and group own.
    pub fifo: fn((u32, u32)) -> Arc<dyn NamedPipe>,
    /// Tells what is wrong with the file system on this device. May sleep.
    pub report: fn(DeviceNumber, Problem),
}

/// Things by the numbers of inodes.
type ByInode<T> = Vec<(u32, T)>;

/// A file system on a volume.
pub struct Ext<C: Cpu> {
    disk: Disk<C>,
    layout: Layout,
    kind: Kind,
    device: DeviceNumber,
    needs: Needs,
    /// Numbers for what is mapped.
    next_object: AtomicU64,
    /// The directory that its root covers, if it is mounted.
    covered: Covered<C>,
    /// What may be done in it: [`MountFlags`], always without writing.
    flags: AtomicU32,
    /// How many problems there were.
    problems: AtomicU32,
    /// Regular files that somebody has open, in the order of their inodes: the nodes that have their pages.
    open: SpinLock<ByInode<Weak<Node<C>>>, C>,
    /// FIFOs that somebody has opened.
    fifos: SpinLock<ByInode<Arc<dyn NamedPipe>>, C>,
    /// What names were found to stand for.
    names: NameCache<C>,
}

impl<C: Cpu> Ext<C> {
    /// What is on `volume`, whose number is `device`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) for what is no such file system, or one that cannot be read;
    /// [`Checksum`](FileError::Checksum); [`Damaged`](FileError::Damaged) where the journal is;
    /// [`OutOfMemory`](FileError::OutOfMemory); [`Io`](FileError::Io). But for the first and the last two it is told why.
    pub fn open(
        volume: Arc<Volume<C>>,
        device: DeviceNumber,
        reading: Reading,
        needs: Needs,
    ) -> Result<Arc<Self>, FileError> {
        let bytes = volume.bytes();
        if bytes < SUPERBLOCK_AT.saturating_add(SUPERBLOCK_BYTES as u64) {
            return Err(FileError::Invalid);
        }
        let report = needs.report;
        let parse = |block: &_| {
            let layout = Layout::parse(block, bytes, reading.kind).map_err(|problem| {
                report(device, problem);
                problem.error()
            })?;
            layout.ok_or(FileError::Invalid)
        };
        let mut superblock = [0; SUPERBLOCK_BYTES];
        volume.read_at(SUPERBLOCK_AT, &mut superblock)?;
        let layout = parse(&superblock)?;
        let mut fs = Self {
            disk: Disk::new(volume, layout.block_bits),
            layout,
            kind: reading.kind,
            device,
            needs,
            next_object: AtomicU64::new(device.encoded() << 32 | 1 << 63),
            covered: Covered::nothing(),
            flags: AtomicU32::new(MountFlags::READ_ONLY.bits()),
            problems: AtomicU32::new(0),
            open: SpinLock::new(Rank::FileObject, Vec::new()),
            fifos: SpinLock::new(Rank::FileObject, Vec::new()),
            names: NameCache::new(),
        };
        if fs.layout.incompatible.contains(Incompatible::RECOVER) {
            if reading.without_journal {
                let _ = fs.problem(Problem::WithoutJournal);
            } else {
                fs.read_journal()?;
                // The newest superblock may be there, too.
                fs.disk.read_at(SUPERBLOCK_AT, &mut superblock)?;
                let newest = parse(&superblock)?;
                if newest.block_bits != fs.layout.block_bits {
                    return Err(fs.damaged(Part::Journal, "its superblock is another file system's"));
                }
                fs.layout = newest;
            }
        }
        if fs.layout.has_errors {
            let _ = fs.problem(Problem::HasErrors);
        }
        Ok(Arc::new(fs))
    }

    /// Takes what is in the journal from there.
    fn read_journal(&mut self) -> Result<(), FileError> {
        let moved = self.in_journal().inspect_err(|error| {
            if matches!(error, FileError::Invalid | FileError::Checksum | FileError::Damaged) {
                let _ = self.problem(Problem::NeedsJournal);
            }
        })?;
        if !moved.is_empty() {
            let _ = self.problem(Problem::InJournal(moved.len()));
        }
        self.disk.redirect(moved);
        Ok(())
    }

    /// Tells of a problem, and what a program is told of it.
    fn problem(&self, problem: Problem) -> FileError {
        match self.problems.fetch_add(1, Ordering::Relaxed) {
            ..MOST_TOLD => (self.needs.report)(self.device, problem),
            MOST_TOLD => (self.needs.report)(self.device, Problem::More),
            // As many again are not counted to the end.
            _ => self.problems.store(MOST_TOLD.saturating_add(1), Ordering::Relaxed),
        }
        problem.error()
    }

    fn damaged(&self, part: Part, what: &'static str) -> FileError {
        self.problem(Problem::Damaged(part, what))
    }

    /// Fills `bytes` from `into` on in a block that is to have a part of the file system.
    fn read(&self, block: u64, into: u64, bytes: &mut [u8], part: Part) -> Result<(), FileError> {
        if !self.layout.has_blocks(block, 1) {
            return Err(self.damaged(part, "it is not on the device"));
        }
        self.disk.read_at((block << self.layout.block_bits).saturating_add(into), bytes)
    }

    fn new_object(&self) -> u64 {
        self.next_object.fetch_add(1, Ordering::Relaxed)
    }

    fn flags(&self) -> MountFlags {
        MountFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// All that statfs(2) tells, as the superblock has it.
    fn status(&self) -> FileSystemStatus {
        FileSystemStatus {
            magic: MAGIC,
            block_size: self.layout.block_bytes().into(),
            blocks: self.layout.blocks.saturating_sub(self.layout.overhead),
            free_blocks: self.layout.free_blocks,
            files: self.layout.inodes.into(),
            free_files: self.layout.free_inodes.into(),
            device: self.device,
            read_only: true,
            flags: self.flags(),
        }
    }
}

/// A file system with its root, to be mounted.
pub struct MountableExt<C: Cpu> {
    fs: Arc<Ext<C>>,
    root: Arc<dyn Inode>,
}

impl<C: Cpu> MountableExt<C> {
    /// Of `fs`.
    ///
    /// # Errors
    ///
    /// [`Damaged`](FileError::Damaged), [`Checksum`](FileError::Checksum), [`Io`](FileError::Io) where the root cannot be
    /// read.
    pub fn new(fs: Arc<Ext<C>>) -> Result<Self, FileError> {
        let record = fs.record(ROOT)?;
        let root = Node::root(&fs, record)?;
        Ok(Self { fs, root })
    }
}

impl<C: Cpu> Mountable for MountableExt<C> {
    fn kind(&self) -> &'static str {
        self.fs.kind.name()
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
