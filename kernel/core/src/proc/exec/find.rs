//! Which file is the program.
//!
//! Kernel stacks are small, and opening an interpreter goes deep: what is found is kept on the heap, and each function that
//! has room for the beginning of a file is done with it before the next one begins.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{ExecError, Executable, ReadError};
use crate::elf::script::{HEAD_BYTES, MAX_DEPTH, Script};
use crate::elf::stack::Arguments;
use crate::elf::{ElfError, FileRange, Header, Image};
use crate::vm::Pager;

/// How much of a file is read to find out what it is. Most programs have all their headers there: this is enough for
/// twelve.
const FIRST_BYTES: usize = 768;

/// What is to be loaded.
pub(super) struct Found<X> {
    /// The program's file.
    pub(super) file: X,
    /// What the program is made of.
    pub(super) program: Source,
    /// The same of its interpreter, if it has one.
    pub(super) interpreter: Option<Source>,
}

/// An ELF file, and where its pages come from.
pub(super) struct Source {
    pub(super) image: Box<Image>,
    pub(super) pager: Arc<dyn Pager>,
}

/// Follows scripts to a program and reads its headers, and those of its interpreter. Each script puts its interpreter, its
/// argument and its own path in the place of the first of `arguments`.
#[inline(never)]
pub(super) fn find<X: Executable, E>(
    mut file: X,
    path: &[u8],
    arguments: &mut Arguments,
    open: &mut dyn FnMut(&[u8]) -> Result<X, E>,
) -> Result<Found<X>, ExecError<E>> {
    // The interpreter of the script before, which was the name of what is looked at now.
    let mut named = heapless::Vec::<u8, HEAD_BYTES>::new();
    for depth in 0..=MAX_DEPTH {
        let mut room = [0; FIRST_BYTES];
        let head = read(&file, 0, &mut room)?;
        let Some(script) = Script::parse(head)? else {
            return program(file, head, open);
        };
        if depth == MAX_DEPTH {
            break;
        }
        let path = if depth == 0 { path } else { &named };
        match script.argument {
            Some(argument) => arguments.replace_first(&[script.interpreter, argument, path])?,
            None => arguments.replace_first(&[script.interpreter, path])?,
        }
        file = open(script.interpreter).map_err(ExecError::Open)?;
        named = script.interpreter.iter().copied().collect();
    }
    Err(ExecError::TooDeep)
}

fn program<X: Executable, E>(
    file: X,
    head: &[u8],
    open: &mut dyn FnMut(&[u8]) -> Result<X, E>,
) -> Result<Found<X>, ExecError<E>> {
    let program = source(&file, head, ExecError::NotAProgram)?;
    let interpreter = match program.image.interpreter {
        Some(range) => Some(interpreter(&file, range, open)?),
        None => None,
    };
    Ok(Found { file, program, interpreter })
}

#[inline(never)]
fn interpreter<X: Executable, E>(
    file: &X,
    range: FileRange,
    open: &mut dyn FnMut(&[u8]) -> Result<X, E>,
) -> Result<Source, ExecError<E>> {
    let path = read_new(file, range)?;
    let length = u64::try_from(range.bytes).unwrap_or(u64::MAX);
    let bad = ExecError::NotAProgram(ElfError::InterpreterPath(length));
    // The NUL is the last of its bytes; one that comes before ends the path before.
    let Some((0, path)) = path.split_last() else { return Err(bad) };
    let path = path.split(|&byte| byte == 0).next().filter(|path| !path.is_empty()).ok_or(bad)?;
    let file = open(path).map_err(ExecError::Open)?;
    let mut room = [0; FIRST_BYTES];
    let head = read(&file, 0, &mut room)?;
    source(&file, head, ExecError::BadInterpreter)
}

/// What a file is made of, whose first bytes are `head`.
#[inline(never)]
fn source<X: Executable, E>(
    file: &X,
    head: &[u8],
    unfit: fn(ElfError) -> ExecError<E>,
) -> Result<Source, ExecError<E>> {
    let header = Header::parse(head).map_err(unfit)?;
    let table = header.table();
    let start = usize::try_from(table.offset).unwrap_or(usize::MAX);
    let elsewhere;
    let bytes = match head.get(start..).and_then(|rest| rest.get(..table.bytes)) {
        Some(bytes) => bytes,
        None => {
            elsewhere = read_new(file, FileRange { offset: table.offset, bytes: table.bytes })?;
            &elsewhere
        }
    };
    let image = header.image(bytes, file.bytes()).map_err(unfit)?;
    let pager = file.pager().ok_or(ExecError::NotMappable)?;
    Ok(Source { image, pager })
}

/// What the file has in `range`, less where the file ends.
fn read_new<X: Executable>(file: &X, range: FileRange) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(range.bytes).map_err(|_| ReadError::OutOfMemory)?;
    bytes.resize(range.bytes, 0);
    let got = read(file, range.offset, &mut bytes)?.len();
    bytes.truncate(got);
    Ok(bytes)
}

/// Fills `room` from `offset` on, as far as the file goes.
fn read<'a, X: Executable>(file: &X, offset: u64, room: &'a mut [u8]) -> Result<&'a [u8], ReadError> {
    let got = file.read_at(offset, room)?;
    Ok(room.get(..got).unwrap_or(room))
}
