//! Character devices by number, and the names that they have in `/dev`.
//!
//! A device node of any file system leads here: its number is all that it carries. The devices that are only software
//! are here; the console and terminals come from the kernel.

mod memory;
mod random;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use memory::{Full, Null, Zero};
pub use random::{Fill, Random};

use super::error::FileError;
use super::flags::OpenFlags;
use super::metadata::DeviceNumber;
use super::operations::FileOperations;

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
/// `/dev/tty`, the controlling terminal
pub const TTY: DeviceNumber = DeviceNumber::new(5, 0);
/// `/dev/console`
pub const CONSOLE: DeviceNumber = DeviceNumber::new(5, 1);

/// One of them.
struct Device {
    number: DeviceNumber,
    name: &'static [u8],
    permissions: u16,
    operations: Arc<dyn FileOperations>,
}

/// Devices of one major number that come and go.
pub trait Family: Send + Sync {
    /// What the device of this minor number does, for somebody who opens it.
    ///
    /// # Errors
    ///
    /// [`NoDevice`](FileError::NoDevice), and what the driver says.
    fn open(&self, minor: u32, flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError>;
}

/// All that there are. Filled during boot, then only read.
#[derive(Default)]
pub struct Devices {
    all: Vec<Device>,
    families: Vec<(u32, Arc<dyn Family>)>,
}

impl Devices {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { all: Vec::new(), families: Vec::new() }
    }

    /// Those that every system has: null, zero, full, random and urandom, which draw from `fill`, and the console
    /// and the controlling terminal.
    #[must_use]
    pub fn standard(fill: Fill, console: Arc<dyn FileOperations>, tty: Arc<dyn FileOperations>) -> Self {
        let random = Arc::new(Random::new(fill));
        let mut devices = Self::new();
        devices.add(NULL, b"null", 0o666, Arc::new(Null));
        devices.add(ZERO, b"zero", 0o666, Arc::new(Zero));
        devices.add(FULL, b"full", 0o666, Arc::new(Full));
        devices.add(RANDOM, b"random", 0o666, Arc::clone(&random) as Arc<dyn FileOperations>);
        devices.add(URANDOM, b"urandom", 0o666, random);
        devices.add(CONSOLE, b"console", 0o600, console);
        devices.add(TTY, b"tty", 0o666, tty);
        devices
    }

    /// Adds a device: its number, the name and permissions of its node in `/dev`, and what it does. One that has the
    /// number already is replaced.
    pub fn add(
        &mut self,
        number: DeviceNumber,
        name: &'static [u8],
        permissions: u16,
        operations: Arc<dyn FileOperations>,
    ) {
        self.all.retain(|device| device.number != number);
        self.all.push(Device { number, name, permissions, operations });
    }

    /// Adds the devices of this major number.
    pub fn add_family(&mut self, major: u32, family: Arc<dyn Family>) {
        self.families.push((major, family));
    }

    /// What the character device of this number does, for somebody who opens it.
    ///
    /// # Errors
    ///
    /// [`NoDevice`](FileError::NoDevice), and what the driver says.
    pub fn open(&self, number: DeviceNumber, flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        if let Some((_, family)) = self.families.iter().find(|(major, _)| *major == number.major) {
            return family.open(number.minor, flags);
        }
        let device = self.all.iter().find(|device| device.number == number).ok_or(FileError::NoDevice)?;
        let own = device.operations.opened(flags)?;
        Ok(own.unwrap_or_else(|| Arc::clone(&device.operations)))
    }

    /// Number, name and permissions of each node of `/dev`.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (DeviceNumber, &'static [u8], u16)> {
        self.all.iter().map(|device| (device.number, device.name, device.permissions))
    }
}
