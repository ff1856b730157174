//! Bytes between pipes and other files: `splice(2)`, `tee(2)`, `vmsplice(2)`. They are copied, once or twice, but not to
//! the program and back.

use kcore::addr::UserAddr;
use kcore::fs::pipe::{First, Original, PipeEnd};
use kcore::fs::{Blocking, BufferSink, BufferSource, FileError, OpenFile, OpenFlags, Seeking, Source as _};
use linux_raw_sys::general as linux;

use super::argument::{Bits, Descriptor, Maybe};
use super::contents::{Cursor, MOST_BYTES, Passing};
use super::errno::Errno;
use super::user::{Pieces, writer};
use super::{Answer, WholeCaller, pipe};
use crate::task::Kernel;

/// An end of a pipe.
type End = PipeEnd<Kernel>;

/// Bytes as an argument, cut to what one call moves.
fn length(bytes: u64) -> usize {
    usize::try_from(bytes.min(MOST_BYTES)).unwrap_or(usize::MAX)
}

/// Whether the call may wait, as its flags say.
fn blocking(flags: Bits) -> Result<Blocking, Errno> {
    let known = linux::SPLICE_F_MOVE | linux::SPLICE_F_NONBLOCK | linux::SPLICE_F_MORE | linux::SPLICE_F_GIFT;
    match flags.0 {
        other if other & !known != 0 => Err(Errno::EINVAL),
        waits if waits & linux::SPLICE_F_NONBLOCK == 0 => Ok(Blocking::Yes),
        _ => Ok(Blocking::No),
    }
}

/// The same, where these files have a say, too.
fn with_status(blocking: Blocking, files: &[&OpenFile]) -> Blocking {
    let waits = files.iter().all(|file| !file.status().contains(OpenFlags::NONBLOCK));
    if waits { blocking } else { Blocking::No }
}

pub(super) fn splice(
    caller: &mut WholeCaller<'_>,
    from: Descriptor,
    from_place: Maybe,
    to: Descriptor,
    to_place: Maybe,
    bytes: u64,
    flags: Bits,
) -> Answer {
    if bytes == 0 {
        return Ok(0);
    }
    let most = length(bytes);
    let blocking = blocking(flags)?;
    let (input, output) = (caller.file(from)?, caller.file(to)?);
    let ends = (pipe::end(&input), pipe::end(&output));
    if (ends.0.is_some() && from_place.0.is_some()) || (ends.1.is_some() && to_place.0.is_some()) {
        return Err(Errno::ESPIPE);
    }
    check_modes(&input, &output)?;
    match ends {
        (Some(from), Some(to)) => {
            if from.is_of_same_pipe(&to) {
                return Err(Errno::EINVAL);
            }
            let blocking = with_status(blocking, &[&input, &output]);
            caller.restarting(|_| Ok(from.splice_to(&to, most, blocking, Original::Moved)? as u64))
        }
        (Some(from), None) => {
            let blocking = with_status(blocking, &[&input]);
            to_file(caller, &from, &output, to_place, (most, blocking))
        }
        (None, Some(to)) => {
            let blocking = with_status(blocking, &[&output]);
            from_file(caller, &input, from_place, &to, (most, blocking))
        }
        (None, None) => Err(Errno::EINVAL),
    }
}

/// From a pipe to a file that is none.
fn to_file(
    caller: &mut WholeCaller<'_>,
    from: &End,
    output: &OpenFile,
    at: Maybe,
    (most, blocking): (usize, Blocking),
) -> Answer {
    let mut target = place(output, at)?;
    if output.status().contains(OpenFlags::APPEND) {
        return Err(Errno::EINVAL);
    }
    let writer = writer();
    let moved = caller.restarting(|caller| {
        let moved = from.splice_out(most, blocking, |bytes| {
            let mut bytes = Passing { bytes: BufferSource::new(bytes), writer };
            let Some(target) = &mut target else { return output.write(&mut bytes) };
            let count = output.write_at(target.at()?, &mut bytes)?;
            target.advance(count)?;
            Ok(count)
        });
        caller.heeding_limit(moved)
    })?;
    target.as_ref().map_or(Ok(()), Cursor::finish)?;
    Ok(moved as u64)
}

/// From a file that is no pipe to one.
fn from_file(
    caller: &mut WholeCaller<'_>,
    input: &OpenFile,
    at: Maybe,
    to: &End,
    (most, blocking): (usize, Blocking),
) -> Answer {
    let mut source = place(input, at)?;
    let moved = caller.restarting(|_| {
        let moved = to.splice_in(most, blocking, |page, first| {
            let Some(source) = &mut source else { return read_stream(input, page, first, blocking) };
            let count = input.read_at(source.at()?, &mut BufferSink::new(page))?;
            source.advance(count)?;
            Ok(count)
        });
        Ok(moved?)
    })?;
    source.as_ref().map_or(Ok(()), Cursor::finish)?;
    Ok(moved as u64)
}

/// Bytes go from a file that can be read to one that can be written.
fn check_modes(input: &OpenFile, output: &OpenFile) -> Result<(), Errno> {
    let may = input.operations().is_some() && output.operations().is_some();
    if may && input.status().is_readable() && output.status().is_writable() { Ok(()) } else { Err(Errno::EBADF) }
}

/// Where in a file bytes are, unless it is a stream: that has no places.
fn place(file: &OpenFile, place: Maybe) -> Result<Option<Cursor<'_>>, Errno> {
    let is_stream = file.operations().is_none_or(|operations| operations.seeking() == Seeking::Stream);
    match (is_stream, place.0) {
        (true, Some(_)) => Err(Errno::EINVAL),
        (true, None) => Ok(None),
        (false, _) => Ok(Some(Cursor::new(file, place)?)),
    }
}

/// Reads what a stream has. Only the first time it may be waited for, and not if the file or the call says so.
fn read_stream(file: &OpenFile, page: &mut [u8], first: First, blocking: Blocking) -> Result<usize, FileError> {
    let operations = file.operations().ok_or(FileError::BadFile)?;
    let blocking = if first == First::Yes { with_status(blocking, &[file]) } else { Blocking::No };
    operations.read(0, blocking, &mut BufferSink::new(page))
}

pub(super) fn tee(caller: &mut WholeCaller<'_>, from: Descriptor, to: Descriptor, bytes: u64, flags: Bits) -> Answer {
    let blocking = blocking(flags)?;
    if bytes == 0 {
        return Ok(0);
    }
    let (input, output) = (caller.file(from)?, caller.file(to)?);
    check_modes(&input, &output)?;
    let (Some(from), Some(to)) = (pipe::end(&input), pipe::end(&output)) else { return Err(Errno::EINVAL) };
    if from.is_of_same_pipe(&to) {
        return Err(Errno::EINVAL);
    }
    let blocking = with_status(blocking, &[&input, &output]);
    caller.restarting(|_| Ok(from.splice_to(&to, length(bytes), blocking, Original::Kept)? as u64))
}

pub(super) fn vmsplice(
    caller: &mut WholeCaller<'_>,
    file: Descriptor,
    pieces: UserAddr,
    count: u64,
    flags: Bits,
) -> Answer {
    let blocking = blocking(flags)?;
    let file = caller.file(file)?;
    let end = pipe::end(&file).ok_or(Errno::EBADF)?;
    let mut pieces = Pieces::many(pieces, i32::try_from(count).map_err(|_| Errno::EINVAL)?)?;
    if pieces.left() == 0 {
        return Ok(0);
    }
    if !file.status().is_writable() {
        return caller.restarting(|_| Ok(end.read_with(blocking, &mut pieces)? as u64));
    }
    let most = pieces.left();
    caller.restarting(|_| Ok(end.splice_in(most, blocking, |page, _| Ok(pieces.take(page)?))? as u64))
}
