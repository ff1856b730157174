//! What a driver or a file system gives to an open file.

use alloc::sync::Arc;
use core::any::Any;

use bitflags::bitflags;

use super::error::FileError;
use super::flags::OpenFlags;
use super::open_file::Whence;
use super::transfer::{Sink, Source, Writer};
use super::watch::Watched;
use crate::hal::UserMemory;
use crate::vm::Pager;

/// The bytes of an open file: what is behind a descriptor. A regular file's inode is its own; a device's driver or a pipe
/// end is one. All calls may sleep; no lock of this module is held but, for files with offsets, the offset's.
///
/// An operation that is left out fails as it does for a file that cannot do it.
pub trait FileOperations: Send + Sync {
    /// Puts bytes from offset `at` on (which streams ignore) into `sink` and returns how many; 0 is the end of the file.
    ///
    /// # Errors
    ///
    /// Only when nothing was put: [`FileError`] says why.
    fn read(&self, at: u64, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let _ = (at, blocking, sink);
        Err(FileError::Invalid)
    }

    /// Takes bytes from `source`, puts them at offset `at` and returns how many.
    ///
    /// # Errors
    ///
    /// Only when nothing was taken: [`FileError`] says why.
    fn write(&self, at: u64, blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        let _ = (at, blocking, source);
        Err(FileError::Invalid)
    }

    /// As [`write`](Self::write), at the end. A file system where several may write brings its own, in which nobody else
    /// finds the same end.
    ///
    /// # Errors
    ///
    /// As those of `write`.
    fn append(&self, blocking: Blocking, source: &mut dyn Source) -> Result<Appended, FileError> {
        let at = match self.seeking() {
            Seeking::Bytes { end } => end,
            Seeking::Stream | Seeking::Fixed | Seeking::Cookies | Seeking::Own => 0,
        };
        let bytes = self.write(at, blocking, source)?;
        Ok(Appended { at, bytes })
    }

    /// ioctl(2): `argument` is a number or an address in the program's `memory`.
    ///
    /// # Errors
    ///
    /// [`NotTty`](FileError::NotTty) for requests that it does not know.
    fn ioctl(&self, request: u32, argument: u64, memory: &dyn UserMemory) -> Result<u64, FileError> {
        let _ = (request, argument, memory);
        Err(FileError::NotTty)
    }

    /// What an offset means here. Its kind never changes.
    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    /// lseek(2), where [`seeking`](Self::seeking) says that it is the file's own business.
    ///
    /// # Errors
    ///
    /// [`NotSeekable`](FileError::NotSeekable), [`Invalid`](FileError::Invalid)
    fn seek(&self, by: i64, whence: Whence) -> Result<u64, FileError> {
        let _ = (by, whence);
        Err(FileError::NotSeekable)
    }

    /// What mmap(2) maps as private memory, and exec loads.
    fn mapping(self: Arc<Self>) -> Mapping {
        Mapping::None
    }

    /// What mmap(2) maps as shared memory, if that is something else.
    fn shared_mapping(self: Arc<Self>) -> Mapping {
        self.mapping()
    }

    /// Makes the file `bytes` long: ftruncate(2).
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) for what has no length; [`Limit`](FileError::Limit), and what the file system says.
    fn resize(&self, bytes: u64, writer: Writer) -> Result<(), FileError> {
        let _ = (bytes, writer);
        Err(FileError::Invalid)
    }

    /// Gives the file memory or takes it away: fallocate(2).
    ///
    /// # Errors
    ///
    /// [`NotMappable`](FileError::NotMappable) (`ENODEV`) for what is no regular file; what the file system says.
    fn allocate(&self, how: Allocation, place: Place, writer: Writer) -> Result<(), FileError> {
        let _ = (how, place, writer);
        Err(FileError::NotMappable)
    }

    /// The first offset from `at` on, which is before the end, where there is data, or where there is a hole; behind
    /// the end there is one.
    fn find(&self, at: u64, end: u64, what: Extent) -> Option<u64> {
        match what {
            Extent::Data => Some(at),
            Extent::Hole => Some(end),
        }
    }

    /// Waits until what was written is where it stays: fsync(2).
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) for what has no such place.
    fn sync(&self) -> Result<(), FileError> {
        Err(FileError::Invalid)
    }

    /// The same for the bytes of this place, and for what is needed to find them again: what a write with `O_DSYNC` does
    /// before it returns.
    ///
    /// # Errors
    ///
    /// As those of [`sync`](Self::sync).
    fn sync_place(&self, place: Place) -> Result<(), FileError> {
        let _ = place;
        self.sync()
    }

    /// What can be done at once, without waiting. No spin or irq lock is held, and the call does not wait for other users of
    /// the file.
    fn readiness(&self) -> Readiness {
        Readiness::ALWAYS
    }

    /// Where those stand who want to be told when [`readiness`](Self::readiness) changes; `None` where it never does.
    fn watched(&self) -> Option<&dyn Watched> {
        None
    }

    /// Itself, for calls that only one kind of file knows.
    fn as_any(self: Arc<Self>) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }

    /// Called on what stands behind a device node when a program opens it. A driver may refuse, or put something in its
    /// own place.
    ///
    /// # Errors
    ///
    /// The driver's.
    fn opened(&self, flags: OpenFlags) -> Result<Option<Arc<dyn FileOperations>>, FileError> {
        let _ = flags;
        Ok(None)
    }
}

/// Whether an operation may wait for somebody else: not with `O_NONBLOCK`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocking {
    /// It waits as long as it takes.
    Yes,
    /// It fails with [`WouldBlock`](FileError::WouldBlock).
    No,
}

/// Where bytes were appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The offset of the first.
    pub at: u64,
    /// How many.
    pub bytes: usize,
}

/// What fallocate(2) does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Allocation {
    /// Memory for all of the place, and the file is at least as long.
    Extend,
    /// Memory for all of the place; the length stays (`FALLOC_FL_KEEP_SIZE`).
    KeepLength,
    /// A hole in its place; the length stays (`FALLOC_FL_PUNCH_HOLE`).
    Punch,
    /// Zeroes in its place, and the file is at least as long (`FALLOC_FL_ZERO_RANGE`).
    Zero,
    /// Zeroes in its place; the length stays.
    ZeroKeepLength,
}

/// A range of bytes in a file, not empty, that ends before the largest offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The first.
    pub start: u64,
    /// The first behind it.
    pub end: u64,
}

/// What is looked for in a file that has holes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// Bytes.
    Data,
    /// A place without memory, which reads as zeroes.
    Hole,
}

/// What an offset means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seeking {
    /// Nothing: each read takes what comes.
    Stream,
    /// Nothing either, but it does no harm to ask: the offset is 0 always.
    Fixed,
    /// A place among bytes.
    Bytes {
        /// Where they end now.
        end: u64,
    },
    /// A place among the entries of a directory.
    Cookies,
    /// What the file makes of it: it keeps its own place.
    Own,
}

/// What mmap(2) maps.
pub enum Mapping {
    /// Nothing: the file cannot be mapped.
    None,
    /// Memory of the program's own, as if no file had been named.
    Anonymous,
    /// The file's pages.
    Pager(Arc<dyn Pager>),
    /// The same, of a file that would not get what is stored there.
    ReadOnly(Arc<dyn Pager>),
}

bitflags! {
    /// What can be done without waiting, in the numbers of poll(2).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Readiness: u32 {
        /// Something can be read.
        const READ = 0x1;
        /// Something urgent can be read.
        const URGENT = 0x2;
        /// Something can be written.
        const WRITE = 0x4;
        /// It failed.
        const ERROR = 0x8;
        /// The other side is gone.
        const HANG_UP = 0x10;
        /// As [`READ`](Self::READ).
        const READ_NORMAL = 0x40;
        /// As [`WRITE`](Self::WRITE).
        const WRITE_NORMAL = 0x100;
        /// Nothing more comes from the other side.
        const READ_CLOSED = 0x2000;
    }
}

impl Readiness {
    /// Of files that never keep anybody waiting.
    pub const ALWAYS: Self = Self::READ.union(Self::WRITE).union(Self::READ_NORMAL).union(Self::WRITE_NORMAL);
}
