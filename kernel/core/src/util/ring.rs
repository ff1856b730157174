//! A lock-free ring of bytes between one writer and one reader, in which a frame arrives whole or not at all.
//!
//! Two users: the UART's interrupt handler feeds the console's reader a byte at a time, and each CPU feeds its trace
//! frames to whoever drains them. A writer begins a frame, pushes pieces of it without knowing how long it will
//! become, and commits; what does not fit is dropped as a whole and counted, for half a trace frame is worse than none.
//!
//! There is one writer and one reader at a time, by construction: [`Ring::writer`] and [`Ring::reader`] lend the two
//! ends out and return `None` while they are lent. A trace of a trace, from an interrupt handler within the writer's
//! frame, is thereby refused and not garbled.
//!
//! The storage is an array of atomic bytes, so the ring is free of `unsafe`. Single-byte stores cost nothing here: a
//! trace frame has about ten bytes. The positions run freely and wrap; `N` is a power of two, which keeps
//! `position % N` continuous at the wrap.
//!
//! Ordering: `head` is stored with Release after the bytes below it and loaded with Acquire before they are read, and
//! `tail` likewise in the other direction, so neither end touches a byte that the other still works on. The loom model
//! at the end of the file checks just that.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize};

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize};

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The ring; `N` bytes, a power of two.
pub struct Ring<const N: usize> {
    bytes: [AtomicU8; N],
    /// One past the last committed byte. Stored by the writer only.
    head: AtomicUsize,
    /// The first byte not yet read. Stored by the reader only.
    tail: AtomicUsize,
    /// Frames that did not fit. Added to by the writer only.
    lost: AtomicU32,
    writer_lent: AtomicBool,
    reader_lent: AtomicBool,
}

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Commit {
    /// The reader can see it.
    Written,
    /// It did not fit: no byte of it was written, and [`Ring::lost`] has counted it.
    Lost,
}

impl<const N: usize> Ring<N> {
    /// An empty ring.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N.is_power_of_two(), "a ring's size is a power of two") };
        Self {
            bytes: [const { AtomicU8::new(0) }; N],
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            lost: AtomicU32::new(0),
            writer_lent: AtomicBool::new(false),
            reader_lent: AtomicBool::new(false),
        }
    }

    /// An empty ring.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: core::array::from_fn(|_| AtomicU8::new(0)),
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            lost: AtomicU32::new(0),
            writer_lent: AtomicBool::new(false),
            reader_lent: AtomicBool::new(false),
        }
    }

    /// The writing end, unless somebody has it.
    pub fn writer(&self) -> Option<Writer<'_, N>> {
        // Acquire and the Release in `drop`: the next writer sees where the last one stopped.
        (!self.writer_lent.swap(true, Acquire)).then_some(Writer { ring: self })
    }

    /// The reading end, unless somebody has it.
    pub fn reader(&self) -> Option<Reader<'_, N>> {
        (!self.reader_lent.swap(true, Acquire)).then_some(Reader { ring: self })
    }

    /// How many frames did not fit since the ring was made; wraps.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.lost.load(Relaxed)
    }

    fn slot(&self, position: usize) -> &AtomicU8 {
        &self.bytes[position % N]
    }
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The writing end of a [`Ring`]; given back when dropped.
pub struct Writer<'a, const N: usize> {
    ring: &'a Ring<N>,
}

impl<'a, const N: usize> Writer<'a, N> {
    /// Begins a frame. It is written nowhere until it is committed; dropping it drops the frame.
    pub fn begin<'w>(&'w mut self) -> FrameWriter<'w, 'a, N> {
        let start = self.ring.head.load(Relaxed);
        let limit = self.ring.tail.load(Acquire).wrapping_add(N);
        FrameWriter { writer: self, position: start, limit, fits: true }
    }

    /// Writes one frame.
    pub fn write(&mut self, frame: &[u8]) -> Commit {
        let mut writer = self.begin();
        writer.push(frame);
        writer.commit()
    }
}

impl<const N: usize> Drop for Writer<'_, N> {
    fn drop(&mut self) {
        self.ring.writer_lent.store(false, Release);
    }
}

/// A frame that is being written.
#[must_use = "a frame that is not committed is dropped"]
pub struct FrameWriter<'w, 'a, const N: usize> {
    writer: &'w mut Writer<'a, N>,
    /// Where the next byte goes; beyond the ring's `head` by what was pushed.
    position: usize,
    /// Where the reader's bytes begin, one lap on.
    limit: usize,
    fits: bool,
}

impl<const N: usize> FrameWriter<'_, '_, N> {
    /// Appends `piece` to the frame. Once a piece did not fit, the frame is lost and the rest of it ignored.
    pub fn push(&mut self, piece: &[u8]) {
        self.fits = self.fits && piece.len() <= self.limit.wrapping_sub(self.position);
        if !self.fits {
            return;
        }
        for &byte in piece {
            self.writer.ring.slot(self.position).store(byte, Relaxed);
            self.position = self.position.wrapping_add(1);
        }
    }

    /// Shows the whole frame to the reader, or counts it lost.
    pub fn commit(self) -> Commit {
        let ring = self.writer.ring;
        if self.fits {
            ring.head.store(self.position, Release);
            Commit::Written
        } else {
            // Only the one writer adds, so this needs no read-modify-write.
            ring.lost.store(ring.lost.load(Relaxed).wrapping_add(1), Relaxed);
            Commit::Lost
        }
    }
}

/// The reading end of a [`Ring`]; given back when dropped.
pub struct Reader<'a, const N: usize> {
    ring: &'a Ring<N>,
}

impl<const N: usize> Reader<'_, N> {
    /// How many bytes can be read now. More may come at any time, none goes.
    #[must_use]
    pub fn available(&self) -> usize {
        self.ring.head.load(Acquire).wrapping_sub(self.ring.tail.load(Relaxed))
    }

    /// Moves up to `into.len()` bytes out of the ring and returns how many.
    pub fn read(&mut self, into: &mut [u8]) -> usize {
        let tail = self.ring.tail.load(Relaxed);
        let count = self.available().min(into.len());
        for (position, byte) in into.iter_mut().take(count).enumerate() {
            *byte = self.ring.slot(tail.wrapping_add(position)).load(Relaxed);
        }
        self.ring.tail.store(tail.wrapping_add(count), Release);
        count
    }

    /// Takes one byte.
    pub fn pop(&mut self) -> Option<u8> {
        let mut byte = [0];
        (self.read(&mut byte) == 1).then_some(byte[0])
    }
}

impl<const N: usize> Drop for Reader<'_, N> {
    fn drop(&mut self) {
        self.ring.reader_lent.store(false, Release);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        let ring = Ring::<8>::new();
        let (mut writer, mut reader) = (ring.writer().unwrap(), ring.reader().unwrap());
        for lap in 0..10u8 {
            assert_eq!(writer.write(&[lap, lap + 1, lap + 2]), Commit::Written);
            assert_eq!([reader.pop(), reader.pop(), reader.pop()], [Some(lap), Some(lap + 1), Some(lap + 2)]);
        }
        assert_eq!(reader.pop(), None);
    }

    #[test]
    fn a_frame_that_does_not_fit_leaves_no_byte_and_is_counted() {
        let ring = Ring::<4>::new();
        let (mut writer, mut reader) = (ring.writer().unwrap(), ring.reader().unwrap());
        assert_eq!(writer.write(b"abc"), Commit::Written);
        assert_eq!(writer.write(b"de"), Commit::Lost);
        assert_eq!(writer.write(b"f"), Commit::Written);
        assert_eq!(ring.lost(), 1);
        let mut out = [0; 8];
        assert_eq!(reader.read(&mut out), 4);
        assert_eq!(&out[..4], b"abcf");
    }

    #[test]
    fn a_lost_frame_stays_lost_when_a_later_piece_would_fit() {
        let ring = Ring::<4>::new();
        let mut writer = ring.writer().unwrap();
        let mut frame = writer.begin();
        frame.push(b"12345");
        frame.push(b"6");
        assert_eq!(frame.commit(), Commit::Lost);
        assert_eq!(ring.reader().unwrap().available(), 0);
    }

    #[test]
    fn a_frame_is_invisible_until_it_is_committed() {
        let ring = Ring::<8>::new();
        let (mut writer, mut reader) = (ring.writer().unwrap(), ring.reader().unwrap());
        let mut frame = writer.begin();
        frame.push(b"ab");
        assert_eq!(reader.available(), 0);
        drop(frame);
        assert_eq!((reader.pop(), ring.lost()), (None, 0));
    }

    #[test]
    fn each_end_is_lent_once_at_a_time() {
        let ring = Ring::<2>::new();
        let writer = ring.writer();
        assert!(writer.is_some() && ring.writer().is_none() && ring.reader().is_some());
        drop(writer);
        assert!(ring.writer().is_some());
    }

    #[test]
    fn positions_may_wrap() {
        let ring = Ring::<4>::new();
        let near_the_end = usize::MAX - 1;
        ring.head.store(near_the_end, Relaxed);
        ring.tail.store(near_the_end, Relaxed);
        assert_eq!(ring.writer().unwrap().write(b"wrap"), Commit::Written);
        assert_eq!(ring.writer().unwrap().write(b"x"), Commit::Lost);
        let mut out = [0; 4];
        assert_eq!(ring.reader().unwrap().read(&mut out), 4);
        assert_eq!(&out, b"wrap");
    }

    #[test]
    fn two_threads_pass_every_committed_frame_whole() {
        const FRAMES: u32 = if cfg!(miri) { 50 } else { 20_000 };
        let ring = Ring::<64>::new();
        // Losing is no reason to stop: a frame is tried again until the reader has made room.
        let insist = |writer: &mut Writer<'_, 64>, frame: &[u8]| {
            while writer.write(frame) == Commit::Lost {
                std::thread::yield_now();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = ring.writer().unwrap();
                (0..FRAMES).for_each(|n| insist(&mut writer, &n.to_le_bytes()));
            });
            let mut reader = ring.reader().unwrap();
            for n in 0..FRAMES {
                while reader.available() < 4 {
                    std::thread::yield_now();
                }
                let mut frame = [0; 4];
                assert_eq!(reader.read(&mut frame), 4);
                assert_eq!(u32::from_le_bytes(frame), n);
            }
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            // No file of past failures: Miri has no file system.
            failure_persistence: None,
            ..ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 })
        })]

        #[test]
        fn a_ring_is_a_bounded_queue_of_frames(
            steps in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..12)), 1..60)
        ) {
            let ring = Ring::<16>::new();
            let (mut writer, mut reader) = (ring.writer().unwrap(), ring.reader().unwrap());
            let (mut queue, mut lost) = (VecDeque::new(), 0);
            for (write, bytes) in steps {
                if write && queue.len() + bytes.len() <= 16 {
                    prop_assert_eq!(writer.write(&bytes), Commit::Written);
                    queue.extend(bytes);
                } else if write {
                    prop_assert_eq!(writer.write(&bytes), Commit::Lost);
                    lost += 1;
                } else {
                    let mut out = bytes;
                    let count = reader.read(&mut out);
                    prop_assert_eq!(count, out.len().min(queue.len()));
                    prop_assert!(out[..count].iter().copied().eq(queue.drain(..count)));
                }
                prop_assert_eq!(reader.available(), queue.len());
                prop_assert_eq!(ring.lost(), lost);
            }
        }
    }
}

#[cfg(test)]
#[cfg(loom)]
mod loom_tests {
    use super::*;

    /// Two frames through a ring that holds one and a half: each arrives whole, in order, or is counted lost.
    #[test]
    fn frames_arrive_whole_or_not_at_all() {
        loom::model(|| {
            let ring = loom::sync::Arc::new(Ring::<4>::new());
            let far = ring.clone();
            let writer = loom::thread::spawn(move || {
                let mut writer = far.writer().unwrap();
                [writer.write(&[1, 2, 3]), writer.write(&[4, 5, 6])]
            });
            let mut out = [0; 6];
            let mut count = 0;
            {
                let mut reader = ring.reader().unwrap();
                count += reader.read(&mut out[count..]);
                count += reader.read(&mut out[count..]);
            }
            let written = writer.join().unwrap();
            count += ring.reader().unwrap().read(&mut out[count..]);
            let lost = u32::from(written[1] == Commit::Lost);
            assert_eq!(written[0], Commit::Written);
            assert_eq!(ring.lost(), lost);
            assert_eq!(&out[..count], if lost == 1 { &[1, 2, 3][..] } else { &[1, 2, 3, 4, 5, 6] });
        });
    }

    /// The writing end handed from one CPU to the other: the second goes on where the first stopped.
    #[test]
    fn the_writing_end_can_change_hands() {
        loom::model(|| {
            let ring = loom::sync::Arc::new(Ring::<4>::new());
            let far = ring.clone();
            let other = loom::thread::spawn(move || far.writer().map(|mut w| w.write(&[1])).is_some());
            let mine = ring.writer().map(|mut w| w.write(&[1])).is_some();
            let sum = usize::from(mine) + usize::from(other.join().unwrap());
            assert_eq!(ring.reader().unwrap().available(), sum);
            assert!(sum >= 1);
        });
    }
}
