//! Pseudo-terminals: `/dev/ptmx`, and a node in `/dev/pts` for each (`pts(4)`).
//!
//! Who opens `/dev/ptmx` gets a new one's master; the slave's node is there as long as the master is open. What they do is
//! in `kcore::tty`.

use alloc::format;
use alloc::sync::{Arc, Weak};

use kcore::fs::devices::{Devices, Family};
use kcore::fs::{
    self, AccessId, Base, Blocking, Context, DeviceNumber, FileError, FileKind, FileOperations, Follow, Made,
    OpenFlags, Readiness, Removal, Sink, Source, Watched,
};
use kcore::hal::UserMemory;
use kcore::proc::System;
use kcore::sync::{Rank, SpinLock};
use kcore::tty::{Master, Opening, Settings, Side, Terminal, TerminalFile};

use crate::arch::cpu::Arm;
use crate::log::println;
use crate::task::{Kernel, with_current_user};

/// The number of `/dev/ptmx`.
const PTMX: DeviceNumber = DeviceNumber::new(5, 2);
/// The major number of slaves.
const SLAVES: u32 = 136;
/// How many there may be at a time.
const MOST: usize = 256;
/// The group of terminals, as everywhere.
const TTY_GROUP: u32 = 5;

type Slave = Terminal<Kernel, Side>;

/// All slaves, by their numbers.
static ALL: SpinLock<[Weak<Slave>; MOST], Arm> = SpinLock::new(Rank::FileObject, [const { Weak::new() }; MOST]);
/// The root of the file system, as the kernel sees it.
static ROOT: spin::Once<Context> = spin::Once::new();

/// Adds the devices.
pub(super) fn add_nodes(devices: &mut Devices) {
    devices.add(PTMX, b"ptmx", 0o666, Arc::new(Ptmx));
    devices.add_family(SLAVES, Arc::new(Slaves));
}

/// Makes the directory of the slaves' nodes.
#[cold]
pub(crate) fn init(root: Context) {
    let root = ROOT.call_once(|| root);
    match fs::make(root, Base::Working, b"/dev/pts", Made::Directory, 0o755, AccessId::ROOT) {
        Ok(()) | Err(FileError::Exists) => {}
        Err(error) => println!("/dev/pts: {error}"),
    }
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
    format!("/dev/pts/{index}")
}

/// Makes the slave's node, which belongs to the caller.
fn make_node(index: u32) -> Result<(), FileError> {
    let root = ROOT.get().ok_or(FileError::NoDevice)?;
    let what = Made::Node(FileKind::CharacterDevice, DeviceNumber::new(SLAVES, index));
    let path = name(index);
    // What a program that has died without its master's end left is nobody's.
    let _gone = fs::remove(root, Base::Working, path.as_bytes(), Removal::File, AccessId::ROOT);
    fs::make(root, Base::Working, path.as_bytes(), what, 0o620, AccessId::ROOT)?;
    let node = fs::resolve(root, Base::Working, path.as_bytes(), Follow::No, AccessId::ROOT)?;
    let owner = with_current_user(|me| me.process().credentials().uid.effective);
    node.change(&mut |attributes| {
        attributes.protection.uid = owner;
        attributes.protection.gid = TTY_GROUP;
        attributes.protection.permissions = 0o620;
        Ok(())
    })
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
        if let Some(root) = ROOT.get() {
            // Somebody may have removed it.
            let path = name(self.master.index());
            let _gone = fs::remove(root, Base::Working, path.as_bytes(), Removal::File, AccessId::ROOT);
        }
    }
}
