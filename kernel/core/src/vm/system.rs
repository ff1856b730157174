//! What an address space needs of its surroundings: frames, and the contents of files.

use alloc::sync::Arc;
use core::fmt;

use super::commit::{Commitments, OverCommitted};
use crate::addr::{PhysFrame, UserAddr};
use crate::paging::{FewFrames, OutOfFrames, SharingMmu};

/// There is no memory for what the kernel has to keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

/// The machine's memory, as programs use it. On the boards it is zero-sized.
///
/// Frames for programs are refused while there is still a reserve of free ones: the kernel's own small objects come from
/// that reserve, and so need not fail.
///
/// A frame is counted. The one that [`zeroed`](Self::zeroed) and [`unspecified`](Self::unspecified) return has one
/// reference, the caller's; a leaf succeeds to it, and is counted by [`LeafCounts`](crate::paging::LeafCounts) from then on.
pub trait MemorySystem: SharingMmu + Sync {
    /// A frame of zeroes for a program.
    fn zeroed(&self) -> Result<PhysFrame, OutOfFrames>;

    /// A frame for a program, that the caller is going to fill.
    fn unspecified(&self) -> Result<PhysFrame, OutOfFrames>;

    /// Two of them at one go; `None` where that does not serve, and they are taken one by one.
    fn unspecified_two(&self) -> Option<[PhysFrame; 2]> {
        None
    }

    /// Copies a frame's contents.
    fn copy(&self, from: PhysFrame, to: PhysFrame);

    /// Copies the first `bytes` bytes of a frame.
    fn copy_beginning(&self, from: PhysFrame, to: PhysFrame, bytes: usize);

    /// Reads `to.len()` bytes of `frame` from `offset` on, all of them in the frame.
    fn read(&self, frame: PhysFrame, offset: usize, to: &mut [u8]);

    /// Writes `from` to `frame` from `offset` on, all of it in the frame.
    fn write(&self, frame: PhysFrame, offset: usize, from: &[u8]);

    /// Makes one more reference to a frame to which the caller has one.
    fn add_reference(&self, frame: PhysFrame);

    /// Gives up a reference; with the last one the frame is free.
    fn release(&self, frame: PhysFrame);

    /// The frame of zeroes that everybody maps, read-only. It is not counted:
    /// [`LeafCounts::is_last`](crate::paging::LeafCounts::is_last) is false for it, and giving up a reference to it
    /// does nothing.
    fn zero_page(&self) -> PhysFrame;

    /// Makes what was written to `frame` visible to instruction fetches. Called before each mapping of a page as
    /// executable; who knows that nothing was written since the last time need not do anything.
    fn make_executable(&self, frame: PhysFrame);

    /// Where the current program's stack ends, as far as that is known without looking: both sides of a fork store there
    /// first. It is a hint, and may be any number.
    fn stack_pointer(&self) -> Option<UserAddr> {
        None
    }

    /// Whether there is memory for more of the kernel's small objects. Whoever makes such objects in numbers that a
    /// program chooses asks first.
    fn has_room(&self) -> bool;

    /// Frames that are free.
    fn free_frames(&self) -> u64;

    /// Frames that there are.
    fn total_frames(&self) -> u64;

    /// What has been promised to programs.
    fn commitments(&self) -> &Commitments;

    /// A new object of `pages` pages of zeroes, to be mapped as shared: a [`SharedMemory`](super::SharedMemory) of this
    /// system.
    fn shared_memory(&self, pages: u64) -> Result<Arc<dyn Pager>, OverCommitted>;
}

/// Why a page of an object cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PagerError {
    /// The object is not that long.
    BeyondEnd,
    /// There is no frame for it.
    OutOfFrames,
    /// The device that holds it failed.
    Io,
}

/// What tells a file from all others, as stat(2) has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileNumbers {
    /// Its file system's device number, major and minor.
    pub device: (u32, u32),
    /// Its own.
    pub inode: u64,
}

/// The contents of a file, or of other memory with a life of its own, by pages.
pub trait Pager: Send + Sync {
    /// The frame that holds page `index`, with one reference for the caller. What the page has beyond the object's end
    /// is zero. It is the same frame until the object says otherwise
    /// ([`Space::forget_object`](super::Space::forget_object)).
    ///
    /// Frames of an object that has references of its own are never the caller's alone; so a private mapping copies
    /// before it writes.
    fn page(&self, index: u64) -> Result<PhysFrame, PagerError>;

    /// The same for those of a few pages that can be had at once, without waiting and without a copy. A fault maps such
    /// neighbours of the page that it is about, too. Page `first + n` is wanted if bit `n` of `wanted` is set; bit `n` of the
    /// answer says that entry `n` of `frames` is now its frame, with a reference for the caller.
    fn ready(&self, first: u64, wanted: u16, frames: &mut FewFrames) -> u16 {
        let _ = (first, wanted, frames);
        0
    }

    /// The object's length in bytes at present.
    fn bytes(&self) -> u64;

    /// A number that no other living object has.
    fn identity(&self) -> u64;

    /// The file whose contents it is, if it is one's.
    fn file(&self) -> Option<FileNumbers> {
        None
    }

    /// Whether it is the kernel's own shared object, which is nobody's file.
    fn is_kernels_own(&self) -> bool {
        false
    }
}

impl fmt::Debug for dyn Pager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pager({})", self.identity())
    }
}

/// Answers [`Pager::ready`] by looking for one page after the other. `find` gets its index.
pub fn each_ready(
    first: u64,
    wanted: u16,
    frames: &mut FewFrames,
    mut find: impl FnMut(u64) -> Option<PhysFrame>,
) -> u16 {
    let mut found = 0;
    for (number, frame) in (0_u32..).zip(frames) {
        if wanted >> number & 1 != 0
            && let Some(ready) = first.checked_add(number.into()).and_then(&mut find)
        {
            *frame = ready;
            found |= 1 << number;
        }
    }
    found
}
