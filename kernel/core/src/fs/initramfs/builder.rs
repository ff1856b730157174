//! The table of nodes in which an archive becomes a tree.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::directory::{Directory, Entry as Named};
use super::file::File;
use super::links::Links;
use super::node::{Node, Symlink};
use super::{Attributes, Problem};
use crate::boot::initramfs::Entry;
use crate::fs::devices::Devices;
use crate::fs::error::FileError;
use crate::fs::inode::Inode;
use crate::fs::metadata::{DeviceNumber, FileKind, Protection, Timestamp};
use crate::fs::pages::{PageSource, Pages};
use crate::fs::path::NAME_MAX;

/// The number of the root.
const ROOT: usize = 0;
/// The most symbolic links on the way of one entry.
const MAX_LINKS: usize = 8;

/// The tree in the making. Directories have higher numbers than the directories that they are in.
pub(super) struct Builder<'a> {
    archive: &'static [u8],
    source: &'a Arc<dyn PageSource>,
    devices: &'a Arc<Devices>,
    nodes: Vec<Draft>,
    /// By directory and name.
    names: BTreeMap<(usize, &'static [u8]), usize>,
    links: Links,
}

/// A file in the making.
struct Draft {
    content: Content,
    permissions: u16,
    uid: u32,
    gid: u32,
    modified: Timestamp,
    /// How many names it has.
    names: u32,
}

#[derive(Clone, Copy)]
enum Content {
    Directory { parent: usize },
    Regular(&'static [u8]),
    Symlink(&'static [u8]),
    Node(FileKind, DeviceNumber),
}

/// A finished inode, of which a directory will yet be told where it is.
#[derive(Clone)]
enum Made {
    Directory(Arc<Directory>),
    Other(Arc<dyn Inode>),
}

/// What goes wrong on the way to a name.
enum Lost {
    NoPath,
    OutOfMemory,
}

impl Content {
    const fn kind(self) -> FileKind {
        match self {
            Self::Directory { .. } => FileKind::Directory,
            Self::Regular(_) => FileKind::Regular,
            Self::Symlink(_) => FileKind::Symlink,
            Self::Node(kind, _) => kind,
        }
    }

    const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Regular(bytes) | Self::Symlink(bytes) => bytes,
            Self::Directory { .. } | Self::Node(..) => &[],
        }
    }
}

impl Draft {
    /// As whoever made a directory that the archive forgot.
    const fn plain(content: Content, permissions: u16) -> Self {
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

impl<'a> Builder<'a> {
    pub(super) fn new(archive: &'static [u8], source: &'a Arc<dyn PageSource>, devices: &'a Arc<Devices>) -> Self {
        let root = Draft::plain(Content::Directory { parent: ROOT }, 0o755);
        let nodes = Vec::from([root]);
        Self { archive, source, devices, nodes, names: BTreeMap::new(), links: Links::new() }
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

    /// Puts the nodes of `/dev` where they are missing, and whatever stands in their place aside.
    pub(super) fn add_devices(&mut self, report: &mut dyn FnMut(Problem<'_>)) {
        let Ok(dev) = self.own_directory(ROOT, b"dev") else {
            return report(Problem::OutOfMemory);
        };
        let devices = Arc::clone(self.devices);
        for (number, name, permissions) in devices.nodes() {
            let content = Content::Node(FileKind::CharacterDevice, number);
            let there = self.names.get(&(dev, name)).and_then(|&node| self.nodes.get(node));
            if there.is_some_and(
                |draft| matches!(draft.content, Content::Node(FileKind::CharacterDevice, n) if n == number),
            ) {
                continue;
            }
            if self.unlink(dev, name).is_err() {
                report(Problem::NotEmpty(name));
            } else if self.create(dev, name, Draft::plain(content, permissions)).is_err() {
                report(Problem::OutOfMemory);
            }
        }
    }

    /// Makes the tree and returns its root.
    pub(super) fn finish(mut self, report: &mut dyn FnMut(Problem<'_>)) -> Arc<dyn Inode> {
        let mut made: Vec<Option<Made>> = Vec::new();
        if made.try_reserve_exact(self.nodes.len()).is_err() {
            report(Problem::OutOfMemory);
            self.nodes.truncate(1);
            self.names.clear();
        }
        made.resize_with(self.nodes.len(), || None);
        for (number, place) in made.iter_mut().enumerate() {
            *place = self.leaf(number).unwrap_or_else(|_| {
                report(Problem::OutOfMemory);
                None
            });
        }
        // From the deepest directories up.
        for number in (0..self.nodes.len()).rev() {
            if let Some(directory) = self.directory(number, &made)
                && let Some(place) = made.get_mut(number)
            {
                *place = Some(Made::Directory(directory));
            }
        }
        match made.into_iter().next().flatten() {
            Some(Made::Directory(root)) => root,
            _ => Directory::new(self.attributes(ROOT, 2), Vec::new()),
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
        if !self.source.has_room() {
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

    fn kind(&self, node: usize) -> Option<FileKind> {
        self.nodes.get(node).map(|draft| draft.content.kind())
    }

    /// The directory above; the root's is the root.
    fn parent(&self, directory: usize) -> usize {
        match self.nodes.get(directory).map(|draft| draft.content) {
            Some(Content::Directory { parent }) => parent,
            _ => ROOT,
        }
    }

    fn children(&self, directory: usize) -> impl Iterator<Item = (&'static [u8], usize)> {
        let range = (directory, &[][..])..(directory.saturating_add(1), &[][..]);
        self.names.range(range).map(|(&(_, name), &node)| (name, node))
    }

    /// The inode of anything but a directory, if it still has a name.
    fn leaf(&self, number: usize) -> Result<Option<Made>, FileError> {
        let Some(draft) = self.nodes.get(number).filter(|draft| draft.names > 0) else {
            return Ok(None);
        };
        let attributes = self.attributes(number, draft.names);
        let inode: Arc<dyn Inode> = match draft.content {
            Content::Directory { .. } => return Ok(None),
            Content::Regular(bytes) => Arc::new(File::new(attributes, Pages::new(bytes, Arc::clone(self.source))?)),
            Content::Symlink(target) => Arc::new(Symlink::new(attributes, target)),
            Content::Node(..) => Arc::new(Node::new(attributes, Arc::clone(self.devices))),
        };
        Ok(Some(Made::Other(inode)))
    }

    /// The inode of a directory, once those of all that is in it are made.
    fn directory(&self, number: usize, made: &[Option<Made>]) -> Option<Arc<Directory>> {
        if self.kind(number) != Some(FileKind::Directory) {
            return None;
        }
        let inodes = || self.children(number).filter_map(|(name, node)| Some((name, made.get(node)?.as_ref()?)));
        let mut entries = Vec::new();
        // Without memory for its entries it is there all the same, but empty.
        let room = entries.try_reserve_exact(inodes().count()).is_ok();
        let mut links = 2_u32;
        for (name, inode) in inodes().filter(|_| room) {
            entries.push(match inode {
                Made::Directory(directory) => {
                    links = links.saturating_add(1);
                    Named::new(name, Arc::clone(directory) as Arc<dyn Inode>)
                }
                Made::Other(inode) => Named::new(name, Arc::clone(inode)),
            });
        }
        let directory = Directory::new(self.attributes(number, links), entries);
        for (_, inode) in inodes() {
            if let Made::Directory(child) = inode {
                child.set_parent(&directory);
            }
        }
        Some(directory)
    }

    fn attributes(&self, number: usize, links: u32) -> Attributes {
        let plain = Draft::plain(Content::Directory { parent: ROOT }, 0o755);
        let draft = self.nodes.get(number).unwrap_or(&plain);
        let represents = match draft.content {
            Content::Node(FileKind::CharacterDevice | FileKind::BlockDevice, number) => number,
            _ => DeviceNumber::NONE,
        };
        let protection =
            Protection { kind: draft.content.kind(), permissions: draft.permissions, uid: draft.uid, gid: draft.gid };
        Attributes {
            inode: (number as u64).saturating_add(1),
            protection,
            links,
            represents,
            size: draft.content.bytes().len() as u64,
            modified: draft.modified,
        }
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
