//! Physical memory made of heap.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::Range;
use std::vec::Vec;

use core::ptr::NonNull;

use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::hal::FrameAccess;

/// Some ranges of frames with nothing between them, each a piece of the host's heap.
#[derive(Debug)]
pub struct FakeMemory {
    banks: Vec<Bank>,
}

impl FakeMemory {
    /// The frames with numbers from 0 up to, but not including, `frames`.
    #[must_use]
    pub fn new(frames: u64) -> Self {
        Self::with_banks(core::iter::once(0..frames))
    }

    /// The frames with these numbers.
    ///
    /// # Panics
    ///
    /// When two ranges overlap.
    #[must_use]
    pub fn with_banks(banks: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut all: Vec<Bank> = Vec::new();
        for numbers in banks.into_iter().filter(|numbers| !numbers.is_empty()) {
            let apart = |bank: &Bank| bank.numbers.end <= numbers.start || numbers.end <= bank.numbers.start;
            assert!(all.iter().all(apart), "bank {numbers:?} overlaps another");
            all.push(Bank::new(numbers));
        }
        Self { banks: all }
    }
}

// SAFETY: each bank is a heap allocation of its own, aligned to a page, that lives as long as the value; the offset of a
// frame lies within it, and those of two frames are a page or more apart.
unsafe impl FrameAccess for FakeMemory {
    fn frame_ptr(&self, frame: PhysFrame) -> NonNull<u8> {
        let number = frame.number();
        let bank = self.banks.iter().find(|bank| bank.numbers.contains(&number));
        let bank = bank.unwrap_or_else(|| panic!("{frame:?} is not memory"));
        let offset = usize::try_from(number - bank.numbers.start).expect("the bank fits the host's memory") * PAGE_SIZE;
        // SAFETY: the frame is one of the bank's, so the offset is within its allocation.
        unsafe { bank.start.add(offset) }
    }
}

/// One allocation.
#[derive(Debug)]
struct Bank {
    numbers: Range<u64>,
    start: NonNull<u8>,
}

// SAFETY: the pointer is only handed out; what is done with it is the affair of the unsafe code that does it.
unsafe impl Send for Bank {}
// SAFETY: as for `Send`.
unsafe impl Sync for Bank {}

impl Bank {
    fn new(numbers: Range<u64>) -> Self {
        let layout = Self::layout(&numbers);
        // SAFETY: the layout's size is not zero: empty banks were left out.
        let start = unsafe { alloc_zeroed(layout) };
        Self { numbers, start: NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout)) }
    }

    fn layout(numbers: &Range<u64>) -> Layout {
        let frames = usize::try_from(numbers.end - numbers.start).expect("a bank fits the host's memory");
        Layout::from_size_align(frames * PAGE_SIZE, PAGE_SIZE).expect("a bank fits the host's memory")
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout; nobody uses frames of a memory that is gone.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(&self.numbers)) };
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn frames_are_aligned_and_apart() {
        let memory = FakeMemory::with_banks([0..2, 0x40000..0x40001]);
        let pointers = [0, 1, 0x40000].map(|number| memory.frame_ptr(PhysFrame::from_number(number)));
        for (value, pointer) in (1..).zip(pointers) {
            assert!(pointer.addr().get().is_multiple_of(PAGE_SIZE));
            // SAFETY: good for a frame, and nobody else uses it.
            unsafe { pointer.write_bytes(value, PAGE_SIZE) };
        }
        for (value, pointer) in (1..).zip(pointers) {
            // SAFETY: within the frame.
            let last = unsafe { pointer.add(PAGE_SIZE - 1) };
            // SAFETY: as above.
            assert_eq!(unsafe { last.read() }, value);
        }
    }

    #[test]
    #[should_panic(expected = "is not memory")]
    fn a_hole_is_not_memory() {
        let _ = FakeMemory::with_banks([0..1, 2..3]).frame_ptr(PhysFrame::from_number(1));
    }
}
