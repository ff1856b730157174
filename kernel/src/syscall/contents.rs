//! The contents of open files, beyond reading and writing: `ftruncate(2)`, `fallocate(2)`, `fsync(2)`, `preadv2(2)`,
//! `pwritev2(2)`, `sendfile(2)`, `copy_file_range(2)`.

use alloc::vec::Vec;

use kcore::addr::UserAddr;
use kcore::fs::{
    Allocation, BufferSink, BufferSource, FileError, FileKind, OpenFile, OpenFlags, Place, Source, Whence, Writer,
};
use kcore::hal::UserFault;
use kcore::proc;
use kcore::signal::{Info, Signal};
use linux_raw_sys::general as linux;

use super::argument::{Bits, Descriptor, Maybe};
use super::errno::Errno;
use super::file::offset;
use super::user::{self, Pieces, writer};
use super::{Answer, Caller, WholeCaller};
use crate::task::filesystems;

/// The most bytes that one call moves.
pub(super) const MOST_BYTES: u64 = 0x7fff_f000;
/// How many bytes are on their way from one file to another at a time.
const CHUNK: usize = 16 * 1024;

impl Caller<'_> {
    /// Where a file would have become longer than the process's limit allows, its thread is told by a signal (`setrlimit`(2)).
    pub(super) fn heeding_limit<T>(&self, outcome: Result<T, FileError>) -> Result<T, Errno> {
        if let Err(FileError::Limit) = outcome {
            let _merged = proc::signal(self.process(), Some(self.thread), Info::kernel(Signal::XFSZ));
        }
        Ok(outcome?)
    }
}

pub(super) fn ftruncate(caller: &mut Caller<'_>, file: Descriptor, bytes: i64) -> Answer {
    let bytes = offset(bytes)?;
    let file = caller.file(file)?;
    caller.heeding_limit(file.resize(bytes, writer()))?;
    Ok(0)
}

pub(super) fn fallocate(caller: &mut Caller<'_>, file: Descriptor, mode: Bits, start: i64, bytes: i64) -> Answer {
    const KEEP: u32 = linux::FALLOC_FL_KEEP_SIZE;
    const PUNCH: u32 = linux::FALLOC_FL_KEEP_SIZE | linux::FALLOC_FL_PUNCH_HOLE;
    const ZERO_KEEP: u32 = linux::FALLOC_FL_KEEP_SIZE | linux::FALLOC_FL_ZERO_RANGE;
    let file = caller.file(file)?;
    let (start, bytes) = (offset(start)?, offset(bytes)?);
    if bytes == 0 {
        return Err(Errno::EINVAL);
    }
    let how = match mode.0 {
        0 => Allocation::Extend,
        KEEP => Allocation::KeepLength,
        PUNCH => Allocation::Punch,
        linux::FALLOC_FL_ZERO_RANGE => Allocation::Zero,
        ZERO_KEEP => Allocation::ZeroKeepLength,
        _ => return Err(Errno::EOPNOTSUPP),
    };
    let end = start.checked_add(bytes).filter(|&end| i64::try_from(end).is_ok()).ok_or(Errno::EFBIG)?;
    caller.heeding_limit(file.allocate(how, Place { start, end }, writer()))?;
    Ok(0)
}

/// Data and metadata are where they stay.
pub(super) fn fsync(caller: &mut Caller<'_>, file: Descriptor) -> Answer {
    caller.file(file)?.sync()?;
    Ok(0)
}

/// All that is in the file system of an open file.
pub(super) fn syncfs(caller: &mut Caller<'_>, file: Descriptor) -> Answer {
    let file = caller.file(file)?;
    if file.operations().is_none() {
        return Err(Errno::EBADF);
    }
    filesystems::sync_one(file.inode().id().device)?;
    Ok(0)
}

/// Bytes of a file, where they stay when both are asked for that writing begins and that it ends; its metadata may be there,
/// too. What is only to begin does so within seconds.
pub(super) fn sync_file_range(caller: &mut Caller<'_>, file: Descriptor, at: i64, bytes: i64, flags: Bits) -> Answer {
    const WRITTEN: u32 = linux::SYNC_FILE_RANGE_WRITE | linux::SYNC_FILE_RANGE_WAIT_AFTER;
    let file = caller.file(file)?;
    let end = at.checked_add(bytes).ok_or(Errno::EINVAL)?;
    if flags.0 & !(WRITTEN | linux::SYNC_FILE_RANGE_WAIT_BEFORE) != 0 || at < 0 || end < at {
        return Err(Errno::EINVAL);
    }
    match file.inode().protection().kind {
        FileKind::Regular | FileKind::BlockDevice | FileKind::Directory => {}
        _ => return Err(Errno::ESPIPE),
    }
    if flags.0 & WRITTEN == WRITTEN {
        file.sync()?;
    }
    Ok(0)
}

/// Advice is checked and, as all files are in memory, not needed.
pub(super) fn fadvise64(caller: &mut Caller<'_>, file: Descriptor, _at: i64, bytes: i64, advice: u32) -> Answer {
    let file = caller.file(file)?;
    match file.inode().protection().kind {
        FileKind::Fifo => Err(Errno::ESPIPE),
        _ if bytes < 0 || advice > linux::POSIX_FADV_NOREUSE => Err(Errno::EINVAL),
        _ => Ok(0),
    }
}

/// A hint as those of `fadvise64`: files are in memory, or come through a disk's cache.
pub(super) fn readahead(caller: &mut Caller<'_>, file: Descriptor, _at: i64, _bytes: u64) -> Answer {
    let file = caller.file(file)?;
    if !file.status().is_readable() {
        return Err(Errno::EBADF);
    }
    match file.inode().protection().kind {
        FileKind::Regular | FileKind::BlockDevice => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn preadv(caller: &mut Caller<'_>, file: Descriptor, pieces: UserAddr, count: i32, at: i64) -> Answer {
    let at = offset(at)?;
    let file = caller.file(file)?;
    Ok(file.read_at(at, &mut Pieces::many(pieces, count)?)? as u64)
}

pub(super) fn pwritev(caller: &mut Caller<'_>, file: Descriptor, pieces: UserAddr, count: i32, at: i64) -> Answer {
    let at = offset(at)?;
    let file = caller.file(file)?;
    let written = file.write_at(at, &mut Pieces::many(pieces, count)?);
    Ok(caller.heeding_limit(written)? as u64)
}

/// A hint is kept by doing nothing; what would change the meaning is not there.
fn check_transfer_flags(flags: Bits) -> Result<(), Errno> {
    let known = linux::RWF_HIPRI | linux::RWF_DSYNC | linux::RWF_SYNC;
    if flags.0 & !known == 0 { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
}

pub(super) fn preadv2(
    caller: &mut WholeCaller<'_>,
    file: Descriptor,
    pieces: UserAddr,
    count: i32,
    at: i64,
    _high: u64,
    flags: Bits,
) -> Answer {
    check_transfer_flags(flags)?;
    if at == -1 { super::file::readv(caller, file, pieces, count) } else { preadv(caller, file, pieces, count, at) }
}

pub(super) fn pwritev2(
    caller: &mut WholeCaller<'_>,
    file: Descriptor,
    pieces: UserAddr,
    count: i32,
    at: i64,
    _high: u64,
    flags: Bits,
) -> Answer {
    check_transfer_flags(flags)?;
    let written = match at {
        -1 => super::file::writev(caller, file, pieces, count)?,
        _ => pwritev(caller, file, pieces, count, at)?,
    };
    if flags.0 & (linux::RWF_DSYNC | linux::RWF_SYNC) != 0 && written > 0 {
        match caller.file(file)?.sync() {
            // It has no place where it stays.
            Err(FileError::Invalid) => {}
            outcome => outcome?,
        }
    }
    Ok(written)
}

/// Bytes on their way from one file to another, for a writer who has a limit.
pub(super) struct Passing<'a> {
    pub(super) bytes: BufferSource<'a>,
    pub(super) writer: Writer,
}

impl Source for Passing<'_> {
    fn take(&mut self, bytes: &mut [u8]) -> Result<usize, UserFault> {
        self.bytes.take(bytes)
    }

    fn left(&self) -> usize {
        self.bytes.left()
    }

    fn writer(&self) -> Writer {
        self.writer
    }
}

/// Where in a file bytes are taken from or put: at a place of the call's own, or at the file's offset, which moves on.
pub(super) struct Cursor<'a> {
    file: &'a OpenFile,
    /// The place, and where the program keeps it.
    own: Option<(u64, UserAddr)>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(file: &'a OpenFile, place: Maybe) -> Result<Self, Errno> {
        let own = place.0.map(|at| Ok::<_, Errno>((offset(user::read::<i64>(at)?)?, at))).transpose()?;
        Ok(Self { file, own })
    }

    pub(super) fn at(&self) -> Result<u64, FileError> {
        self.own.map_or_else(|| self.file.seek(0, Whence::Current), |(at, _)| Ok(at))
    }

    pub(super) fn advance(&mut self, count: usize) -> Result<(), FileError> {
        match &mut self.own {
            Some((at, _)) => *at += count as u64,
            None => {
                let count = i64::try_from(count).map_err(|_| FileError::Overflow)?;
                self.file.seek(count, Whence::Current)?;
            }
        }
        Ok(())
    }

    /// Tells the program how far it came.
    pub(super) fn finish(&self) -> Result<(), Errno> {
        self.own.map_or(Ok(()), |(at, to)| user::write(to, &at))
    }
}

/// Moves up to `bytes` bytes; `put` writes some of those it is given and says how many.
fn pass(
    caller: &Caller<'_>,
    from: &mut Cursor<'_>,
    bytes: u64,
    mut put: impl FnMut(&mut Passing<'_>) -> Result<usize, FileError>,
) -> Result<u64, FileError> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(CHUNK).map_err(|_| FileError::OutOfMemory)?;
    buffer.resize(CHUNK, 0);
    let bytes = bytes.min(MOST_BYTES);
    let writer = writer();
    let mut done = 0_u64;
    while done < bytes {
        let wanted = usize::try_from(bytes - done).unwrap_or(CHUNK).min(CHUNK);
        let step = from.at().and_then(|at| {
            let read = from.file.read_at(at, &mut BufferSink::new(&mut buffer[..wanted]))?;
            let mut passing = Passing { bytes: BufferSource::new(&buffer[..read]), writer };
            let written = if read == 0 { 0 } else { put(&mut passing)? };
            from.advance(written)?;
            Ok((read, written))
        });
        match step {
            Ok((read, written)) => {
                done += written as u64;
                if read == 0 || written < read || caller.is_interrupted() {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            // What was moved is told; the next call tells the rest.
            Err(_) => break,
        }
    }
    Ok(done)
}

pub(super) fn sendfile(
    caller: &mut WholeCaller<'_>,
    to: Descriptor,
    from: Descriptor,
    place: Maybe,
    bytes: u64,
) -> Answer {
    let (input, output) = (caller.file(from)?, caller.file(to)?);
    if !input.status().is_readable() || !output.status().is_writable() {
        return Err(Errno::EBADF);
    }
    let streams = matches!(input.inode().protection().kind, FileKind::Fifo | FileKind::Socket);
    if output.status().contains(OpenFlags::APPEND) || input.inode().protection().kind == FileKind::Directory {
        return Err(Errno::EINVAL);
    }
    if streams {
        return Err(if place.0.is_some() { Errno::ESPIPE } else { Errno::EINVAL });
    }
    let mut cursor = Cursor::new(&input, place)?;
    let moved = caller.restarting(|caller| {
        let outcome = pass(caller, &mut cursor, bytes, |passing| output.write(passing));
        caller.heeding_limit(outcome)
    })?;
    cursor.finish()?;
    Ok(moved)
}

pub(super) fn copy_file_range(
    caller: &mut Caller<'_>,
    from: Descriptor,
    from_place: Maybe,
    to: Descriptor,
    to_place: Maybe,
    bytes: u64,
    flags: Bits,
) -> Answer {
    let (input, output) = (caller.file(from)?, caller.file(to)?);
    if flags.0 != 0 {
        return Err(Errno::EINVAL);
    }
    let kinds = [&input, &output].map(|file| file.inode().protection().kind);
    if kinds.contains(&FileKind::Directory) {
        return Err(Errno::EISDIR);
    }
    if kinds != [FileKind::Regular; 2] {
        return Err(Errno::EINVAL);
    }
    if !input.status().is_readable() || !output.status().is_writable() || output.status().contains(OpenFlags::APPEND) {
        return Err(Errno::EBADF);
    }
    let (mut source, mut target) = (Cursor::new(&input, from_place)?, Cursor::new(&output, to_place)?);
    let (start, end) = (source.at()?, target.at()?);
    let overlap = start.abs_diff(end) < bytes.min(input.metadata().size.saturating_sub(start));
    if input.metadata().id == output.metadata().id && overlap {
        return Err(Errno::EINVAL);
    }
    let outcome = pass(caller, &mut source, bytes, |passing| {
        let count = output.write_at(target.at()?, passing)?;
        target.advance(count)?;
        Ok(count)
    });
    let moved = caller.heeding_limit(outcome)?;
    source.finish()?;
    target.finish()?;
    Ok(moved)
}
