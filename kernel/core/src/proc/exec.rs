//! Making a program of a file.
//!
//! [`load`] turns an open file into an address space that is ready to run: [`Loaded`]. It works beside whatever the process
//! runs at the time and touches none of it, so that an exec that fails has not happened. What comes after, giving the
//! process its new space, is another's work and cannot fail.
//!
//! 1. `find`: which file is the program. A script hands on to its interpreter, which may be a script. At the end stands an
//!    ELF file, and perhaps another one, the program's own interpreter (its dynamic linker).
//! 2. `place`: its segments become mappings. Nothing is read: pages are the file's own until somebody writes to them. Where
//!    a segment goes on behind the file's contents within a page, that page is copied and its end zeroed now.
//! 3. `start`: the stack, and on it what the program is told ([`elf::stack`](crate::elf::stack)).
//!
//! The space is destroyed when any step fails, and no frame is lost.
//!
//! Where things go is random: the base of a file that can be anywhere, the gap between the program and its heap, the stack and
//! the place where mappings begin ([`Layout`]), and the lowest bits of the stack pointer.

#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod error;
mod find;
mod name;
mod place;
mod start;
// Nothing here is unsafe, so Miri would find nothing, slowly.
#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests;

use alloc::sync::Arc;

use crate::addr::{Asid, UserAddr};
use crate::elf::stack::{Arguments, Facts, Identity, Strings};
use crate::vm::{AccessKind, Layout, Limits, MemorySystem, OutOfMemory, Pager, Space};

use find::Found;

pub use error::{ExecError, ReadError};
pub use name::CommandName;

/// A file that can be executed.
pub trait Executable {
    /// Fills `to` with what the file has at `offset`, and says how much that was: less than was asked for at its end only.
    ///
    /// # Errors
    ///
    /// [`ReadError`], when nothing could be read.
    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<usize, ReadError>;

    /// The file's contents as memory; `None` where they cannot be had that way.
    fn pager(&self) -> Option<Arc<dyn Pager>>;

    /// The file's length.
    fn bytes(&self) -> u64;
}

/// What is to be executed, how, and in whose name.
pub struct Request<'a, X> {
    /// How the file was named: a program is told, and a script's interpreter opens it by this name.
    pub path: &'a [u8],
    /// Arguments and environment, not yet [finished](Arguments::finish).
    pub arguments: Arguments,
    /// Who will run the program in this file, which is not always the file that was named. Files with set-id bits make a
    /// difference here.
    pub identity: &'a dyn Fn(&X) -> Identity,
    /// What the CPU can do: `AT_HWCAP`, `AT_HWCAP2`.
    pub hardware: [u64; 2],
    /// Bytes for the program's own use.
    pub random: [u8; Facts::RANDOM_BYTES],
    /// A random number below the one that is given. One that always returns 0 makes all addresses the same each time.
    pub uniform: &'a mut dyn FnMut(u64) -> u64,
    /// The process's limits.
    pub limits: Limits,
    /// Whether memory may be writable and executable at once.
    pub write_execute: WriteExecute,
    /// The kernel's own shared object (`vdso(7)`), a page long, if programs get one.
    pub kernel_object: Option<Arc<dyn Pager>>,
    /// The tag of the new address space. It is the caller's again when the load fails; nothing of it is in any TLB then.
    pub tag: Asid,
}

/// Whether a program may have memory that is writable and executable at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteExecute {
    /// No; a program that needs it is not loaded.
    Refused,
    /// Yes, then and later.
    Allowed,
}

/// A program that is ready to run.
#[must_use = "a space that is dropped is lost with all its frames: adopt or destroy it"]
pub struct Loaded<X> {
    /// Its address space.
    pub space: Space,
    /// Where its first instruction is: in the interpreter if there is one.
    pub entry: UserAddr,
    /// Its first stack pointer.
    pub stack_pointer: UserAddr,
    /// What it is called.
    pub name: CommandName,
    /// Who runs it.
    pub identity: Identity,
    /// Where its arguments and its environment stand.
    pub strings: Strings,
    /// The file of the program.
    pub file: X,
}

/// Loads what `file`, opened by `request.path`, leads to. `open` opens interpreters, with the caller's rights to execute.
///
/// # Errors
///
/// [`ExecError`], with all that was made destroyed.
#[inline(never)]
pub fn load<M: MemorySystem, X: Executable, E>(
    system: &M,
    file: X,
    mut request: Request<'_, X>,
    open: &mut dyn FnMut(&[u8]) -> Result<X, E>,
) -> Result<Loaded<X>, ExecError<E>> {
    let found = find::find(file, request.path, &mut request.arguments, open)?;
    request.arguments.finish(request.path)?;
    let identity = (request.identity)(&found.file);
    let layout = Layout::random(&mut *request.uniform);
    let mut space = Space::new(system, request.tag, layout).map_err(|OutOfMemory| ExecError::OutOfMemory)?;
    space.set_limits(request.limits);
    space.allow_write_execute(request.write_execute == WriteExecute::Allowed);
    match fill(system, &mut space, &found, identity, &mut request) {
        Ok(Start { entry, stack_pointer, strings }) => {
            let name = CommandName::of_path(request.path);
            Ok(Loaded { space, entry, stack_pointer, name, identity, strings, file: found.file })
        }
        Err(error) => {
            space.destroy(system);
            Err(error)
        }
    }
}

/// Where a program starts.
struct Start {
    entry: UserAddr,
    stack_pointer: UserAddr,
    strings: Strings,
}

/// Puts program, interpreter and stack into an empty space.
#[inline(never)]
fn fill<M: MemorySystem, X, E>(
    system: &M,
    space: &mut Space,
    found: &Found<X>,
    identity: Identity,
    request: &mut Request<'_, X>,
) -> Result<Start, ExecError<E>> {
    let image = &found.program.image;
    let bias = place::program(system, space, &found.program)?;
    let interpreter = match &found.interpreter {
        Some(source) => Some((place::interpreter(system, space, source)?, source.image.entry)),
        None => None,
    };
    // Before the stack: so it comes behind all others. Who has no room for it does without.
    let kernel_object = request.kernel_object.take().and_then(|pager| place::kernel_object(system, space, pager));
    let [hardware, hardware2] = request.hardware;
    let entry = bias.apply(image.entry);
    let facts = Facts {
        program_headers: image.program_headers.map(|at| bias.apply(at)),
        program_header_count: image.program_header_count,
        interpreter_base: interpreter.map(|(bias, _)| bias.apply(0)),
        kernel_object,
        entry,
        identity,
        hardware,
        hardware2,
        random: request.random,
    };
    let stack = start::image(space, &request.arguments, &facts, request.uniform)?;
    start::stack(system, space, image.stack, &stack, &request.arguments)?;
    let entry = interpreter.map_or(entry, |(bias, entry)| bias.apply(entry));
    // The one page that is certain to be missed first. If it cannot be had, its fault will say so.
    let _ = space.fault(system, entry, AccessKind::Execute);
    Ok(Start { entry, stack_pointer: stack.stack_pointer(), strings: stack.strings().clone() })
}
