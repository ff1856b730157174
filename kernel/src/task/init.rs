//! The first program: process 1, the files that it begins with, and what it is told.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use kcore::boot::command_line::{CommandLine, Pids};
use kcore::fs::pipe::{Fifo, NamedPipe};
use kcore::fs::tmpfs::{Limits, Needs, Purpose, Tmpfs, WithRoot};
use kcore::fs::{self, AccessId, Base, Context, DescriptorFlags, DeviceNumber, Fd, OpenFlags, ParkingLot, initramfs};
use kcore::proc::{self, Numbering, System};
use kcore::sync::{Rank, SpinLock};

use super::mappings::AllSpaces;
use super::streams::PIPES;
use super::switch::Kernel;
use super::{filesystems, program, with_current_user};
use crate::arch::cpu::Arm;
use crate::dev::{clock, nodes};
use crate::log::println;
use crate::mem::initramfs::Archive;

/// Where the first program is, unless the command line says.
const INIT: &str = "/init";
/// What it finds in its environment, as on Linux.
const ENVIRONMENT: [&str; 2] = ["HOME=/", "TERM=linux"];

/// The number of the root file system.
const ROOT_DEVICE: DeviceNumber = DeviceNumber::new(0, 1);

/// Where threads wait for each other at the offsets of open files.
pub(crate) static PARKING: ParkingLot<Kernel> = ParkingLot::new();

/// What process 1 executes, for its thread to take.
static WORDS: SpinLock<Option<Words>, Arm> = SpinLock::new(Rank::ThreadStart, None);

struct Words {
    path: String,
    arguments: Vec<String>,
    environment: Vec<String>,
    /// What the kernel does if there is no such program.
    otherwise: fn(),
}

/// Starts process 1 from the archive. Where that cannot be done it says why, and `otherwise` runs, perhaps in process 1.
#[cold]
pub(crate) fn start(archive: Archive, options: &CommandLine<'_>, otherwise: fn()) -> Result<(), proc::ForkError> {
    nodes::init().map_err(|_| proc::ForkError::OutOfMemory)?;
    let pages: Arc<dyn fs::PageSource> = Arc::new(archive.source);
    let limits = Limits::usual(&*pages);
    let needs =
        Needs { pages, devices: &nodes::DEVICES, fifo, now: clock::timestamp, parking: &PARKING, mappings: &AllSpaces };
    let fs = Tmpfs::<Arm>::new(needs.clone(), ROOT_DEVICE, limits, Purpose::Files);
    let root = initramfs::build(archive.bytes, &fs, &mut |problem| println!("initramfs: {problem}"))
        .map_err(|_| proc::ForkError::OutOfMemory)?;
    let mounted = WithRoot { fs, root: Arc::clone(&root) };
    filesystems::init(mounted, needs).map_err(|_| proc::ForkError::OutOfMemory)?;
    filesystems::mount_devices(&Context::new(Arc::clone(&root), &PARKING));
    let counts = &Kernel::processes().counts;
    if let Some(limit) = options.max_processes {
        counts.set_max_processes(limit);
    }
    if let Some(limit) = options.max_threads {
        counts.set_max_threads(limit);
    }
    Kernel::processes().set_numbering(match options.pids {
        Pids::Random => Numbering::Random,
        Pids::Sequential => Numbering::Sequential,
    });
    let mut environment: Vec<String> = ENVIRONMENT.iter().map(ToString::to_string).collect();
    environment.extend(options.environment.iter().map(ToString::to_string));
    *WORDS.lock() = Some(Words {
        path: options.init.unwrap_or(INIT).to_string(),
        arguments: options.arguments.iter().map(ToString::to_string).collect(),
        environment,
        otherwise,
    });
    let system = proc::boot::<Kernel>(Context::new(root, &PARKING)).map_err(|_| proc::ForkError::OutOfMemory)?;
    proc::start_init(&system, first_process, 0)?;
    Ok(())
}

/// What is behind the node of a FIFO.
fn fifo(owner: (u32, u32)) -> Arc<dyn NamedPipe> {
    Fifo::<Kernel>::new(&PIPES, owner)
}

/// What process 1 does before it is a program.
#[cold]
fn first_process(_argument: usize) {
    let Some(words) = WORDS.lock().take() else { return };
    let Words { path, arguments, environment, otherwise } = words;
    if let Err(error) = open_console() {
        println!("init: no console: {error}");
    }
    let started = program::execute_init(
        path.as_bytes(),
        arguments.iter().map(String::as_str),
        environment.iter().map(String::as_str),
    );
    if let Err(error) = started {
        println!("init: cannot execute {path}: {error}");
        otherwise();
    }
}

/// Gives process 1 the console as its input, output and error output.
fn open_console() -> Result<(), fs::FileError> {
    with_current_user(|me| {
        let process = me.process();
        let (Some(context), Some(files)) = (process.context(), process.files()) else {
            return Err(fs::FileError::BadFile);
        };
        let context = context.lock().clone();
        let console = fs::open(&context, Base::Working, b"/dev/console", OpenFlags::READ_WRITE, 0, AccessId::ROOT)?;
        for _ in 0..3 {
            let inserted =
                files.lock().insert(Arc::clone(&console), DescriptorFlags::empty(), Fd::ZERO, u64::from(u32::MAX));
            inserted.map_err(|_| fs::FileError::OutOfMemory)?;
        }
        Ok(())
    })
}
