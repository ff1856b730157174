//! The file system in memory: the root, and whatever else is mounted as `tmpfs(5)`.
//!
//! ```text
//! Tmpfs ◄─┬─ Node ─┬─ Attributes                        permissions, owner, times
//! (limits)│        └─ Body ─┬─ Directory ── Names ── Node …   by name, and by cookie
//!         │                 ├─ Contents ─┬─ frames of its own, by page
//!         └─ Node …         │            └─ Pages           of the archive, until they are changed
//!                           └─ Symlink, Device, …
//! ```
//!
//! A file is its `Node`: inode, open file and pager in one, so that opening it makes nothing new. A directory has its
//! names, and with them the files; whatever has no name and nobody's descriptor or mapping any more is gone with its last
//! reference, and its pages with it.
//!
//! What the initial archive has is adopted where it lies: names, link targets and pages. A file's page is the archive's
//! until somebody writes to it; then it is copied, that page alone. Programs are mapped from there.
//!
//! # Memory
//!
//! Each page is promised ([`PageSource::promise`]) and counted, at most half of all memory for each file system
//! ([`Limits`]); so is each file. Names and nodes are small objects of the kernel: who makes one asks for room first.
//!
//! # Locks
//!
//! A directory's names have a spin lock each, a node's attributes another; neither is taken while one of the other kind,
//! or another of its own, is held, but for the two directories of a rename, which are taken in the order of
//! their addresses. What a directory must know of another while it has its own names locked is in atomics: how many names
//! it has, or that it is removed and gets none any more.
//!
//! A directory that moves to another directory could come below itself, so such moves are made one after the other,
//! under a sleeping lock of the file system. Another, of each regular file, is held by who changes its contents or its
//! length: bytes may fault on their way, and a fault needs the file's pages, which have a spin lock of their own.

mod adopt;
mod contents;
mod directory;
mod names;
mod node;
mod rename;
mod store;
mod users;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub(super) use adopt::{Adopted, Archived};
use node::Node;
pub(super) use node::without_set_id;

use super::covered::Covered;
use super::devices::DeviceTable;
use super::error::FileError;
use super::inode::Inode;
use super::metadata::{DeviceNumber, FileSystemStatus, Timestamp};
use super::mount::{MountFlags, Mountable};
use super::offset::{Parked, Parking};
use super::pages::PageSource;
use super::pipe::NamedPipe;
use super::write_count::MountState;
use crate::addr::PAGE_SIZE;
use crate::hal::Cpu;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Rank, SpinLock};

/// What a file system in memory is for, as `/proc/mounts` and statfs(2) call it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Anything: `tmpfs`.
    Files,
    /// The nodes of devices: `devtmpfs`.
    Devices,
    /// The nodes of pseudo-terminals: `devpts`.
    Terminals,
}

impl Purpose {
    /// Its name in `/proc/filesystems`.
    const fn kind(self) -> &'static str {
        match self {
            Self::Files => "tmpfs",
            Self::Devices => "devtmpfs",
            Self::Terminals => "devpts",
        }
    }

    /// Its number in `linux/magic.h`: programs tell a pseudo-terminal's slave by that of its file system.
    const fn magic(self) -> u64 {
        match self {
            Self::Files | Self::Devices => 0x0102_1994,
            Self::Terminals => 0x1cd1,
        }
    }
}

/// Who knows where files are mapped. The kernel implements it.
pub trait Mappings: Sync {
    /// Takes the pages of `object` from the one at `first` on, and before `end`, out of all address spaces, so that who touches
    /// one asks for it again. Programs' own copies stay unless `copies` says that they go, too. May sleep.
    fn forget(&self, object: u64, first: u64, end: u64, copies: bool);
}

/// What a file system in memory needs of the kernel.
#[derive(Clone)]
pub struct Needs {
    /// Its pages.
    pub pages: Arc<dyn PageSource>,
    /// What is behind device nodes.
    pub devices: &'static dyn DeviceTable,
    /// What is behind the node of a FIFO that this user and group own.
    pub fifo: fn((u32, u32)) -> Arc<dyn NamedPipe>,
    /// The wall clock.
    pub now: fn() -> Timestamp,
    /// Where threads wait for each other.
    pub parking: &'static dyn Parking,
    /// Where its files are mapped.
    pub mappings: &'static dyn Mappings,
}

/// How much may be in a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Pages of files.
    pub pages: u64,
    /// Files of any kind.
    pub files: u64,
}

impl Limits {
    /// As Linux has it: half of all memory, and as many files as that has pages.
    #[must_use]
    pub fn usual(pages: &dyn PageSource) -> Self {
        let half = pages.total_frames() / 2;
        Self { pages: half, files: half }
    }
}

/// A file's number, and the root of what is mounted on it.
type CoveredFile = (u64, Arc<dyn Inode>);

/// A file system in memory. Its root is an [`Inode`] like any.
pub struct Tmpfs<C: Cpu> {
    needs: Needs,
    device: DeviceNumber,
    purpose: Purpose,
    /// What may be done in it, and who writes.
    state: MountState,
    /// What is mounted on files that are no directories: on which, and the root.
    file_covers: SpinLock<Vec<CoveredFile>, C>,
    next_number: AtomicU64,
    pages: Budget,
    files: Budget,
    /// Held while a directory moves from one directory to another.
    moving: Parked<()>,
    /// The directory that its root covers.
    covered: Covered<C>,
    cpu: core::marker::PhantomData<fn() -> C>,
}

impl<C: Cpu> Tmpfs<C> {
    /// Without files. `device` is its number: no other file system has it.
    #[must_use]
    pub fn new(needs: Needs, device: DeviceNumber, limits: Limits, purpose: Purpose) -> Arc<Self> {
        let moving = Parked::new(needs.parking, ());
        Arc::new(Self {
            needs,
            device,
            purpose,
            state: MountState::new(MountFlags::empty()),
            file_covers: SpinLock::new(Rank::FileObject, Vec::new()),
            next_number: AtomicU64::new(1),
            pages: Budget::new(limits.pages),
            files: Budget::new(limits.files),
            moving,
            covered: Covered::nothing(),
            cpu: core::marker::PhantomData,
        })
    }

    /// Its root directory, new and empty, with these permissions and this owner. Called once.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](FileError::NoSpace), [`OutOfMemory`](FileError::OutOfMemory)
    pub fn make_root(self: &Arc<Self>, permissions: u16, uid: u32, gid: u32) -> Result<Arc<dyn Inode>, FileError> {
        Ok(Node::new_root(self, permissions, uid, gid)?)
    }

    /// Lets nothing be changed any more, or lets it again.
    pub fn set_read_only(&self, read_only: bool) {
        let mut flags = self.flags();
        flags.set(MountFlags::READ_ONLY, read_only);
        self.state.force(flags);
    }

    /// Whether nothing can be changed.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.flags().contains(MountFlags::READ_ONLY)
    }

    /// What may be done in it.
    fn flags(&self) -> MountFlags {
        self.state.flags()
    }

    /// Bounds it anew. What is there already stays.
    pub fn set_limits(&self, limits: Limits) {
        self.pages.most.store(limits.pages, Ordering::Relaxed);
        self.files.most.store(limits.files, Ordering::Relaxed);
    }

    /// All that statfs(2) tells.
    #[must_use]
    pub fn status(&self) -> FileSystemStatus {
        let (blocks, free_blocks) = self.pages.most_and_left();
        let (files, free_files) = self.files.most_and_left();
        FileSystemStatus {
            magic: self.purpose.magic(),
            block_size: PAGE_SIZE as u64,
            blocks,
            free_blocks,
            files,
            free_files,
            device: self.device,
            read_only: self.is_read_only(),
            flags: self.flags(),
        }
    }

    fn check_writable(&self) -> Result<(), FileError> {
        self.state.check_writable()
    }

    /// The root of what is mounted on the file of this number, which is no directory.
    fn file_cover(&self, number: u64) -> Option<Arc<dyn Inode>> {
        let covers = self.file_covers.lock();
        covers.iter().find(|(covered, _)| *covered == number).map(|(_, root)| Arc::clone(root))
    }

    /// Mounts `root` on such a file, or nothing; `is_covered` is what the file knows of it.
    fn set_file_cover(
        &self,
        number: u64,
        is_covered: &AtomicBool,
        root: Option<Arc<dyn Inode>>,
    ) -> Result<(), FileError> {
        let before = {
            let mut covers = self.file_covers.lock();
            let there = covers.iter().position(|(covered, _)| *covered == number);
            is_covered.store(root.is_some(), Ordering::Release);
            match (root, there) {
                (Some(_), Some(_)) => return Err(FileError::Busy),
                (Some(root), None) => {
                    if covers.try_reserve(1).is_err() {
                        is_covered.store(false, Ordering::Release);
                        return Err(FileError::OutOfMemory);
                    }
                    covers.push((number, root));
                    None
                }
                (None, there) => there.map(|index| covers.remove(index)),
            }
        };
        drop(before);
        Ok(())
    }

    /// The directory that its root covers, if it is mounted.
    fn now(&self) -> Timestamp {
        (self.needs.now)()
    }
}

/// A file system in memory with its root, to be mounted.
pub struct WithRoot<C: Cpu> {
    /// The file system.
    pub fs: Arc<Tmpfs<C>>,
    /// Its root.
    pub root: Arc<dyn Inode>,
}

impl<C: Cpu> Mountable for WithRoot<C> {
    fn kind(&self) -> &'static str {
        self.fs.purpose.kind()
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
        self.fs.state.set_flags(flags, || Ok(()))
    }

    fn is_used(&self, own: usize) -> Result<bool, FileError> {
        self.fs.is_used(&self.root, own)
    }
}

/// Something of which there is only so much.
struct Budget {
    used: AtomicU64,
    most: AtomicU64,
}

impl Budget {
    fn new(most: u64) -> Self {
        Self { used: AtomicU64::new(0), most: AtomicU64::new(most) }
    }

    /// Takes `count` of it, or nothing if there is not so much.
    fn take(&self, count: u64) -> Result<(), FileError> {
        let most = self.most.load(Ordering::Relaxed);
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(count).filter(|&used| used <= most)
        });
        taken.map(drop).map_err(|_| FileError::NoSpace)
    }

    /// Takes `count` of it, there or not.
    fn force(&self, count: u64) {
        self.used.fetch_add(count, Ordering::Relaxed);
    }

    fn give_back(&self, count: u64) {
        self.used.fetch_sub(count, Ordering::Relaxed);
    }

    fn most_and_left(&self) -> (u64, u64) {
        let most = self.most.load(Ordering::Relaxed);
        (most, most.saturating_sub(self.used.load(Ordering::Relaxed)))
    }
}
