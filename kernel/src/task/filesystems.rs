//! What is mounted, and what `/proc` has from the kernel.

use alloc::string::ToString as _;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kcore::fs::block::Volume;
use kcore::fs::devices::DeviceNodes;
use kcore::fs::ext::{self, Ext, MountableExt, Problem};
use kcore::fs::fat::{Fat, FatNeeds, FatOptions, Finding, MountableFat};
use kcore::fs::tmpfs::{Limits, Needs, Purpose, Tmpfs, WithRoot};
use kcore::fs::{
    self, AccessId, Base, Bind, Context, DeviceNumber, FileError, FileKind, FileOperations, Follow, Inode, Made,
    MountFlags, MountView, Mountable, Mounts, PageSource,
};
use kcore::procfs::{CpuTimes, Facts, Happened, InterruptCounts, Load, Machine, Memory, ProcFs};
use kcore::sync::{Once, Rank, SpinLock};
use kcore::vm::MemorySystem as _;

use super::init::PARKING;
use super::names;
use super::statistics;
use super::switch::{self, Kernel};
use crate::arch::cpu::{self, Arm};
use crate::dev::{card, clock, irq, nodes, pty};
use crate::log::println;
use crate::mem::frames::frames;
use crate::mem::user::MEMORY;

/// All mounts.
pub(crate) static MOUNTS: Mounts<Arm> = Mounts::new();
/// What new file systems in memory need.
static NEEDS: Once<Needs> = Once::new();
/// The number of the next file system in memory, as `st_dev` has it. Those below 16 are given by hand.
static NEXT_DEVICE: AtomicU32 = AtomicU32::new(16);
static FACTS: Once<Facts> = Once::new();
/// The file systems of devices' nodes and of pseudo-terminals': there is one of each, wherever it is mounted.
static DEVICES: Once<Arc<dyn Mountable>> = Once::new();
static TERMINALS: Once<Arc<dyn Mountable>> = Once::new();
/// The kind of FAT file systems.
const KIND: &str = "vfat";
/// A disk or partition, and the file system on it.
type OnDisk = (DeviceNumber, Weak<Fat<Arm>>);
/// Those that are in use, mounted or not.
static FATS: SpinLock<Vec<OnDisk>, Arm> = SpinLock::new(Rank::FileObject, Vec::new());
/// Whether one of them may have something that waits for [`write_back`].
static WAITS: AtomicBool = AtomicBool::new(false);

/// The root is there: notes it, and what others need. Called once.
pub(super) fn init(root: WithRoot<Arm>, needs: Needs) -> Result<(), FileError> {
    NEEDS.call_once(|| needs);
    MOUNTS.add_root(b"root", Arc::new(root))
}

/// The pages of files; `None` before there is a root.
pub(crate) fn page_source() -> Option<Arc<dyn PageSource>> {
    NEEDS.get().map(|needs| Arc::clone(&needs.pages))
}

/// The FAT file system on the disk or partition of this number, with these options (see [`FatOptions`]). What is mounted
/// already is seen in one more place, as it is.
///
/// # Errors
///
/// [`Invalid`](FileError::Invalid) for options that there are not; [`Busy`](FileError::Busy) where it was unmounted and somebody
/// still uses it; those of [`Fat::open`].
pub(crate) fn fat(number: DeviceNumber, options: &[u8]) -> Result<Arc<dyn Mountable>, FileError> {
    let options = FatOptions::parse(options).ok_or(FileError::Invalid)?;
    if let Some(root) = MOUNTS.root_of_device(number) {
        let is_fat = MOUNTS.of(&*root).is_some_and(|fs| fs.kind() == KIND);
        return if is_fat { Ok(Arc::new(Bind::<Arm>::new(&root, KIND))) } else { Err(FileError::Busy) };
    }
    let Needs { pages, now, parking, mappings, .. } = NEEDS.get().ok_or(FileError::NoDevice)?.clone();
    let needs = FatNeeds { pages, now, parking, mappings, dirtied, report: report_fat };
    let fs = Fat::open_with(volume(number)?, number, needs, options)?;
    {
        let mut fats = FATS.lock();
        fats.retain(|(_, fat)| fat.strong_count() > 0);
        if fats.iter().any(|(other, _)| *other == number) {
            return Err(FileError::Busy);
        }
        fats.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
        fats.push((number, Arc::downgrade(&fs)));
    }
    Ok(Arc::new(MountableFat::new(fs)))
}

fn report_fat(number: DeviceNumber, finding: Finding) {
    println!("vfat on {}:{} {finding}", number.major, number.minor);
}

/// A file system has something that waits.
fn dirtied() {
    WAITS.store(true, Ordering::Release);
    card::wake_writer();
}

/// Whether [`write_back`] may have something to do.
pub(crate) fn waits() -> bool {
    WAITS.load(Ordering::Acquire)
}

/// Brings to the disks what waits. What cannot be written goes on waiting.
pub(crate) fn write_back() {
    WAITS.store(false, Ordering::Release);
    let failed = each(|_| true, &mut |fs| fs.write_back()).is_err();
    if failed {
        WAITS.store(true, Ordering::Release);
    }
}

/// Waits until all that was changed in all file systems stays: sync(2).
pub(crate) fn sync() {
    // fsync tells those who ask what goes wrong.
    let _outcome = each(|_| true, &mut |fs| fs.sync());
}

/// The same for that which has this number.
///
/// # Errors
///
/// Those of [`Mountable::sync`].
pub(crate) fn sync_one(number: DeviceNumber) -> Result<(), FileError> {
    each(|fs| fs.root().id().device == number, &mut |fs| fs.sync())
}

/// Calls `visit` for each mounted file system that `wanted` wants, all of them; returns an error, if there was one.
fn each(
    wanted: impl Fn(&dyn Mountable) -> bool,
    visit: &mut dyn FnMut(&dyn Mountable) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let mut all = Vec::new();
    let mut outcome = Ok(());
    MOUNTS.each_fs(|fs| {
        if outcome.is_ok() && wanted(&**fs) {
            match all.try_reserve(1) {
                Ok(()) => all.push(Arc::clone(fs)),
                Err(_) => outcome = Err(FileError::OutOfMemory),
            }
        }
    });
    for fs in all {
        outcome = visit(&*fs).and(outcome);
    }
    outcome
}

/// The ext2, ext3 or ext4 file system there, to be read; `options` as in `ext4(5)`, of which only `noload`, or `norecovery`,
/// matters to who does not write.
#[cold]
pub(crate) fn ext(kind: ext::Kind, number: DeviceNumber, options: &[u8]) -> Result<Arc<dyn Mountable>, FileError> {
    let needs = NEEDS.get().ok_or(FileError::NoDevice)?.clone();
    let needs = ext::Needs { pages: needs.pages, devices: needs.devices, fifo: needs.fifo, report };
    let without_journal = options.split(|&byte| byte == b',').any(|word| matches!(word, b"noload" | b"norecovery"));
    let reading = ext::Reading { kind, without_journal };
    Ok(Arc::new(MountableExt::new(Ext::open(volume(number)?, number, reading, needs)?)?))
}

fn report(number: DeviceNumber, problem: Problem) {
    println!("ext4 on {}:{}: {problem}", number.major, number.minor);
}

/// The disk or partition of this number.
fn volume(number: DeviceNumber) -> Result<Arc<Volume<Arm>>, FileError> {
    let device =
        nodes::find(FileKind::BlockDevice, number).and_then(FileOperations::as_any).ok_or(FileError::NoDevice)?;
    device.downcast::<Volume<Arm>>().map_err(|_| FileError::NoDevice)
}

/// Makes `/dev` and `/dev/pts` and mounts them, before there is anybody who could: so the first program has a console
/// whatever is in the root (on Linux, `CONFIG_DEVTMPFS_MOUNT`). Where that fails it is said, and programs do without.
#[cold]
pub(super) fn mount_devices(root: &Context) {
    let mounted = mount_nodes(root, b"/dev", &DEVICES, DeviceNumber::new(0, 5), Purpose::Devices)
        .map(nodes::attach)
        .and_then(|()| {
            // It is empty, so nothing is there.
            fs::make(root, Base::Working, b"/dev/pts", Made::Directory, 0o755, AccessId::ROOT)?;
            mount_nodes(root, b"/dev/pts", &TERMINALS, DeviceNumber::new(0, 6), Purpose::Terminals).map(pty::init)
        });
    if let Err(error) = mounted {
        println!("/dev: {error}");
    }
}

/// Makes a file system for nodes, and mounts it on the directory `place`.
fn mount_nodes(
    root: &Context,
    place: &[u8],
    known_as: &Once<Arc<dyn Mountable>>,
    number: DeviceNumber,
    purpose: Purpose,
) -> Result<DeviceNodes, FileError> {
    let needs = NEEDS.get().ok_or(FileError::NoDevice)?.clone();
    let limits = Limits::usual(&*needs.pages);
    let fs = Tmpfs::new(needs, number, limits, purpose);
    let top = fs.make_root(0o755, 0, 0)?;
    let nodes = DeviceNodes::new(Arc::clone(&top), &PARKING);
    let mounted: &Arc<dyn Mountable> = known_as.call_once(|| Arc::new(WithRoot::<Arm> { fs, root: top }));
    let covered = fs::resolve(root, Base::Working, place, Follow::Yes, AccessId::ROOT)?;
    let flags = match purpose {
        Purpose::Terminals => MountFlags::NO_SET_ID | MountFlags::NO_EXECUTION,
        Purpose::Devices | Purpose::Files => MountFlags::NO_SET_ID,
    };
    mounted.set_flags(flags)?;
    MOUNTS.mount(mounted.kind().as_bytes(), place, &covered, Arc::clone(mounted))?;
    Ok(nodes)
}

/// The one file system of devices' nodes.
pub(crate) fn devices() -> Result<Arc<dyn Mountable>, FileError> {
    DEVICES.get().cloned().ok_or(FileError::NoDevice)
}

/// The one file system of pseudo-terminals' nodes.
pub(crate) fn terminals() -> Result<Arc<dyn Mountable>, FileError> {
    TERMINALS.get().cloned().ok_or(FileError::NoDevice)
}

/// Notes what `/proc` tells of the machine. Called once, before programs run.
pub(crate) fn describe(model: &str, command_line: &str) {
    FACTS.call_once(|| Facts {
        system: names::SYSTEM,
        release: names::RELEASE,
        version: names::VERSION,
        node: names::node,
        model: model.to_string(),
        command_line: command_line.to_string(),
        features: features(),
        main_id: cpu::midr(),
    });
}

/// The words for the bits of `AT_HWCAP`.
fn features() -> Vec<&'static str> {
    const WORDS: [&str; 9] = ["fp", "asimd", "evtstrm", "aes", "pmull", "sha1", "sha2", "crc32", "atomics"];
    let [bits, _] = cpu::hardware_capabilities();
    WORDS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 != 0).map(|(_, word)| *word).collect()
}

/// A new `/proc`.
pub(crate) fn proc() -> Arc<dyn Mountable> {
    Arc::new(ProcFs::<Kernel>::new())
}

/// A new file system in memory; `options` as in `tmpfs(5)`: `size`, `nr_blocks`, `nr_inodes`, `mode`, `uid`, `gid`, and words
/// without a meaning here.
pub(crate) fn tmpfs(options: &[u8]) -> Result<Arc<dyn Mountable>, FileError> {
    let needs = NEEDS.get().ok_or(FileError::NoDevice)?.clone();
    let usual = Limits::usual(&*needs.pages);
    let total = frames().total();
    let options = Options::parse(options, usual, total).ok_or(FileError::Invalid)?;
    let device = DeviceNumber::new(0, NEXT_DEVICE.fetch_add(1, Ordering::Relaxed));
    let fs = Tmpfs::new(needs, device, options.limits, Purpose::Files);
    let root = fs.make_root(options.permissions, options.uid, options.gid)?;
    Ok(Arc::new(WithRoot::<Arm> { fs, root }))
}

struct Options {
    limits: Limits,
    permissions: u16,
    uid: u32,
    gid: u32,
}

impl Options {
    fn parse(text: &[u8], limits: Limits, total: u64) -> Option<Self> {
        let mut options = Self { limits, permissions: 0o1777, uid: 0, gid: 0 };
        let text = core::str::from_utf8(text).ok()?;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("size", value)) => options.limits.pages = pages(value, total)?,
                Some(("nr_blocks", value)) => options.limits.pages = scaled(value)?,
                Some(("nr_inodes", value)) => options.limits.files = scaled(value)?,
                Some(("mode", value)) => options.permissions = u16::from_str_radix(value, 8).ok()? & 0o7777,
                Some(("uid", value)) => options.uid = value.parse().ok()?,
                Some(("gid", value)) => options.gid = value.parse().ok()?,
                // Policies of memory that there is no choice of.
                Some(("huge" | "mpol", _)) | None => {}
                Some(_) => return None,
            }
        }
        Some(options)
    }
}

/// A number of bytes as pages, or a share of all memory.
fn pages(text: &str, total: u64) -> Option<u64> {
    match text.strip_suffix('%') {
        Some(percent) => Some(total.checked_mul(percent.parse().ok()?)? / 100),
        None => Some(scaled(text)?.div_ceil(kcore::addr::PAGE_SIZE as u64)),
    }
}

/// A number with a `k`, `m` or `g` behind it, or without. 0 is no limit.
fn scaled(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (text.get(..text.len() - 1)?, 10),
        b'm' | b'M' => (text.get(..text.len() - 1)?, 20),
        b'g' | b'G' => (text.get(..text.len() - 1)?, 30),
        _ => (text, 0),
    };
    let number = digits.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    Some(if number == 0 { u64::MAX } else { number })
}

impl Machine for Kernel {
    fn facts() -> &'static Facts {
        FACTS.get().expect("the machine is described before programs run")
    }

    fn memory_in_use() -> Memory {
        let commitments = MEMORY.commitments();
        Memory {
            frames: frames().statistics(),
            promised_pages: commitments.pages(),
            promise_ratio: commitments.ratio(),
            policy: commitments.policy(),
        }
    }

    fn each_cpu(visit: &mut dyn FnMut(usize, CpuTimes)) {
        for cpu in switch::online().iter() {
            visit(cpu.index(), statistics::cpu_times(cpu));
        }
    }

    fn root_of(device: DeviceNumber) -> Option<Arc<dyn Inode>> {
        MOUNTS.root_of_device(device)
    }

    fn load() -> Load {
        Load { averages: statistics::load_averages(), runnable: switch::runnable() }
    }

    fn happened() -> Happened {
        let mut interrupts = 0_u64;
        irq::for_each_count(|_, _, counts| {
            interrupts = counts.into_iter().map(u64::from).fold(interrupts, u64::wrapping_add);
        });
        Happened { interrupts, switches: switch::switches() }
    }

    fn each_interrupt(visit: &mut dyn FnMut(InterruptCounts<'_>)) {
        irq::for_each_count(|line, name, counts| visit(InterruptCounts { line, name, counts: &counts }));
    }

    fn started_at_s() -> u64 {
        clock::epoch_ns() / 1_000_000_000
    }

    fn each_mount(visit: &mut dyn FnMut(&MountView<'_>)) {
        MOUNTS.each(visit);
    }

    fn root() -> Option<Arc<dyn Inode>> {
        MOUNTS.root()
    }

    fn each_disk(visit: &mut dyn FnMut(&str, DeviceNumber, u64)) {
        card::wait_until_sought();
        nodes::DEVICES.each_disk(&mut |name, number, bytes| {
            visit(core::str::from_utf8(name).unwrap_or("?"), number, bytes);
        });
    }
}
