//! Mounts: which file system's root stands in the place of which directory.
//!
//! The directory that is covered knows its [cover](Inode::cover), and the one above answers lookups with that; the root
//! that covers knows what is above it. The table here is for those who ask what is mounted, and takes mounts apart again.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::error::FileError;
use super::inode::{Inode, same_file};
use super::metadata::DeviceNumber;
use crate::hal::Cpu;
use crate::sync::{Rank, SpinLock};

/// The most mounts: who may mount may not fill the kernel's memory with them by mistake.
const MAX_MOUNTS: usize = 256;

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

    /// Whether nothing can be changed in it.
    fn is_read_only(&self) -> bool;

    /// Lets nothing be changed in it any more, or lets it again.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where that cannot be chosen.
    fn set_read_only(&self, read_only: bool) -> Result<(), FileError>;
}

/// Something mounted.
struct Mount {
    source: Vec<u8>,
    place: Vec<u8>,
    fs: Arc<dyn Mountable>,
    /// None for the root, which covers nothing.
    covered: Option<Arc<dyn Inode>>,
}

/// All mounts, the oldest first.
pub struct Mounts<C: Cpu> {
    all: SpinLock<Vec<Mount>, C>,
}

impl<C: Cpu> Mounts<C> {
    /// None.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { all: SpinLock::new(Rank::FileObject, Vec::new()) }
    }

    /// None.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { all: SpinLock::new(Rank::FileObject, Vec::new()) }
    }

    /// Notes `fs`, from `source`, as that of the root.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](FileError::OutOfMemory)
    pub fn add_root(&self, source: &[u8], fs: Arc<dyn Mountable>) -> Result<(), FileError> {
        self.add(Mount { source: copy(source)?, place: copy(b"/")?, fs, covered: None })
    }

    /// Mounts `fs`, from `source`, on the directory `covered`, whose path is `place`.
    ///
    /// # Errors
    ///
    /// [`NotDirectory`](FileError::NotDirectory), [`Busy`](FileError::Busy) where something is mounted already or `fs` is
    /// elsewhere, [`Invalid`](FileError::Invalid) for a directory that cannot be covered,
    /// [`NoSpace`](FileError::NoSpace) for one mount too many, [`OutOfMemory`](FileError::OutOfMemory).
    pub fn mount(
        &self,
        source: &[u8],
        place: &[u8],
        covered: &Arc<dyn Inode>,
        fs: Arc<dyn Mountable>,
    ) -> Result<(), FileError> {
        let mount = Mount { source: copy(source)?, place: copy(place)?, fs, covered: Some(Arc::clone(covered)) };
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

    fn add(&self, mount: Mount) -> Result<(), FileError> {
        let mut all = self.all.lock();
        if all.len() >= MAX_MOUNTS {
            return Err(FileError::NoSpace);
        }
        all.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
        all.push(mount);
        Ok(())
    }

    /// Takes the mount away whose root is `root`. Who is in it stays there, and finds nothing above.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where nothing is mounted, [`Busy`](FileError::Busy) for the root of all and where
    /// something is mounted in it.
    pub fn unmount(&self, root: &Arc<dyn Inode>) -> Result<(), FileError> {
        let device = root.id().device;
        let (mount, covered) = {
            let mut all = self.all.lock();
            let is_root = |mount: &Mount| same_file(&mount.fs.root(), root);
            let index = all.iter().position(is_root).ok_or(FileError::Invalid)?;
            if all.iter().filter_map(|mount| mount.covered.as_ref()).any(|covered| covered.id().device == device) {
                return Err(FileError::Busy);
            }
            let covered = all.get(index).and_then(|mount| mount.covered.clone()).ok_or(FileError::Busy)?;
            (all.remove(index), covered)
        };
        covered.cover(None)?;
        mount.fs.set_covered(None)
    }

    /// The file system whose root is `root`.
    #[must_use]
    pub fn find(&self, root: &Arc<dyn Inode>) -> Option<Arc<dyn Mountable>> {
        let all = self.all.lock();
        all.iter().map(|mount| &mount.fs).find(|fs| same_file(&fs.root(), root)).cloned()
    }

    /// The root of the file system that `file` is in.
    #[must_use]
    pub fn root_of(&self, file: &dyn Inode) -> Option<Arc<dyn Inode>> {
        self.root_of_device(file.id().device)
    }

    /// The root of the file system with this number, if it is mounted.
    pub fn root_of_device(&self, device: DeviceNumber) -> Option<Arc<dyn Inode>> {
        self.all.lock().iter().map(|mount| mount.fs.root()).find(|root| root.id().device == device)
    }

    /// Calls `visit` for each mount: what, where, and the file system. The table is locked meanwhile.
    pub fn each(&self, mut visit: impl FnMut(&[u8], &[u8], &dyn Mountable)) {
        self.all.lock().iter().for_each(|mount| visit(&mount.source, &mount.place, &*mount.fs));
    }
}

impl<C: Cpu> Default for Mounts<C> {
    fn default() -> Self {
        Self::new()
    }
}

fn copy(bytes: &[u8]) -> Result<Vec<u8>, FileError> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| FileError::OutOfMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
