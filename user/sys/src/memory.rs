//! Memory that a program maps itself.
//!
//! A [`Mapping`] is never lent as a slice: other processes may write it, and its protection may change at any time. It
//! is read and written byte by byte and word by word with volatile accesses; an access that its protection forbids ends
//! the process, which is what tests want to see.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::ptr;
use std::sync::atomic::AtomicU32;

use bsd::{Errno, Inheritance};

use crate::call::{call, int};
use crate::number;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// What may be done with memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protection(pub usize);

impl Protection {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Reading.
    pub const READ: Self = Self(1);
    /// Reading and writing.
    pub const WRITE: Self = Self(3);
    /// Reading and executing.
    pub const EXECUTE: Self = Self(5);
    /// All three.
    pub const ALL: Self = Self(7);
}

/// Flags of `mmap`, to be added up.
pub mod flag {
    /// Seen by everybody who maps it.
    pub const SHARED: usize = 1;
    /// Copied on write.
    pub const PRIVATE: usize = 2;
    /// At this very address.
    pub const FIXED: usize = 0x10;
    /// Zeroes, no file.
    pub const ANONYMOUS: usize = 0x20;
    /// No commitment is made.
    pub const NORESERVE: usize = 0x4000;
    /// Filled at once.
    pub const POPULATE: usize = 0x8000;
    /// For a stack; without meaning.
    pub const STACK: usize = 0x2_0000;
    /// At this very address unless something is there.
    pub const FIXED_NOREPLACE: usize = 0x10_0000;
}

/// Advice for [`Mapping::advise`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advice(pub usize);

impl Advice {
    /// The contents may go.
    pub const DONTNEED: Self = Self(4);
    /// The contents may go when memory is short.
    pub const FREE: Self = Self(8);
    /// Children do not get it.
    pub const DONTFORK: Self = Self(10);
    /// Children get it again.
    pub const DOFORK: Self = Self(11);
    /// Large pages, please.
    pub const HUGEPAGE: Self = Self(14);
    /// No large pages, please.
    pub const NOHUGEPAGE: Self = Self(15);
    /// Children get zeroes.
    pub const WIPEONFORK: Self = Self(18);
    /// Children get a copy again.
    pub const KEEPONFORK: Self = Self(19);
}

/// A piece of address space, unmapped when it goes.
#[derive(PartialEq, Eq, Debug)]
pub struct Mapping {
    address: usize,
    bytes: usize,
    /// Parts that were unmapped, from and to; they are not ours any more.
    holes: Vec<(usize, usize)>,
}

/// A request to map memory.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where; 0 is anywhere.
    pub address: usize,
    /// How much.
    pub bytes: usize,
    /// For what.
    pub protection: Protection,
    /// How: [`flag`].
    pub flags: usize,
    /// Of which file, from which byte on.
    pub file: Option<(&'a File, usize)>,
}

impl Mapping {
    /// Private zeroes, readable and writable.
    ///
    /// # Errors
    ///
    /// `NOMEM`.
    pub fn private(bytes: usize) -> Result<Self, Errno> {
        let flags = flag::PRIVATE | flag::ANONYMOUS;
        Self::new(Request { address: 0, bytes, protection: Protection::WRITE, flags, file: None })
    }

    /// Zeroes that are shared with children, readable and writable.
    ///
    /// # Errors
    ///
    /// `NOMEM`.
    pub fn shared(bytes: usize) -> Result<Self, Errno> {
        let flags = flag::SHARED | flag::ANONYMOUS;
        Self::new(Request { address: 0, bytes, protection: Protection::WRITE, flags, file: None })
    }

    /// A file, or a part of it, private.
    ///
    /// # Errors
    ///
    /// As of `mmap`.
    pub fn file(file: &File, offset: usize, bytes: usize, protection: Protection) -> Result<Self, Errno> {
        Self::new(Request { address: 0, bytes, protection, flags: flag::PRIVATE, file: Some((file, offset)) })
    }

    /// Any `mmap` but one that could replace memory of others.
    ///
    /// # Errors
    ///
    /// As of the call; `INVAL` for [`flag::FIXED`], see [`replace`](Self::replace).
    pub fn new(request: Request<'_>) -> Result<Self, Errno> {
        if request.flags & flag::FIXED != 0 {
            return Err(Errno::INVAL);
        }
        // SAFETY: without MAP_FIXED nothing that is mapped changes.
        let address = unsafe { map(request) }?;
        Ok(Self { address, bytes: request.bytes, holes: Vec::new() })
    }

    /// Maps something else over a part of this mapping.
    ///
    /// # Errors
    ///
    /// As of `mmap`.
    pub fn replace(&mut self, offset: usize, request: Request<'_>) -> Result<(), Errno> {
        let address = self.place(offset, request.bytes);
        let flags = request.flags | flag::FIXED;
        // SAFETY: what is replaced is ours, and nobody has references into it.
        unsafe { map(Request { address, flags, ..request }) }?;
        Ok(())
    }

    /// Where it starts.
    #[must_use]
    pub const fn address(&self) -> usize {
        self.address
    }

    /// How long it is.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The address of `bytes` bytes at `offset`, which must be ours.
    fn place(&self, offset: usize, bytes: usize) -> usize {
        let end = offset.checked_add(bytes);
        assert!(end.is_some_and(|end| end <= self.bytes), "{bytes} bytes at {offset} are not in the mapping");
        let hole = self.holes.iter().any(|&(from, to)| offset < to && offset + bytes > from);
        assert!(!hole, "{bytes} bytes at {offset} were unmapped");
        self.address + offset
    }

    /// The byte at `offset`.
    #[must_use]
    pub fn read(&self, offset: usize) -> u8 {
        let place = ptr::with_exposed_provenance::<u8>(self.place(offset, 1));
        // SAFETY: the address is ours; if it cannot be read, the process ends.
        unsafe { place.read_volatile() }
    }

    /// Stores a byte at `offset`.
    pub fn write(&self, offset: usize, value: u8) {
        let place = ptr::with_exposed_provenance_mut::<u8>(self.place(offset, 1));
        // SAFETY: the address is ours, and nobody has references to it but atomic ones; if it cannot be written, the
        // process ends.
        unsafe { place.write_volatile(value) }
    }

    /// The addresses of its pages.
    fn pages(&self) -> impl Iterator<Item = usize> {
        self.place(0, self.bytes);
        (self.address..self.address + self.bytes).step_by(PAGE)
    }

    /// Stores `value` at the start of every page.
    pub fn write_pages(&self, value: u8) {
        for page in self.pages() {
            // SAFETY: as in `write`.
            unsafe { ptr::with_exposed_provenance_mut::<u8>(page).write_volatile(value) };
        }
    }

    /// Whether the first byte of every page is `value`.
    #[must_use]
    pub fn pages_are(&self, value: u8) -> bool {
        // SAFETY: as in `read`.
        self.pages().all(|page| unsafe { ptr::with_exposed_provenance::<u8>(page).read_volatile() } == value)
    }

    /// An atomic word in it. Changing the protection, or unmapping the part, makes later uses end the process.
    #[must_use]
    pub fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4), "{offset} is not aligned");
        let place = ptr::with_exposed_provenance_mut::<u32>(self.place(offset, 4));
        // SAFETY: aligned and ours as long as the mapping lives; every access to it is atomic or volatile.
        unsafe { AtomicU32::from_ptr(place) }
    }

    /// Copies bytes out of it.
    #[must_use]
    pub fn copy_out(&self, offset: usize, bytes: usize) -> Vec<u8> {
        (offset..offset + bytes).map(|offset| self.read(offset)).collect()
    }

    /// Changes what may be done with a part.
    ///
    /// # Errors
    ///
    /// As of `mprotect`.
    pub fn protect(&self, offset: usize, bytes: usize, protection: Protection) -> Result<(), Errno> {
        // SAFETY: the part is ours, and accesses that are forbidden now end the process.
        unsafe { call(number::MPROTECT, [self.place(offset, bytes), bytes, protection.0]) }?;
        Ok(())
    }

    /// Unmaps a part. It is not to be used again.
    ///
    /// # Errors
    ///
    /// As of `munmap`.
    pub fn unmap(&mut self, offset: usize, bytes: usize) -> Result<(), Errno> {
        let place = self.place(offset, bytes);
        // SAFETY: the part is ours; `&mut` says that no word of it is lent.
        unsafe { call(number::MUNMAP, [place, bytes]) }?;
        self.holes.push((offset, offset + bytes));
        Ok(())
    }

    /// `madvise` for a part.
    ///
    /// # Errors
    ///
    /// As of the call.
    pub fn advise(&self, offset: usize, bytes: usize, advice: Advice) -> Result<(), Errno> {
        // SAFETY: the part is ours; at worst its contents become zero.
        unsafe { call(number::MADVISE, [self.place(offset, bytes), bytes, advice.0]) }?;
        Ok(())
    }

    /// OpenBSD's `minherit` for a part.
    ///
    /// # Errors
    ///
    /// As of the call.
    pub fn inherit(&self, offset: usize, bytes: usize, inheritance: Inheritance) -> Result<(), Errno> {
        bsd::minherit(self.place(offset, bytes), bytes, inheritance)
    }

    /// Locks a part into memory.
    ///
    /// # Errors
    ///
    /// As of `mlock`.
    pub fn lock(&self, offset: usize, bytes: usize) -> Result<(), Errno> {
        // SAFETY: changes no contents.
        unsafe { call(number::MLOCK, [self.place(offset, bytes), bytes]) }?;
        Ok(())
    }

    /// The opposite.
    ///
    /// # Errors
    ///
    /// As of `munlock`.
    pub fn unlock(&self, offset: usize, bytes: usize) -> Result<(), Errno> {
        // SAFETY: changes no contents.
        unsafe { call(number::MUNLOCK, [self.place(offset, bytes), bytes]) }?;
        Ok(())
    }

    /// Which pages are in memory.
    ///
    /// # Errors
    ///
    /// As of `mincore`.
    pub fn resident(&self) -> Result<Vec<bool>, Errno> {
        let mut pages = vec![0_u8; self.bytes.div_ceil(PAGE)];
        let vector = pages.as_mut_ptr().expose_provenance();
        // SAFETY: one byte for each page is stored.
        unsafe { call(number::MINCORE, [self.address, self.bytes, vector]) }?;
        Ok(pages.iter().map(|page| page & 1 != 0).collect())
    }

    /// Changes the size, in place or moved.
    ///
    /// # Errors
    ///
    /// As of `mremap`, and `INVAL` for a mapping with holes; the mapping is as it was.
    pub fn resize(&mut self, bytes: usize, may_move: bool) -> Result<(), Errno> {
        if !self.holes.is_empty() {
            return Err(Errno::INVAL);
        }
        // SAFETY: ours, and no word of it is lent.
        self.address = unsafe { call(number::MREMAP, [self.address, self.bytes, bytes, usize::from(may_move)]) }?;
        self.bytes = bytes;
        Ok(())
    }

    /// Leaves it mapped for good.
    #[must_use]
    pub fn leak(self) -> &'static Self {
        Box::leak(Box::new(self))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let mut from = 0;
        self.holes.sort_unstable();
        for &(start, end) in self.holes.iter().chain([&(self.bytes, self.bytes)]) {
            if start > from {
                // SAFETY: what lies between the holes is ours.
                let _ = unsafe { call(number::MUNMAP, [self.address + from, start - from]) };
            }
            from = end;
        }
    }
}

/// `mmap`.
///
/// # Safety
///
/// With `MAP_FIXED`: what is there may go.
unsafe fn map(request: Request<'_>) -> Result<usize, Errno> {
    let Request { address, bytes, protection, flags, file } = request;
    let (descriptor, offset) = file.map_or((-1, 0), |(file, offset)| (file.as_raw_fd(), offset));
    // SAFETY: the caller's promise.
    unsafe { call(number::MMAP, [address, bytes, protection.0, flags, int(descriptor), offset]) }
}

/// Moves the break up by `bytes` whole pages, stores a byte in each of them, and moves the break back. Returns the break
/// before, at the top, and after. The C library's allocator uses the break too, but not while this runs.
///
/// # Errors
///
/// `NOMEM` when the break did not move.
pub fn exercise_break(bytes: usize) -> Result<[usize; 3], Errno> {
    // SAFETY: 0 only asks.
    let before = unsafe { call(number::BRK, [0]) }?;
    // SAFETY: moving up takes nothing away.
    let top = unsafe { call(number::BRK, [before + bytes]) }?;
    if top != before + bytes {
        return Err(Errno::NOMEM);
    }
    for address in (before..top).step_by(PAGE) {
        // SAFETY: between the old and the new break is memory that nobody else knows of.
        unsafe { ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(1) };
    }
    // SAFETY: what goes away came above.
    let after = unsafe { call(number::BRK, [before]) }?;
    Ok([before, top, after])
}

/// Locks all memory, present and future.
///
/// # Errors
///
/// As of `mlockall`.
pub fn lock_all() -> Result<(), Errno> {
    // SAFETY: changes no contents.
    unsafe { call(number::MLOCKALL, [3]) }?;
    Ok(())
}
