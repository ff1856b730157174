//! The buffer of mailbox messages: memory that the CPU and firmware share.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use drivers::mailbox::MessageBuffer;

use super::layout;
use crate::arch::cache;

/// Words of a message: room for a command line of 1 KiB.
const WORDS: usize = 288;

#[repr(C, align(64))]
struct Words(UnsafeCell<[u32; WORDS]>);

// SAFETY: the words are reached through `Message` only, of which there is one.
unsafe impl Sync for Words {}

static BUFFER: Words = Words(UnsafeCell::new([0; WORDS]));
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Its size.
pub(super) const BYTES: usize = size_of::<Words>();

/// Where it is, as the program counter sees it: for the head, before there is a [`Message`].
pub(super) const fn buffer() -> *mut [u32; WORDS] {
    BUFFER.0.get()
}

/// The one buffer. It is part of the image, hence below 1 GiB, and has cache lines of its own.
#[derive(Debug)]
pub(crate) struct Message(());

impl Message {
    /// The buffer, for the first who asks.
    pub(crate) fn take() -> Option<Self> {
        (!TAKEN.swap(true, Ordering::Relaxed)).then_some(Self(()))
    }

    fn range(&self) -> core::ops::Range<usize> {
        let start = BUFFER.0.get().addr();
        start..start + size_of::<Words>()
    }
}

impl MessageBuffer for Message {
    fn physical_address(&self) -> u32 {
        u32::try_from(layout::physical_of(BUFFER.0.get()).get()).expect("the image lies below 1 GiB")
    }

    fn words(&mut self) -> &mut [u32] {
        // SAFETY: `self` is the only way to the words, and it is borrowed exclusively; firmware writes only between
        // `clean` and `invalidate`, when no reference exists.
        unsafe { &mut *BUFFER.0.get() }
    }

    fn clean(&mut self) {
        cache::clean(&self.range());
    }

    fn invalidate(&mut self) {
        cache::clean_and_invalidate(&self.range());
    }
}
