//! The older hand-over: a list of ATAGs.
//!
//! QEMU started without `-dtb` leaves one at 0x100, and so may firmware that finds no tree. Each tag is a
//! little-endian `u32` size in words (itself included), a `u32` name and its payload; `ATAG_CORE` comes first and
//! `ATAG_NONE` last (Linux `Documentation/arch/arm/booting.rst`, section 4a). Addresses are 32-bit.

use heapless::Vec;

use super::PhysRange;
use crate::addr::PhysAddr;

const NONE: u32 = 0;
const CORE: u32 = 0x5441_0001;
const MEM: u32 = 0x5441_0002;
const CMDLINE: u32 = 0x5441_0009;
const INITRD2: u32 = 0x5442_0005;

/// The most `ATAG_MEM` entries that are kept.
pub const MAX_MEMORY_RANGES: usize = 8;

/// What a tag list tells.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AtagFacts<'a> {
    /// Memory, in the order of the list.
    pub memory: Vec<PhysRange, MAX_MEMORY_RANGES>,
    /// The command line, up to its first NUL; `None` also where it is not UTF-8.
    pub command_line: Option<&'a str>,
    /// The initial ramdisk.
    pub initrd: Option<PhysRange>,
}

/// Why a tag list was refused. The offset counts bytes from the start of the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtagError {
    /// The list does not open with `ATAG_CORE` but with this name.
    NotATagList(u32),
    /// The tag at this offset is shorter than its header or payload.
    TagTooShort(usize),
    /// The bytes end at this offset, before `ATAG_NONE`.
    Truncated(usize),
    /// More than [`MAX_MEMORY_RANGES`] memory tags.
    TooManyMemoryRanges,
}

impl<'a> AtagFacts<'a> {
    /// Reads the list at the start of `bytes`; it must end within them.
    ///
    /// # Errors
    ///
    /// See [`AtagError`]. Unknown tags are skipped.
    pub fn read(bytes: &'a [u8]) -> Result<Self, AtagError> {
        let mut facts = Self::default();
        let mut rest = bytes;
        loop {
            let offset = bytes.len().saturating_sub(rest.len());
            let (size_words, after_size) = word(rest).ok_or(AtagError::Truncated(offset))?;
            let (name, payload) = word(after_size).ok_or(AtagError::Truncated(offset))?;
            if offset == 0 && name != CORE {
                return Err(AtagError::NotATagList(name));
            }
            if name == NONE {
                return Ok(facts);
            }
            let size_words = usize::try_from(size_words).map_err(|_| AtagError::Truncated(offset))?;
            let payload_bytes = size_words
                .checked_sub(2)
                .ok_or(AtagError::TagTooShort(offset))?
                .checked_mul(4)
                .ok_or(AtagError::Truncated(offset))?;
            let (payload, next) = payload.split_at_checked(payload_bytes).ok_or(AtagError::Truncated(offset))?;
            facts.take(name, payload).map_err(|error| error.unwrap_or(AtagError::TagTooShort(offset)))?;
            rest = next;
        }
    }

    /// Takes one tag in; `Err(None)` for a payload that is too short.
    fn take(&mut self, name: u32, payload: &'a [u8]) -> Result<(), Option<AtagError>> {
        match name {
            MEM => {
                let (bytes, rest) = word(payload).ok_or(None)?;
                let (start, _) = word(rest).ok_or(None)?;
                if bytes != 0 {
                    self.memory.push(range(start, bytes)).map_err(|_| Some(AtagError::TooManyMemoryRanges))?;
                }
            }
            INITRD2 => {
                let (start, rest) = word(payload).ok_or(None)?;
                let (bytes, _) = word(rest).ok_or(None)?;
                self.initrd = (bytes != 0).then(|| range(start, bytes));
            }
            CMDLINE => {
                let text = payload.split(|&byte| byte == 0).next().unwrap_or_default();
                self.command_line = core::str::from_utf8(text).ok();
            }
            _ => {}
        }
        Ok(())
    }
}

/// Two 32-bit numbers never overflow a 64-bit address.
fn range(start: u32, bytes: u32) -> PhysRange {
    PhysRange::from_size(PhysAddr::new(u64::from(start)), u64::from(bytes)).unwrap_or(PhysRange::EMPTY)
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*word), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    fn tag(name: u32, payload: &[u8]) -> Vec<u8> {
        let mut padded = payload.to_vec();
        padded.resize(payload.len().next_multiple_of(4), 0);
        let words = u32::try_from(padded.len() / 4 + 2).unwrap();
        [&words.to_le_bytes()[..], &name.to_le_bytes(), &padded].concat()
    }

    fn words(values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    /// The list that QEMU writes for `-kernel raw -initrd I -append …` (`hw/arm/boot.c`, `set_kernel_args`).
    fn qemu_list() -> Vec<u8> {
        [
            tag(CORE, &words(&[1, 0x1000, 0])),
            tag(MEM, &words(&[0x3c00_0000, 0])),
            tag(INITRD2, &words(&[0x0800_0000, 0x1234])),
            tag(CMDLINE, b"init=/bin/sh quiet\0"),
            words(&[0, NONE]),
        ]
        .concat()
    }

    fn range_of(start: u64, bytes: u64) -> PhysRange {
        PhysRange::from_size(PhysAddr::new(start), bytes).unwrap()
    }

    #[test]
    fn the_list_of_qemu_is_understood() {
        let list = qemu_list();
        let facts = AtagFacts::read(&list).unwrap();
        assert_eq!(facts.memory, [range_of(0, 0x3c00_0000)]);
        assert_eq!(facts.initrd, Some(range_of(0x0800_0000, 0x1234)));
        assert_eq!(facts.command_line, Some("init=/bin/sh quiet"));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let list = qemu_list();
        for len in 0..list.len() {
            assert!(AtagFacts::read(&list[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn a_list_must_open_with_core() {
        assert_eq!(AtagFacts::read(&words(&[0xd00d_feed, 7, 0, 0])), Err(AtagError::NotATagList(7)));
    }

    #[test]
    fn a_tag_of_size_zero_does_not_hang_the_boot() {
        let list = [tag(CORE, &[]), words(&[0, MEM]), words(&[0, 0])].concat();
        assert_eq!(AtagFacts::read(&list), Err(AtagError::TagTooShort(8)));
    }

    #[test]
    fn a_memory_tag_without_a_start_is_too_short() {
        let list = [tag(CORE, &[]), tag(MEM, &words(&[1])), words(&[0, 0])].concat();
        assert_eq!(AtagFacts::read(&list), Err(AtagError::TagTooShort(8)));
    }

    #[test]
    fn too_many_memory_tags_are_an_error() {
        let mut list = tag(CORE, &[]);
        for _ in 0..=MAX_MEMORY_RANGES {
            list.extend(tag(MEM, &words(&[4096, 0])));
        }
        assert_eq!(AtagFacts::read(&list), Err(AtagError::TooManyMemoryRanges));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 16 } else { 2000 }, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn no_damaged_list_panics(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let mut list = qemu_list();
            for (place, byte) in damage {
                let place = place.index(list.len());
                list[place] = byte;
            }
            let _ = AtagFacts::read(&list);
        }
    }
}
