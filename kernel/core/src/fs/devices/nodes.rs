//! The names in `/dev`, which the kernel makes and takes away as devices come and go.

use alloc::sync::Arc;

use crate::fs::access::AccessId;
use crate::fs::context::Context;
use crate::fs::error::FileError;
use crate::fs::inode::{Inode, Made};
use crate::fs::metadata::{DeviceNumber, FileKind};
use crate::fs::offset::Parking;
use crate::fs::open::{Removal, make, remove};
use crate::fs::path::{Base, Follow, resolve};

/// What a device's node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node {
    /// A device of bytes or of blocks.
    pub kind: FileKind,
    /// The device.
    pub number: DeviceNumber,
    /// Who may do what.
    pub permissions: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// A file system where the kernel makes nodes: `devtmpfs`, `devpts`. It has its own way to it, whatever is mounted where.
pub struct DeviceNodes {
    root: Context,
}

impl DeviceNodes {
    /// In the file system of this root.
    #[must_use]
    pub fn new(root: Arc<dyn Inode>, parking: &'static dyn Parking) -> Self {
        Self { root: Context::new(root, parking) }
    }

    /// Makes a node, and the directories on the way to it. One that is there already for this device stays as it is; what
    /// else has its name goes.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn make(&self, name: &[u8], node: &Node) -> Result<(), FileError> {
        for (at, _) in name.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let directory = name.get(..at).unwrap_or_default();
            match make(&self.root, Base::Working, directory, Made::Directory, 0o755, AccessId::ROOT) {
                Ok(()) | Err(FileError::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        let what = Made::Node(node.kind, node.number);
        let permissions = u32::from(node.permissions);
        match make(&self.root, Base::Working, name, what, permissions, AccessId::ROOT) {
            Err(FileError::Exists) if self.is(name, node) => return Ok(()),
            Err(FileError::Exists) => {
                remove(&self.root, Base::Working, name, Removal::File, AccessId::ROOT)?;
                make(&self.root, Base::Working, name, what, permissions, AccessId::ROOT)?;
            }
            outcome => outcome?,
        }
        // The mask of the kernel's own context has no say in this.
        self.find(name)?.change(&mut |attributes| {
            attributes.protection.permissions = node.permissions;
            (attributes.protection.uid, attributes.protection.gid) = (node.uid, node.gid);
            Ok(())
        })
    }

    /// Takes a node away, if it is still this device's, and the directories on the way to it that are empty then.
    pub fn remove(&self, name: &[u8], node: &Node) {
        if !self.is(name, node) {
            return;
        }
        // Whoever was quicker has done the same.
        let _gone = remove(&self.root, Base::Working, name, Removal::File, AccessId::ROOT);
        let mut way = name;
        while let Some(at) = way.iter().rposition(|&byte| byte == b'/') {
            way = way.get(..at).unwrap_or_default();
            if remove(&self.root, Base::Working, way, Removal::Directory, AccessId::ROOT).is_err() {
                return;
            }
        }
    }

    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>, FileError> {
        resolve(&self.root, Base::Working, name, Follow::No, AccessId::ROOT)
    }

    /// Whether there is a node for this device under that name.
    fn is(&self, name: &[u8], node: &Node) -> bool {
        self.find(name)
            .is_ok_and(|inode| inode.protection().kind == node.kind && inode.metadata().represents == node.number)
    }
}
