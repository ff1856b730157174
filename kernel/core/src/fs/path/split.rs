//! A path, up to its last component: for calls that make, remove or rename.

use alloc::sync::Arc;

use super::component::{Tail, component};
use super::walk::{Missing, Walk};
use super::{Base, Follow, NAME_MAX, WalkRules};
use crate::fs::access::AccessId;
use crate::fs::context::Context;
use crate::fs::error::FileError;
use crate::fs::inode::Inode;

/// The last component of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Last<'a> {
    /// A name.
    Name(&'a [u8]),
    /// A name with slashes behind it.
    Directory(&'a [u8]),
    /// `.`
    Itself,
    /// `..`
    Above,
    /// There is none: the path is `/`.
    Root,
}

/// The directory that the last component of a path is in, and that component.
pub struct Parent<'p> {
    /// The directory.
    pub directory: Arc<dyn Inode>,
    /// The component. It need not be there.
    pub last: Last<'p>,
}

/// Walks along `path` up to its last component.
///
/// # Errors
///
/// Those of [`resolve`](super::resolve).
pub fn resolve_parent<'p>(
    context: &Context,
    base: Base<'_>,
    path: &'p [u8],
    id: AccessId<'_>,
) -> Result<Parent<'p>, FileError> {
    let walk = Walk::new(context, base, path, Follow::Yes, id, WalkRules::empty())?;
    let (before, last) = split(path);
    if let Last::Name(name) | Last::Directory(name) = last
        && name.len() > NAME_MAX
    {
        return Err(FileError::NameTooLong);
    }
    let directory = walk.run(before, Missing::Fail)?;
    id.check_search(&*directory)?;
    Ok(Parent { directory, last })
}

/// Cuts `path` before its last component.
fn split(path: &[u8]) -> (&[u8], Last<'_>) {
    let mut at = 0;
    loop {
        let Some(here) = component(path, at) else {
            return (path, Last::Root);
        };
        if here.tail != Tail::More {
            let last = match (here.name, here.tail) {
                (b".", _) => Last::Itself,
                (b"..", _) => Last::Above,
                (name, Tail::Slashes) => Last::Directory(name),
                (name, _) => Last::Name(name),
            };
            return (path.get(..at).unwrap_or_default(), last);
        }
        at = here.next;
    }
}
