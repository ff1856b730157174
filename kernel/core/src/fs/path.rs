//! Paths: from a name to an inode and, for directories, back.
//!
//! A walk goes from inode to inode and allocates nothing. It holds no lock: each inode looks up names under its own.
//! Rules are those of Linux's `path_resolution(7)`: `..` at the process's root stays there, a slash at the end asks for a directory
//! (and follows a link to it), every directory on the way must be searchable, a path through more than
//! [`MAX_LINKS`] symbolic links leads nowhere, and the empty path names nothing.

mod absolute;
mod component;
mod search;
mod split;
mod walk;

use alloc::sync::Arc;

use bitflags::bitflags;

pub use absolute::absolute_path;
pub use search::{path_of, path_of_id};
pub use split::{Last, Parent, resolve_parent};

use super::access::AccessId;
use super::context::Context;
use super::error::FileError;
use super::inode::Inode;
pub(super) use walk::{Missing, Walk};

/// The longest name in a directory.
pub const NAME_MAX: usize = 255;
/// The longest path, with the NUL that ends it in a program's memory.
pub const PATH_MAX: usize = 4096;
/// The most symbolic links on one walk.
pub const MAX_LINKS: usize = 40;

/// Where a relative path begins.
#[derive(Clone, Copy)]
pub enum Base<'a> {
    /// At the working directory: `AT_FDCWD`.
    Working,
    /// At this directory.
    At(&'a Arc<dyn Inode>),
}

/// Whether a symbolic link at the end of a path is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Follow {
    /// The walk goes where it leads.
    Yes,
    /// The walk ends at the link itself, unless a slash stands behind it.
    No,
}

bitflags! {
    /// What a walk may not do, in the numbers of openat2(2).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct WalkRules: u64 {
        /// It stays in the file system in which it begins: `RESOLVE_NO_XDEV`.
        const ONE_FILE_SYSTEM = 1;
        /// It follows no links of the kernel's own, which lead to files: `RESOLVE_NO_MAGICLINKS`.
        const NO_KERNEL_LINKS = 2;
        /// It follows no symbolic links at all: `RESOLVE_NO_SYMLINKS`.
        const NO_LINKS = 4;
        /// It stays below the directory where it begins: `RESOLVE_BENEATH`.
        const BENEATH = 8;
        /// That directory is its root: `RESOLVE_IN_ROOT`.
        const IN_ROOT = 0x10;
        /// One of both.
        const SCOPED = Self::BENEATH.bits() | Self::IN_ROOT.bits();
    }
}

/// What `path` names.
///
/// # Errors
///
/// [`NotFound`](FileError::NotFound), [`NotDirectory`](FileError::NotDirectory), [`Denied`](FileError::Denied),
/// [`TooManyLinks`](FileError::TooManyLinks), [`NameTooLong`](FileError::NameTooLong), and what file systems say.
pub fn resolve(
    context: &Context,
    base: Base<'_>,
    path: &[u8],
    follow: Follow,
    id: AccessId<'_>,
) -> Result<Arc<dyn Inode>, FileError> {
    resolve_by_rules(context, base, path, follow, id, WalkRules::empty())
}

/// The same, on a way that keeps to rules.
///
/// # Errors
///
/// As of [`resolve`]; [`CrossDevice`](FileError::CrossDevice) and [`TooManyLinks`](FileError::TooManyLinks) where the way is against
/// the rules, [`WouldBlock`](FileError::WouldBlock) where that cannot be told, for somebody moves directories.
pub(super) fn resolve_by_rules(
    context: &Context,
    base: Base<'_>,
    path: &[u8],
    follow: Follow,
    id: AccessId<'_>,
    rules: WalkRules,
) -> Result<Arc<dyn Inode>, FileError> {
    Walk::new(context, base, path, follow, id, rules)?.run(path, Missing::Fail)
}

/// A hash of a name: FNV-1a.
pub(super) fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
