//! Scripts: files whose first line names the program that reads them.
//!
//! ```text
//! #! /bin/sh -e
//! ```
//!
//! By Linux's rules (`fs/binfmt_script.c`), which every interpreter has come to rely on: the line is looked for in the
//! first [`HEAD_BYTES`] bytes of the file; spaces and tabs around the path are dropped; what follows the path, with spaces
//! inside, is *one* argument; a carriage return is a character like any other.

use core::fmt;

/// How much of a file is looked at (`BINPRM_BUF_SIZE`).
pub const HEAD_BYTES: usize = 256;
/// How many scripts may follow each other, each the interpreter of the one before.
pub const MAX_DEPTH: usize = 4;

/// The first line of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Script<'a> {
    /// The path of the interpreter; not empty.
    pub interpreter: &'a [u8],
    /// The one argument that it gets before the script's own path.
    pub argument: Option<&'a [u8]>,
}

/// Why a file that begins with `#!` cannot be run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScriptError {
    /// The line names nothing.
    NoInterpreter,
    /// The path does not end within the first [`HEAD_BYTES`] bytes, and might be another one.
    TooLong,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInterpreter => write!(f, "the script names no interpreter"),
            Self::TooLong => write!(f, "the path of the script's interpreter is too long"),
        }
    }
}

impl core::error::Error for ScriptError {}

impl<'a> Script<'a> {
    /// Reads the first line of a file from its first bytes: all, or at least [`HEAD_BYTES`]. `None` if it is not a script.
    ///
    /// # Errors
    ///
    /// [`ScriptError`], for a script that names no interpreter.
    pub fn parse(head: &'a [u8]) -> Result<Option<Self>, ScriptError> {
        let Some(rest) = head.get(..HEAD_BYTES).unwrap_or(head).strip_prefix(b"#!") else {
            return Ok(None);
        };
        let end = rest.iter().position(|&byte| byte == b'\n' || byte == 0);
        // A file shorter than what is looked at ends its line by its end. In a longer one the line may go on; its last
        // byte that we could see is not used, as in Linux.
        let is_whole = end.is_some() || head.len() < HEAD_BYTES;
        let cut = if is_whole { rest.len() } else { rest.len().saturating_sub(1) };
        let line = rest.get(..end.unwrap_or(cut)).unwrap_or(rest);
        Self::split(line, is_whole).map(Some)
    }

    fn split(line: &'a [u8], is_whole: bool) -> Result<Self, ScriptError> {
        let line = trim_start(line);
        let blank = line.iter().position(|&byte| is_blank(byte));
        let (interpreter, rest) = match blank.and_then(|at| line.split_at_checked(at)) {
            Some(parts) => parts,
            None if is_whole => (line, &[][..]),
            None => return Err(ScriptError::TooLong),
        };
        if interpreter.is_empty() {
            return Err(ScriptError::NoInterpreter);
        }
        let argument = trim_end(trim_start(rest));
        Ok(Self { interpreter, argument: Some(argument).filter(|argument| !argument.is_empty()) })
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    bytes
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}
