//! The stack that a program starts with.

use core::ops::Range;

use super::ExecError;
use crate::addr::{PAGE_SIZE, UserAddr};
use crate::elf::StackAccess;
use crate::elf::stack::{Arguments, Facts, StackImage};
use crate::hal::UserFault;
use crate::vm::{MapFlags, MapRequest, MemorySystem, Place, ProgramStrings, Protection, Space};

const PAGE: u64 = PAGE_SIZE as u64;
/// What a stack has to begin with, beside what stands on it. More comes as it is used.
const FIRST_BYTES: u64 = 128 << 10;
/// How far below its top a stack begins, at most: all of its first page, in steps of the alignment that it needs.
const TOP_STEPS: u64 = PAGE / TOP_STEP;
const TOP_STEP: u64 = 16;

/// Maps the stack and writes what stands on it.
pub(super) fn stack<E>(
    system: &impl MemorySystem,
    space: &mut Space,
    access: StackAccess,
    image: &StackImage,
    arguments: &Arguments,
) -> Result<(), ExecError<E>> {
    let top = space.layout().stack_top;
    let used = top.checked_sub(image.stack_pointer().page_down()).ok_or(ExecError::ArgumentsTooLong)?;
    let limit = space.limits().stack & !(PAGE - 1);
    if used > limit {
        return Err(ExecError::ArgumentsTooLong);
    }
    let bytes = used.saturating_add(FIRST_BYTES).min(limit);
    let bottom = top.get().checked_sub(bytes).ok_or(ExecError::NoPlace)?;
    let protection = match access {
        StackAccess::ReadWrite => Protection::READ_WRITE,
        StackAccess::ReadWriteExecute => Protection::all(),
    };
    let request = MapRequest::anonymous(Place::FixedNoReplace(UserAddr::new(bottom)), bytes, protection);
    space.map(system, MapRequest { flags: MapFlags::GROWSDOWN | MapFlags::STACK, ..request })?;
    // These pages are mapped and writable: all that can be missing is memory.
    let mut write =
        |at, bytes: &[u8]| space.write_bytes(system, at, bytes).map_err(|UserFault { .. }| ExecError::OutOfMemory);
    write(image.stack_pointer(), image.bytes())?;
    write(image.strings_at(), arguments.bytes())?;
    let strings = image.strings();
    let bytes = |range: &Range<u64>| u32::try_from(range.end.saturating_sub(range.start)).unwrap_or(u32::MAX);
    space.set_strings(ProgramStrings {
        start: image.strings_at(),
        arguments: bytes(&strings.arguments),
        environment: bytes(&strings.environment),
    });
    Ok(())
}

/// Puts together what stands on the stack below its top, or a little lower.
pub(super) fn image<E>(
    space: &Space,
    arguments: &Arguments,
    facts: &Facts,
    uniform: &mut dyn FnMut(u64) -> u64,
) -> Result<StackImage, ExecError<E>> {
    let gap = uniform(TOP_STEPS).saturating_mul(TOP_STEP);
    let top = space.layout().stack_top.get().checked_sub(gap).ok_or(ExecError::NoPlace)?;
    Ok(StackImage::build(UserAddr::new(top), arguments, facts)?)
}
