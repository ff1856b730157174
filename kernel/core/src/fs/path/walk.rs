//! The walk along a path.
//!
//! [`Walk::advance`] goes along one text, the path itself or a link's target, until it ends or meets a link that must be
//! followed. Most paths have none, and for them that is all. For the others [`Walk::follow`] keeps the texts that
//! are not yet finished: a link in the middle of a target is walked before the rest of the target, and a link at
//! the very end of everything takes no place at all.

use alloc::sync::Arc;

use heapless::Vec;

use super::component::{Component, Tail, component};
use super::{Base, Follow, MAX_LINKS, NAME_MAX, PATH_MAX, WalkRules};
use crate::fs::access::AccessId;
use crate::fs::context::Context;
use crate::fs::error::FileError;
use crate::fs::inode::{Inode, Link, same_place};
use crate::fs::metadata::{FileKind, Protection};

/// Makes a file in a directory, under a name.
type MakeLast<'a> = dyn FnMut(&Arc<dyn Inode>, &[u8]) -> Result<Arc<dyn Inode>, FileError> + 'a;

/// What happens when everything is there but the last component.
pub(in crate::fs) enum Missing<'a> {
    /// The walk fails.
    Fail,
    /// This makes it.
    Make(&'a mut MakeLast<'a>),
}

/// A walk under way.
pub(in crate::fs) struct Walk<'a> {
    /// The process's root, or with [`WalkRules::SCOPED`] where the walk began.
    root: &'a Arc<dyn Inode>,
    id: AccessId<'a>,
    follow: Follow,
    rules: WalkRules,
    /// Where it is, and the protection of that.
    at: Arc<dyn Inode>,
    protection: Protection,
    /// A slash at the end wants a directory there.
    wants_directory: bool,
}

/// Why a walk along one text is over.
enum Stop {
    /// It arrived.
    End,
    /// Here is a link to be followed.
    Link(Arc<dyn Inode>),
}

/// What waits to be walked behind the text that is being walked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Nothing,
    Components,
}

/// A text that is not yet finished: the target of `link` (or the path itself), from `next` on.
struct Unfinished {
    link: Option<Arc<dyn Inode>>,
    next: usize,
    behind: Behind,
}

impl<'a> Walk<'a> {
    pub(in crate::fs) fn new(
        context: &'a Context,
        base: Base<'a>,
        path: &[u8],
        follow: Follow,
        id: AccessId<'a>,
        rules: WalkRules,
    ) -> Result<Self, FileError> {
        if path.len() >= PATH_MAX {
            return Err(FileError::NameTooLong);
        }
        let base = match base {
            Base::Working => context.directory(),
            Base::At(base) => base,
        };
        let root = if rules.intersects(WalkRules::SCOPED) { base } else { context.root() };
        let start = match path.first() {
            None => return Err(FileError::NotFound),
            Some(b'/') if rules.contains(WalkRules::BENEATH) => return Err(FileError::CrossDevice),
            Some(b'/') => root,
            Some(_) => base,
        };
        let protection = start.protection();
        if protection.kind != FileKind::Directory {
            return Err(FileError::NotDirectory);
        }
        let at = Arc::clone(start);
        Ok(Self { root, id, follow, rules, at, protection, wants_directory: false })
    }

    /// Walks along `path`, which is the one that [`new`](Self::new) was given.
    pub(in crate::fs) fn run(mut self, path: &[u8], mut missing: Missing<'_>) -> Result<Arc<dyn Inode>, FileError> {
        let mut next = 0;
        if let Stop::Link(link) = self.advance(path, &mut next, Behind::Nothing, &mut missing)? {
            self.follow(link, path, next, &mut missing)?;
        }
        if self.wants_directory && self.protection.kind != FileKind::Directory {
            return Err(FileError::NotDirectory);
        }
        if self.rules.intersects(WalkRules::SCOPED) && !self.is_below_root() {
            return Err(FileError::CrossDevice);
        }
        Ok(self.at)
    }

    /// Follows `link`, which was met in `path`, walks what is behind it from `next` on, and so on to the end.
    #[cold]
    #[inline(never)]
    fn follow(
        &mut self,
        link: Arc<dyn Inode>,
        path: &[u8],
        next: usize,
        missing: &mut Missing<'_>,
    ) -> Result<(), FileError> {
        let mut unfinished = Vec::<Unfinished, MAX_LINKS>::new();
        let mut text = Unfinished { link: None, next, behind: Behind::Nothing };
        let mut stop = Stop::Link(link);
        let mut followed = 0_usize;
        loop {
            if let Stop::Link(link) = stop {
                followed = followed.saturating_add(1);
                if followed > MAX_LINKS {
                    return Err(FileError::TooManyLinks);
                }
                let rest = text.remains(path)?;
                let behind = if rest { Behind::Components } else { text.behind };
                if rest {
                    unfinished.push(text).map_err(|_| FileError::TooManyLinks)?;
                }
                self.enter(&link, behind)?;
                text = Unfinished { link: Some(link), next: 0, behind };
            } else {
                let Some(last) = unfinished.pop() else {
                    return Ok(());
                };
                text = last;
            }
            let mut next = text.next;
            stop = text.with(path, |target| self.advance(target, &mut next, text.behind, missing))??;
            text.next = next;
        }
    }

    /// Goes where the target of `link` begins.
    fn enter(&mut self, link: &Arc<dyn Inode>, behind: Behind) -> Result<(), FileError> {
        if self.rules.contains(WalkRules::NO_LINKS) {
            return Err(FileError::TooManyLinks);
        }
        match link.link()? {
            Link::Path([]) => Err(FileError::NotFound),
            Link::Path([b'/', ..]) if self.rules.contains(WalkRules::BENEATH) => Err(FileError::CrossDevice),
            Link::Path([b'/', ..]) => {
                self.check_crossing(&**self.root)?;
                self.go(Arc::clone(self.root));
                Ok(())
            }
            Link::Path(_) => Ok(()),
            Link::File(_) if self.rules.contains(WalkRules::NO_KERNEL_LINKS) => Err(FileError::TooManyLinks),
            Link::File(_) if self.rules.intersects(WalkRules::SCOPED) => Err(FileError::CrossDevice),
            Link::File(file) => {
                self.check_crossing(&*file)?;
                self.go(file);
                self.check_middle(behind)
            }
        }
    }

    /// Walks along `text` from `next` on and leaves in `next` how far it came.
    #[inline]
    fn advance(
        &mut self,
        text: &[u8],
        next: &mut usize,
        behind: Behind,
        missing: &mut Missing<'_>,
    ) -> Result<Stop, FileError> {
        while let Some(here) = component(text, *next) {
            *next = here.next;
            self.id.check_search_of(self.protection)?;
            let behind = if here.tail == Tail::More { Behind::Components } else { behind };
            if here.tail == Tail::Slashes && behind == Behind::Nothing {
                self.wants_directory = true;
            }
            if let Some(link) = self.step(here, behind, missing)? {
                return Ok(Stop::Link(link));
            }
        }
        Ok(Stop::End)
    }

    /// Takes one step, or returns the link that stands there and must be followed.
    #[inline]
    fn step(
        &mut self,
        here: Component<'_>,
        behind: Behind,
        missing: &mut Missing<'_>,
    ) -> Result<Option<Arc<dyn Inode>>, FileError> {
        match here.name {
            b"." => return Ok(None),
            b".." => {
                self.up()?;
                return Ok(None);
            }
            name if name.len() > NAME_MAX => return Err(FileError::NameTooLong),
            _ => {}
        }
        let child = match (self.at.lookup(here.name), missing) {
            // With a slash at the end only a directory could be meant, and open(2) makes none.
            (_, Missing::Make(_)) if self.wants_directory && behind == Behind::Nothing => {
                return Err(FileError::IsDirectory);
            }
            (Err(FileError::NotFound), Missing::Make(make)) if behind == Behind::Nothing => {
                match make(&self.at, here.name) {
                    // Somebody else was first.
                    Err(FileError::Exists) => self.at.lookup(here.name)?,
                    made => made?,
                }
            }
            (child, _) => child?,
        };
        let protection = child.protection();
        if protection.kind == FileKind::Symlink
            && (behind == Behind::Components || self.follow == Follow::Yes || self.wants_directory)
        {
            return Ok(Some(child));
        }
        if !self.rules.is_empty() {
            self.check_step(&*child)?;
        }
        (self.at, self.protection) = (child, protection);
        self.check_middle(behind)?;
        Ok(None)
    }

    /// What is not last must be a directory.
    #[inline]
    fn check_middle(&self, behind: Behind) -> Result<(), FileError> {
        if behind == Behind::Components && self.protection.kind != FileKind::Directory {
            return Err(FileError::NotDirectory);
        }
        Ok(())
    }

    /// Whether the walk may go from a directory to what it found there.
    #[cold]
    #[inline(never)]
    fn check_step(&self, child: &dyn Inode) -> Result<(), FileError> {
        self.check_crossing(child)?;
        // What is no directory knows none above it: the walk itself is asked while it is still in that.
        let is_directory = child.protection().kind == FileKind::Directory;
        if self.rules.intersects(WalkRules::SCOPED) && !is_directory && !self.is_below_root() {
            return Err(FileError::CrossDevice);
        }
        Ok(())
    }

    /// Whether the walk may go to `to`, which may be in another file system.
    fn check_crossing(&self, to: &dyn Inode) -> Result<(), FileError> {
        let stays = !self.rules.contains(WalkRules::ONE_FILE_SYSTEM) || to.id().device == self.at.id().device;
        if stays { Ok(()) } else { Err(FileError::CrossDevice) }
    }

    /// Whether the walk is at its root or somewhere below, as the tree is now. What is no directory was asked for before.
    fn is_below_root(&self) -> bool {
        if self.protection.kind != FileKind::Directory {
            return true;
        }
        let mut at = Arc::clone(&self.at);
        loop {
            if same_place(&at, self.root) {
                return true;
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }

    /// `..`: at the process's root, and at a root above which there is nothing, it stays where it is.
    fn up(&mut self) -> Result<(), FileError> {
        if same_place(&self.at, self.root) {
            return if self.rules.contains(WalkRules::BENEATH) { Err(FileError::CrossDevice) } else { Ok(()) };
        }
        if let Some(parent) = self.at.parent() {
            self.check_crossing(&*parent)?;
            self.go(parent);
            // Somebody may have moved the directory out of the tree that the walk is to stay in.
            if self.rules.intersects(WalkRules::SCOPED) && !self.is_below_root() {
                return Err(FileError::WouldBlock);
            }
        }
        Ok(())
    }

    fn go(&mut self, to: Arc<dyn Inode>) {
        self.protection = to.protection();
        self.at = to;
    }
}

impl Unfinished {
    /// Lends the text to `walk`. A link to a file has none.
    fn with<T>(&self, path: &[u8], walk: impl FnOnce(&[u8]) -> T) -> Result<T, FileError> {
        let Some(link) = &self.link else {
            return Ok(walk(path));
        };
        match link.link()? {
            Link::Path(target) => Ok(walk(target)),
            Link::File(_) => Ok(walk(&[])),
        }
    }

    /// Whether there are components that were not walked yet.
    fn remains(&self, path: &[u8]) -> Result<bool, FileError> {
        self.with(path, |text| component(text, self.next).is_some())
    }
}
