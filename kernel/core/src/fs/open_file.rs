//! An open file: what descriptors refer to.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::directory::Encoder;
use super::epoll::Followers;
use super::error::FileError;
use super::flags::OpenFlags;
use super::inode::Inode;
use super::lock::{LockKeeper, LockOwner};
use super::metadata::{FileKind, Metadata};
use super::offset::{Offset, Parking};
use super::operations::{Allocation, Blocking, Extent, FileOperations, Mapping, Place, Readiness, Seeking};
use super::transfer::{Sink, Source, Writer};
use crate::addr::UserAddr;
use crate::hal::UserMemory;
use crate::sync::Once;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::vm::Pager;

/// The largest offset: `loff_t` is signed.
const MAX_OFFSET: u64 = i64::MAX.cast_unsigned();
/// The ioctl(2) request, known to all files, that sets or clears `O_NONBLOCK`.
const FIONBIO: u32 = 0x5421;

/// An open file. All descriptors that dup and fork made of one share it, and with it the offset and the status flags.
pub struct OpenFile {
    inode: Arc<dyn Inode>,
    /// None for a file that was opened for its place only (`O_PATH`).
    operations: Option<Arc<dyn FileOperations>>,
    /// Those of `F_GETFL`; the settable ones change.
    status: AtomicU32,
    /// Whether the offset means anything, and so must be locked.
    positioned: bool,
    hold: Hold,
    offset: Offset,
    /// Who keeps the locks that it owns, if it ever had one.
    locks: Once<&'static dyn LockKeeper>,
    /// Those who are told when it is no more; mostly nobody.
    followers: Once<Box<dyn Followers>>,
}

/// What an open file does to its inode as long as it is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hold {
    /// Nothing.
    Nothing,
    /// It is open for writing.
    Writes,
    /// It is executed.
    DeniesWriting,
}

/// Where a seek counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whence {
    /// The start.
    Start,
    /// The current offset.
    Current,
    /// The end.
    End,
    /// The first data at or after the offset.
    Data,
    /// The first hole at or after the offset; behind the end there is one.
    Hole,
}

impl Whence {
    /// The one with this number in lseek(2).
    #[must_use]
    pub const fn from_linux(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Start,
            1 => Self::Current,
            2 => Self::End,
            3 => Self::Data,
            4 => Self::Hole,
            _ => return None,
        })
    }
}

impl OpenFile {
    /// Around `operations`, which `inode` or somebody else brought. Permissions are the caller's business. The users of
    /// the file wait for each other in `parking`.
    #[must_use]
    pub fn new(
        inode: Arc<dyn Inode>,
        operations: Arc<dyn FileOperations>,
        flags: OpenFlags,
        parking: &'static dyn Parking,
    ) -> Arc<Self> {
        Self::holding(inode, operations, flags, parking, Hold::Nothing)
    }

    /// The same, which ends a hold on `inode` when it goes.
    pub(super) fn holding(
        inode: Arc<dyn Inode>,
        operations: Arc<dyn FileOperations>,
        flags: OpenFlags,
        parking: &'static dyn Parking,
        hold: Hold,
    ) -> Arc<Self> {
        let positioned = matches!(operations.seeking(), Seeking::Bytes { .. } | Seeking::Cookies);
        Arc::new(Self {
            inode,
            operations: Some(operations),
            status: AtomicU32::new(flags.difference(OpenFlags::WHILE_OPENING).bits()),
            positioned,
            hold,
            offset: Offset::new(parking, 0),
            locks: Once::new(),
            followers: Once::new(),
        })
    }

    /// Only the place of `inode`: for `fstat`, and as the base of other paths.
    #[must_use]
    pub fn place(inode: Arc<dyn Inode>, flags: OpenFlags, parking: &'static dyn Parking) -> Arc<Self> {
        Arc::new(Self {
            inode,
            operations: None,
            status: AtomicU32::new(flags.difference(OpenFlags::WHILE_OPENING).bits()),
            positioned: false,
            hold: Hold::Nothing,
            offset: Offset::new(parking, 0),
            locks: Once::new(),
            followers: Once::new(),
        })
    }

    /// As whom it owns locks. From now on `keeper` is told when it goes.
    pub fn lock_owner(&self, keeper: &'static dyn LockKeeper) -> usize {
        self.locks.call_once(|| keeper);
        core::ptr::from_ref(self).addr()
    }

    /// What was opened.
    #[must_use]
    pub const fn inode(&self) -> &Arc<dyn Inode> {
        &self.inode
    }

    /// What reads and writes it: for requests that only one kind of file knows. `None` with `O_PATH`.
    #[must_use]
    pub const fn operations(&self) -> Option<&Arc<dyn FileOperations>> {
        self.operations.as_ref()
    }

    /// All that stat(2) tells.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        self.inode.metadata()
    }

    /// Access mode and status flags: `F_GETFL`.
    #[must_use]
    pub fn status(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.status.load(Ordering::Relaxed))
    }

    /// `F_SETFL`: takes the settable ones of `flags` and ignores the rest.
    ///
    /// # Errors
    ///
    /// [`BadFile`](FileError::BadFile) with `O_PATH`.
    pub fn set_status(&self, flags: OpenFlags) -> Result<(), FileError> {
        self.any()?;
        let wanted = flags.intersection(OpenFlags::SETTABLE).bits();
        self.change_status(|status| status & !OpenFlags::SETTABLE.bits() | wanted);
        Ok(())
    }

    /// read(2), readv(2)
    ///
    /// # Errors
    ///
    /// [`BadFile`](FileError::BadFile) where the file is not open for reading, and the file's own.
    pub fn read(&self, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let (operations, status) = self.readable()?;
        if !self.positioned {
            return operations.read(0, blocking(status), sink);
        }
        let mut offset = self.offset.lock();
        let count = operations.read(*offset, blocking(status), sink)?;
        *offset = advanced(*offset, count);
        drop(offset);
        self.note_access(status);
        Ok(count)
    }

    /// write(2), writev(2)
    ///
    /// # Errors
    ///
    /// [`BadFile`](FileError::BadFile) where the file is not open for writing, and the file's own.
    pub fn write(&self, source: &mut dyn Source) -> Result<usize, FileError> {
        let (operations, status) = self.writable()?;
        if !self.positioned {
            return operations.write(0, blocking(status), source);
        }
        let mut offset = self.offset.lock();
        let (at, count) = if status.contains(OpenFlags::APPEND) {
            let appended = operations.append(blocking(status), source)?;
            (appended.at, appended.bytes)
        } else {
            (*offset, operations.write(*offset, blocking(status), source)?)
        };
        *offset = advanced(at, count);
        drop(offset);
        written(&**operations, status, at, count)
    }

    /// pread64(2), preadv(2): leaves the offset alone.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); [`NotSeekable`](FileError::NotSeekable) for streams, [`Invalid`](FileError::Invalid) for an
    /// offset that would be negative.
    pub fn read_at(&self, at: u64, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let at = valid_offset(at)?;
        let (operations, status) = self.readable()?;
        check_positions(&**operations)?;
        let count = operations.read(at, blocking(status), sink)?;
        self.note_access(status);
        Ok(count)
    }

    /// pwrite64(2), pwritev(2): leaves the offset alone. With `O_APPEND` it appends all the same, as Linux does.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); [`NotSeekable`](FileError::NotSeekable) for streams, [`Invalid`](FileError::Invalid) for
    /// an offset that would be negative.
    pub fn write_at(&self, at: u64, source: &mut dyn Source) -> Result<usize, FileError> {
        let at = valid_offset(at)?;
        let (operations, status) = self.writable()?;
        check_positions(&**operations)?;
        if self.positioned && status.contains(OpenFlags::APPEND) {
            let appended = operations.append(blocking(status), source)?;
            return written(&**operations, status, appended.at, appended.bytes);
        }
        let count = operations.write(at, blocking(status), source)?;
        written(&**operations, status, at, count)
    }

    /// lseek(2): returns the new offset.
    ///
    /// # Errors
    ///
    /// [`NotSeekable`](FileError::NotSeekable) for streams, [`Invalid`](FileError::Invalid) for a negative result,
    /// [`NoDevice`](FileError::NoDevice) where there is no data or hole any more.
    pub fn seek(&self, by: i64, whence: Whence) -> Result<u64, FileError> {
        let end = match self.any()?.seeking() {
            Seeking::Stream => return Err(FileError::NotSeekable),
            Seeking::Fixed => return Ok(0),
            Seeking::Bytes { end } => Some(end),
            Seeking::Cookies => None,
            Seeking::Own => return self.any()?.seek(by, whence),
        };
        let mut offset = self.offset.lock();
        let to = match (whence, end) {
            (Whence::Start, _) => 0_u64.checked_add_signed(by),
            (Whence::Current, _) => offset.checked_add_signed(by),
            (Whence::End, Some(end)) => end.checked_add_signed(by),
            (Whence::Data | Whence::Hole, Some(end)) => {
                let at = u64::try_from(by).ok().filter(|&at| at < end).ok_or(FileError::NoDevice)?;
                let what = if whence == Whence::Data { Extent::Data } else { Extent::Hole };
                Some(self.any()?.find(at, end, what).ok_or(FileError::NoDevice)?)
            }
            (Whence::End | Whence::Data | Whence::Hole, None) => None,
        };
        *offset = valid_offset(to.ok_or(FileError::Invalid)?)?;
        Ok(*offset)
    }

    /// getdents64(2): fills `sink` with as many whole entries as fit and returns how many bytes; 0 at the end.
    ///
    /// # Errors
    ///
    /// [`NotDirectory`](FileError::NotDirectory), [`Invalid`](FileError::Invalid) where not even one entry fits, a fault.
    pub fn read_directory(&self, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let (operations, status) = self.readable()?;
        if operations.seeking() != Seeking::Cookies {
            return Err(FileError::NotDirectory);
        }
        self.note_access(status);
        let mut offset = self.offset.lock();
        let mut encoder = Encoder::new(sink, *offset);
        self.inode.read_directory(*offset, &mut |entry| encoder.take(entry))?;
        let (count, next) = encoder.finish()?;
        *offset = next;
        Ok(count)
    }

    /// ioctl(2): what every file knows, and then what this one does.
    ///
    /// # Errors
    ///
    /// [`BadFile`](FileError::BadFile) with `O_PATH`, [`NotTty`](FileError::NotTty) for requests that nobody knows, and
    /// the driver's.
    pub fn ioctl(&self, request: u32, argument: u64, memory: &dyn UserMemory) -> Result<u64, FileError> {
        let operations = self.any()?;
        if request == FIONBIO {
            let mut on = [0; 4];
            memory.copy_in(UserAddr::new(argument), &mut on)?;
            let nonblock = OpenFlags::NONBLOCK.bits();
            self.change_status(|status| if on == [0; 4] { status & !nonblock } else { status | nonblock });
            return Ok(0);
        }
        operations.ioctl(request, argument, memory)
    }

    /// ftruncate(2): makes the file `bytes` long.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where it has no length or is not open for writing, [`BadFile`](FileError::BadFile)
    /// with `O_PATH`, and the file's own.
    pub fn resize(&self, bytes: u64, writer: Writer) -> Result<(), FileError> {
        let operations = self.any()?;
        if !self.status().is_writable() {
            return Err(FileError::Invalid);
        }
        operations.resize(valid_offset(bytes)?, writer)
    }

    /// fallocate(2): gives the file memory, or takes it away.
    ///
    /// # Errors
    ///
    /// [`BadFile`](FileError::BadFile) where it is not open for writing, [`NotSeekable`](FileError::NotSeekable) for a pipe,
    /// [`NotMappable`](FileError::NotMappable) for what is no regular file, and the file's own.
    pub fn allocate(&self, how: Allocation, place: Place, writer: Writer) -> Result<(), FileError> {
        let (operations, _) = self.writable()?;
        if self.inode.protection().kind == FileKind::Fifo {
            return Err(FileError::NotSeekable);
        }
        operations.allocate(how, place, writer)
    }

    /// fsync(2): what was written is where it stays when it returns.
    ///
    /// # Errors
    ///
    /// [`BadFile`](FileError::BadFile) with `O_PATH`, [`Invalid`](FileError::Invalid) for what has no such place.
    pub fn sync(&self) -> Result<(), FileError> {
        self.any()?.sync()
    }

    /// What can be done without waiting: poll(2).
    ///
    /// # Errors
    ///
    /// [`BadFile`](FileError::BadFile) with `O_PATH`.
    pub fn readiness(&self) -> Result<Readiness, FileError> {
        Ok(self.any()?.readiness())
    }

    /// Those who are told when the file is no more; `make` makes a list for the first.
    pub(super) fn followers(&self, make: impl FnOnce() -> Box<dyn Followers>) -> &dyn Followers {
        &**self.followers.call_once(make)
    }

    /// The same, if there is a list.
    pub(super) fn followed(&self) -> Option<&dyn Followers> {
        self.followers.get().map(|followers| &**followers)
    }

    /// What mmap(2) maps as private memory. Whether the access mode allows the mapping is the caller's business.
    ///
    /// # Errors
    ///
    /// [`BadFile`](FileError::BadFile) with `O_PATH`.
    pub fn mapping(&self) -> Result<Mapping, FileError> {
        Ok(Arc::clone(self.any()?).mapping())
    }

    /// What mmap(2) maps as shared memory.
    ///
    /// # Errors
    ///
    /// As [`mapping`](Self::mapping).
    pub fn shared_mapping(&self) -> Result<Mapping, FileError> {
        Ok(Arc::clone(self.any()?).shared_mapping())
    }

    /// The pages of a file that has some: for exec.
    #[must_use]
    pub fn pager(&self) -> Option<Arc<dyn Pager>> {
        match self.mapping() {
            Ok(Mapping::Pager(pager) | Mapping::ReadOnly(pager)) => Some(pager),
            _ => None,
        }
    }

    fn note_access(&self, status: OpenFlags) {
        if self.positioned && !status.contains(OpenFlags::NO_ACCESS_TIME) {
            self.inode.note_access();
        }
    }

    fn any(&self) -> Result<&Arc<dyn FileOperations>, FileError> {
        self.operations.as_ref().ok_or(FileError::BadFile)
    }

    fn readable(&self) -> Result<(&Arc<dyn FileOperations>, OpenFlags), FileError> {
        let status = self.status();
        if status.is_readable() { Ok((self.any()?, status)) } else { Err(FileError::BadFile) }
    }

    fn writable(&self) -> Result<(&Arc<dyn FileOperations>, OpenFlags), FileError> {
        let status = self.status();
        if status.is_writable() { Ok((self.any()?, status)) } else { Err(FileError::BadFile) }
    }

    fn change_status(&self, change: impl Fn(u32) -> u32) {
        // Always succeeds: the closure always returns a value.
        let _before = self.status.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |status| Some(change(status)));
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        match self.hold {
            Hold::Nothing => {}
            Hold::Writes => self.inode.end_writing(),
            Hold::DeniesWriting => self.inode.allow_writing(),
        }
        if let Some(followers) = self.followed() {
            followers.tell(self.operations.as_deref().and_then(FileOperations::watched));
        }
        if let Some(keeper) = self.locks.get() {
            keeper.gone(LockOwner::File(core::ptr::from_ref(self).addr()));
        }
    }
}

const fn blocking(status: OpenFlags) -> Blocking {
    if status.contains(OpenFlags::NONBLOCK) { Blocking::No } else { Blocking::Yes }
}

fn valid_offset(offset: u64) -> Result<u64, FileError> {
    if offset <= MAX_OFFSET { Ok(offset) } else { Err(FileError::Invalid) }
}

fn check_positions(operations: &dyn FileOperations) -> Result<(), FileError> {
    if operations.seeking() == Seeking::Stream { Err(FileError::NotSeekable) } else { Ok(()) }
}

/// `count` bytes were written at `at`. With `O_SYNC` or `O_DSYNC` they are where they stay before the caller knows of them;
/// what has no such place has nothing to wait for.
fn written(operations: &dyn FileOperations, status: OpenFlags, at: u64, count: usize) -> Result<usize, FileError> {
    if count > 0 && status.contains(OpenFlags::DATA_SYNC) {
        match operations.sync_place(Place { start: at, end: advanced(at, count) }) {
            Err(FileError::Invalid) => {}
            outcome => outcome?,
        }
    }
    Ok(count)
}

/// `offset` after `count` bytes; files keep within [`MAX_OFFSET`].
fn advanced(offset: u64, count: usize) -> u64 {
    offset.saturating_add(count as u64)
}
