//! What was typed and not read: whole lines in front, the one that is being edited behind them.

use alloc::vec::Vec;

/// Bytes that wait to be read, and so the most that a line has, its end with it.
pub(super) const CAPACITY: usize = 4096;
/// Words of [`Input::ends`].
const WORDS: usize = CAPACITY / 64;

/// A ring. Positions run freely; `tail <= edited <= head`.
pub(super) struct Input {
    bytes: Vec<u8>,
    /// Which bytes end a line, a bit each. A byte of 0 that does is the end of the file, and is not read.
    ends: [u64; WORDS],
    /// The first byte that was not read.
    tail: usize,
    /// Where the line begins that is being edited.
    edited: usize,
    head: usize,
}

/// What a read gets of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    /// Bytes for the reader.
    pub(super) bytes: usize,
    /// Bytes that have been read with them: the end of the file is one that nobody gets.
    pub(super) read: usize,
    /// Whether the line ends there.
    pub(super) ends: bool,
}

impl Input {
    /// An empty one; `None` without memory.
    pub(super) fn new() -> Option<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(CAPACITY).ok()?;
        bytes.resize(CAPACITY, 0);
        Some(Self { bytes, ends: [0; WORDS], tail: 0, edited: 0, head: 0 })
    }

    /// Everything that was not read.
    pub(super) const fn len(&self) -> usize {
        self.head.wrapping_sub(self.tail)
    }

    /// What whole lines have.
    pub(super) const fn lines_len(&self) -> usize {
        self.edited.wrapping_sub(self.tail)
    }

    /// What the line has that is being edited.
    pub(super) const fn edited_len(&self) -> usize {
        self.head.wrapping_sub(self.edited)
    }

    /// Whether a byte can be taken in. One place is kept for the end of a line; a line that fills everything is so long that
    /// its last byte is replaced.
    pub(super) const fn has_room(&self, canonical: bool) -> bool {
        self.len() < CAPACITY.saturating_sub(1) || (canonical && self.lines_len() == 0)
    }

    /// Adds a byte to the line being edited.
    pub(super) fn push(&mut self, byte: u8) {
        if self.len() >= CAPACITY {
            self.head = self.head.wrapping_sub(1);
        }
        let at = self.head;
        if let Some(place) = self.bytes.get_mut(at % CAPACITY) {
            *place = byte;
        }
        self.mark(at, false);
        self.head = at.wrapping_add(1);
    }

    /// Adds a byte and ends the line with it.
    pub(super) fn push_end(&mut self, byte: u8) {
        self.push(byte);
        self.end_here();
    }

    /// Takes the last byte of the line being edited back.
    pub(super) fn pop(&mut self) -> Option<u8> {
        if self.edited_len() == 0 {
            return None;
        }
        self.head = self.head.wrapping_sub(1);
        Some(self.at(self.head))
    }

    /// The line being edited.
    pub(super) fn edited(&self) -> impl Iterator<Item = u8> {
        (0..self.edited_len()).map(|index| self.edited_at(index))
    }

    /// The byte at this place of the line being edited.
    pub(super) fn edited_at(&self, index: usize) -> u8 {
        self.at(self.edited.wrapping_add(index))
    }

    /// Forgets the line being edited.
    pub(super) fn kill(&mut self) {
        self.head = self.edited;
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.head = self.tail;
        self.edited = self.tail;
    }

    /// From here on there are lines: what was typed before is one.
    pub(super) fn begin_lines(&mut self) {
        self.ends = [0; WORDS];
        self.edited = self.tail;
        if self.len() > 0 {
            self.end_here();
        }
    }

    /// From here on there are none, and everything can be read.
    pub(super) fn end_lines(&mut self) {
        self.ends = [0; WORDS];
        self.edited = self.tail;
    }

    /// Shows the front of the first line, as much as `buffer` holds.
    pub(super) fn look_at_line(&self, buffer: &mut [u8]) -> Piece {
        let mut piece = Piece { bytes: 0, read: 0, ends: false };
        let mut places = buffer.iter_mut();
        while piece.read < self.lines_len() {
            let at = self.tail.wrapping_add(piece.read);
            let (byte, ends) = (self.at(at), self.is_end(at));
            let read = piece.read.wrapping_add(1);
            if ends && byte == 0 {
                return Piece { read, ends, ..piece };
            }
            let Some(place) = places.next() else { break };
            *place = byte;
            piece = Piece { bytes: piece.bytes.wrapping_add(1), read, ends };
            if ends {
                break;
            }
        }
        piece
    }

    /// Shows what there is, lines or not, as much as `buffer` holds.
    pub(super) fn look(&self, buffer: &mut [u8]) -> Piece {
        let mut bytes = 0_usize;
        for (index, place) in (0..self.len()).zip(buffer) {
            *place = self.at(self.tail.wrapping_add(index));
            bytes = bytes.wrapping_add(1);
        }
        Piece { bytes, read: bytes, ends: false }
    }

    /// The first `count` bytes were read.
    pub(super) fn skip(&mut self, count: usize) {
        let count = count.min(self.len());
        self.tail = self.tail.wrapping_add(count);
        if self.edited_len() > self.len() {
            self.edited = self.tail;
        }
    }

    /// Bytes of whole lines that somebody would get.
    pub(super) fn readable_of_lines(&self) -> usize {
        let is_end_of_file = |&at: &usize| self.is_end(at) && self.at(at) == 0;
        (0..self.lines_len()).map(|index| self.tail.wrapping_add(index)).filter(|at| !is_end_of_file(at)).count()
    }

    fn end_here(&mut self) {
        self.mark(self.head.wrapping_sub(1), true);
        self.edited = self.head;
    }

    fn at(&self, position: usize) -> u8 {
        self.bytes.get(position % CAPACITY).copied().unwrap_or(0)
    }

    fn is_end(&self, position: usize) -> bool {
        let place = position % CAPACITY;
        self.ends.get(place / 64).is_some_and(|word| word & bit(place) != 0)
    }

    fn mark(&mut self, position: usize, end: bool) {
        let place = position % CAPACITY;
        if let Some(word) = self.ends.get_mut(place / 64) {
            *word = if end { *word | bit(place) } else { *word & !bit(place) };
        }
    }
}

const fn bit(place: usize) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "it is below 64")]
    let place = (place % 64) as u32;
    1_u64.rotate_left(place)
}
