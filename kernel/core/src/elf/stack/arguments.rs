//! The strings that a program starts with, as they will stand on its stack.

use alloc::vec::Vec;
use core::ffi::CStr;
use core::fmt;

/// The longest single string, with its NUL (`MAX_ARG_STRLEN`).
pub const MAX_STRING_BYTES: usize = 128 << 10;
/// What all strings and their pointers may take, however small the stack (`ARG_MAX`).
pub const MIN_TOTAL_BYTES: usize = 128 << 10;
/// What they may take, however large the stack.
const MAX_TOTAL_BYTES: usize = 6 << 20;

/// How much of a string is asked for at a time. Most fit.
const CHUNK_BYTES: usize = 128;
/// What is set aside for the first string: enough for most programs, so that the strings are not moved as they grow.
const FIRST_BYTES: usize = 1024;
/// What a pointer to a string takes.
const POINTER_BYTES: usize = size_of::<u64>();

/// Arguments, environment and the path that is executed: one string behind the other, each with its NUL.
///
/// It is filled in this order: the arguments; [`begin_environment`](Self::begin_environment); the environment. The path
/// comes last ([`finish`](Self::finish)), and is put there by the loader.
///
/// What a program can make it hold is bounded by a limit, and no allocation is taken for granted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arguments {
    bytes: Vec<u8>,
    /// What strings and pointers may still take.
    left: usize,
    arguments: usize,
    variables: usize,
    /// Where the environment begins, once it does.
    environment: Option<usize>,
    /// Where it ends, once the path follows.
    path: Option<usize>,
}

/// Why a string was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgumentsError {
    /// It is too long, or all together are.
    TooLong,
    /// There is no memory for it.
    OutOfMemory,
}

/// Why [`Arguments::fill`] did not take a string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FillError<E> {
    /// As any other string.
    Refused(ArgumentsError),
    /// It could not be read.
    Failed(E),
}

/// A piece of a string that was read ([`Arguments::fill`]): so many bytes without a NUL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// The string goes on; at least one byte.
    More(usize),
    /// The string ends behind them.
    Last(usize),
}

/// What strings and their pointers may take in a program whose stack may have so many bytes: a quarter of it, within reason
/// (Linux's rule).
#[must_use]
pub fn total_limit(stack_bytes: u64) -> usize {
    let quarter = usize::try_from(stack_bytes >> 2).unwrap_or(usize::MAX);
    quarter.clamp(MIN_TOTAL_BYTES, MAX_TOTAL_BYTES)
}

impl Arguments {
    /// No strings yet; they and their pointers may take `limit` bytes ([`total_limit`]).
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), left: limit, arguments: 0, variables: 0, environment: None, path: None }
    }

    /// Adds a string, up to its first NUL if it has one.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError`]; it is as if nothing had been added.
    pub fn push(&mut self, string: &[u8]) -> Result<(), ArgumentsError> {
        let string = up_to_nul(string).unwrap_or(string);
        self.make_room(string.len())?;
        self.bytes.extend_from_slice(string);
        self.close(string.len());
        Ok(())
    }

    /// Adds a string that is read piece by piece: `read` gets how much of it was read before, puts what follows into the
    /// buffer and says how much that was, and whether the string ends there.
    ///
    /// # Errors
    ///
    /// [`FillError`]; it is as if nothing had been added.
    pub fn fill<E>(&mut self, mut read: impl FnMut(usize, &mut [u8]) -> Result<Piece, E>) -> Result<(), FillError<E>> {
        let start = self.bytes.len();
        let result = self.fill_from(start, &mut read);
        match result {
            Ok(length) => self.close(length),
            Err(_) => self.bytes.truncate(start),
        }
        result.map(|_| ())
    }

    /// From here on, strings belong to the environment.
    pub fn begin_environment(&mut self) {
        self.environment.get_or_insert(self.bytes.len());
    }

    /// Puts `strings` in the place of the first argument. This is how the interpreter of a script gets to know the script.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError`], with nothing changed.
    pub fn replace_first(&mut self, strings: &[&[u8]]) -> Result<(), ArgumentsError> {
        let mut new = Self::new(self.left);
        for string in strings {
            new.push(string)?;
        }
        let old = match self.arguments {
            0 => 0,
            _ => up_to_nul(self.halves().0).map_or(0, |first| first.len().saturating_add(1)),
        };
        let grown = new.bytes.len().saturating_sub(old);
        self.bytes.try_reserve(grown).map_err(|_| ArgumentsError::OutOfMemory)?;
        let shift = |at: usize| at.saturating_sub(old).saturating_add(new.bytes.len());
        self.environment = self.environment.map(shift);
        self.path = self.path.map(shift);
        self.arguments = self.arguments.saturating_sub(1).saturating_add(new.arguments);
        // What the old one took is not given back: nothing is added any more but other interpreters.
        self.left = new.left;
        self.bytes.splice(..old, new.bytes);
        Ok(())
    }

    /// Adds the path that is executed, behind everything. A program without arguments gets an empty one: too many read
    /// their name without asking whether they have one.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError`], with nothing changed.
    pub fn finish(&mut self, path: &[u8]) -> Result<(), ArgumentsError> {
        if self.arguments == 0 {
            self.replace_first(&[b""])?;
        }
        self.begin_environment();
        let path = up_to_nul(path).unwrap_or(path);
        self.make_room(path.len())?;
        let end = *self.path.get_or_insert(self.bytes.len());
        self.bytes.truncate(end);
        self.bytes.extend_from_slice(path);
        self.bytes.push(0);
        Ok(())
    }

    /// All strings.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many arguments there are.
    #[must_use]
    pub const fn argument_count(&self) -> usize {
        self.arguments
    }

    /// How many strings the environment has.
    #[must_use]
    pub const fn variable_count(&self) -> usize {
        self.variables
    }

    /// The arguments, first to last.
    pub fn arguments(&self) -> impl Iterator<Item = &CStr> {
        strings(self.halves().0)
    }

    /// The environment, first to last.
    pub fn environment(&self) -> impl Iterator<Item = &CStr> {
        strings(self.halves().1)
    }

    /// The strings of the arguments, and of the environment.
    pub(super) fn halves(&self) -> (&[u8], &[u8]) {
        let all = self.path.and_then(|end| self.bytes.get(..end)).unwrap_or(&self.bytes);
        let border = self.environment.unwrap_or(all.len());
        all.split_at_checked(border).unwrap_or((all, &[]))
    }

    fn fill_from<E>(
        &mut self,
        start: usize,
        read: &mut impl FnMut(usize, &mut [u8]) -> Result<Piece, E>,
    ) -> Result<usize, FillError<E>> {
        let mut length = 0_usize;
        loop {
            self.reserve(CHUNK_BYTES).map_err(FillError::Refused)?;
            let from = start.saturating_add(length);
            self.bytes.resize(from.saturating_add(CHUNK_BYTES), 0);
            let room = self.bytes.get_mut(from..).unwrap_or_default();
            let piece = read(length, room).map_err(FillError::Failed)?;
            let (Piece::Last(got) | Piece::More(got)) = piece;
            let got = got.min(CHUNK_BYTES);
            length = length.saturating_add(got);
            self.bytes.truncate(start.saturating_add(length));
            if let Piece::Last(_) = piece {
                return self.check(length).map(|()| length).map_err(FillError::Refused);
            }
            // Nothing read means that nothing will be.
            if got == 0 {
                return Err(FillError::Refused(ArgumentsError::TooLong));
            }
            self.check(length).map_err(FillError::Refused)?;
        }
    }

    /// Whether a string of this length, without its NUL, is within the limits.
    const fn check(&self, length: usize) -> Result<(), ArgumentsError> {
        if length >= MAX_STRING_BYTES || taken_by(length) > self.left {
            return Err(ArgumentsError::TooLong);
        }
        Ok(())
    }

    fn make_room(&mut self, length: usize) -> Result<(), ArgumentsError> {
        self.check(length)?;
        self.reserve(length)
    }

    /// Room for so many bytes more and a NUL.
    fn reserve(&mut self, length: usize) -> Result<(), ArgumentsError> {
        let least = if self.bytes.capacity() == 0 { FIRST_BYTES } else { 0 };
        self.bytes.try_reserve(length.saturating_add(1).max(least)).map_err(|_| ArgumentsError::OutOfMemory)
    }

    /// Ends and counts the string of this length that was added, for which there is room.
    fn close(&mut self, length: usize) {
        self.bytes.push(0);
        self.left = self.left.saturating_sub(taken_by(length));
        let count = if self.environment.is_some() { &mut self.variables } else { &mut self.arguments };
        *count = count.saturating_add(1);
    }
}

/// What a string takes with its NUL and its pointer.
const fn taken_by(length: usize) -> usize {
    length.saturating_add(1).saturating_add(POINTER_BYTES)
}

fn up_to_nul(bytes: &[u8]) -> Option<&[u8]> {
    CStr::from_bytes_until_nul(bytes).ok().map(CStr::to_bytes)
}

fn strings(mut bytes: &[u8]) -> impl Iterator<Item = &CStr> {
    core::iter::from_fn(move || {
        let string = CStr::from_bytes_until_nul(bytes).ok()?;
        bytes = bytes.get(string.count_bytes().saturating_add(1)..)?;
        Some(string)
    })
}

impl fmt::Display for ArgumentsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "arguments and environment are too long"),
            Self::OutOfMemory => write!(f, "no memory for arguments and environment"),
        }
    }
}

impl core::error::Error for ArgumentsError {}
