//! A `ChaCha20` generator with fast key erasure.
//!
//! The generator makes 256 bytes of key stream at a time. The first 32 become the next key *before* any other byte is
//! used, the rest is handed out, and each byte is erased as it goes. So whoever reads the kernel's memory learns nothing
//! of earlier output (D. J. Bernstein, "Fast-key-erasure random-number generators", 2017). A long request draws a key of
//! its own from the stream and leaves the buffer alone.

use core::convert::Infallible;
use core::fmt;
use core::hint::black_box;

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};

/// A `ChaCha20` key.
pub type Key = [u8; KEY_BYTES];

const KEY_BYTES: usize = 32;
/// What the backend makes at a time: four blocks.
const STREAM_BYTES: usize = 256;
const BUFFER_BYTES: usize = STREAM_BYTES - KEY_BYTES;

/// A cryptographically secure generator. Infallible once it exists: it cannot be made without a key.
pub struct Generator {
    key: Key,
    /// Key stream; the bytes before `used` are zero.
    buffer: [u8; BUFFER_BYTES],
    used: usize,
}

impl Generator {
    /// A generator whose output is determined by `key`, which the caller forgets.
    #[must_use]
    pub const fn new(key: Key) -> Self {
        Self { key, buffer: [0; BUFFER_BYTES], used: BUFFER_BYTES }
    }

    /// A key for another generator; from now on neither tells anything of the other.
    #[must_use]
    pub fn child_key(&mut self) -> Key {
        let mut key = [0; KEY_BYTES];
        self.fill(&mut key);
        key
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        if out.len() > BUFFER_BYTES {
            stream(self.child_key(), &mut [out]);
            return;
        }
        let mut rest = out;
        while !rest.is_empty() {
            if self.used == BUFFER_BYTES {
                self.refill();
            }
            let available = &mut self.buffer[self.used..];
            let count = available.len().min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(&available[..count]);
            erase(&mut available[..count]);
            self.used += count;
            rest = later;
        }
    }

    /// A random number.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        u64::from_le_bytes(self.next_bytes())
    }

    /// So few bytes that no call is worth it: as [`fill`](Self::fill), which sees to it where the buffer does not have
    /// them all.
    #[inline]
    fn next_bytes<const N: usize>(&mut self) -> [u8; N] {
        let Some(place) = self.buffer.get_mut(self.used..).and_then(<[u8]>::first_chunk_mut) else {
            return self.next_bytes_of_two();
        };
        let bytes = *place;
        *place = [0; N];
        black_box(place);
        self.used += N;
        bytes
    }

    /// Some of the bytes, or all of them, are yet to be made.
    #[cold]
    #[inline(never)]
    fn next_bytes_of_two<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A number from 0 to `bound` - 1, each as likely as the others; 0 where `bound` is 0 or 1, as in
    /// `arc4random_uniform`(3).
    ///
    /// The high half of a random number times `bound` is it, unless the low half falls among the 2⁶⁴ mod `bound` values
    /// that would favour some results; then the draw is repeated (D. Lemire, "Fast Random Integer Generation in an
    /// Interval", 2019). That happens in less than half of all cases, and hardly ever for a small bound.
    #[inline]
    pub fn uniform(&mut self, bound: u64) -> u64 {
        if let Ok(bound) = u32::try_from(bound) {
            return self.uniform_below(bound);
        }
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            #[expect(clippy::cast_possible_truncation, reason = "the halves are what is asked for")]
            let (high, low) = ((product >> 64) as u64, product as u64);
            // The remainder is below `bound`, so a low half from there on needs no division.
            if low >= bound || low >= bound.wrapping_neg().checked_rem(bound).unwrap_or(0) {
                return high;
            }
        }
    }

    /// The same for a bound that needs half the bytes.
    #[inline]
    fn uniform_below(&mut self, bound: u32) -> u64 {
        loop {
            let product = u64::from(u32::from_le_bytes(self.next_bytes())) * u64::from(bound);
            let (high, low) = (product >> 32, product & u64::from(u32::MAX));
            if low >= u64::from(bound) || low >= u64::from(bound.wrapping_neg().checked_rem(bound).unwrap_or(0)) {
                return high;
            }
        }
    }

    /// Replaces the key, then the buffer: no byte of it follows from an earlier key.
    pub(super) fn rekey(&mut self, key: Key) {
        self.key = key;
        erase(&mut self.buffer);
        self.used = BUFFER_BYTES;
    }

    fn refill(&mut self) {
        let mut next_key = [0; KEY_BYTES];
        stream(self.key, &mut [&mut next_key, &mut self.buffer]);
        self.key = next_key;
        erase(&mut next_key);
        self.used = 0;
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        erase(&mut self.key);
        erase(&mut self.buffer);
    }
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.next_bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next_u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Generator {}

/// Shows nothing of the state.
impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator").finish_non_exhaustive()
    }
}

/// Writes the key stream of `key` into the parts of `out`, one after another. Each part but the last has a multiple of
/// four bytes: the backend discards the rest of a word.
fn stream(mut key: Key, out: &mut [&mut [u8]]) {
    let mut cipher = ChaCha20Rng::from_seed(key);
    for part in out {
        cipher.fill_bytes(part);
    }
    // The cipher holds the key and up to four blocks of the stream. Put something else in their place.
    cipher = ChaCha20Rng::from_seed([0; KEY_BYTES]);
    black_box(&mut cipher);
    erase(&mut key);
}

/// Zeroes that the compiler may not leave out.
pub(super) fn erase(bytes: &mut [u8]) {
    bytes.fill(0);
    black_box(bytes);
}

#[cfg(all(test, not(loom)))]
mod tests;
