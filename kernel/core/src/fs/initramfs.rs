//! What the root file system begins with: the files of an archive that stays where it is.
//!
//! ```text
//! archive bytes ── boot::initramfs::entries ── Builder ── tmpfs: Node, Names, Contents ── Pages ── frames of the archive
//!      ▲                                   (names, links)           │
//!      └──────── names, targets, contents: by reference ────────────┘
//! ```
//!
//! [`build`] reads the archive once, in a table of numbered nodes, and makes files of a [`Tmpfs`] of them. As Linux
//! does when it unpacks: an entry replaces what was there before under its name, except that a directory keeps what is in
//! it, and a file that comes again is the same file with other contents, under all its names; entries that share device
//! and inode number and say that they have several links are one file; a name may lead through a symbolic link. Unlike
//! Linux, directories that are missing on the way are made.
//!
//! The archive may be anything. What makes no sense is left out and reported ([`Problem`]); what came before a tear
//! stays.

mod builder;
mod links;
mod tree;

use alloc::sync::Arc;
use core::fmt;

use super::error::FileError;
use super::inode::Inode;
use super::tmpfs::Tmpfs;
use crate::boot::initramfs::{ArchiveError, entries};
use crate::hal::Cpu;
use builder::Builder;

/// Something in the archive that the tree does without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem<'a> {
    /// The archive is torn here; the rest is not read.
    Archive(ArchiveError),
    /// There is no memory for more; the rest is not read.
    OutOfMemory,
    /// A name with `..` in it.
    Climbs(&'a [u8]),
    /// A name whose way leads through something that is no directory, through links without end, or has a component
    /// that is too long.
    NoPath(&'a [u8]),
    /// A directory that is not empty stands under the name of something else.
    NotEmpty(&'a [u8]),
    /// Of no known type.
    UnknownType(&'a [u8]),
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, name) = match self {
            Self::Archive(error) => return write!(f, "{error}"),
            Self::OutOfMemory => return f.write_str("out of memory"),
            Self::Climbs(name) => ("climbs", name),
            Self::NoPath(name) => ("cannot be reached", name),
            Self::NotEmpty(name) => ("would replace a directory that is not empty", name),
            Self::UnknownType(name) => ("is of no known type", name),
        };
        write!(f, "{} {what}", name.escape_ascii())
    }
}

/// Makes what `archive` has files of `fs`, which has none yet, and returns their root. Whatever the archive says of `/dev`,
/// it is a directory: the nodes of devices are mounted there.
///
/// Each thing that had to be left out is given to `report`.
///
/// # Errors
///
/// [`OutOfMemory`](FileError::OutOfMemory) where there is not even a root.
pub fn build<C: Cpu>(
    archive: &'static [u8],
    fs: &Arc<Tmpfs<C>>,
    report: &mut dyn FnMut(Problem<'_>),
) -> Result<Arc<dyn Inode>, FileError> {
    let mut builder = Builder::new(archive, fs);
    for entry in entries(archive) {
        let outcome = match &entry {
            Ok(entry) => builder.add(entry),
            Err(error) => Err(Problem::Archive(*error)),
        };
        if let Err(problem) = outcome {
            report(problem);
            if problem == Problem::OutOfMemory {
                break;
            }
        }
    }
    builder.add_dev(report);
    builder.finish(fs, report)
}
