//! What is mounted: `/proc/mounts`, `/proc/[pid]/mounts` and `/proc/[pid]/mountinfo` (`proc_pid_mountinfo(5)`).
//!
//! A process sees the mounts that are below its root, and their places from there.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use super::Machine;
use super::entry::{Failure, Subject};
use super::text::Text;
use crate::fs::{FileError, MountView, path_of};

/// What is written as three octal digits: a blank would end a field, and a line's end the line.
const PLACE_ESCAPES: &[u8] = b" \t\n\\";
/// The same of a source: a line that begins with `#` is a remark where fstab(5) is read.
const SOURCE_ESCAPES: &[u8] = b" \t\n\\#";

/// `/proc/mounts`, for who is not asked about a process.
pub(super) fn all<S: Machine>(text: &mut Text) -> fmt::Result {
    each::<S>(b"/", text, mounts_line)
}

/// `/proc/[pid]/mounts`
pub(super) fn mounts<S: Machine>(subject: &Subject<S>, text: &mut Text) -> Result<(), Failure> {
    below_root(subject, text, mounts_line)
}

/// `/proc/[pid]/mountinfo`
pub(super) fn mountinfo<S: Machine>(subject: &Subject<S>, text: &mut Text) -> Result<(), Failure> {
    below_root(subject, text, mountinfo_line)
}

/// Writes the line of a mount that is at this place.
type WriteLine = fn(&mut Text, &MountView<'_>, &[u8]) -> fmt::Result;

fn below_root<S: Machine>(subject: &Subject<S>, text: &mut Text, line: WriteLine) -> Result<(), Failure> {
    match root_of(subject) {
        Ok(root) => Ok(each::<S>(&root, text, line)?),
        Err(FileError::OutOfMemory) => Err(Failure::OutOfMemory),
        // The process is at its end, or its root has no place any more: it sees no mount.
        Err(_) => Ok(()),
    }
}

/// Where the process's root is.
fn root_of<S: Machine>(subject: &Subject<S>) -> Result<Vec<u8>, FileError> {
    let context = subject.process.context().ok_or(FileError::NotFound)?;
    let root = Arc::clone(context.lock().root());
    let top = S::root().ok_or(FileError::NotFound)?;
    path_of(&top, &top, &root)
}

fn each<S: Machine>(root: &[u8], text: &mut Text, line: WriteLine) -> fmt::Result {
    let mut written = Ok(());
    S::each_mount(&mut |mount| {
        if written.is_ok()
            && let Some(place) = seen_from(root, mount.place)
        {
            written = line(text, mount, place);
        }
    });
    written
}

/// `place` as it is called from `root`, if it is there or below.
fn seen_from<'a>(root: &[u8], place: &'a [u8]) -> Option<&'a [u8]> {
    let rest = place.strip_prefix(root.strip_suffix(b"/").unwrap_or(root))?;
    match rest.first() {
        None => Some(b"/"),
        Some(b'/') => Some(rest),
        Some(_) => None,
    }
}

/// What, where, which kind, which options, and two numbers that nobody uses.
fn mounts_line(text: &mut Text, mount: &MountView<'_>, place: &[u8]) -> fmt::Result {
    put_source(text, mount)?;
    text.put(b" ")?;
    put_escaped(text, place, PLACE_ESCAPES)?;
    writeln!(text, " {} {} 0 0", mount.kind, mount.flags)
}

/// Two numbers, that of the file system, what of it is shown, where, which options; no optional fields, which tell how mounts
/// spread: all are private. Behind the hyphen the kind, what, and the options of the file system, wherever it is seen.
fn mountinfo_line(text: &mut Text, mount: &MountView<'_>, place: &[u8]) -> fmt::Result {
    let MountView { id, parent, device, flags, kind, .. } = *mount;
    write!(text, "{id} {parent} {}:{} ", device.major, device.minor)?;
    put_escaped(text, mount.within, PLACE_ESCAPES)?;
    text.put(b" ")?;
    put_escaped(text, place, PLACE_ESCAPES)?;
    write!(text, " {flags} - {kind} ")?;
    put_source(text, mount)?;
    writeln!(text, " {}", if mount.is_read_only_everywhere { "ro" } else { "rw" })
}

/// `none` where nothing was named.
fn put_source(text: &mut Text, mount: &MountView<'_>) -> fmt::Result {
    let source = if mount.source.is_empty() { &b"none"[..] } else { mount.source };
    put_escaped(text, source, SOURCE_ESCAPES)
}

fn put_escaped(text: &mut Text, bytes: &[u8], escapes: &[u8]) -> fmt::Result {
    for piece in bytes.split_inclusive(|byte| escapes.contains(byte)) {
        match piece.split_last() {
            Some((last, before)) if escapes.contains(last) => {
                text.put(before)?;
                write!(text, "\\{last:03o}")?;
            }
            _ => text.put(piece)?,
        }
    }
    Ok(())
}
