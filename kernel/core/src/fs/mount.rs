//! Mounts: which file system's root stands in the place of which directory.
//!
//! The directory that is covered knows its [cover](Inode::cover), and the one above answers lookups with that; the root
//! that covers knows what is above it. The table here is for those who ask what is mounted, and takes mounts apart again.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bitflags::bitflags;

use super::error::FileError;
use super::inode::{Inode, same_place};
use super::metadata::{DeviceNumber, FileKind};
use crate::hal::Cpu;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Rank, SpinLock};

/// The most mounts: who may mount may not fill the kernel's memory with them by mistake.
const MAX_MOUNTS: usize = 256;
/// Who has a root that is mounted and not used: the file system, the directory that it covers, and who asks.
const OWN_REFERENCES: usize = 3;

bitflags! {
    /// What may be done with the files of a mount, in the numbers of mount(2).
    #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
    pub struct MountFlags: u32 {
        /// Nothing is changed.
        const READ_ONLY = 1;
        /// Set-id bits have no effect.
        const NO_SET_ID = 2;
        /// Device nodes cannot be opened.
        const NO_DEVICES = 4;
        /// Nothing is executed.
        const NO_EXECUTION = 8;
        /// Access times stay.
        const NO_ACCESS_TIME = 1024;
        /// Those of directories stay.
        const NO_DIRECTORY_ACCESS_TIME = 2048;
    }
}

impl MountFlags {
    /// Whether the access time stays as it is, of a directory or of another file.
    #[must_use]
    pub const fn keep_access_time(self, is_directory: bool) -> bool {
        self.contains(Self::NO_ACCESS_TIME)
            || self.contains(Self::READ_ONLY)
            || is_directory && self.contains(Self::NO_DIRECTORY_ACCESS_TIME)
    }
}

/// As in `/proc/mounts`.
impl fmt::Display for MountFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.contains(Self::READ_ONLY) { "ro" } else { "rw" })?;
        for (flag, word) in [
            (Self::NO_SET_ID, ",nosuid"),
            (Self::NO_DEVICES, ",nodev"),
            (Self::NO_EXECUTION, ",noexec"),
            (Self::NO_ACCESS_TIME, ",noatime"),
            (Self::NO_DIRECTORY_ACCESS_TIME, ",nodiratime"),
        ] {
            if self.contains(flag) {
                f.write_str(word)?;
            }
        }
        if self.contains(Self::NO_ACCESS_TIME) { Ok(()) } else { f.write_str(",relatime") }
    }
}

/// A file system of a kind that can be mounted and unmounted.
pub trait Mountable: Send + Sync {
    /// The kind's name, as in `/proc/filesystems`.
    fn kind(&self) -> &'static str;

    /// Its root directory.
    fn root(&self) -> Arc<dyn Inode>;

    /// It covers `covered` from now on, or nothing: what is above its root follows from that.
    ///
    /// # Errors
    ///
    /// [`Busy`](FileError::Busy) if it covers something already.
    fn set_covered(&self, covered: Option<&Arc<dyn Inode>>) -> Result<(), FileError>;

    /// What may be done in it.
    fn flags(&self) -> MountFlags;

    /// Lets that be done from now on.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where that cannot be chosen, [`Busy`](FileError::Busy) where somebody has a file open
    /// for writing and nothing shall be changed any more.
    fn set_flags(&self, flags: MountFlags) -> Result<(), FileError>;

    /// Which directory or file of its file system it shows: the path from the root there.
    fn within(&self) -> &[u8] {
        b"/"
    }

    /// Whether the file system cannot be changed, wherever it is seen.
    fn is_read_only_everywhere(&self) -> bool {
        self.flags().contains(MountFlags::READ_ONLY)
    }

    /// Whether anybody uses a file of it: has it open or mapped, or works in it. `own` references to its root are not counted.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](FileError::OutOfMemory) where that cannot be found out.
    fn is_used(&self, own: usize) -> Result<bool, FileError>;

    /// Waits until all that was changed is where it stays, and complete: sync(2).
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn sync(&self) -> Result<(), FileError> {
        Ok(())
    }

    /// Brings to its place what has waited in memory for some time.
    ///
    /// # Errors
    ///
    /// What the disk says; it goes on waiting then.
    fn write_back(&self) -> Result<(), FileError> {
        Ok(())
    }
}

/// What is told of a mount, in `/proc/mounts` and `/proc/self/mountinfo`.
#[derive(Clone, Copy, Debug)]
pub struct MountView<'a> {
    /// Its number. None is given twice.
    pub id: u32,
    /// That of the mount that it is mounted in; its own for the root of all.
    pub parent: u32,
    /// The number of its file system, as stat(2) has it for the files there.
    pub device: DeviceNumber,
    /// Which directory or file of that it shows.
    pub within: &'a [u8],
    /// Where it is.
    pub place: &'a [u8],
    /// What is mounted.
    pub source: &'a [u8],
    /// The kind of its file system.
    pub kind: &'static str,
    /// What may be done in it.
    pub flags: MountFlags,
    /// Whether the file system cannot be changed, wherever it is seen.
    pub is_read_only_everywhere: bool,
}

/// Something mounted.
struct Mount {
    id: u32,
    /// The mount that it is in.
    parent: u32,
    source: Vec<u8>,
    place: Vec<u8>,
    fs: Arc<dyn Mountable>,
    /// None for the root, which covers nothing.
    covered: Option<Arc<dyn Inode>>,
}

impl Mount {
    /// One that is not in the table yet.
    fn new(
        source: &[u8],
        place: &[u8],
        fs: Arc<dyn Mountable>,
        covered: Option<&Arc<dyn Inode>>,
    ) -> Result<Self, FileError> {
        Ok(Self { id: 0, parent: 0, source: copy(source)?, place: copy(place)?, fs, covered: covered.cloned() })
    }

    fn view(&self) -> MountView<'_> {
        let Self { id, parent, source, place, fs, .. } = self;
        MountView {
            id: *id,
            parent: *parent,
            device: fs.root().id().device,
            within: fs.within(),
            place,
            source,
            kind: fs.kind(),
            flags: fs.flags(),
            is_read_only_everywhere: fs.is_read_only_everywhere(),
        }
    }

    /// Whether `file` is in it.
    fn has(&self, file: &dyn Inode) -> bool {
        let root = self.fs.root();
        root.mount() == file.mount() && root.id().device == file.id().device
    }
}

/// Who is in a mount when it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Users {
    /// Then it does not go.
    Stay,
    /// They go on with it, and find nothing above; what is mounted below goes with it (`MNT_DETACH`).
    Detached,
}

/// All mounts, the oldest first.
pub struct Mounts<C: Cpu> {
    all: SpinLock<Vec<Mount>, C>,
    /// How many there were.
    count: AtomicU32,
}

impl<C: Cpu> Mounts<C> {
    /// None.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { all: SpinLock::new(Rank::FileObject, Vec::new()), count: AtomicU32::new(0) }
    }

    /// None.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { all: SpinLock::new(Rank::FileObject, Vec::new()), count: AtomicU32::new(0) }
    }

    /// Notes `fs`, from `source`, as that of the root.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](FileError::OutOfMemory)
    pub fn add_root(&self, source: &[u8], fs: Arc<dyn Mountable>) -> Result<(), FileError> {
        self.add(Mount::new(source, b"/", fs, None)?)
    }

    /// Mounts `fs`, from `source`, on the file `covered`, whose path is `place`.
    ///
    /// # Errors
    ///
    /// [`NotDirectory`](FileError::NotDirectory), [`Busy`](FileError::Busy) where something is mounted already or `fs` is
    /// elsewhere, [`Invalid`](FileError::Invalid) for what cannot be covered,
    /// [`NoSpace`](FileError::NoSpace) for one mount too many, [`OutOfMemory`](FileError::OutOfMemory).
    pub fn mount(
        &self,
        source: &[u8],
        place: &[u8],
        covered: &Arc<dyn Inode>,
        fs: Arc<dyn Mountable>,
    ) -> Result<(), FileError> {
        check_kinds(&fs.root(), covered)?;
        let mount = Mount::new(source, place, fs, Some(covered))?;
        let fs = Arc::clone(&mount.fs);
        fs.set_covered(Some(covered))?;
        let done = covered.cover(Some(fs.root())).and_then(|()| {
            self.add(mount).inspect_err(|_| {
                // It was covered a moment ago.
                let _ = covered.cover(None);
            })
        });
        done.inspect_err(|_| {
            let _ = fs.set_covered(None);
        })
    }

    fn add(&self, mut mount: Mount) -> Result<(), FileError> {
        let mut all = self.all.lock();
        if all.len() >= MAX_MOUNTS {
            return Err(FileError::NoSpace);
        }
        all.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
        mount.id = self.count.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        mount.parent = mount.covered.as_ref().and_then(|covered| id_of(&all, &**covered)).unwrap_or(mount.id);
        all.push(mount);
        Ok(())
    }

    /// Takes the mount away whose root is `root`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where nothing is mounted, [`Busy`](FileError::Busy) for the root of all; and unless
    /// `users` are detached, where something is mounted in it, or somebody uses it.
    pub fn unmount(&self, root: &Arc<dyn Inode>, users: Users) -> Result<(), FileError> {
        if users == Users::Stay {
            let fs = self.find(root).ok_or(FileError::Invalid)?;
            if self.covered(root)?.is_none() {
                return Err(FileError::Busy);
            }
            if !self.is_last(root) || fs.is_used(OWN_REFERENCES)? {
                return Err(FileError::Busy);
            }
            return self.take(root);
        }
        if self.covered(root)?.is_none() {
            return Err(FileError::Busy);
        }
        // From the outermost in: what is in a mount that goes cannot be found any more.
        while let Some(below) = self.below(root) {
            self.unmount_all(&below);
        }
        self.take(root)
    }

    /// What the mount of `root` covers; the root of all covers nothing.
    fn covered(&self, root: &Arc<dyn Inode>) -> Result<Option<Arc<dyn Inode>>, FileError> {
        let all = self.all.lock();
        let mount = all.iter().find(|mount| same_place(&mount.fs.root(), root)).ok_or(FileError::Invalid)?;
        Ok(mount.covered.clone())
    }

    /// Takes a mount away with all that is in it. Each round takes one, and nobody who may mount is quicker for ever.
    fn unmount_all(&self, root: &Arc<dyn Inode>) {
        let mut at = Arc::clone(root);
        while let Some(below) = self.below(&at) {
            at = below;
        }
        // Somebody else may have taken it.
        let _gone = self.take(&at);
    }

    /// The root of some mount in the one of `root`.
    fn below(&self, root: &Arc<dyn Inode>) -> Option<Arc<dyn Inode>> {
        let all = self.all.lock();
        let mount = all.iter().find(|mount| same_place(&mount.fs.root(), root))?;
        let mut inner = all.iter().filter(|other| other.covered.as_ref().is_some_and(|covered| mount.has(&**covered)));
        inner.next().map(|inner| inner.fs.root())
    }

    /// Whether nothing is mounted in the mount of `root`.
    fn is_last(&self, root: &Arc<dyn Inode>) -> bool {
        self.below(root).is_none()
    }

    fn take(&self, root: &Arc<dyn Inode>) -> Result<(), FileError> {
        let (mount, covered) = {
            let mut all = self.all.lock();
            let index = all.iter().position(|mount| same_place(&mount.fs.root(), root)).ok_or(FileError::Invalid)?;
            let covered = all.get(index).and_then(|mount| mount.covered.clone()).ok_or(FileError::Busy)?;
            (all.remove(index), covered)
        };
        covered.cover(None)?;
        // As on Linux, it goes whether that succeeds or not; the driver has said what went wrong.
        let _ = mount.fs.sync();
        mount.fs.set_covered(None)
    }

    /// Lets what is mounted with the root `root` cover `to` instead, whose path is `place` (`MS_MOVE`).
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where nothing is mounted, and for the root of all;
    /// [`TooManyLinks`](FileError::TooManyLinks) where `to` is in it; those of [`mount`](Self::mount).
    pub fn relocate(&self, root: &Arc<dyn Inode>, to: &Arc<dyn Inode>, place: &[u8]) -> Result<(), FileError> {
        check_kinds(root, to)?;
        let (fs, covered, old_place) = {
            let all = self.all.lock();
            let mount = all.iter().find(|mount| same_place(&mount.fs.root(), root)).ok_or(FileError::Invalid)?;
            (Arc::clone(&mount.fs), mount.covered.clone().ok_or(FileError::Invalid)?, copy(&mount.place)?)
        };
        let mut above = Some(Arc::clone(to));
        while let Some(at) = above {
            if same_place(&at, root) {
                return Err(FileError::TooManyLinks);
            }
            above = at.parent();
        }
        to.cover(Some(Arc::clone(root)))?;
        covered.cover(None)?;
        fs.set_covered(None)?;
        fs.set_covered(Some(to))?;
        let mut all = self.all.lock();
        let parent = id_of(&all, &**to);
        for mount in all.iter_mut() {
            if same_place(&mount.fs.root(), root) {
                mount.covered = Some(Arc::clone(to));
                mount.parent = parent.unwrap_or(mount.id);
            }
            // What is told of it, and of what is below it, begins otherwise.
            if let Some(rest) = mount.place.strip_prefix(&old_place[..])
                && (rest.is_empty() || rest.starts_with(b"/"))
                && let Ok(mut moved) = copy(place)
                && moved.try_reserve_exact(rest.len()).is_ok()
            {
                moved.extend_from_slice(rest);
                mount.place = moved;
            }
        }
        Ok(())
    }

    /// The file system whose root is `root`.
    #[must_use]
    pub fn find(&self, root: &Arc<dyn Inode>) -> Option<Arc<dyn Mountable>> {
        let all = self.all.lock();
        all.iter().map(|mount| &mount.fs).find(|fs| same_place(&fs.root(), root)).cloned()
    }

    /// What `file` is in.
    #[must_use]
    pub fn of(&self, file: &dyn Inode) -> Option<Arc<dyn Mountable>> {
        self.all.lock().iter().find(|mount| mount.has(file)).map(|mount| Arc::clone(&mount.fs))
    }

    /// Where what `file` is in came from.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) for a file that is in nothing mounted, [`OutOfMemory`](FileError::OutOfMemory).
    pub fn source_of(&self, file: &dyn Inode) -> Result<Vec<u8>, FileError> {
        let all = self.all.lock();
        copy(&all.iter().find(|mount| mount.has(file)).ok_or(FileError::Invalid)?.source)
    }

    /// The root of the file system that `file` is in.
    #[must_use]
    pub fn root_of(&self, file: &dyn Inode) -> Option<Arc<dyn Inode>> {
        self.of(file).map(|fs| fs.root())
    }

    /// The root of the file system with this number, if it is mounted.
    pub fn root_of_device(&self, device: DeviceNumber) -> Option<Arc<dyn Inode>> {
        self.all.lock().iter().map(|mount| mount.fs.root()).find(|root| root.id().device == device)
    }

    /// The mount at this index that is below the path `place`: where it is, from there on, and its root.
    #[must_use]
    pub fn inside(&self, place: &[u8], index: usize) -> Option<(Vec<u8>, Arc<dyn Inode>)> {
        let all = self.all.lock();
        let place = place.strip_suffix(b"/").unwrap_or(place);
        let mut inside = all.iter().filter_map(|mount| {
            let rest = mount.place.strip_prefix(place)?;
            (rest.len() > 1 && rest.starts_with(b"/")).then_some((rest, mount))
        });
        let (rest, mount) = inside.nth(index)?;
        Some((copy(rest).ok()?, mount.fs.root()))
    }

    /// Calls `visit` for each file system, in the order of their mounts. The table is locked meanwhile.
    pub fn each_fs(&self, mut visit: impl FnMut(&Arc<dyn Mountable>)) {
        self.all.lock().iter().for_each(|mount| visit(&mount.fs));
    }

    /// Calls `visit` for each mount. The table is locked meanwhile.
    pub fn each(&self, mut visit: impl FnMut(&MountView<'_>)) {
        self.all.lock().iter().for_each(|mount| visit(&mount.view()));
    }

    /// The root of all.
    #[must_use]
    pub fn root(&self) -> Option<Arc<dyn Inode>> {
        self.all.lock().first().map(|mount| mount.fs.root())
    }
}

impl<C: Cpu> Default for Mounts<C> {
    fn default() -> Self {
        Self::new()
    }
}

/// What stands at the place of `root` in the end: what is mounted on it, and on that.
pub(super) fn topmost(mut root: Arc<dyn Inode>) -> Arc<dyn Inode> {
    while let Some(next) = root.covering() {
        root = next;
    }
    root
}

/// Only directories stand in the place of directories.
fn check_kinds(root: &Arc<dyn Inode>, covered: &Arc<dyn Inode>) -> Result<(), FileError> {
    let [root, covered] = [root, covered].map(|inode| inode.protection().kind == FileKind::Directory);
    if root == covered { Ok(()) } else { Err(FileError::NotDirectory) }
}

/// The number of the mount that `file` is in.
fn id_of(all: &[Mount], file: &dyn Inode) -> Option<u32> {
    all.iter().find(|mount| mount.has(file)).map(|mount| mount.id)
}

fn copy(bytes: &[u8]) -> Result<Vec<u8>, FileError> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| FileError::OutOfMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
