//! rename(2): a name moves, and what it stands for with it.
//!
//! Both directories' names are locked together, and all that can fail is done before anything moves: the last is to seal
//! an empty directory that is replaced, which needs nothing but its counter.

use alloc::sync::Arc;

use super::directory::Directory;
use super::names::{Name, Names};
use super::node::{Node, Touch};
use crate::fs::error::FileError;
use crate::fs::inode::{Fate, Renaming};
use crate::fs::metadata::FileKind;
use crate::hal::Cpu;
use crate::sync::SpinPair;
use crate::sync::atomic::Ordering;

/// The names on both sides, locked; `None` where both are the same.
type Both<'a, C> = (&'a mut Names<Arc<Node<C>>>, Option<&'a mut Names<Arc<Node<C>>>>);

/// Who takes part.
struct Cast<C: Cpu> {
    from: Arc<Node<C>>,
    to: Arc<Node<C>>,
    what: Arc<Node<C>>,
    there: Option<Arc<Node<C>>>,
}

impl<C: Cpu> Node<C> {
    pub(super) fn rename_from(self: Arc<Self>, renaming: &Renaming<'_>) -> Result<(), FileError> {
        self.fs.check_writable()?;
        let own = |inode| Self::of(inode).filter(|node| node.is_beside(&self)).ok_or(FileError::CrossDevice);
        let (to, what, there) = (own(renaming.to)?, own(renaming.what)?, renaming.there.map(own).transpose()?);
        if !self.fs.source().has_room() {
            return Err(FileError::OutOfMemory);
        }
        let cast = Cast { from: self, to, what, there };
        let exchanges = renaming.fate == Fate::Exchanged;
        let moves_way = !cast.stays() && (cast.what.is_directory() || exchanges);
        let _moving = moves_way.then(|| cast.from.fs.moving.lock());
        if moves_way {
            cast.check_ways(renaming.fate)?;
        }
        cast.exchange_names(renaming)?;
        cast.settle(renaming.fate);
        Ok(())
    }

    fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Whether `other` is this one, or below it.
    fn is_above(&self, other: &Arc<Self>) -> bool {
        let mut at = Some(Arc::clone(other));
        while let Some(node) = at {
            if core::ptr::eq(&*node, self) {
                return true;
            }
            at = node.directory().ok().and_then(Directory::parent);
        }
        false
    }
}

impl<C: Cpu> Cast<C> {
    /// Whether both names are in one directory.
    fn stays(&self) -> bool {
        Arc::ptr_eq(&self.from, &self.to)
    }

    /// Nothing comes below itself.
    fn check_ways(&self, fate: Fate) -> Result<(), FileError> {
        if self.what.is_above(&self.to) {
            return Err(FileError::Invalid);
        }
        match &self.there {
            Some(there) if there.is_above(&self.from) => match fate {
                Fate::Exchanged => Err(FileError::Invalid),
                Fate::Replaced => Err(FileError::NotEmpty),
            },
            _ => Ok(()),
        }
    }

    /// The step itself, with both directories locked.
    fn exchange_names(&self, renaming: &Renaming<'_>) -> Result<(), FileError> {
        let (from, to) = (self.from.directory()?, self.to.directory()?);
        let new_name = Name::copy(renaming.new_name);
        let mut pair = SpinPair::lock(&from.names, &to.names);
        let both = pair.both();
        self.check_names(renaming, &both)?;
        if from.is_removed() || to.is_removed() {
            return Err(FileError::NotFound);
        }
        let (old_names, new_names) = both;
        match (&self.there, renaming.fate) {
            (Some(there), Fate::Exchanged) => {
                old_names.replace(renaming.name, Arc::clone(there));
                new_names.unwrap_or(old_names).replace(renaming.new_name, Arc::clone(&self.what));
            }
            (None, Fate::Exchanged) => return Err(FileError::Stale),
            (Some(there), Fate::Replaced) => {
                if let Ok(replaced) = there.directory() {
                    replaced.seal()?;
                }
                old_names.remove(renaming.name);
                from.uncount_name();
                new_names.unwrap_or(old_names).replace(renaming.new_name, Arc::clone(&self.what));
            }
            (None, Fate::Replaced) => match new_names {
                None => old_names.rename(renaming.name, new_name),
                Some(new_names) => {
                    to.count_name()?;
                    old_names.remove(renaming.name);
                    from.uncount_name();
                    new_names.insert(new_name, Arc::clone(&self.what));
                }
            },
        }
        Ok(())
    }

    /// Both names must still stand for what they were found to stand for.
    fn check_names(&self, renaming: &Renaming<'_>, (old_names, new_names): &Both<'_, C>) -> Result<(), FileError> {
        let new_names: &Names<_> = match new_names {
            Some(names) => names,
            None => old_names,
        };
        let is = |found: Option<&Arc<Node<C>>>, expected: Option<&Arc<Node<C>>>| match (found, expected) {
            (Some(found), Some(expected)) => Arc::ptr_eq(found, expected),
            (None, None) => true,
            _ => false,
        };
        let as_found = is(old_names.get(renaming.name), Some(&self.what))
            && is(new_names.get(renaming.new_name), self.there.as_ref());
        if as_found { Ok(()) } else { Err(FileError::Stale) }
    }

    /// Counts of names, ways up and times, once the names are what they shall be.
    fn settle(&self, fate: Fate) {
        if !self.stays() {
            move_up(&self.what, &self.from, &self.to);
        }
        match (&self.there, fate) {
            (Some(exchanged), Fate::Exchanged) if !self.stays() => move_up(exchanged, &self.to, &self.from),
            (Some(replaced), Fate::Replaced) if replaced.is_directory() => {
                replaced.links.store(0, Ordering::Release);
                self.to.drop_link();
            }
            (Some(replaced), Fate::Replaced) => replaced.drop_link(),
            _ => {}
        }
        for node in [Some(&self.what), self.there.as_ref()].into_iter().flatten() {
            node.touch(Touch::Changed);
        }
        self.from.touch(Touch::Modified);
        if !self.stays() {
            self.to.touch(Touch::Modified);
        }
    }
}

/// Tells a directory that it is in `to` now, and both of it.
fn move_up<C: Cpu>(node: &Node<C>, from: &Node<C>, to: &Arc<Node<C>>) {
    if let Ok(directory) = node.directory() {
        directory.set_parent(to);
        from.drop_link();
        to.links.fetch_add(1, Ordering::AcqRel);
    }
}
