//! Several messages with one call: `sendmmsg`, `recvmmsg`.

use std::os::fd::AsRawFd;
use std::time::Duration;

use bsd::Errno;

use crate::call::{call, int, output};
use crate::number;
use crate::stream::{Message, Piece};
use crate::time::Timespec;

/// Do not wait: `MSG_DONTWAIT`.
pub const DONT_WAIT: usize = 0x40;
/// Wait for the first only: `MSG_WAITFORONE`.
pub const WAIT_FOR_ONE: usize = 0x10000;

/// `struct mmsghdr`.
#[repr(C)]
struct Many {
    message: Message,
    bytes: u32,
    padding: u32,
}

impl Many {
    fn new(piece: &Piece) -> Self {
        Self { message: Message::new(piece), bytes: u32::MAX, padding: 0 }
    }
}

/// Sends messages; how many bytes of each of those that were sent.
///
/// # Errors
///
/// As of `sendmmsg`.
pub fn send(socket: &impl AsRawFd, messages: &[&[u8]], flags: usize) -> Result<Vec<u32>, Errno> {
    let pieces: Vec<Piece> = messages.iter().map(|bytes| Piece::of(bytes)).collect();
    let mut all: Vec<Many> = pieces.iter().map(Many::new).collect();
    let array = all.as_mut_ptr().expose_provenance();
    // SAFETY: all that is pointed to is ours; the counts are stored.
    let count = unsafe { call(number::SENDMMSG, [int(socket.as_raw_fd()), array, all.len(), flags]) }?;
    Ok(all[..count].iter().map(|one| one.bytes).collect())
}

/// `sendmmsg` of `count` messages at an address that is none.
///
/// # Errors
///
/// `FAULT`
pub fn send_nothing(socket: &impl AsRawFd, count: usize) -> Result<usize, Errno> {
    // SAFETY: nothing can be read there.
    unsafe { call(number::SENDMMSG, [int(socket.as_raw_fd()), 8, count, 0]) }
}

/// Receives up to `count` messages of up to `most` bytes; and what is left of the time, if one was given.
///
/// # Errors
///
/// As of `recvmmsg`.
pub fn receive(
    socket: &impl AsRawFd,
    (count, most): (usize, usize),
    flags: usize,
    time: Option<Duration>,
) -> Result<(Vec<Vec<u8>>, Option<Duration>), Errno> {
    let mut buffers = vec![vec![0; most]; count];
    let pieces: Vec<Piece> = buffers.iter_mut().map(|buffer| Piece::to_fill(buffer)).collect();
    let mut all: Vec<Many> = pieces.iter().map(Many::new).collect();
    let mut time = time.map(Timespec::from);
    let time_at = time.as_mut().map_or(0, output);
    let array = all.as_mut_ptr().expose_provenance();
    // SAFETY: all that is pointed to is ours to be written.
    let got = unsafe { call(number::RECVMMSG, [int(socket.as_raw_fd()), array, count, flags, time_at]) }?;
    buffers.truncate(got);
    for (buffer, one) in buffers.iter_mut().zip(&all) {
        buffer.truncate(one.bytes as usize);
    }
    Ok((buffers, time.map(Duration::from)))
}
