//! The initial file system: a tree over an archive that stays where it is.
//!
//! ```text
//! archive bytes ── boot::initramfs::entries ── Builder ── Arc<Directory> ─┬─ Directory …
//!      ▲                                   (names, links)                 ├─ File ── Pages ── frames of the archive
//!      └──────── names, targets, contents: by reference ──────────────────┴─ Symlink, Node
//! ```
//!
//! [`build`] reads the archive once, in a table of numbered nodes, and makes the tree of it from the leaves up. As Linux
//! does when it unpacks: an entry replaces what was there before under its name, except that a directory keeps what is in
//! it, and a file that comes again is the same file with other contents, under all its names; entries that share device
//! and inode number and say that they have several links are one file; a name may lead through a symbolic link. Unlike
//! Linux, directories that are missing on the way are made.
//!
//! The archive may be anything. What makes no sense is left out and reported ([`Problem`]); what came before a tear
//! stays. The tree cannot be changed afterwards.

/// The methods of [`Inode`] that are the same for all inodes here: what their attributes say, and that they do not change.
macro_rules! read_only_by_attributes {
    () => {
        fn id(&self) -> $crate::fs::FileId {
            self.attributes.id()
        }

        fn protection(&self) -> $crate::fs::Protection {
            self.attributes.protection
        }

        fn metadata(&self) -> $crate::fs::Metadata {
            self.attributes.metadata()
        }

        fn is_read_only(&self) -> bool {
            true
        }
    };
}

mod builder;
mod directory;
mod file;
mod links;
mod node;
mod tree;

use alloc::sync::Arc;
use core::fmt;

use super::devices::Devices;
use super::inode::Inode;
use super::metadata::{DeviceNumber, Metadata, Protection, Timestamp};
use super::pages::PageSource;
use crate::boot::initramfs::{ArchiveError, entries};
use builder::Builder;

/// The number of the file system: `st_dev` of everything in it.
const FILE_SYSTEM: DeviceNumber = DeviceNumber::new(0, 1);

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

/// Makes the file system of `archive`. Whatever the archive says of `/dev`, the nodes of `devices` are in it.
///
/// Each thing that had to be left out is given to `report`.
#[must_use]
pub fn build(
    archive: &'static [u8],
    source: &Arc<dyn PageSource>,
    devices: &Arc<Devices>,
    report: &mut dyn FnMut(Problem<'_>),
) -> Arc<dyn Inode> {
    let mut builder = Builder::new(archive, source, devices);
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
    builder.add_devices(report);
    builder.finish(report)
}

/// What all kinds of inodes of this file system have in common.
#[derive(Clone, Copy, Debug)]
struct Attributes {
    inode: u64,
    protection: Protection,
    links: u32,
    represents: DeviceNumber,
    size: u64,
    modified: Timestamp,
}

impl Attributes {
    const fn id(&self) -> super::FileId {
        super::FileId { device: FILE_SYSTEM, inode: self.inode }
    }

    const fn metadata(&self) -> Metadata {
        const BLOCK: u32 = 4096;
        Metadata {
            id: self.id(),
            protection: self.protection,
            links: self.links,
            represents: self.represents,
            size: self.size,
            block_size: BLOCK,
            blocks: self.size.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64 / 512),
            accessed: self.modified,
            modified: self.modified,
            changed: self.modified,
            born: None,
        }
    }
}
