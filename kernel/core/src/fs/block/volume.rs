//! A disk or a part of it, as programs and file systems see it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use super::cache::Cache;
use super::disk::BLOCK_SIZE;
use crate::addr::{PAGE_SIZE, UserAddr};
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::metadata::DeviceNumber;
use crate::fs::operations::{Blocking, FileOperations, Place, Seeking};
use crate::fs::transfer::{Sink, Source, give};
use crate::hal::{Cpu, UserMemory};

/// `ioctl` requests of `linux/fs.h`.
mod request {
    /// The size in blocks of 512 bytes, as a long.
    pub(super) const BLKGETSIZE: u32 = 0x1260;
    /// Reads the partition tables anew.
    pub(super) const BLKRRPART: u32 = 0x125f;
    /// Writes back what is dirty, and forgets the rest.
    pub(super) const BLKFLSBUF: u32 = 0x1261;
    /// Whether it is write-protected, as an int.
    pub(super) const BLKROGET: u32 = 0x125e;
    /// The size of a block, as an int.
    pub(super) const BLKSSZGET: u32 = 0x1268;
    /// The size of a block of the medium, as an int.
    pub(super) const BLKPBSZGET: u32 = 0x127b;
    /// The size of what is moved at a time, as an int.
    pub(super) const BLKBSZGET: u32 = 0x8008_1270;
    /// The size in bytes, as 64 bits.
    pub(super) const BLKGETSIZE64: u32 = 0x8008_1272;
}

const PAGE: u64 = PAGE_SIZE as u64;
const BLOCK: u64 = BLOCK_SIZE as u64;

/// A range of a disk's bytes.
pub struct Volume<C: Cpu> {
    cache: Arc<Cache<C>>,
    start: u64,
    bytes: u64,
    /// Reads the disk's partition tables anew; not of a partition.
    read_partitions: Option<fn() -> Result<(), FileError>>,
    /// Its number, and who knows whether a file system of it is mounted.
    mounted: Option<(DeviceNumber, IsMounted)>,
}

/// Tells whether a file system of the disk or partition of this number, or of part of it, is mounted.
pub type IsMounted = fn(DeviceNumber) -> bool;

impl<C: Cpu> Volume<C> {
    /// All of the disk.
    #[must_use]
    pub fn whole(cache: Arc<Cache<C>>) -> Self {
        let bytes = cache.bytes();
        Self { cache, start: 0, bytes, read_partitions: None, mounted: None }
    }

    /// All of the disk, which has partitions: `read` reads their tables anew.
    #[must_use]
    pub fn partitioned(cache: Arc<Cache<C>>, read: fn() -> Result<(), FileError>) -> Self {
        Self { read_partitions: Some(read), ..Self::whole(cache) }
    }

    /// `blocks` blocks from `first` on; `None` where the disk has them not.
    #[must_use]
    pub fn part(cache: Arc<Cache<C>>, first: u64, blocks: u64) -> Option<Self> {
        let start = first.checked_mul(BLOCK)?;
        let bytes = blocks.checked_mul(BLOCK)?;
        let end = start.checked_add(bytes)?;
        (end <= cache.bytes()).then_some(Self { cache, start, bytes, read_partitions: None, mounted: None })
    }

    /// The same, known by `number`: who opens it with `O_EXCL` is told by `is_mounted` whether it is in use.
    #[must_use]
    pub fn known_as(self, number: DeviceNumber, is_mounted: IsMounted) -> Self {
        Self { mounted: Some((number, is_mounted)), ..self }
    }

    /// The size.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it cannot be written to.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.cache.is_read_only()
    }

    /// Fills `into` from `at` on.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where that is not all in it, and those of [`Cache::read_at`].
    pub fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        self.cache.read_at(self.place(at, into.len())?, into)
    }

    /// Writes `from` at `at`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where that is not all in it, and those of [`Cache::write_at`].
    pub fn write_at(&self, at: u64, from: &[u8]) -> Result<(), FileError> {
        self.cache.write_at(self.place(at, from.len())?, from)
    }

    /// Waits until what was written stays without power.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io) if something could not be written.
    pub fn flush(&self) -> Result<(), FileError> {
        self.cache.sync_range(self.start, self.start.saturating_add(self.bytes))
    }

    fn place(&self, at: u64, count: usize) -> Result<u64, FileError> {
        let end = at.checked_add(count as u64).filter(|&end| end <= self.bytes);
        end.and_then(|_| self.start.checked_add(at)).ok_or(FileError::Invalid)
    }

    /// How many of `wanted` bytes at `at` there are, at most to the next page of the disk: what is moved at a time.
    fn piece(&self, at: u64, wanted: usize) -> usize {
        let left = usize::try_from(self.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let to_page_end = PAGE.saturating_sub(self.start.saturating_add(at) % PAGE);
        wanted.min(left).min(usize::try_from(to_page_end).unwrap_or(PAGE_SIZE))
    }
}

/// A page's worth of bytes on their way.
fn buffer() -> Result<Vec<u8>, FileError> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(PAGE_SIZE).map_err(|_| FileError::OutOfMemory)?;
    buffer.resize(PAGE_SIZE, 0);
    Ok(buffer)
}

impl<C: Cpu> FileOperations for Volume<C> {
    fn read(&self, at: u64, _blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        give(sink, at, &mut buffer()?, |at, wanted| self.piece(at, wanted), |at, bytes| self.read_at(at, bytes))
    }

    fn write(&self, at: u64, _blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        if self.is_read_only() {
            return Err(FileError::NotPermitted);
        }
        if at >= self.bytes && source.left() > 0 {
            return Err(FileError::NoSpace);
        }
        let mut buffer = buffer()?;
        let mut done = 0_usize;
        loop {
            let here = at.saturating_add(done as u64);
            let count = self.piece(here, source.left());
            let Some(bytes) = buffer.get_mut(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(done) };
            let outcome = source.take(bytes).map_err(FileError::from).and_then(|count| {
                self.write_at(here, bytes.get(..count).unwrap_or_default())?;
                Ok(count)
            });
            match outcome {
                Ok(0) => return Ok(done),
                Ok(count) => done = done.saturating_add(count),
                Err(error) if done == 0 => return Err(error),
                Err(_) => return Ok(done),
            }
        }
    }

    fn ioctl(&self, request: u32, argument: u64, memory: &dyn UserMemory) -> Result<u64, FileError> {
        let to = UserAddr::new(argument);
        let block = BLOCK_SIZE.to_le_bytes();
        let int: [u8; 4] = block.first_chunk().copied().unwrap_or_default();
        match request {
            request::BLKGETSIZE => memory.copy_out(&(self.bytes / BLOCK).to_le_bytes(), to)?,
            request::BLKGETSIZE64 => memory.copy_out(&self.bytes.to_le_bytes(), to)?,
            request::BLKSSZGET | request::BLKPBSZGET => memory.copy_out(&int, to)?,
            request::BLKBSZGET => memory.copy_out(&4096_u32.to_le_bytes(), to)?,
            request::BLKROGET => memory.copy_out(&u32::from(self.is_read_only()).to_le_bytes(), to)?,
            request::BLKRRPART => self.read_partitions.ok_or(FileError::Invalid)?()?,
            request::BLKFLSBUF => {
                self.flush()?;
                self.cache.forget();
            }
            _ => return Err(FileError::NotTty),
        }
        Ok(0)
    }

    /// Who makes or mends a file system asks so whether it is one that is in use.
    fn opened(&self, flags: OpenFlags) -> Result<Option<Arc<dyn FileOperations>>, FileError> {
        match self.mounted {
            Some((number, is_mounted)) if flags.contains(OpenFlags::EXCLUSIVE) && is_mounted(number) => {
                Err(FileError::Busy)
            }
            _ => Ok(None),
        }
    }

    fn seeking(&self) -> Seeking {
        Seeking::Bytes { end: self.bytes }
    }

    fn sync(&self) -> Result<(), FileError> {
        self.flush()
    }

    fn sync_place(&self, place: Place) -> Result<(), FileError> {
        let [start, end] = [place.start, place.end].map(|at| self.start.saturating_add(at.min(self.bytes)));
        self.cache.sync_range(start, end)
    }

    fn as_any(self: Arc<Self>) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(self)
    }
}
