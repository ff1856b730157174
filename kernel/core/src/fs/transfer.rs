//! Where read puts bytes and where write takes them from.

use super::error::FileError;
use crate::hal::UserFault;

/// Where read(2) puts bytes: a program's buffer or several, or the kernel's own.
pub trait Sink {
    /// Puts as many of `bytes` as there is [`room`](Self::room) for, and says how many. May sleep.
    ///
    /// # Errors
    ///
    /// [`UserFault`] when not even the first byte can be put. A fault behind it is a short count; the next call then
    /// reports the fault.
    fn put(&mut self, bytes: &[u8]) -> Result<usize, UserFault>;

    /// How many more bytes it takes. A sink whose thread shall end says none: so it leaves even a read without end.
    fn room(&self) -> usize;
}

/// Where write(2) takes bytes from.
pub trait Source {
    /// Fills `bytes` from the front with as many as are [`left`](Self::left), and says how many. May sleep.
    ///
    /// # Errors
    ///
    /// [`UserFault`] when not even the first byte can be taken. A fault behind it is a short count; the next call then
    /// reports the fault.
    fn take(&mut self, bytes: &mut [u8]) -> Result<usize, UserFault>;

    /// How many bytes are left.
    fn left(&self) -> usize;

    /// Who writes. Asked for regular files only.
    fn writer(&self) -> Writer {
        Writer::KERNEL
    }
}

/// Who changes the contents of a file, as far as a file system asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Writer {
    /// Files may not become longer than this by his doing (`RLIMIT_FSIZE`), in bytes.
    pub limit: u64,
    /// Whether the set-id bits of what he changes stay.
    pub keeps_set_id: bool,
}

impl Writer {
    /// The kernel itself, and root without a limit.
    pub const KERNEL: Self = Self { limit: u64::MAX, keeps_set_id: true };
}

/// A buffer of the kernel, to be read into.
#[derive(Debug)]
pub struct BufferSink<'a> {
    rest: &'a mut [u8],
}

impl<'a> BufferSink<'a> {
    /// Fills `buffer` from the front.
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { rest: buffer }
    }
}

impl Sink for BufferSink<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<usize, UserFault> {
        let count = bytes.len().min(self.rest.len());
        let (place, rest) = core::mem::take(&mut self.rest).split_at_mut(count);
        place.copy_from_slice(bytes.get(..count).unwrap_or_default());
        self.rest = rest;
        Ok(count)
    }

    fn room(&self) -> usize {
        self.rest.len()
    }
}

/// A buffer of the kernel, to be written from.
#[derive(Debug)]
pub struct BufferSource<'a> {
    rest: &'a [u8],
}

impl<'a> BufferSource<'a> {
    /// Takes from the front of `buffer`.
    pub const fn new(buffer: &'a [u8]) -> Self {
        Self { rest: buffer }
    }
}

impl Source for BufferSource<'_> {
    fn take(&mut self, bytes: &mut [u8]) -> Result<usize, UserFault> {
        let count = bytes.len().min(self.rest.len());
        let (taken, rest) = self.rest.split_at(count);
        if let Some(place) = bytes.get_mut(..count) {
            place.copy_from_slice(taken);
        }
        self.rest = rest;
        Ok(count)
    }

    fn left(&self) -> usize {
        self.rest.len()
    }
}

/// Gives `sink` what is at `at` and behind, by way of `buffer`: as many bytes at a time as `piece` says for an offset and the most
/// that are wanted, until that is none. An error behind the first piece is for the next call to say.
pub(super) fn give(
    sink: &mut dyn Sink,
    at: u64,
    buffer: &mut [u8],
    piece: impl Fn(u64, usize) -> usize,
    read: impl Fn(u64, &mut [u8]) -> Result<(), FileError>,
) -> Result<usize, FileError> {
    let mut done = 0_usize;
    loop {
        let here = at.saturating_add(done as u64);
        let count = piece(here, sink.room().min(buffer.len()));
        let Some(bytes) = buffer.get_mut(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(done) };
        match read(here, bytes).and_then(|()| Ok(sink.put(bytes)?)) {
            Ok(count) => done = done.saturating_add(count),
            Err(error) if done == 0 => return Err(error),
            Err(_) => return Ok(done),
        }
    }
}
