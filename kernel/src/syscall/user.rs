//! Values in the program's memory: structures, strings, and what `readv` and `writev` name.

use alloc::vec::Vec;

use kcore::addr::UserAddr;
use kcore::fs::{Sink, Source, Writer};
use kcore::hal::{UserFault, UserMemory};
use kcore::proc::limit::Resource;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::argument::{Maybe, Text};
use super::errno::Errno;
use crate::arch::user_copy::{self, CurrentUser};
use crate::task::with_current_user;

/// The longest path, with its NUL.
pub(crate) const PATH_MAX: usize = linux_raw_sys::general::PATH_MAX as usize;
/// The most pieces of one `readv` or `writev`.
const IOV_MAX: usize = 1024;
/// The most bytes that one call moves: Linux's limit, so that a count is never negative.
const MOST_BYTES: u64 = 0x7fff_f000;

/// The `T` at `from`.
#[inline]
pub(crate) fn read<T: FromBytes + IntoBytes>(from: UserAddr) -> Result<T, Errno> {
    let mut value = T::new_zeroed();
    if let Ok(word) = <&mut [u8; size_of::<u64>()]>::try_from(value.as_mut_bytes()) {
        *word = user_copy::load_u64(from)?.to_ne_bytes();
        return Ok(value);
    }
    CurrentUser.copy_in(from, value.as_mut_bytes())?;
    Ok(value)
}

/// The `T` at an address that may be null.
pub(crate) fn read_if<T: FromBytes + IntoBytes>(from: Maybe) -> Result<Option<T>, Errno> {
    from.0.map(read).transpose()
}

/// Stores `value` at `to`.
#[inline]
pub(crate) fn write<T: IntoBytes + Immutable>(to: UserAddr, value: &T) -> Result<(), Errno> {
    if let Ok(word) = <[u8; size_of::<u64>()]>::try_from(value.as_bytes()) {
        return Ok(user_copy::store_u64(to, u64::from_ne_bytes(word))?);
    }
    Ok(CurrentUser.copy_out(value.as_bytes(), to)?)
}

/// Stores `value` at `to`, if that is not null.
pub(crate) fn write_if<T: IntoBytes + Immutable>(to: Maybe, value: &T) -> Result<(), Errno> {
    to.0.map_or(Ok(()), |to| write(to, value))
}

/// A path. Nearly all are short, and have their place here; a long one takes memory for as long as the call lasts.
pub(crate) struct Path {
    short: [u8; SHORT_PATH],
    /// All of it, if it did not fit.
    long: Vec<u8>,
    length: usize,
}

/// The longest path that needs no memory, with its NUL.
const SHORT_PATH: usize = 128;

impl Path {
    /// None yet. It is [read](Self::read) where it lies, for it is no small thing to move about.
    #[inline]
    pub(crate) const fn new() -> Self {
        Self { short: [0; SHORT_PATH], long: Vec::new(), length: 0 }
    }

    /// Becomes the path at `from`.
    pub(crate) fn read(&mut self, from: Text) -> Result<(), Errno> {
        match user_copy::copy_in_string(from.0, &mut self.short)? {
            Some(length) => self.length = length,
            None => self.read_long(from)?,
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn read_long(&mut self, from: Text) -> Result<(), Errno> {
        self.long.try_reserve_exact(PATH_MAX).map_err(|_| Errno::ENOMEM)?;
        self.long.resize(PATH_MAX, 0);
        self.length = user_copy::copy_in_string(from.0, &mut self.long)?.ok_or(Errno::ENAMETOOLONG)?;
        Ok(())
    }

    /// Its bytes, without the NUL.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        let all: &[u8] = if self.long.is_empty() { &self.short } else { &self.long };
        &all[..self.length]
    }
}

/// A piece of the program's memory: `struct iovec`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Piece {
    base: u64,
    bytes: u64,
}

/// What a call reads into or writes from: one piece of the program's memory, or several.
pub(crate) struct Pieces {
    /// Those that come after `current`, last first.
    rest: Vec<Piece>,
    current: Piece,
    left: u64,
}

impl Pieces {
    /// `bytes` bytes at `base`.
    pub(crate) fn one(base: UserAddr, bytes: u64) -> Self {
        let bytes = bytes.min(MOST_BYTES);
        Self { rest: Vec::new(), current: Piece { base: base.get(), bytes }, left: bytes }
    }

    /// The pieces of an array of `struct iovec`.
    pub(crate) fn many(array: UserAddr, count: i32) -> Result<Self, Errno> {
        let count = usize::try_from(count).ok().filter(|&count| count <= IOV_MAX).ok_or(Errno::EINVAL)?;
        let mut rest = Vec::new();
        rest.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        let mut left = 0_u64;
        for index in 0..count {
            let at = array.checked_add((index * size_of::<Piece>()) as u64).ok_or(Errno::EFAULT)?;
            let mut piece: Piece = read(at)?;
            if piece.bytes > i64::MAX.cast_unsigned() {
                return Err(Errno::EINVAL);
            }
            piece.bytes = piece.bytes.min(MOST_BYTES - left);
            left += piece.bytes;
            rest.push(piece);
        }
        rest.reverse();
        Ok(Self { rest, current: Piece { base: 0, bytes: 0 }, left })
    }

    /// The next piece that is not used up, cut to `most` bytes.
    fn next(&mut self, most: usize) -> Option<(UserAddr, usize)> {
        while self.current.bytes == 0 {
            self.current = self.rest.pop()?;
        }
        let bytes = usize::try_from(self.current.bytes).unwrap_or(usize::MAX).min(most);
        Some((UserAddr::new(self.current.base), bytes))
    }

    fn advance(&mut self, bytes: usize) {
        self.current.base = self.current.base.wrapping_add(bytes as u64);
        self.current.bytes -= bytes as u64;
        self.left -= bytes as u64;
    }

    /// Moves up to `most` bytes by `copy`, which is told where in them a piece begins. A fault behind the first piece is not
    /// one: what was moved before is told.
    fn transfer(
        &mut self,
        most: usize,
        mut copy: impl FnMut(UserAddr, core::ops::Range<usize>) -> Result<(), UserFault>,
    ) -> Result<usize, UserFault> {
        let mut done = 0;
        while done < most {
            let Some((at, bytes)) = self.next(most - done) else { break };
            match copy(at, done..done + bytes) {
                Ok(()) => {
                    self.advance(bytes);
                    done += bytes;
                }
                Err(_) if done > 0 => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(done)
    }
}

impl Sink for Pieces {
    fn put(&mut self, bytes: &[u8]) -> Result<usize, UserFault> {
        self.transfer(bytes.len(), |to, part| CurrentUser.copy_out(&bytes[part], to))
    }

    fn room(&self) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX)
    }
}

/// Who the current program is to the files that it changes.
pub(crate) fn writer() -> Writer {
    with_current_user(|thread| {
        let process = thread.process();
        Writer { limit: process.limits().soft(Resource::FileSize), keeps_set_id: process.credentials().is_root() }
    })
}

impl Source for Pieces {
    fn take(&mut self, bytes: &mut [u8]) -> Result<usize, UserFault> {
        self.transfer(bytes.len(), |from, part| CurrentUser.copy_in(from, &mut bytes[part]))
    }

    fn left(&self) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX)
    }

    fn writer(&self) -> Writer {
        writer()
    }
}
