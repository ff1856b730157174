//! What is wrong with a file system, as it is told to whoever reads the kernel's messages.

use core::fmt;

use super::Kind;
use super::features::Incompatible;
use crate::fs::error::FileError;

/// Why a file system is not mounted, or what in it cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// The superblock has something that no file system can have, in this field.
    Superblock(&'static str),
    /// It needs features that there are not.
    Features(Incompatible),
    /// It is of a later kind than the one asked for.
    NotThatKind(Kind),
    /// The volume ends before it.
    Truncated,
    /// It cannot be read without its journal, which this can be said of.
    Journal(&'static str),
    /// So it is not mounted.
    NeedsJournal,
    /// Its journal has the newest contents of so many blocks, and is read along.
    InJournal(usize),
    /// It has some, and is not looked at.
    WithoutJournal,
    /// Whoever wrote it last found errors in it.
    HasErrors,
    /// This is not what its checksum says.
    Checksum(Part),
    /// This contradicts itself, or the rest: in what is said here.
    Damaged(Part, &'static str),
    /// Too many have been told already.
    More,
}

/// A part of a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The superblock.
    Superblock,
    /// The descriptor of this group.
    Group(u32),
    /// This inode.
    Inode(u32),
    /// A block of this directory, by its number there.
    Directory(u32, u64),
    /// What says where the blocks of this inode are.
    Map(u32),
    /// The journal.
    Journal,
}

impl Problem {
    /// What a program is told.
    pub(super) const fn error(self) -> FileError {
        match self {
            Self::Superblock(_)
            | Self::Features(_)
            | Self::NotThatKind(_)
            | Self::Truncated
            | Self::Journal(_)
            | Self::NeedsJournal => FileError::Invalid,
            Self::Checksum(_) => FileError::Checksum,
            Self::Damaged(..) | Self::HasErrors | Self::InJournal(_) | Self::WithoutJournal | Self::More => {
                FileError::Damaged
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superblock(field) => write!(f, "not mounted: the superblock's {field} cannot be"),
            Self::Features(features) => write!(f, "not mounted: it has features that are not known here:{features}"),
            Self::NotThatKind(kind) => write!(f, "not mounted as {kind}: it has features that no {kind} has"),
            Self::Truncated => f.write_str("not mounted: the device ends before the file system"),
            Self::Journal(what) => write!(f, "its journal {what}"),
            Self::NeedsJournal => f.write_str(
                "not mounted: its journal was not written back and cannot be read; `-o ro,noload` reads what there is without",
            ),
            Self::InJournal(blocks) => {
                write!(f, "its journal was not written back, and is read along: it has {blocks} blocks")
            }
            Self::WithoutJournal => {
                f.write_str("its journal was not written back: what was written last may be missing")
            }
            Self::HasErrors => f.write_str("it is marked as having errors; e2fsck mends them"),
            Self::Checksum(part) => write!(f, "{part}: wrong checksum"),
            Self::Damaged(part, what) => write!(f, "{part}: {what}"),
            Self::More => f.write_str("more errors are not told"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superblock => f.write_str("superblock"),
            Self::Group(group) => write!(f, "descriptor of group {group}"),
            Self::Inode(inode) => write!(f, "inode {inode}"),
            Self::Directory(inode, block) => write!(f, "directory {inode}, block {block}"),
            Self::Map(inode) => write!(f, "blocks of inode {inode}"),
            Self::Journal => f.write_str("journal"),
        }
    }
}
