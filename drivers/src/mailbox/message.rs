//! A property message: the words that CPU and firmware exchange, for one tag.
//!
//! | word | request | answer |
//! |---|---|---|
//! | 0 | size of the message in bytes | |
//! | 1 | 0 | 0x80000000, or 0x80000001 where the message made no sense |
//! | 2 | the tag | |
//! | 3 | size of the value in bytes, the larger of request and answer | |
//! | 4 | 0 | bit 31 and the length of the answer in bytes |
//! | 5… | the value | the value |
//! | last | 0: no more tags | |

use super::PropertyError;

/// Memory that the CPU and firmware both reach, for one message at a time.
///
/// It is made of ordinary words to the driver. The kernel that implements this owns the cache maintenance; both methods
/// are complete (`dsb sy`) when they return.
pub trait MessageBuffer {
    /// The physical address of the first word: a multiple of [`BUFFER_ALIGN`](super::BUFFER_ALIGN), below 1 GiB.
    fn physical_address(&self) -> u32;

    /// The words as the CPU sees them. Whatever the length, the memory occupies whole cache lines.
    fn words(&mut self) -> &mut [u32];

    /// Writes the CPU's view back to memory (`dc cvac`), before firmware reads it.
    fn clean(&mut self);

    /// Forgets the CPU's view (`dc ivac`, or `dc civac` once the buffer was cleaned), after firmware wrote.
    fn invalidate(&mut self);
}

const SUCCESS: u32 = 0x8000_0000;
const ANSWERED: u32 = 1 << 31;
const SIZE: usize = 0;
const CODE: usize = 1;
const TAG: usize = 2;
const VALUE_SIZE: usize = 3;
const TAG_CODE: usize = 4;
const VALUE: usize = 5;

/// Lays out the message of `tag` with room for `value_words` in `words`, and lets `fill` write the request into the
/// zeroed value.
pub(super) fn encode(
    words: &mut [u32],
    tag: u32,
    value_words: usize,
    fill: impl FnOnce(&mut [u32]),
) -> Result<(), PropertyError> {
    let available = words.len();
    let too_small = PropertyError::BufferTooSmall { words: available };
    let length = value_words.checked_add(VALUE + 1).ok_or(too_small)?;
    let message = words.get_mut(..length).ok_or(too_small)?;
    message.fill(0);
    message[SIZE] = bytes(length).ok_or(too_small)?;
    message[TAG] = tag;
    message[VALUE_SIZE] = bytes(value_words).ok_or(too_small)?;
    fill(&mut message[VALUE..length - 1]);
    Ok(())
}

/// What firmware answered to a message of [`encode`].
#[derive(Debug)]
pub(super) struct Answer<'a> {
    /// The whole value, words beyond the answer included: they are as they were sent.
    pub(super) value: &'a [u32],
    /// How many bytes firmware answered, or wanted to: it may be more than the value has room for.
    pub(super) length: usize,
}

/// Reads the answer to the message of `tag` with `value_words` in `words`. `None` if firmware passed over the tag.
pub(super) fn decode(words: &[u32], tag: u32, value_words: usize) -> Result<Option<Answer<'_>>, PropertyError> {
    let value = words.get(VALUE..).and_then(|rest| rest.get(..value_words));
    let Some(value) = value else { return Err(PropertyError::BufferTooSmall { words: words.len() }) };
    if words[CODE] != SUCCESS {
        return Err(PropertyError::Rejected { code: words[CODE] });
    }
    let tag_code = words[TAG_CODE];
    if words[TAG] != tag || tag_code & ANSWERED == 0 {
        return Ok(None);
    }
    let length = usize::try_from(tag_code & !ANSWERED);
    Ok(length.ok().map(|length| Answer { value, length }))
}

fn bytes(words: usize) -> Option<u32> {
    u32::try_from(words).ok()?.checked_mul(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_layout_of_the_property_interface() {
        let mut words = [0xffff_ffff; 10];
        assert_eq!(encode(&mut words, 0x3_0002, 2, |value| value[0] = 4), Ok(()));
        assert_eq!(words, [32, 0, 0x3_0002, 8, 0, 4, 0, 0, 0xffff_ffff, 0xffff_ffff]);
    }

    #[test]
    fn a_message_that_does_not_fit_is_refused() {
        for words in 0..8 {
            let mut buffer = vec![7; words];
            assert_eq!(encode(&mut buffer, 1, 2, |_| ()), Err(PropertyError::BufferTooSmall { words }));
            assert_eq!(buffer, vec![7; words]);
        }
        assert_eq!(encode(&mut [0; 8], 1, usize::MAX, |_| ()), Err(PropertyError::BufferTooSmall { words: 8 }));
    }

    #[test]
    fn an_answer_has_its_value_and_its_length() {
        let words = [32, SUCCESS, 1, 8, ANSWERED | 4, 346_337, 0, 0];
        let answer = decode(&words, 1, 2).expect("the message succeeded").expect("the tag was answered");
        assert_eq!((answer.value, answer.length), ([346_337, 0].as_slice(), 4));
    }

    #[test]
    fn a_tag_that_was_passed_over_is_no_answer() {
        let words = [28, SUCCESS, 0x3_0047, 4, 0, 7, 0];
        assert!(decode(&words, 0x3_0047, 1).expect("the message succeeded").is_none());
    }

    #[test]
    fn a_message_that_firmware_did_not_touch_or_like_is_rejected() {
        for code in [0, 0x8000_0001] {
            let words = [28, code, 1, 4, 0, 0, 0];
            assert_eq!(decode(&words, 1, 1).map(|_| ()), Err(PropertyError::Rejected { code }));
        }
    }
}
