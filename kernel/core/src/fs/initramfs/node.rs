//! What has neither entries nor contents: symbolic links, devices, pipes and sockets.

use alloc::sync::Arc;

use super::Attributes;
use crate::fs::devices::Devices;
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::inode::{Inode, Link};
use crate::fs::metadata::FileKind;
use crate::fs::operations::FileOperations;

/// A symbolic link.
pub(super) struct Symlink {
    attributes: Attributes,
    target: &'static [u8],
}

impl Symlink {
    pub(super) const fn new(attributes: Attributes, target: &'static [u8]) -> Self {
        Self { attributes, target }
    }
}

impl Inode for Symlink {
    read_only_by_attributes!();

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Err(FileError::TooManyLinks)
    }

    fn link(&self) -> Result<Link<'_>, FileError> {
        Ok(Link::Path(self.target))
    }
}

/// A device, a pipe or a socket.
pub(super) struct Node {
    attributes: Attributes,
    devices: Arc<Devices>,
}

impl Node {
    pub(super) const fn new(attributes: Attributes, devices: Arc<Devices>) -> Self {
        Self { attributes, devices }
    }
}

impl Inode for Node {
    read_only_by_attributes!();

    fn open(self: Arc<Self>, flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        match self.attributes.protection.kind {
            FileKind::CharacterDevice => self.devices.open(self.attributes.represents, flags),
            _ => Err(FileError::NoDevice),
        }
    }
}
