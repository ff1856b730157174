//! The property channel: a typed question, a typed answer.

use core::error::Error;
use core::fmt;

use super::message::{self, MessageBuffer};
use super::tags::COMMAND_LINE;
use super::{BUFFER_ALIGN, Mailbox};
use crate::wait::{Patience, Timeout};

/// Or-ed to a physical address, this makes the GPU's alias that passes by its own cache. QEMU takes any alias.
const UNCACHED_ALIAS: u32 = 0xc000_0000;
/// What the alias can reach.
const ALIAS_SIZE: u32 = 0x4000_0000;

/// A question to firmware.
pub trait Tag {
    /// What the answer says.
    type Answer;
    /// The tag's number.
    const ID: u32;
    /// The words of the value: the larger of request and answer.
    const VALUE_WORDS: usize;
    /// The bytes that an answer has at least. One of fewer is taken for no answer: QEMU marks the tags that it does not
    /// know as answered with nothing.
    const ANSWER_BYTES: usize;

    /// Writes the request into the value, which is zero and has [`VALUE_WORDS`](Self::VALUE_WORDS).
    fn encode(&self, value: &mut [u32]);

    /// Reads the answer from the value, or `None` if it says that the question has none.
    fn decode(&self, value: &[u32]) -> Option<Self::Answer>;
}

/// Why firmware gave no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PropertyError {
    /// It did not answer in time. It may yet do so, and write into the buffer: the memory is not to be used for
    /// anything else.
    Timeout,
    /// It does not know this tag, or does not know it for what was asked.
    Unhandled {
        /// The tag.
        tag: u32,
    },
    /// It did not understand the message.
    Rejected {
        /// The message's answer code.
        code: u32,
    },
    /// The message does not fit the buffer.
    BufferTooSmall {
        /// The words that the buffer has.
        words: usize,
    },
    /// The buffer is not where firmware can reach it, or not on cache lines of its own.
    BufferMisplaced {
        /// Its physical address.
        address: u32,
    },
    /// The answer does not fit what the caller has room for.
    AnswerTooLong {
        /// The answer's length in bytes.
        length: usize,
    },
}

impl From<Timeout> for PropertyError {
    fn from(Timeout: Timeout) -> Self {
        Self::Timeout
    }
}

impl fmt::Display for PropertyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("firmware did not answer in time"),
            Self::Unhandled { tag } => write!(f, "firmware does not know tag {tag:#07x}"),
            Self::Rejected { code } => write!(f, "firmware rejected the message with code {code:#010x}"),
            Self::BufferTooSmall { words } => write!(f, "the message does not fit {words} words"),
            Self::BufferMisplaced { address } => write!(f, "firmware cannot use a message at {address:#010x}"),
            Self::AnswerTooLong { length } => write!(f, "there is no room for an answer of {length} bytes"),
        }
    }
}

impl Error for PropertyError {}

/// The property channel, with the mailbox and the memory it needs.
#[derive(Debug)]
pub struct PropertyChannel<B> {
    mailbox: Mailbox,
    buffer: B,
}

impl<B: MessageBuffer> PropertyChannel<B> {
    /// Takes the mailbox and a buffer. All but the command line fits 16 words.
    #[must_use]
    pub const fn new(mailbox: Mailbox, buffer: B) -> Self {
        Self { mailbox, buffer }
    }

    /// Asks `tag`.
    ///
    /// # Errors
    ///
    /// Any [`PropertyError`] but the last.
    pub fn ask<T: Tag>(&mut self, tag: &T, patience: impl Patience) -> Result<T::Answer, PropertyError> {
        self.exchange(T::ID, T::VALUE_WORDS, |value| tag.encode(value), patience)?;
        let answer = message::decode(self.buffer.words(), T::ID, T::VALUE_WORDS)?;
        answer
            .filter(|answer| answer.length >= T::ANSWER_BYTES)
            .and_then(|answer| tag.decode(answer.value))
            .ok_or(PropertyError::Unhandled { tag: T::ID })
    }

    /// Copies the kernel's command line, without a zero at its end, into `line` and returns what there is of it. The
    /// buffer must have seven words more than `line`.
    ///
    /// # Errors
    ///
    /// Any [`PropertyError`]; [`AnswerTooLong`](PropertyError::AnswerTooLong) if `line` is too short.
    pub fn command_line<'a>(&mut self, line: &'a mut [u8], patience: impl Patience) -> Result<&'a [u8], PropertyError> {
        // One word more than the line: QEMU cuts the answer to the room it finds, and says no word of it.
        let value_words = line.len() / 4 + 1;
        self.exchange(COMMAND_LINE, value_words, |_| (), patience)?;
        let answer = message::decode(self.buffer.words(), COMMAND_LINE, value_words)?;
        let answer = answer.ok_or(PropertyError::Unhandled { tag: COMMAND_LINE })?;
        let too_long = PropertyError::AnswerTooLong { length: answer.length };
        let line = line.get_mut(..answer.length).ok_or(too_long)?;
        let bytes = answer.value.iter().flat_map(|word| word.to_le_bytes());
        for (slot, byte) in line.iter_mut().zip(bytes) {
            *slot = byte;
        }
        // A board counts the zero at the end, QEMU does not.
        let end = line.iter().position(|&byte| byte == 0).unwrap_or(line.len());
        Ok(&line[..end])
    }

    fn exchange(
        &mut self,
        tag: u32,
        value_words: usize,
        fill: impl FnOnce(&mut [u32]),
        mut patience: impl Patience,
    ) -> Result<(), PropertyError> {
        let address = self.buffer.physical_address();
        if !address.is_multiple_of(BUFFER_ALIGN) || address >= ALIAS_SIZE {
            return Err(PropertyError::BufferMisplaced { address });
        }
        message::encode(self.buffer.words(), tag, value_words, fill)?;
        self.buffer.clean();
        self.mailbox.exchange(UNCACHED_ALIAS | address, &mut patience)?;
        self.buffer.invalidate();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
