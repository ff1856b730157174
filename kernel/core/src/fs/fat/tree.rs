//! Files and directories, made and removed.

use ::alloc::sync::Arc;

use super::directory::{Entry, Place};
use super::geometry::Root;
use super::new_name::{NewName, trimmed};
use super::node::Node;
use super::slot::{self, ARCHIVE, DIRECTORY};
use crate::fs::error::FileError;
use crate::fs::inode::{Inode, Made, Making};
use crate::hal::Cpu;

pub(super) const DOT: [u8; 11] = *b".          ";
pub(super) const DOT_DOT: [u8; 11] = *b"..         ";

impl<C: Cpu> Node<C> {
    pub(super) fn make_entry(&self, name: &[u8], making: &Making<'_>) -> Result<Arc<Self>, FileError> {
        let mut changing = self.fs.change()?;
        let _entries = self.chain.lock();
        let directory = self.living_entries()?;
        let attributes = match making.what {
            // As on Linux, whatever its permissions shall be: who makes it is going to write to it.
            Made::Regular => ARCHIVE,
            Made::Directory => DIRECTORY,
            Made::Symlink(_) | Made::Node(..) => return Err(FileError::NotPermitted),
        };
        let new_name = NewName::parse(name)?;
        if self.fs.find(directory, trimmed(name))?.is_some() {
            return Err(FileError::Exists);
        }
        let cluster = if making.what == Made::Directory {
            let cluster = self.fs.allocate(&mut changing, None)?;
            self.begin_directory(cluster).inspect_err(|_| self.fs.unallocate(&mut changing, cluster))?;
            cluster
        } else {
            0
        };
        let outcome = self.fs.reserve(&mut changing, directory, &new_name);
        let reserved = outcome.inspect_err(|_| {
            if cluster != 0 {
                self.fs.unallocate(&mut changing, cluster);
            }
        })?;
        let now = self.fs.now();
        let place = self.fs.insert(reserved, &new_name, |short| slot::new(short, attributes, cluster, now));
        self.forget_names();
        if making.what == Made::Directory {
            self.forget_directories();
        }
        self.touch();
        self.child(place)
    }

    /// Writes what a directory in this one begins with: not to what waits, for nothing leads there.
    fn begin_directory(&self, cluster: u32) -> Result<(), FileError> {
        let now = self.fs.now();
        self.fs.clear_cluster(cluster)?;
        let at = self.fs.geometry.place(cluster);
        self.fs.volume.write_at(at, &slot::new(&DOT, DIRECTORY, cluster, now))?;
        let above = slot::new(&DOT_DOT, DIRECTORY, self.number_for_children(), now);
        self.fs.volume.write_at(at.saturating_add(above.len() as u64), &above)
    }

    /// The cluster that directories in this one have as that of `..`: of the root, none, wherever it is.
    pub(super) fn number_for_children(&self) -> u32 {
        match self.entries() {
            Ok(Place::Chain(first)) => match self.fs.geometry.root {
                Root::Chain(root) if root == first => 0,
                _ => first,
            },
            _ => 0,
        }
    }

    pub(super) fn remove_entry(&self, name: &[u8], what: &Arc<dyn Inode>) -> Result<(), FileError> {
        let changing = self.fs.change()?;
        let entries = self.chain.lock();
        // What covers it stands in the way.
        let node = self.beside(what).ok_or(FileError::Busy)?;
        let entry = self.entry_of(name, &node)?;
        let below = if node.is_directory { Some(node.chain.lock()) } else { None };
        if node.is_directory && !self.fs.is_empty(node.entries()?)? {
            return Err(FileError::NotEmpty);
        }
        let places = self.fs.places_of(self.living_entries()?, &entry)?;
        self.fs.freed.lock().expect()?;
        self.fs.erase(&places);
        node.move_to(None, None);
        self.forget_names();
        if node.is_directory {
            // Another may get its cluster.
            node.forget_names();
            self.forget_directories();
        }
        self.touch();
        drop((below, entries, changing));
        Ok(())
    }

    /// The entry that `name` stands for in this directory, if it is that of `node`.
    ///
    /// # Errors
    ///
    /// [`Stale`](FileError::Stale) if it is not.
    pub(super) fn entry_of(&self, name: &[u8], node: &Arc<Self>) -> Result<Entry, FileError> {
        let entry = self.fs.find(self.living_entries()?, trimmed(name))?;
        entry.filter(|entry| node.place() == Some(entry.place)).ok_or(FileError::Stale)
    }
}
