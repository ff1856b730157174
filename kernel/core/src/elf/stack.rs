//! What a program finds on its stack when it starts.
//!
//! ```text
//! top      8 bytes of zero
//!          path that was executed, NUL            <- AT_EXECFN
//!          environment strings, each with a NUL
//!          argument strings, each with a NUL      <- strings
//!          some zeroes, so that sp is aligned
//!          "aarch64", 16 random bytes             <- AT_PLATFORM, AT_RANDOM
//!          auxiliary vector, AT_NULL
//!          pointers to the environment, NULL
//!          pointers to the arguments, NULL
//! sp       their number
//! ```
//!
//! That is the order of Linux, of which programs rely on two things: what is above `sp` up to `AT_NULL`, and that all
//! strings follow each other from the first argument to the path (`ps` shows them, and programs that change their title
//! write there).
//!
//! The strings stand in [`Arguments`] as they will stand on the stack, so they are copied once from the old program's memory
//! and once to the new one's. A [`StackImage`] is the part below them, and where all goes.

mod arguments;
mod auxiliary;

use alloc::vec::Vec;
use core::ffi::CStr;
use core::ops::Range;

use zerocopy::IntoBytes;

use crate::addr::UserAddr;

pub use arguments::{Arguments, ArgumentsError, FillError, MAX_STRING_BYTES, MIN_TOTAL_BYTES, Piece, total_limit};
pub use auxiliary::{CLOCK_TICKS, Facts, Identity, PLATFORM};

/// Alignment of the stack pointer (AAPCS64 6.4.5).
const STACK_ALIGNMENT: u64 = 16;
/// What stays free at the top: a word of zero, behind the last string.
const TOP_BYTES: u64 = 8;
const WORD: usize = size_of::<u64>();

/// The first contents of a stack: [`bytes`](Self::bytes) from the stack pointer on, and behind them the strings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StackImage {
    /// The last of these words may be used in part.
    words: Vec<u64>,
    bytes: usize,
    stack_pointer: UserAddr,
    strings: Strings,
}

/// Where the strings stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Strings {
    /// The arguments.
    pub arguments: Range<u64>,
    /// The environment, directly behind them.
    pub environment: Range<u64>,
}

/// Why a program does not get what it was to find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StackError {
    /// There is not that much room below the top.
    NoRoom,
    /// No memory to put it together.
    OutOfMemory,
}

impl StackImage {
    /// Lays `arguments` out below `top`, whatever its alignment.
    ///
    /// # Errors
    ///
    /// [`StackError`].
    pub fn build(top: UserAddr, arguments: &Arguments, facts: &Facts) -> Result<Self, StackError> {
        let layout = Layout::new(top, arguments)?;
        let mut words = Words(Vec::new());
        words.0.try_reserve_exact(layout.bytes.div_ceil(WORD)).map_err(|_| StackError::OutOfMemory)?;
        words.push(layout.argument_count);
        let (first, second) = arguments.halves();
        words.push_pointers(layout.strings, first);
        words.push_pointers(layout.environment, second);
        words.0.extend_from_slice(facts.vector(layout.random, layout.platform, layout.path).as_flattened());
        words.push_bytes(&facts.random);
        words.push_bytes(PLATFORM);
        words.0.resize(layout.bytes.div_ceil(WORD), 0);
        let strings =
            Strings { arguments: layout.strings..layout.environment, environment: layout.environment..layout.path };
        let stack_pointer = UserAddr::new(layout.stack_pointer);
        Ok(Self { words: words.0, bytes: layout.bytes, stack_pointer, strings })
    }

    /// Where the program's stack pointer is to be.
    #[must_use]
    pub const fn stack_pointer(&self) -> UserAddr {
        self.stack_pointer
    }

    /// What is to be written at the stack pointer, a multiple of its alignment but for the last byte.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let bytes = self.words.as_bytes();
        bytes.get(..self.bytes).unwrap_or(bytes)
    }

    /// Where [`Arguments::bytes`] are to be written: directly behind [`bytes`](Self::bytes).
    #[must_use]
    pub const fn strings_at(&self) -> UserAddr {
        UserAddr::new(self.strings.arguments.start)
    }

    /// Where the strings stand then.
    #[must_use]
    pub const fn strings(&self) -> &Strings {
        &self.strings
    }
}

/// Addresses of the parts, and the size of what is below the strings.
struct Layout {
    argument_count: u64,
    strings: u64,
    environment: u64,
    path: u64,
    platform: u64,
    random: u64,
    stack_pointer: u64,
    bytes: usize,
}

impl Layout {
    fn new(top: UserAddr, arguments: &Arguments) -> Result<Self, StackError> {
        Self::fit(top.get(), arguments).ok_or(StackError::NoRoom)
    }

    fn fit(top: u64, arguments: &Arguments) -> Option<Self> {
        let (first, second) = arguments.halves();
        let strings = top.checked_sub(TOP_BYTES)?.checked_sub(bytes_of(arguments.bytes())?)?;
        let environment = strings.checked_add(bytes_of(first)?)?;
        let path = environment.checked_add(bytes_of(second)?)?;
        // The number of arguments, a NULL behind each of the two lists.
        let pointers = arguments.argument_count().checked_add(arguments.variable_count())?.checked_add(3)?;
        let words = pointers.checked_add(Facts::VECTOR_LENGTH.checked_mul(2)?)?;
        let random = u64::try_from(words.checked_mul(WORD)?).ok()?;
        let least = random.checked_add(bytes_of(&[0; Facts::RANDOM_BYTES])?)?.checked_add(bytes_of(PLATFORM)?)?;
        let stack_pointer = UserAddr::new(strings.checked_sub(least)?).align_down(STACK_ALIGNMENT).get();
        let random = stack_pointer.checked_add(random)?;
        Some(Self {
            argument_count: u64::try_from(arguments.argument_count()).ok()?,
            strings,
            environment,
            path,
            platform: random.checked_add(bytes_of(&[0; Facts::RANDOM_BYTES])?)?,
            random,
            stack_pointer,
            bytes: usize::try_from(strings.checked_sub(stack_pointer)?).ok()?,
        })
    }
}

fn bytes_of(slice: &[u8]) -> Option<u64> {
    u64::try_from(slice.len()).ok()
}

/// Little-endian words, in room that was reserved.
struct Words(Vec<u64>);

impl Words {
    fn push(&mut self, word: u64) {
        self.0.push(word.to_le());
    }

    /// What is no number, as words.
    fn push_bytes(&mut self, bytes: &[u8]) {
        self.0.extend(bytes.as_chunks().0.iter().map(|&word| u64::from_ne_bytes(word)));
    }

    /// The addresses of `strings`, the first of which is at `at`, and a NULL.
    fn push_pointers(&mut self, mut at: u64, mut strings: &[u8]) {
        while let Ok(string) = CStr::from_bytes_until_nul(strings) {
            self.push(at);
            let bytes = string.count_bytes().saturating_add(1);
            at = at.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            strings = strings.get(bytes..).unwrap_or_default();
        }
        self.push(0);
    }
}
