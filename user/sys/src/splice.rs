//! Bytes between pipes and other files: `splice`, `tee`, `vmsplice`.

use std::os::fd::AsRawFd;

use bsd::Errno;

use crate::call::{call, int, output};
use crate::number;
use crate::stream::Piece;

/// Do not wait: `SPLICE_F_NONBLOCK`.
pub const NONBLOCK: usize = 2;

/// `splice`; places that are given move on.
///
/// # Errors
///
/// As of the call.
pub fn splice(
    from: (&impl AsRawFd, Option<&mut i64>),
    to: (&impl AsRawFd, Option<&mut i64>),
    bytes: usize,
    flags: usize,
) -> Result<usize, Errno> {
    let (from_place, to_place) = (from.1.map_or(0, output), to.1.map_or(0, output));
    let (from, to) = (int(from.0.as_raw_fd()), int(to.0.as_raw_fd()));
    // SAFETY: at most two offsets are read and stored.
    unsafe { call(number::SPLICE, [from, from_place, to, to_place, bytes, flags]) }
}

/// `tee`
///
/// # Errors
///
/// As of the call.
pub fn tee(from: &impl AsRawFd, to: &impl AsRawFd, bytes: usize, flags: usize) -> Result<usize, Errno> {
    // SAFETY: no pointer.
    unsafe { call(number::TEE, [int(from.as_raw_fd()), int(to.as_raw_fd()), bytes, flags]) }
}

/// `vmsplice` into a pipe.
///
/// # Errors
///
/// As of the call.
pub fn put(pipe: &impl AsRawFd, pieces: &[&[u8]], flags: usize) -> Result<usize, Errno> {
    let pieces: Vec<Piece> = pieces.iter().map(|bytes| Piece::of(bytes)).collect();
    let array = pieces.as_ptr().expose_provenance();
    // SAFETY: all that is pointed to is ours and is read.
    unsafe { call(number::VMSPLICE, [int(pipe.as_raw_fd()), array, pieces.len(), flags]) }
}

/// `vmsplice` out of a pipe.
///
/// # Errors
///
/// As of the call.
pub fn take(pipe: &impl AsRawFd, most: usize, flags: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; most];
    let piece = [Piece::to_fill(&mut bytes)];
    let array = piece.as_ptr().expose_provenance();
    // SAFETY: the buffer is ours to be written.
    let count = unsafe { call(number::VMSPLICE, [int(pipe.as_raw_fd()), array, 1, flags]) }?;
    bytes.truncate(count);
    Ok(bytes)
}

/// `vmsplice` with any flags, and with pieces that are none.
///
/// # Errors
///
/// `INVAL`, `FAULT`, `BADF`.
pub fn put_nothing(pipe: &impl AsRawFd, count: usize, flags: usize) -> Result<usize, Errno> {
    // SAFETY: nothing can be read there.
    unsafe { call(number::VMSPLICE, [int(pipe.as_raw_fd()), 8, count, flags]) }
}
