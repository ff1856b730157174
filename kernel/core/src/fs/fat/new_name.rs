//! A name that a file is to get: what it may be, and how it is written.

use heapless::Vec;

use super::name::{PLACES, checksum};
use super::slot::{self, LONG_NAME, SLOT_BYTES, Slot};
use crate::fs::error::FileError;

/// The most units of a long name.
const MOST_UNITS: usize = 255;
/// Numbers behind a `~` that are tried one after the other.
pub(super) const TAILS: u8 = 9;
/// The most entries of a file: its long name's, and its own.
pub(super) const MOST_SLOTS: usize = 21;
const SPACE: u8 = b' ';

/// The eleven bytes of a short name.
pub(super) type Short = [u8; 11];

/// A name, taken apart.
pub(super) struct NewName {
    units: Vec<u16, MOST_UNITS>,
    /// As near as eight and three letters can come.
    short: Short,
    fit: Fit,
}

/// How well a short name stands for the whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    /// It is the name.
    Exact,
    /// It is the name but for its case.
    Case,
    /// Something is missing.
    Lossy,
}

/// A name as programs give it, without the dots at its end, which mean nothing.
pub(super) fn trimmed(name: &[u8]) -> &[u8] {
    let length = name.iter().rposition(|&byte| byte != b'.').map_or(0, |last| last.saturating_add(1));
    name.get(..length).unwrap_or_default()
}

impl NewName {
    /// Takes `name` apart.
    ///
    /// # Errors
    ///
    /// [`NotFound`](FileError::NotFound) for nothing but dots, [`Invalid`](FileError::Invalid) for what cannot be written,
    /// [`NameTooLong`](FileError::NameTooLong).
    pub(super) fn parse(name: &[u8]) -> Result<Self, FileError> {
        let name = core::str::from_utf8(trimmed(name)).map_err(|_| FileError::Invalid)?;
        if name.is_empty() {
            return Err(FileError::NotFound);
        }
        if name.ends_with(' ') || name.chars().any(|letter| letter < ' ' || "\"*/:<>?\\|\x7f".contains(letter)) {
            return Err(FileError::Invalid);
        }
        let mut units = Vec::new();
        for unit in name.encode_utf16() {
            units.push(unit).map_err(|_| FileError::NameTooLong)?;
        }
        let (short, fit) = shorten(name);
        Ok(Self { units, short, fit })
    }

    pub(super) const fn short(&self) -> &Short {
        &self.short
    }

    pub(super) const fn fit(&self) -> Fit {
        self.fit
    }

    /// How many entries it takes, with the file's own.
    pub(super) fn slots(&self) -> u64 {
        match self.fit {
            Fit::Exact => 1,
            Fit::Case | Fit::Lossy => (self.units.len().div_ceil(PLACES.len()) as u64).saturating_add(1),
        }
    }

    /// The short name with `~` and a digit.
    pub(super) fn with_tail(&self, digit: u8) -> Short {
        let length = self.base().min(6);
        tailed(&self.short, length, &[], digit)
    }

    /// Another one, for directories where many names are alike: some letters of a sum of the name are in it.
    pub(super) fn with_sum(&self, attempt: u32) -> Short {
        let sum = self.units.iter().fold(attempt.wrapping_mul(0x9e37_79b9), |sum, unit| {
            (sum ^ u32::from(*unit)).wrapping_mul(0x0100_0193).rotate_left(5)
        });
        let digit = |shift: u32| {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            DIGITS.get((sum >> shift & 15) as usize).copied().unwrap_or(b'0')
        };
        tailed(&self.short, self.base().min(2), &[digit(4), digit(8), digit(12), digit(16)], 1)
    }

    /// Whether an entry of this name may have this short one.
    pub(super) fn may_have(&self, short: &Short) -> bool {
        let (base, extension) = short.split_at(8);
        let (own, own_extension) = self.short.split_at(8);
        let begins = || own.iter().zip(base).take(self.base().min(2)).all(|(own, other)| own == other);
        extension == own_extension && (base == own || base.contains(&b'~') && begins())
    }

    /// The letters before the dot.
    fn base(&self) -> usize {
        self.short.iter().take(8).position(|&byte| byte == SPACE).unwrap_or(8)
    }

    /// The entry that is `before` entries before the file's own, at least 1, with part of the long name.
    pub(super) fn part(&self, before: u64, short: &Short) -> Slot {
        const LAST: u8 = 0x40;
        let mut part = [0; SLOT_BYTES];
        let skipped = usize::try_from(before.saturating_sub(1)).unwrap_or(0).saturating_mul(PLACES.len());
        // The name, a zero if there is room, and ones.
        let units = self.units.iter().copied().chain([0]).chain(core::iter::repeat(u16::MAX)).skip(skipped);
        for (at, unit) in PLACES.into_iter().zip(units) {
            slot::put_half(&mut part, at, unit);
        }
        let is_last = before.saturating_add(1) == self.slots();
        let order = u8::try_from(before).unwrap_or(0) | if is_last { LAST } else { 0 };
        if let Some(place) = part.first_mut() {
            *place = order;
        }
        slot::set_attributes(&mut part, LONG_NAME);
        if let Some(place) = part.get_mut(13) {
            *place = checksum(short);
        }
        part
    }
}

/// The short name that is nearest, and how near it is.
fn shorten(name: &str) -> (Short, Fit) {
    let mut short = [SPACE; 11];
    let without_dots = name.trim_start_matches('.');
    let mut lossy = without_dots.len() != name.len();
    let mut changed = false;
    let (base, extension) = without_dots.rsplit_once('.').unwrap_or((without_dots, ""));
    let (base_place, extension_place) = short.split_at_mut(8);
    for (part, place) in [(base, base_place), (extension, extension_place)] {
        let mut places = place.iter_mut();
        for letter in part.chars() {
            let letter = match u8::try_from(letter).ok().filter(u8::is_ascii) {
                Some(b' ' | b'.') => {
                    lossy = true;
                    continue;
                }
                Some(b'[' | b']' | b';' | b',' | b'+' | b'=') | None => {
                    lossy = true;
                    b'_'
                }
                Some(letter) => {
                    changed |= letter.is_ascii_lowercase();
                    letter.to_ascii_uppercase()
                }
            };
            match places.next() {
                Some(place) => *place = letter,
                None => lossy = true,
            }
        }
    }
    if short.first() == Some(&SPACE) {
        // Nothing but an extension, or letters that are left out.
        lossy = true;
        if let Some(place) = short.first_mut() {
            *place = b'_';
        }
    }
    let fit = match (lossy, changed) {
        (true, _) => Fit::Lossy,
        (false, true) => Fit::Case,
        (false, false) => Fit::Exact,
    };
    (short, fit)
}

/// The first `keep` letters of `short`, `more` and a tail of `~` and a digit; the extension stays.
fn tailed(short: &Short, keep: usize, more: &[u8], digit: u8) -> Short {
    let mut tailed = *short;
    let (base, _) = tailed.split_at_mut(8);
    let tail = more.iter().copied().chain([b'~', b'0'.saturating_add(digit)]);
    let rest = tail.chain(core::iter::repeat(SPACE));
    for (place, letter) in base.iter_mut().skip(keep).zip(rest) {
        *place = letter;
    }
    tailed
}

/// Which digit `there` has behind a `~`, if it is otherwise what `name` would be with one.
pub(super) fn tail_of(there: &Short, name: &NewName) -> Option<u8> {
    (1..=TAILS).find(|&digit| name.with_tail(digit) == *there)
}
