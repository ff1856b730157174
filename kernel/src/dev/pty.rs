//! Pseudo-terminals: `/dev/ptmx`, and a node in `/dev/pts` for each (`pts(4)`).
//!
//! Who opens `/dev/ptmx` gets a new one's master; the slave's node is there as long as the master is open. What they do is
//! in `kcore::tty`.

use alloc::format;
use alloc::sync::{Arc, Weak};

use kcore::fs::devices::{Device, DeviceNodes, Family, Node, PTMX};
use kcore::fs::{
    Blocking, DeviceNumber, FileError, FileKind, FileOperations, OpenFlags, Readiness, Sink, Source, Watched,
};
use kcore::hal::UserMemory;
use kcore::proc::System;
use kcore::sync::{Once, Rank, SpinLock};
use kcore::tty::{Master, Opening, Settings, Side, Terminal, TerminalFile};

use crate::arch::cpu::Arm;
use crate::task::{Kernel, with_current_user};

/// The major number of slaves.
const SLAVES: u32 = 136;
/// How many there may be at a time.
const MOST: usize = 256;
/// The group of terminals, as everywhere.
const TTY_GROUP: u32 = 5;

type Slave = Terminal<Kernel, Side>;

/// All slaves, by their numbers.
static ALL: SpinLock<[Weak<Slave>; MOST], Arm> = SpinLock::new(Rank::FileObject, [const { Weak::new() }; MOST]);
/// The file system of the slaves' nodes.
static NODES: Once<DeviceNodes> = Once::new();

/// Adds the devices.
pub(super) fn add_nodes() -> Result<(), FileError> {
    super::nodes::DEVICES.add_family(SLAVES, Arc::new(Slaves));
    super::nodes::add(&Device::characters(b"ptmx", PTMX, 0o666), Arc::new(Ptmx))
}

/// There is a file system for the slaves' nodes. Called once.
#[cold]
pub(crate) fn init(nodes: DeviceNodes) {
    NODES.call_once(|| nodes);
}

/// The slave that processes know by this number.
pub(super) fn find(number: u64) -> Option<Arc<Slave>> {
    let number = DeviceNumber::decoded(number);
    if number.major != SLAVES { None } else { slave(number.minor) }
}

fn slave(index: u32) -> Option<Arc<Slave>> {
    ALL.lock().get(usize::try_from(index).ok()?)?.upgrade()
}

/// Makes a pseudo-terminal, with the lowest number that is free.
fn make() -> Result<(Arc<Slave>, u32), FileError> {
    if !Kernel::has_room() {
        return Err(FileError::OutOfMemory);
    }
    let side = Side::new().ok_or(FileError::OutOfMemory)?;
    let mut all = ALL.lock();
    let free = all.iter().position(|slave| slave.strong_count() == 0).ok_or(FileError::NoSpace)?;
    let index = u32::try_from(free).map_err(|_| FileError::NoSpace)?;
    let number = DeviceNumber::new(SLAVES, index).encoded();
    let slave = Arc::new(Terminal::new(number, Settings::pseudo(), side).ok_or(FileError::OutOfMemory)?);
    all[free] = Arc::downgrade(&slave);
    Ok((slave, index))
}

/// The name of a slave's node.
fn name(index: u32) -> alloc::string::String {
    format!("{index}")
}

/// What a slave's node is.
fn node(index: u32, uid: u32) -> Node {
    let number = DeviceNumber::new(SLAVES, index);
    Node { kind: FileKind::CharacterDevice, number, permissions: 0o620, uid, gid: TTY_GROUP }
}

/// Makes the slave's node, which belongs to the caller.
fn make_node(index: u32) -> Result<(), FileError> {
    let nodes = NODES.get().ok_or(FileError::NoDevice)?;
    let owner = with_current_user(|me| me.process().credentials().uid.effective);
    // One that a program made for this number before is not the caller's.
    remove_node(index);
    nodes.make(name(index).as_bytes(), &node(index, owner))
}

/// Takes it away, if it is still there.
fn remove_node(index: u32) {
    if let Some(nodes) = NODES.get() {
        nodes.remove(name(index).as_bytes(), &node(index, 0));
    }
}

/// `/dev/ptmx`
struct Ptmx;

impl FileOperations for Ptmx {
    fn opened(&self, _flags: OpenFlags) -> Result<Option<Arc<dyn FileOperations>>, FileError> {
        let (slave, index) = make()?;
        let master = MasterFile { master: Master::new(slave, index) };
        make_node(index)?;
        Ok(Some(Arc::new(master)))
    }
}

/// The slaves' devices.
struct Slaves;

impl Family for Slaves {
    fn open(&self, minor: u32, flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        let slave = slave(minor).ok_or(FileError::NoDevice)?;
        Ok(TerminalFile::open(&slave, Opening::Terminal, flags)?)
    }
}

/// A master whose slave has a node.
struct MasterFile {
    master: Master<Kernel>,
}

impl FileOperations for MasterFile {
    fn read(&self, at: u64, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        self.master.read(at, blocking, sink)
    }

    fn write(&self, at: u64, blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        self.master.write(at, blocking, source)
    }

    fn ioctl(&self, request: u32, argument: u64, memory: &dyn UserMemory) -> Result<u64, FileError> {
        self.master.ioctl(request, argument, memory)
    }

    fn readiness(&self) -> Readiness {
        self.master.readiness()
    }

    fn watched(&self) -> Option<&dyn Watched> {
        self.master.watched()
    }
}

impl Drop for MasterFile {
    fn drop(&mut self) {
        remove_node(self.master.index());
    }
}
