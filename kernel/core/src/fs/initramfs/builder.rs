//! The table of nodes in which an archive becomes a tree.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Problem;
use super::links::Links;
use crate::boot::initramfs::Entry;
use crate::fs::metadata::{DeviceNumber, FileKind, Timestamp};
use crate::fs::path::NAME_MAX;
use crate::fs::tmpfs::Tmpfs;
use crate::hal::Cpu;

/// The number of the root.
pub(super) const ROOT: usize = 0;
/// The most symbolic links on the way of one entry.
const MAX_LINKS: usize = 8;

/// The tree in the making. Directories have higher numbers than the directories that they are in.
pub(super) struct Builder<'a, C: Cpu> {
    archive: &'static [u8],
    fs: &'a Arc<Tmpfs<C>>,
    pub(super) nodes: Vec<Draft>,
    /// By directory and name.
    pub(super) names: BTreeMap<(usize, &'static [u8]), usize>,
    links: Links,
}

/// A file in the making.
pub(super) struct Draft {
    pub(super) content: Content,
    pub(super) permissions: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: Timestamp,
    /// How many names it has.
    pub(super) names: u32,
}

/// What makes a file of its kind.
#[derive(Clone, Copy)]
pub(super) enum Content {
    Directory { parent: usize },
    Regular(&'static [u8]),
    Symlink(&'static [u8]),
    Node(FileKind, DeviceNumber),
}

/// What goes wrong on the way to a name.
enum Lost {
    NoPath,
    OutOfMemory,
}

impl Content {
    pub(super) const fn kind(self) -> FileKind {
        match self {
            Self::Directory { .. } => FileKind::Directory,
            Self::Regular(_) => FileKind::Regular,
            Self::Symlink(_) => FileKind::Symlink,
            Self::Node(kind, _) => kind,
        }
    }

    pub(super) const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Regular(bytes) | Self::Symlink(bytes) => bytes,
            Self::Directory { .. } | Self::Node(..) => &[],
        }
    }
}

impl Draft {
    /// As whoever made a directory that the archive forgot.
    pub(super) const fn plain(content: Content, permissions: u16) -> Self {
        Self { content, permissions, uid: 0, gid: 0, modified: Timestamp { seconds: 0, nanoseconds: 0 }, names: 0 }
    }

    /// Takes over all that an entry says about its file but what is in it.
    fn describe(&mut self, entry: &Entry<'_>) {
        let permissions = (entry.mode & 0o7777) as u16;
        self.permissions = permissions;
        self.uid = entry.uid;
        self.gid = entry.gid;
        self.modified = Timestamp { seconds: i64::from(entry.mtime_s), nanoseconds: 0 };
    }
}

impl<'a, C: Cpu> Builder<'a, C> {
    pub(super) fn new(archive: &'static [u8], fs: &'a Arc<Tmpfs<C>>) -> Self {
        let root = Draft::plain(Content::Directory { parent: ROOT }, 0o755);
        let nodes = Vec::from([root]);
        Self { archive, fs, nodes, names: BTreeMap::new(), links: Links::new() }
    }

    /// Adds what an entry describes.
    pub(super) fn add(&mut self, entry: &Entry<'static>) -> Result<(), Problem<'static>> {
        self.links.advance(self.archive, entry);
        let kind = FileKind::from_mode(entry.mode).ok_or(Problem::UnknownType(entry.name))?;
        if components(entry.name).any(|name| name == b"..") {
            return Err(Problem::Climbs(entry.name));
        }
        let lost = |lost| match lost {
            Lost::NoPath => Problem::NoPath(entry.name),
            Lost::OutOfMemory => Problem::OutOfMemory,
        };
        let (way, last) = split(entry.name);
        let Some(name) = last.filter(|name| name.len() <= NAME_MAX) else {
            return match (last, kind) {
                (None, FileKind::Directory) => {
                    self.describe(ROOT, entry);
                    Ok(())
                }
                _ => Err(Problem::NoPath(entry.name)),
            };
        };
        let directory = self.walk(ROOT, way, &mut MAX_LINKS.clone()).map_err(lost)?;
        let node = self.place(directory, name, kind, entry).map_err(|failure| match failure {
            None => Problem::NotEmpty(entry.name),
            Some(failure) => lost(failure),
        })?;
        self.describe(node, entry);
        Ok(())
    }

    /// Sees to it that there is a directory `/dev`, where the nodes of devices are mounted, and puts whatever stands in its
    /// place aside.
    pub(super) fn add_dev(&mut self, report: &mut dyn FnMut(Problem<'_>)) {
        if self.own_directory(ROOT, b"dev").is_err() {
            report(Problem::OutOfMemory);
        }
    }

    /// Goes from `directory` along `way`, making what is missing.
    fn walk(&mut self, from: usize, way: &'static [u8], links: &mut usize) -> Result<usize, Lost> {
        let mut at = from;
        for name in components(way) {
            at = match name {
                b".." => self.parent(at),
                name if name.len() > NAME_MAX => return Err(Lost::NoPath),
                name => self.enter(at, name, links)?,
            };
        }
        Ok(at)
    }

    /// Goes into the directory that `name` stands for, or leads to.
    fn enter(&mut self, directory: usize, name: &'static [u8], links: &mut usize) -> Result<usize, Lost> {
        let Some(&node) = self.names.get(&(directory, name)) else {
            let content = Content::Directory { parent: directory };
            return self.create(directory, name, Draft::plain(content, 0o755));
        };
        match self.nodes.get(node).map(|draft| draft.content) {
            Some(Content::Directory { .. }) => Ok(node),
            Some(Content::Symlink(target)) => {
                *links = links.checked_sub(1).ok_or(Lost::NoPath)?;
                let from = if target.starts_with(b"/") { ROOT } else { directory };
                self.walk(from, target, links)
            }
            _ => Err(Lost::NoPath),
        }
    }

    /// The node under `name` that shall be what `entry` describes. `None` as an error: a directory that is not empty is in
    /// the way.
    fn place(
        &mut self,
        directory: usize,
        name: &'static [u8],
        kind: FileKind,
        entry: &Entry<'static>,
    ) -> Result<usize, Option<Lost>> {
        let bytes = self.archive.get(entry.data.clone()).unwrap_or_default();
        let content = match kind {
            FileKind::Directory => Content::Directory { parent: directory },
            FileKind::Regular => Content::Regular(bytes),
            FileKind::Symlink => Content::Symlink(bytes),
            _ => Content::Node(kind, DeviceNumber::new(entry.node.0, entry.node.1)),
        };
        let key = Links::key(entry, kind);
        let there = self.names.get(&(directory, name)).copied();
        if let Some(linked) = key.and_then(|key| self.links.find(key)) {
            if there != Some(linked) {
                self.unlink(directory, name).map_err(|NotEmpty| None)?;
                self.link(directory, name, linked);
            }
            // Only one of a file's entries need carry its contents.
            if !bytes.is_empty() {
                self.fill(linked, content);
            }
            return Ok(linked);
        }
        let node = match there {
            Some(there)
                if self.kind(there) == Some(kind) && matches!(kind, FileKind::Directory | FileKind::Regular) =>
            {
                if kind == FileKind::Regular {
                    self.fill(there, content);
                }
                there
            }
            _ => {
                self.unlink(directory, name).map_err(|NotEmpty| None)?;
                self.create(directory, name, Draft::plain(content, 0)).map_err(Some)?
            }
        };
        if let Some(key) = key {
            self.links.add(key, node);
        }
        Ok(node)
    }

    /// The directory `name`, made anew where something else has that name.
    fn own_directory(&mut self, directory: usize, name: &'static [u8]) -> Result<usize, Lost> {
        match self.names.get(&(directory, name)) {
            Some(&node) if self.kind(node) == Some(FileKind::Directory) => Ok(node),
            _ => {
                self.unlink(directory, name).map_err(|NotEmpty| Lost::NoPath)?;
                let content = Content::Directory { parent: directory };
                self.create(directory, name, Draft::plain(content, 0o755))
            }
        }
    }

    fn create(&mut self, directory: usize, name: &'static [u8], draft: Draft) -> Result<usize, Lost> {
        if !self.fs.pages().has_room() {
            return Err(Lost::OutOfMemory);
        }
        self.nodes.try_reserve(1).map_err(|_| Lost::OutOfMemory)?;
        let node = self.nodes.len();
        self.nodes.push(draft);
        self.link(directory, name, node);
        Ok(node)
    }

    fn link(&mut self, directory: usize, name: &'static [u8], node: usize) {
        self.names.insert((directory, name), node);
        if let Some(draft) = self.nodes.get_mut(node) {
            draft.names = draft.names.saturating_add(1);
        }
    }

    /// Takes a name away, if it is there, unless it is that of a directory that is not empty.
    fn unlink(&mut self, directory: usize, name: &'static [u8]) -> Result<(), NotEmpty> {
        let Some(&node) = self.names.get(&(directory, name)) else {
            return Ok(());
        };
        if self.children(node).next().is_some() {
            return Err(NotEmpty);
        }
        self.names.remove(&(directory, name));
        if let Some(draft) = self.nodes.get_mut(node) {
            draft.names = draft.names.saturating_sub(1);
        }
        Ok(())
    }

    fn describe(&mut self, node: usize, entry: &Entry<'_>) {
        if let Some(draft) = self.nodes.get_mut(node) {
            draft.describe(entry);
        }
    }

    fn fill(&mut self, node: usize, content: Content) {
        if let Some(draft) = self.nodes.get_mut(node) {
            draft.content = content;
        }
    }

    pub(super) fn kind(&self, node: usize) -> Option<FileKind> {
        self.nodes.get(node).map(|draft| draft.content.kind())
    }

    /// The directory above; the root's is the root.
    fn parent(&self, directory: usize) -> usize {
        match self.nodes.get(directory).map(|draft| draft.content) {
            Some(Content::Directory { parent }) => parent,
            _ => ROOT,
        }
    }

    pub(super) fn children(&self, directory: usize) -> impl Iterator<Item = (&'static [u8], usize)> {
        let range = (directory, &[][..])..(directory.saturating_add(1), &[][..]);
        self.names.range(range).map(|(&(_, name), &node)| (name, node))
    }
}

/// A directory that is not empty is in the way.
struct NotEmpty;

/// What stands between slashes, without `.`.
fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|&name| !matches!(name, b"" | b"."))
}

/// Cuts `path` before the last of its [`components`].
fn split(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(name) = components(path).last() else {
        return (&[], None);
    };
    // What is behind the name are slashes and dots, so it is the last thing in the path that looks like it.
    let end = path.len().saturating_sub(trailing(path));
    (path.get(..end.saturating_sub(name.len())).unwrap_or_default(), Some(name))
}

/// How many bytes behind the last component mean nothing.
fn trailing(path: &[u8]) -> usize {
    let mut rest = path;
    loop {
        rest = match rest {
            [start @ .., b'/'] => start,
            [b'.'] => &[],
            [start @ .., b'/', b'.'] => start,
            _ => return path.len().saturating_sub(rest.len()),
        };
    }
}
