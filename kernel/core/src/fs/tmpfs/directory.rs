//! Directories.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::any::Any;

use super::names::{FIRST_COOKIE, Name, Names};
use super::node::{Body, Node, Touch};
use crate::fs::error::FileError;
use crate::fs::inode::{DirectoryEntry, Inode, Making, Visit};
use crate::fs::metadata::FileKind;
use crate::hal::Cpu;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sync::{Rank, SpinLock};

/// What a name adds to the size of its directory, as Linux has it.
const NAME_BYTES: u64 = 20;
/// What [`Directory::population`] is once the directory is removed.
const REMOVED: u32 = u32::MAX;

pub(super) struct Directory<C: Cpu> {
    pub(super) names: SpinLock<Names<Arc<Node<C>>>, C>,
    /// How many names there are; changes with them locked, but for the step from 0 to [`REMOVED`].
    population: AtomicU32,
    /// The directory above; nothing for a root.
    parent: SpinLock<Weak<Node<C>>, C>,
    /// Whether there is a cover, so that a lookup need not ask.
    is_covered: AtomicBool,
    /// The root of the file system that is mounted on it.
    cover: SpinLock<Option<Arc<dyn Inode>>, C>,
}

impl<C: Cpu> Directory<C> {
    pub(super) fn new(parent: Weak<Node<C>>) -> Self {
        Self {
            names: SpinLock::new(Rank::FileObject, Names::new()),
            population: AtomicU32::new(0),
            parent: SpinLock::new(Rank::FileObject, parent),
            is_covered: AtomicBool::new(false),
            cover: SpinLock::new(Rank::FileObject, None),
        }
    }

    /// As `st_size`.
    pub(super) fn size(&self) -> u64 {
        match self.population.load(Ordering::Acquire) {
            REMOVED => 0,
            names => u64::from(names).saturating_mul(NAME_BYTES),
        }
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<Arc<Node<C>>> {
        self.names.lock().get(name).cloned()
    }

    /// The directory above; none for a root, and for a directory that was removed.
    pub(super) fn parent(&self) -> Option<Arc<Node<C>>> {
        let parent = self.parent.lock().upgrade();
        parent.filter(|_| !self.is_removed())
    }

    pub(super) fn set_parent(&self, parent: &Arc<Node<C>>) {
        let new = Arc::downgrade(parent);
        let before = core::mem::replace(&mut *self.parent.lock(), new);
        drop(before);
    }

    /// What stands in its place for those who come from above.
    #[inline]
    pub(super) fn cover(&self) -> Option<Arc<dyn Inode>> {
        if self.is_covered.load(Ordering::Acquire) { self.cover.lock().clone() } else { None }
    }

    /// Whether there is such a thing.
    pub(super) fn is_covered(&self) -> bool {
        self.is_covered.load(Ordering::Acquire)
    }

    pub(super) fn set_cover(&self, root: Option<Arc<dyn Inode>>) -> Result<(), FileError> {
        let before = {
            let mut cover = self.cover.lock();
            if root.is_some() && (cover.is_some() || self.is_removed()) {
                return Err(FileError::Busy);
            }
            self.is_covered.store(root.is_some(), Ordering::Release);
            core::mem::replace(&mut *cover, root)
        };
        drop(before);
        Ok(())
    }

    pub(super) fn is_removed(&self) -> bool {
        self.population.load(Ordering::Acquire) == REMOVED
    }

    /// Counts a name that is going to be added, with the names locked; nothing comes into a directory that is removed.
    pub(super) fn count_name(&self) -> Result<(), FileError> {
        let counted = self.population.fetch_update(Ordering::AcqRel, Ordering::Acquire, |names| {
            (names != REMOVED).then(|| names.saturating_add(1))
        });
        counted.map(drop).map_err(|_| FileError::NotFound)
    }

    /// Counts a name that was taken out, with the names locked.
    pub(super) fn uncount_name(&self) {
        self.population.fetch_sub(1, Ordering::AcqRel);
    }

    /// Sees to it that an empty directory stays empty: it is being removed.
    pub(super) fn seal(&self) -> Result<(), FileError> {
        let sealed = self.population.compare_exchange(0, REMOVED, Ordering::AcqRel, Ordering::Acquire);
        sealed.map(drop).map_err(|_| FileError::NotEmpty)
    }

    /// Lets go of all that is in it. A tree may be deep, so it is taken apart by a loop.
    pub(super) fn destroy(&mut self) {
        let mut level = Level { names: core::mem::replace(self.names.get_mut(), Names::new()), above: None };
        loop {
            let Some(node) = level.names.pop() else {
                let Some(above) = level.above else { return };
                level = *above;
                continue;
            };
            // Whoever has another reference drops it later.
            let Some(mut node) = Arc::into_inner(node) else { continue };
            if let Body::Directory(directory) = &mut node.body
                && directory.names.get_mut().len() > 0
            {
                let names = core::mem::replace(directory.names.get_mut(), Names::new());
                let above = if level.names.len() > 0 { Some(Box::new(level)) } else { level.above };
                level = Level { names, above };
            }
        }
    }
}

/// What is left of a directory that is taken apart, and of those that it is in.
struct Level<C: Cpu> {
    names: Names<Arc<Node<C>>>,
    above: Option<Box<Self>>,
}

impl<C: Cpu> Node<C> {
    pub(super) fn show_directory(
        &self,
        from: u64,
        visit: &mut dyn FnMut(DirectoryEntry<'_>) -> Visit,
    ) -> Result<(), FileError> {
        let directory = self.directory()?;
        let mut cookie = from;
        for (dot, name) in [(0, &b"."[..]), (1, b"..")] {
            if cookie > dot {
                continue;
            }
            let inode = if dot == 0 { self.number() } else { self.number_of_parent() };
            cookie = dot.saturating_add(1);
            if visit(DirectoryEntry { inode, kind: FileKind::Directory, name, next: cookie }) == Visit::Enough {
                return Ok(());
            }
        }
        loop {
            // One at a time: the visitor may sleep.
            let next = directory.names.lock().next_from(cookie.max(FIRST_COOKIE));
            let Some((at, name, node)) = next else { return Ok(()) };
            cookie = at.saturating_add(1);
            let entry = DirectoryEntry { inode: node.number(), kind: node.kind, name: name.bytes(), next: cookie };
            if visit(entry) == Visit::Enough {
                return Ok(());
            }
        }
    }

    fn number_of_parent(&self) -> u64 {
        self.parent().map_or(self.number(), |parent| parent.id().inode)
    }

    pub(super) fn make_in(self: Arc<Self>, name: &[u8], making: &Making<'_>) -> Result<Arc<Self>, FileError> {
        let directory = self.directory()?;
        self.fs.check_writable()?;
        let made = Self::from_making(&self.fs, making, Some(&self))?;
        self.enter(directory, Name::copy(name), &made)?;
        if made.kind == FileKind::Directory {
            self.links.fetch_add(1, Ordering::AcqRel);
        }
        self.touch(Touch::Modified);
        Ok(made)
    }

    /// Gives `node` a name that is not taken.
    fn enter(&self, directory: &Directory<C>, name: Name, node: &Arc<Self>) -> Result<(), FileError> {
        let node = Arc::clone(node);
        let mut names = directory.names.lock();
        if names.get(name.bytes()).is_some() {
            drop(names);
            return Err(FileError::Exists);
        }
        directory.count_name()?;
        names.insert(name, node);
        Ok(())
    }

    pub(super) fn link_name(&self, name: &[u8], what: &Arc<dyn Inode>) -> Result<(), FileError> {
        let directory = self.directory()?;
        self.fs.check_writable()?;
        let node = Self::of(what).filter(|node| node.is_beside(self)).ok_or(FileError::CrossDevice)?;
        if node.kind == FileKind::Directory {
            return Err(FileError::NotPermitted);
        }
        if !self.fs.source().has_room() {
            return Err(FileError::OutOfMemory);
        }
        node.add_link()?;
        self.enter(directory, Name::copy(name), &node).inspect_err(|_| node.drop_link())?;
        node.touch(Touch::Changed);
        self.touch(Touch::Modified);
        Ok(())
    }

    pub(super) fn remove_name(&self, name: &[u8], what: &Arc<dyn Inode>) -> Result<(), FileError> {
        let directory = self.directory()?;
        self.fs.check_writable()?;
        // What covers a directory stands in its way.
        let node = Self::of(what).filter(|node| node.is_beside(self)).ok_or(FileError::Busy)?;
        let removed = {
            let mut names = directory.names.lock();
            match names.get(name) {
                Some(there) if Arc::ptr_eq(there, &node) => {}
                _ => return Err(FileError::Stale),
            }
            if node.is_covered() {
                return Err(FileError::Busy);
            }
            if let Body::Directory(inner) = &node.body {
                inner.seal()?;
            }
            directory.uncount_name();
            names.remove(name)
        };
        if node.kind == FileKind::Directory {
            node.links.store(0, Ordering::Release);
            self.links.fetch_sub(1, Ordering::AcqRel);
        } else {
            node.drop_link();
        }
        node.touch(Touch::Changed);
        self.touch(Touch::Modified);
        drop(removed);
        Ok(())
    }

    /// The node that an inode is, if it is one of a file system of this kind.
    pub(super) fn of(inode: &Arc<dyn Inode>) -> Option<Arc<Self>> {
        let any: Arc<dyn Any + Send + Sync> = Arc::clone(inode) as Arc<dyn Any + Send + Sync>;
        any.downcast::<Self>().ok()
    }
}
