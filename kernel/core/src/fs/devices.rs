//! Devices by number, and their nodes in `/dev`.
//!
//! ```text
//! node of any file system ── kind, number ──► Devices ──► FileOperations      what a driver gave
//! driver ── add, remove ────────────────────►    └─────► DeviceNodes         names in devtmpfs, as devices come and go
//! ```
//!
//! A device node is a kind and a number, and leads here whatever file system it stands in: so mknod(2) makes one that works.
//! The names in `/dev` are made by the kernel, in a file system of its own (`devtmpfs`), which is one in memory like
//! others: programs may rename and remove what is there, and add to it, as on Linux.
//!
//! The devices that are only software are here; the console, terminals and disks come from the kernel.

mod memory;
mod nodes;
mod random;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use memory::{Full, Null, Zero};
pub use nodes::{DeviceNodes, Node};
pub use random::{Fill, Random};

use super::error::FileError;
use super::flags::OpenFlags;
use super::metadata::{DeviceNumber, FileKind};
use super::operations::{FileOperations, Seeking};
use crate::hal::Cpu;
use crate::sync::{Once, Rank, SpinLock};

/// `/dev/null`
pub const NULL: DeviceNumber = DeviceNumber::new(1, 3);
/// `/dev/zero`
pub const ZERO: DeviceNumber = DeviceNumber::new(1, 5);
/// `/dev/full`
pub const FULL: DeviceNumber = DeviceNumber::new(1, 7);
/// `/dev/random`
pub const RANDOM: DeviceNumber = DeviceNumber::new(1, 8);
/// `/dev/urandom`
pub const URANDOM: DeviceNumber = DeviceNumber::new(1, 9);
/// `/dev/kmsg`, the kernel's own lines
pub const KMSG: DeviceNumber = DeviceNumber::new(1, 11);
/// `/dev/tty`, the controlling terminal
pub const TTY: DeviceNumber = DeviceNumber::new(5, 0);
/// `/dev/console`
pub const CONSOLE: DeviceNumber = DeviceNumber::new(5, 1);
/// `/dev/ptmx`, which makes pseudo-terminals
pub const PTMX: DeviceNumber = DeviceNumber::new(5, 2);

/// A device as a driver announces it.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    /// Where its node is, from `/dev` on, without a slash before it: `null`, or `input/event0`.
    pub name: &'a [u8],
    /// What the node is.
    pub node: Node,
}

impl<'a> Device<'a> {
    /// A device of bytes, whose node is root's.
    #[must_use]
    pub const fn characters(name: &'a [u8], number: DeviceNumber, permissions: u16) -> Self {
        Self { name, node: Node { kind: FileKind::CharacterDevice, number, permissions, uid: 0, gid: 0 } }
    }

    /// A device of blocks, whose node is for root and the group of disks, as everywhere.
    #[must_use]
    pub const fn blocks(name: &'a [u8], number: DeviceNumber) -> Self {
        const DISK_GROUP: u32 = 6;
        Self { name, node: Node { kind: FileKind::BlockDevice, number, permissions: 0o660, uid: 0, gid: DISK_GROUP } }
    }
}

/// Devices of one major number that come and go by themselves, and have their nodes elsewhere: pseudo-terminals.
pub trait Family: Send + Sync {
    /// What the device of this minor number does, for somebody who opens it.
    ///
    /// # Errors
    ///
    /// [`NoDevice`](FileError::NoDevice), and what the driver says.
    fn open(&self, minor: u32, flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError>;
}

/// What is behind the device nodes of file systems: [`Devices`].
pub trait DeviceTable: Sync {
    /// What the device of this kind and number does, for somebody who opens it.
    ///
    /// # Errors
    ///
    /// [`NoDevice`](FileError::NoDevice), and what the driver says.
    fn open(
        &self,
        kind: FileKind,
        number: DeviceNumber,
        flags: OpenFlags,
    ) -> Result<Arc<dyn FileOperations>, FileError>;
}

/// One that is there.
struct Known {
    name: Arc<[u8]>,
    node: Node,
    operations: Arc<dyn FileOperations>,
}

impl Known {
    fn is(&self, kind: FileKind, number: DeviceNumber) -> bool {
        self.node.kind == kind && self.node.number == number
    }
}

struct All {
    devices: Vec<Known>,
    families: Vec<(u32, Arc<dyn Family>)>,
}

/// All that there are.
pub struct Devices<C: Cpu> {
    all: SpinLock<All, C>,
    /// Where their nodes are made, once that is there.
    nodes: Once<DeviceNodes>,
}

impl<C: Cpu> Devices<C> {
    /// None.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        let all = All { devices: Vec::new(), families: Vec::new() };
        Self { all: SpinLock::new(Rank::FileObject, all), nodes: Once::new() }
    }

    /// None.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        let all = All { devices: Vec::new(), families: Vec::new() };
        Self { all: SpinLock::new(Rank::FileObject, all), nodes: Once::new() }
    }

    /// Adds those that need nothing but a source of random bytes: null, zero, full, random and urandom.
    ///
    /// # Errors
    ///
    /// Those of [`add`](Self::add).
    pub fn add_standard(&self, fill: Fill) -> Result<(), FileError> {
        let random: Arc<dyn FileOperations> = Arc::new(Random::new(fill));
        let all: [(&[u8], _, Arc<dyn FileOperations>); 5] = [
            (b"null", NULL, Arc::new(Null)),
            (b"zero", ZERO, Arc::new(Zero)),
            (b"full", FULL, Arc::new(Full)),
            (b"random", RANDOM, Arc::clone(&random)),
            (b"urandom", URANDOM, random),
        ];
        all.into_iter()
            .try_for_each(|(name, number, operations)| self.add(&Device::characters(name, number, 0o666), operations))
    }

    /// Adds a device, whose driver is `operations`, and makes its node, now or as soon as there is a place for it. Who opens
    /// a node of its kind and number gets `operations`, or what [`opened`](FileOperations::opened) of it says. Sleeps.
    ///
    /// # Errors
    ///
    /// [`Exists`](FileError::Exists) where the number is taken; [`OutOfMemory`](FileError::OutOfMemory), and what making
    /// the node says: then the device is not there.
    pub fn add(&self, device: &Device<'_>, operations: Arc<dyn FileOperations>) -> Result<(), FileError> {
        let Device { name, node } = *device;
        let known = Known { name: copied(name)?, node, operations };
        {
            let mut all = self.all.lock();
            if all.devices.iter().any(|other| other.is(node.kind, node.number)) {
                return Err(FileError::Exists);
            }
            all.devices.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
            all.devices.push(known);
        }
        match self.nodes.get() {
            Some(nodes) => nodes.make(name, &node).inspect_err(|_| self.forget(node.kind, node.number)),
            None => Ok(()),
        }
    }

    /// Takes a device and its node away: nobody opens it any more. Who has it open has its driver's
    /// [`FileOperations`] still, which answer what they answer without their device. Sleeps.
    pub fn remove(&self, kind: FileKind, number: DeviceNumber) {
        let known = self.take(kind, number);
        if let (Some(known), Some(nodes)) = (known, self.nodes.get()) {
            nodes.remove(&known.name, &known.node);
        }
    }

    /// What was [added](Self::add) under this number, for who wants the device and not its bytes: to mount what is on it.
    #[must_use]
    pub fn find(&self, kind: FileKind, number: DeviceNumber) -> Option<Arc<dyn FileOperations>> {
        let all = self.all.lock();
        all.devices.iter().find(|known| known.is(kind, number)).map(|known| Arc::clone(&known.operations))
    }

    /// Shows each device of blocks: its name, its number and its size in bytes. The table is locked meanwhile.
    pub fn each_disk(&self, visit: &mut dyn FnMut(&[u8], DeviceNumber, u64)) {
        for known in self.all.lock().devices.iter().filter(|known| known.node.kind == FileKind::BlockDevice) {
            if let Seeking::Bytes { end } = known.operations.seeking() {
                visit(&known.name, known.node.number, end);
            }
        }
    }

    /// Adds the devices of bytes of this major number.
    pub fn add_family(&self, major: u32, family: Arc<dyn Family>) {
        self.all.lock().families.push((major, family));
    }

    /// From now on nodes are made in `nodes`, and at once those of the devices that are there. Called once.
    ///
    /// # Errors
    ///
    /// The first that making one says; the others are made all the same.
    pub fn attach(&self, nodes: DeviceNodes) -> Result<(), FileError> {
        self.make_nodes(self.nodes.call_once(|| nodes))
    }

    /// Makes the nodes of the devices that are there in `nodes`.
    pub(super) fn make_nodes(&self, nodes: &DeviceNodes) -> Result<(), FileError> {
        let mut outcome = Ok(());
        for index in 0_usize.. {
            let one = self.all.lock().devices.get(index).map(|known| (Arc::clone(&known.name), known.node));
            let Some((name, node)) = one else { break };
            outcome = outcome.and(nodes.make(&name, &node));
        }
        outcome
    }

    fn take(&self, kind: FileKind, number: DeviceNumber) -> Option<Known> {
        let mut all = self.all.lock();
        let index = all.devices.iter().position(|known| known.is(kind, number))?;
        Some(all.devices.remove(index))
    }

    fn forget(&self, kind: FileKind, number: DeviceNumber) {
        drop(self.take(kind, number));
    }
}

impl<C: Cpu> Default for Devices<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Cpu> DeviceTable for Devices<C> {
    fn open(
        &self,
        kind: FileKind,
        number: DeviceNumber,
        flags: OpenFlags,
    ) -> Result<Arc<dyn FileOperations>, FileError> {
        if let Some(operations) = self.find(kind, number) {
            return Ok(operations.opened(flags)?.unwrap_or(operations));
        }
        let family = {
            let all = self.all.lock();
            let found = all.families.iter().find(|(major, _)| *major == number.major);
            found.filter(|_| kind == FileKind::CharacterDevice).map(|(_, family)| Arc::clone(family))
        };
        family.ok_or(FileError::NoDevice)?.open(number.minor, flags)
    }
}

fn copied(name: &[u8]) -> Result<Arc<[u8]>, FileError> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(name.len()).map_err(|_| FileError::OutOfMemory)?;
    copy.extend_from_slice(name);
    Ok(copy.into())
}
