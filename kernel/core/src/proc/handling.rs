//! What a thread keeps for its signal handlers: nobody else reads or writes it, and so it has no lock. Its words are atomics
//! only to be shared.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::addr::UserAddr;
use crate::signal::{AlternateStack, SignalSet};

/// What a thread keeps for its handlers.
pub(super) struct Handling {
    base: AtomicU64,
    bytes: AtomicU64,
    flags: AtomicU32,
    /// The signals that the mask to go back to does *not* block, if a call exchanged it for as long as it waits. Never 0: what
    /// cannot be blocked is among them. 0 is that there is none.
    saved_open: AtomicU64,
}

impl Handling {
    pub(super) fn new(alternate: AlternateStack) -> Self {
        Self {
            base: AtomicU64::new(alternate.base().get()),
            bytes: AtomicU64::new(alternate.bytes()),
            flags: AtomicU32::new(alternate.flags().bits()),
            saved_open: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn alternate(&self) -> AlternateStack {
        let base = UserAddr::new(self.base.load(Relaxed));
        AlternateStack::known(base, self.bytes.load(Relaxed), self.flags.load(Relaxed))
    }

    pub(super) fn set_alternate(&self, stack: AlternateStack) {
        self.base.store(stack.base().get(), Relaxed);
        self.bytes.store(stack.bytes(), Relaxed);
        self.flags.store(stack.flags().bits(), Relaxed);
    }

    /// Remembers `mask`, unless there is another one.
    pub(super) fn save_mask(&self, mask: SignalSet) {
        if self.saved_open.load(Relaxed) == 0 {
            self.saved_open.store((!mask | SignalSet::UNBLOCKABLE).bits(), Relaxed);
        }
    }

    #[inline]
    pub(super) fn take_saved_mask(&self) -> Option<SignalSet> {
        let open = self.saved_open.load(Relaxed);
        if open == 0 {
            return None;
        }
        self.saved_open.store(0, Relaxed);
        Some(!SignalSet::from_bits(open))
    }
}
