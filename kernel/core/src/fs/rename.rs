//! Further names, and other names: linkat(2), renameat2(2).

use alloc::sync::Arc;

use super::access::{AccessId, Wanted};
use super::context::Context;
use super::error::FileError;
use super::inode::{Fate, Inode, Renaming, same_file};
use super::metadata::FileKind;
use super::open::check_removable;
use super::path::{Base, Last, Parent, resolve_parent};

/// linkat(2): gives the file `what` the further name `path`.
///
/// # Errors
///
/// Those of [`resolve`](super::resolve); [`Exists`](FileError::Exists), [`NotPermitted`](FileError::NotPermitted) for
/// directories, [`CrossDevice`](FileError::CrossDevice), [`TooManyNames`](FileError::TooManyNames),
/// [`ReadOnly`](FileError::ReadOnly), [`NotFound`](FileError::NotFound) for what has lost its last name.
pub fn link(
    context: &Context,
    what: &Arc<dyn Inode>,
    base: Base<'_>,
    path: &[u8],
    id: AccessId<'_>,
) -> Result<(), FileError> {
    let Parent { directory, last } = resolve_parent(context, base, path, id)?;
    let (Last::Name(name) | Last::Directory(name)) = last else { return Err(FileError::Exists) };
    match directory.lookup(name) {
        Ok(_) => return Err(FileError::Exists),
        Err(FileError::NotFound) if matches!(last, Last::Name(_)) => {}
        Err(error) => return Err(error),
    }
    if what.id().device != directory.id().device || what.mount() != directory.mount() {
        return Err(FileError::CrossDevice);
    }
    id.check(&*directory, Wanted::WRITE | Wanted::EXECUTE)?;
    if what.protection().kind == FileKind::Directory {
        return Err(FileError::NotPermitted);
    }
    directory.add_name(name, what)
}

/// What renameat2(2) does where the new name is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IfTaken {
    /// What has it loses it.
    Replace,
    /// Nothing: the call fails (`RENAME_NOREPLACE`).
    Fail,
    /// What has it gets the old name; the new one must be taken (`RENAME_EXCHANGE`).
    Exchange,
}

/// One of the names of a rename: where its path begins, and the path.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Where it begins, if it is relative.
    pub base: Base<'a>,
    /// The path.
    pub path: &'a [u8],
}

/// renameat2(2): what is at `from` is at `to` afterwards.
///
/// # Errors
///
/// Those of [`resolve`](super::resolve); [`CrossDevice`](FileError::CrossDevice), [`Busy`](FileError::Busy) for `.`, `..`,
/// `/` and mount points, [`Exists`](FileError::Exists), [`Invalid`](FileError::Invalid) where a directory would come into
/// itself, [`NotEmpty`](FileError::NotEmpty), [`IsDirectory`](FileError::IsDirectory),
/// [`NotDirectory`](FileError::NotDirectory), [`ReadOnly`](FileError::ReadOnly).
pub fn rename(
    context: &Context,
    from: Side<'_>,
    to: Side<'_>,
    if_taken: IfTaken,
    id: AccessId<'_>,
) -> Result<(), FileError> {
    let old = resolve_parent(context, from.base, from.path, id)?;
    let new = resolve_parent(context, to.base, to.path, id)?;
    let mounts = [&old.directory, &new.directory].map(|directory| (directory.id().device, directory.mount()));
    if mounts[0] != mounts[1] {
        return Err(FileError::CrossDevice);
    }
    loop {
        match rename_once(&old, &new, if_taken, id) {
            Err(FileError::Stale) => {}
            outcome => return outcome,
        }
    }
}

fn rename_once(old: &Parent<'_>, new: &Parent<'_>, if_taken: IfTaken, id: AccessId<'_>) -> Result<(), FileError> {
    let (Last::Name(name) | Last::Directory(name)) = old.last else { return Err(FileError::Busy) };
    let (Last::Name(new_name) | Last::Directory(new_name)) = new.last else {
        return Err(if if_taken == IfTaken::Fail { FileError::Exists } else { FileError::Busy });
    };
    let what = old.directory.lookup(name)?;
    let there = match new.directory.lookup(new_name) {
        Ok(_) if if_taken == IfTaken::Fail => return Err(FileError::Exists),
        Ok(there) => Some(there),
        Err(FileError::NotFound) if if_taken != IfTaken::Exchange => None,
        Err(error) => return Err(error),
    };
    let is_mounted = |inode: &Arc<dyn Inode>| {
        (inode.id().device, inode.mount()) != (old.directory.id().device, old.directory.mount())
    };
    if is_mounted(&what) || there.as_ref().is_some_and(is_mounted) {
        return Err(FileError::Busy);
    }
    check_slashes(old, new, &what, there.as_ref(), if_taken)?;
    if there.as_ref().is_some_and(|there| same_file(there, &what)) {
        return Ok(());
    }
    check_rights(old, new, &what, there.as_ref(), id)?;
    if let Some(there) = &there
        && if_taken == IfTaken::Replace
    {
        match (is_directory(&what), is_directory(there)) {
            (true, false) => return Err(FileError::NotDirectory),
            (false, true) => return Err(FileError::IsDirectory),
            _ => {}
        }
    }
    let fate = if if_taken == IfTaken::Exchange { Fate::Exchanged } else { Fate::Replaced };
    let renaming = Renaming { name, what: &what, to: &new.directory, new_name, there: there.as_ref(), fate };
    Arc::clone(&old.directory).rename(&renaming)
}

/// Slashes behind a name ask for a directory.
fn check_slashes(
    old: &Parent<'_>,
    new: &Parent<'_>,
    what: &Arc<dyn Inode>,
    there: Option<&Arc<dyn Inode>>,
    if_taken: IfTaken,
) -> Result<(), FileError> {
    let [old_slash, new_slash] = [old, new].map(|side| matches!(side.last, Last::Directory(_)));
    let exchanges = if_taken == IfTaken::Exchange;
    let new_is_wrong = if exchanges { !there.is_some_and(is_directory) } else { !is_directory(what) };
    if old_slash && !is_directory(what) || new_slash && new_is_wrong {
        return Err(FileError::NotDirectory);
    }
    Ok(())
}

fn check_rights(
    old: &Parent<'_>,
    new: &Parent<'_>,
    what: &Arc<dyn Inode>,
    there: Option<&Arc<dyn Inode>>,
    id: AccessId<'_>,
) -> Result<(), FileError> {
    check_removable(&*old.directory, &**what, id)?;
    match there {
        Some(there) => check_removable(&*new.directory, &**there, id)?,
        None => id.check(&*new.directory, Wanted::WRITE | Wanted::EXECUTE)?,
    }
    // A directory that comes into another one is changed itself: its `..` is.
    let moves = !same_file(&old.directory, &new.directory);
    for directory in [Some(what), there].into_iter().flatten().filter(|inode| moves && is_directory(inode)) {
        id.check(&**directory, Wanted::WRITE)?;
    }
    Ok(())
}

fn is_directory(inode: &Arc<dyn Inode>) -> bool {
    inode.protection().kind == FileKind::Directory
}
