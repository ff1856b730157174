//! Names: eleven bytes, or up to 255 units of UTF-16 in entries before those.

use heapless::Vec;

use crate::fs::path::NAME_MAX;

/// A name as programs see it: UTF-8.
pub(super) type Name = Vec<u8, NAME_MAX>;

/// Units in an entry, and where they are.
pub(super) const PLACES: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
/// The most entries of a name.
pub(super) const MOST_PARTS: usize = 20;
const MOST_UNITS: usize = MOST_PARTS * PLACES.len();

/// How far the parts of a long name have come: from the last to the first.
pub(super) struct Sequence {
    /// The number of the part that was seen last, 1 being the last of all; 0 for none.
    part: usize,
    sum: u8,
}

/// What a part is to those before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// The first that comes of a name that has so many.
    First(usize),
    /// The one with this number, which was to come.
    Next(usize),
    /// Of no name: nor is what came before it.
    Stray,
}

impl Sequence {
    pub(super) const fn new() -> Self {
        Self { part: 0, sum: 0 }
    }

    /// What came so far belongs to nothing.
    pub(super) fn forget(&mut self) {
        self.part = 0;
    }

    /// Takes a part.
    pub(super) fn take(&mut self, entry: &[u8; 32]) -> Came {
        const LAST: u8 = 0x40;
        let [order, ..] = *entry;
        let sum = entry.get(13).copied().unwrap_or_default();
        let number = usize::from(order & !LAST);
        let begins = order & LAST != 0;
        let follows = self.part.checked_sub(1) == Some(number) && self.sum == sum;
        if number == 0 || number > MOST_PARTS || !(begins || follows) {
            self.forget();
            return Came::Stray;
        }
        (self.part, self.sum) = (number, sum);
        if begins { Came::First(number) } else { Came::Next(number) }
    }

    /// Whether all parts have come, and belong to the entry with this short name.
    pub(super) fn belongs_to(&self, short: &[u8; 11]) -> bool {
        self.part == 1 && self.sum == checksum(short)
    }
}

/// A long name on its way.
pub(super) struct LongName {
    units: [u16; MOST_UNITS],
    sequence: Sequence,
    parts: usize,
}

impl LongName {
    pub(super) const fn new() -> Self {
        Self { units: [0; MOST_UNITS], sequence: Sequence::new(), parts: 0 }
    }

    /// What came so far belongs to nothing.
    pub(super) fn forget(&mut self) {
        self.sequence.forget();
    }

    /// Takes a part.
    pub(super) fn take(&mut self, entry: &[u8; 32]) {
        let number = match self.sequence.take(entry) {
            Came::First(number) => {
                self.parts = number;
                number
            }
            Came::Next(number) => number,
            Came::Stray => return,
        };
        let first = number.saturating_sub(1).saturating_mul(PLACES.len());
        for (unit, at) in self.units.iter_mut().skip(first).zip(PLACES) {
            *unit = entry.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |unit| u16::from_le_bytes(*unit));
        }
    }

    /// In how many entries it is.
    pub(super) const fn parts(&self) -> u64 {
        self.parts as u64
    }

    /// The name, if it is whole and belongs to the entry with this short name.
    pub(super) fn finish(&mut self, short: &[u8; 11]) -> Option<Name> {
        let whole = self.sequence.belongs_to(short);
        self.forget();
        let length = self.parts.saturating_mul(PLACES.len());
        let units = self.units.get(..length).filter(|_| whole)?;
        let end = units.iter().position(|&unit| unit == 0).unwrap_or(length);
        let mut name = Name::new();
        for letter in char::decode_utf16(units.get(..end)?.iter().copied()) {
            let letter = letter.unwrap_or(char::REPLACEMENT_CHARACTER);
            name.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()).ok()?;
        }
        is_name(&name).then_some(name)
    }
}

/// What the parts of a long name say of the short one.
pub(super) fn checksum(short: &[u8; 11]) -> u8 {
    short.iter().fold(0_u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte))
}

/// The name that the eleven bytes are: eight, a dot, three. `lower` has bit 3 set where the first part, bit 4 where the
/// second is in small letters.
pub(super) fn short_name(short: &[u8; 11], lower: u8) -> Option<Name> {
    let (base, extension) = short.split_at(8);
    let mut name = Name::new();
    put(&mut name, base, lower & 8 != 0);
    if extension.iter().any(|&byte| byte != b' ') {
        name.push(b'.').ok()?;
        put(&mut name, extension, lower & 16 != 0);
    }
    // A name that begins with the mark of what was removed.
    if let Some(first) = name.first_mut().filter(|first| **first == 0x05) {
        *first = b'_';
    }
    is_name(&name).then_some(name)
}

/// Puts what is before the padding. What is not ASCII is in a code page that nobody tells.
fn put(name: &mut Name, part: &[u8], lower: bool) {
    let length = part.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last.saturating_add(1));
    for &byte in part.iter().take(length) {
        let byte = if byte.is_ascii() { byte } else { b'_' };
        // Twelve bytes fit.
        let _fits = name.push(if lower { byte.to_ascii_lowercase() } else { byte });
    }
}

/// Whether this can be a name in a directory.
fn is_name(name: &[u8]) -> bool {
    let allowed = |&byte: &u8| byte >= b' ' && byte != b'/' && byte != 0x7f;
    !name.is_empty() && name != b"." && name != b".." && name.iter().all(allowed)
}

/// Whether two names are the same but for their case.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    match (core::str::from_utf8(one), core::str::from_utf8(other)) {
        (Ok(one), Ok(other)) => one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase)),
        _ => false,
    }
}
