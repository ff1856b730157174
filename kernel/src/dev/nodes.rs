//! Devices as programs find them: by number, and by their nodes in `/dev`.
//!
//! A driver calls [`add`] once it has a device, at any time of the boot and after it, and [`remove`] when that is gone. Both
//! sleep. What it gives is a [`FileOperations`], for bytes and for blocks alike: a disk answers
//! [`seeking`](FileOperations::seeking) with where it ends. Who mounts what is on a disk finds that again by [`find`].

use alloc::sync::Arc;

use kcore::fs::devices::{self, Device, DeviceNodes, Devices};
use kcore::fs::{DeviceNumber, FileError, FileKind, FileOperations};

use super::{kmsg, pty, random, tty};
use crate::arch::cpu::Arm;
use crate::log::println;

/// All devices.
pub(crate) static DEVICES: Devices<Arm> = Devices::new();

/// Adds a device, and its node to `/dev`.
///
/// # Errors
///
/// Those of [`Devices::add`].
pub(crate) fn add(device: &Device<'_>, operations: Arc<dyn FileOperations>) -> Result<(), FileError> {
    DEVICES.add(device, operations)
}

/// Takes a device away, and its node.
pub(crate) fn remove(kind: FileKind, number: DeviceNumber) {
    DEVICES.remove(kind, number);
}

/// What was added under this number.
pub(crate) fn find(kind: FileKind, number: DeviceNumber) -> Option<Arc<dyn FileOperations>> {
    DEVICES.find(kind, number)
}

/// Adds those that are always there. Called once, before `/dev` is there.
#[cold]
pub(crate) fn init() -> Result<(), FileError> {
    DEVICES.add_standard(random::fill)?;
    add(&Device::characters(b"console", devices::CONSOLE, 0o600), tty::console())?;
    kmsg::add_node()?;
    tty::add_nodes()?;
    pty::add_nodes()
}

/// `/dev` is there: the nodes are made, and from now on with the devices.
#[cold]
pub(crate) fn attach(nodes: DeviceNodes) {
    if let Err(error) = DEVICES.attach(nodes) {
        println!("/dev: {error}");
    }
}
