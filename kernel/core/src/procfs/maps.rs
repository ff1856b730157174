//! `/proc/[pid]/maps`: what is where in a process's memory.

use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use super::Machine;
use super::entry::{Failure, Subject};
use super::node::caller;
use super::text::Text;
use crate::fs::{DeviceNumber, FileError, FileId, path_of_id};
use crate::vm::{AreaKind, AreaView, FileNumbers, Protection, Sharing};

/// In this column names begin, as on Linux.
const NAME_COLUMN: usize = 73;

/// What a line tells.
struct Line {
    start: u64,
    end: u64,
    protection: Protection,
    sharing: Sharing,
    offset: u64,
    kind: AreaKind,
    file: Option<FileNumbers>,
}

impl Line {
    fn of(area: &AreaView<'_>) -> Self {
        let AreaView { start, end, protection, sharing, offset, kind, .. } = *area;
        let file = area.pager.and_then(|pager| pager.file());
        Self { start: start.get(), end: end.get(), protection, sharing, offset, kind, file }
    }
}

pub(super) fn maps<S: Machine>(subject: &Subject<S>, text: &mut Text) -> Result<(), Failure> {
    let Some(space) = subject.process.space() else { return Ok(()) };
    // Names are looked for with the memory's lock open: the program goes on meanwhile.
    let mut lines = Vec::new();
    {
        let space = space.lock();
        let count = space.areas().count();
        if !S::has_room() || lines.try_reserve_exact(count).is_err() {
            return Err(Failure::OutOfMemory);
        }
        lines.extend(space.areas().map(|area| Line::of(&area)));
    }
    // A file's areas stand together.
    let mut last: Option<(FileNumbers, Vec<u8>)> = None;
    for line in &lines {
        let Some(file) = line.file else {
            write_line(line, kind_name(line.kind), text)?;
            continue;
        };
        if last.as_ref().is_none_or(|(other, _)| *other != file) {
            last = Some((file, path::<S>(file)?));
        }
        let name = last.as_ref().map_or(&b""[..], |(_, path)| path);
        write_line(line, name, text)?;
    }
    Ok(())
}

const fn kind_name(kind: AreaKind) -> &'static [u8] {
    match kind {
        AreaKind::Heap => b"[heap]",
        AreaKind::Stack => b"[stack]",
        AreaKind::KernelObject => b"[vdso]",
        AreaKind::Anonymous | AreaKind::Object => b"",
    }
}

/// The file's path as who asks sees it. What one that has lost its name was called is not known.
fn path<S: Machine>(file: FileNumbers) -> Result<Vec<u8>, Failure> {
    let device = DeviceNumber { major: file.device.0, minor: file.device.1 };
    let context = caller::<S>().and_then(|caller| caller.process().context());
    let root = context.map(|context| alloc::sync::Arc::clone(context.lock().root()));
    let found = match (root, S::root_of(device)) {
        (Some(root), Some(start)) => path_of_id(&root, &start, FileId { device, inode: file.inode }),
        _ => Err(FileError::NotFound),
    };
    match found {
        Ok(path) => Ok(path),
        Err(FileError::OutOfMemory) => Err(Failure::OutOfMemory),
        Err(_) => Ok(Vec::from(*b"(deleted)")),
    }
}

/// `start-end rwxp offset device inode name`
fn write_line(line: &Line, name: &[u8], text: &mut Text) -> fmt::Result {
    let begin = text.len();
    let right = |right, letter| if line.protection.contains(right) { letter } else { '-' };
    let sharing = if line.sharing == Sharing::Shared { 's' } else { 'p' };
    let ((major, minor), inode) = line.file.map_or(((0, 0), 0), |file| (file.device, file.inode));
    write!(
        text,
        "{:08x}-{:08x} {}{}{}{sharing} {:08x} {major:02x}:{minor:02x} {inode}",
        line.start,
        line.end,
        right(Protection::READ, 'r'),
        right(Protection::WRITE, 'w'),
        right(Protection::EXECUTE, 'x'),
        line.offset,
    )?;
    if !name.is_empty() {
        let column = text.len().saturating_sub(begin);
        let gap = NAME_COLUMN.saturating_sub(column).max(1);
        write!(text, "{:gap$}", "")?;
        // A name may have a line's end in it, and the file would have one line too many.
        for piece in name.split_inclusive(|&byte| byte == b'\n') {
            match piece.split_last() {
                Some((b'\n', before)) => {
                    text.put(before)?;
                    text.put(b"\\012")?;
                }
                _ => text.put(piece)?,
            }
        }
    }
    text.put(b"\n")
}
