//! Text that grows as long as there is memory for it.

use alloc::vec::Vec;
use core::fmt;

/// No text is longer: a process can have 65,530 areas, and a line of `maps` has about 100 bytes.
const MAX_BYTES: usize = 8 << 20;

/// Text. Writing to it fails where there is no memory, and never panics.
pub(super) struct Text {
    bytes: Vec<u8>,
    has_room: fn() -> bool,
}

impl Text {
    /// Empty; it grows while `has_room`.
    pub(super) const fn new(has_room: fn() -> bool) -> Self {
        Self { bytes: Vec::new(), has_room }
    }

    /// Appends bytes that are perhaps no text.
    pub(super) fn put(&mut self, bytes: &[u8]) -> fmt::Result {
        let spare = self.bytes.capacity().saturating_sub(self.bytes.len());
        if spare < bytes.len() {
            let fits = self.bytes.len().saturating_add(bytes.len()) <= MAX_BYTES;
            if !fits || !(self.has_room)() || self.bytes.try_reserve(bytes.len()).is_err() {
                return Err(fmt::Error);
            }
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// How many bytes were written.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What was written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes())
    }
}
