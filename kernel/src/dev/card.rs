//! The SD card: `/dev/mmcblk0`, and `/dev/mmcblk0p1` and so on for its partitions.
//!
//! A thread of its own looks for a card while the rest of the boot goes on, for there is waiting to be done whether there is one
//! or not; a missing card is nothing to speak of. What it finds it offers when there are files. The same thread then writes
//! back what programs changed, seconds later. What is read is read by whoever wants it (`kcore::fs::block`).
//!
//! The protocol and the controllers are in `drivers`; here is how a thread waits for the controller: asleep, until its
//! interrupt wakes it.

mod disk;
mod pace;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use drivers::sd::{Addressing, BusWidth, Card, CardError, Identity, Speed};
use drivers::sdhci::{Dma, Sdhci};
use kcore::addr::CpuSet;
use kcore::boot::tree::DmaWindow;
use kcore::frame::Order;
use kcore::fs::block::partition::{self, Partition};
use kcore::fs::block::{Cache, CacheNeeds, Volume};
use kcore::fs::devices::Device;
use kcore::fs::{DeviceNumber, FileError, FileKind, Surroundings as _};
use kcore::sched::Priority;
use kcore::sync::{Once, Rank, SpinLock};

use self::disk::CardDisk;
use self::pace::{CardPace, MOST_SLOTS};
use super::{nodes, pins};
use crate::arch::cpu::Arm;
use crate::board::{self, CardSlot};
use crate::log::println;
use crate::mem::devices;
use crate::mem::dma::SharedBlock;
use crate::mem::frames::frames;
use crate::mem::user;
use crate::task::filesystems::MOUNTS;
use crate::task::{self, Kernel, PARKING, Waiters, filesystems, thread};

/// The major number of cards (`admin-guide/devices.txt` of Linux).
const MAJOR: u32 = 179;
/// The name of the one card.
const NAME: &str = "mmcblk0";
/// The part of memory that a card's pages may take.
const MEMORY_SHARE: u64 = 16;
/// How long what was written may stay in memory only.
const WRITE_BACK_AFTER: Duration = Duration::from_secs(5);

/// The memory for what a controller moves by itself: what the cache moves at once.
const DMA_ORDER: u8 = 5;
/// What is read in both ways before one is believed.
const PROOF: usize = 4096;

type CardCache = Cache<Arm>;
type CardHost = Sdhci<CardPace>;

static CACHE: Once<Arc<CardCache>> = Once::new();
/// The numbers of the partitions that have nodes.
static PARTITIONS: SpinLock<Vec<u32>, Arm> = SpinLock::new(Rank::FileObject, Vec::new());
/// Controllers whose slots have been powered.
static HOSTS: SpinLock<[Option<CardHost>; MOST_SLOTS], Arm> =
    SpinLock::new(Rank::FileObject, [const { None }; MOST_SLOTS]);
/// There are files, and with them pages for what is on a card.
static FILES: AtomicBool = AtomicBool::new(false);
/// The thread, when it waits for that, or to look again.
static FINDER: Waiters = Waiters::new();
/// All slots have been looked at, and what was found can be used.
static SOUGHT: AtomicBool = AtomicBool::new(false);
/// Somebody has asked what was found.
static ASKED: AtomicBool = AtomicBool::new(false);
/// They shall be looked at again.
static AGAIN: AtomicBool = AtomicBool::new(false);
/// Who waits for that.
static SEEKERS: Waiters = Waiters::new();
/// Memory as EMMC2 sees it, where the tree says that.
static DMA_WINDOW: Once<DmaWindow> = Once::new();
/// The thread, when it has nothing to write back.
static WRITER: Waiters = Waiters::new();

/// Lets the controllers interrupt, powers the slots, and starts the thread. Called once, by the boot CPU, when there are
/// threads, and early: cards want some milliseconds of power before their first command. `emmc2_dma` is what EMMC2 reaches by
/// itself.
#[cold]
pub(crate) fn init(emmc2_dma: Option<DmaWindow>) {
    if let Some(window) = emmc2_dma {
        DMA_WINDOW.call_once(|| window);
    }
    pace::register(board::current().card_slots);
    if let Err(error) = pins::route_card() {
        println!("{NAME}: {error}");
        return end_search();
    }
    board::power_card();
    let mut hosts = [const { None }; MOST_SLOTS];
    for (slot, place) in board::current().card_slots.iter().zip(&mut hosts) {
        let mut host = host(slot);
        // One that is stuck is found so again by who identifies the card.
        let _ = host.begin_reset();
        *place = Some(host);
    }
    *HOSTS.lock() = hosts;
    user::set_giver(|count| {
        if let Some(cache) = CACHE.get() {
            cache.shrink(count);
        }
    });
    if let Err(error) = thread::spawn("card", Priority::KERNEL, CpuSet::ALL, run) {
        println!("{NAME}: {error:?}");
        end_search();
    }
}

/// Something waits that the thread is to write back.
pub(crate) fn wake_writer() {
    WRITER.wake_all();
}

/// There are files: what was found, or will be, can be offered.
pub(crate) fn offer_found() {
    FILES.store(true, Ordering::Release);
    FINDER.wake_all();
}

fn end_search() {
    SOUGHT.store(true, Ordering::Release);
    SEEKERS.wake_all();
}

/// Writes back what is in memory only: sync(2).
pub(crate) fn sync() {
    if let Some(cache) = CACHE.get() {
        // The driver has said what went wrong, and fsync tells those who ask.
        let _ = cache.sync();
    }
}

/// The board is about to be switched off: waits until the card is idle, and leaves it so. What is in memory only is not
/// written; who wanted that has synced.
pub(crate) fn finish() {
    if let Some(cache) = CACHE.get() {
        // There is nobody left to be told.
        let _ = cache.finish();
    }
}

/// Waits until cards have been looked for, or a signal comes. The search is bounded, as all waits for controllers are. No board
/// says when a card is put in; so where there was none, the second who asks and all others have the slots looked at again.
pub(crate) fn wait_until_sought() {
    if SOUGHT.load(Ordering::Acquire) && CACHE.get().is_none() && ASKED.load(Ordering::Relaxed) {
        SOUGHT.store(false, Ordering::Release);
        AGAIN.store(true, Ordering::Release);
        FINDER.wake_all();
    }
    ASKED.store(true, Ordering::Relaxed);
    SEEKERS.wait_while(|| !SOUGHT.load(Ordering::Acquire) && !Kernel::interrupted());
}

fn run() {
    loop {
        if let Some(cache) = search() {
            write_back(&cache);
        }
        FINDER.wait_while(|| !AGAIN.swap(false, Ordering::AcqRel));
    }
}

/// Looks at all slots, and offers what is there.
fn search() -> Option<Arc<CardCache>> {
    let mut problems = Vec::new();
    let card = find(&mut problems);
    if card.is_some() || !problems.is_empty() {
        // The first line of a boot is another one.
        FINDER.wait_while(|| !FILES.load(Ordering::Acquire));
        problems.iter().for_each(|problem| println!("{NAME}: {problem}"));
    }
    let cache = card.and_then(|card| offer(card).inspect_err(|error| println!("{NAME}: {error}")).ok());
    end_search();
    cache
}

/// The controller of a slot.
fn host(slot: &CardSlot) -> CardHost {
    Sdhci::new(devices::card_controller(slot), slot.chip, board::card_clock_hz(slot), CardPace)
}

/// The card, in whichever slot it is, and what is wrong with others.
fn find(problems: &mut Vec<String>) -> Option<Card<CardHost>> {
    let hosts = core::mem::take(&mut *HOSTS.lock());
    let slots = board::current().card_slots.iter().zip(hosts);
    slots.map(|(slot, powered)| powered.unwrap_or_else(|| host(slot))).find_map(|host| identify(host, problems))
}

fn identify(host: CardHost, problems: &mut Vec<String>) -> Option<Card<CardHost>> {
    match Card::identify(host) {
        Ok(mut card) => {
            if let Err(problem) = let_it_move_data(&mut card) {
                problems.push(format!("moved by the CPU: {problem}"));
            }
            Some(card)
        }
        Err((CardError::NoCard, _)) => None,
        Err((error, _)) => {
            problems.push(error.to_string());
            None
        }
    }
}

/// Has the controller move data by itself, where it can. That works on boards only, and differently on different ones, so it is
/// believed when it has brought what the CPU read before.
fn let_it_move_data(card: &mut Card<CardHost>) -> Result<(), String> {
    let Some(window) = DMA_WINDOW.get().filter(|_| card.host().knows_dma()) else { return Ok(()) };
    let (mut by_cpu, mut by_dma) = ([0; PROOF].to_vec(), [0; PROOF].to_vec());
    // Who cannot be read at all is found so by who wants to.
    let Ok(()) = card.read(0, &mut by_cpu) else { return Ok(()) };
    let block = |order| Order::new(order).and_then(|order| SharedBlock::take(order, window));
    let (Some(list), Some(data)) = (block(0), block(DMA_ORDER)) else { return Err("no memory for DMA".to_string()) };
    card.host_mut().set_dma(Some(Dma::new(list, data)));
    let outcome = match card.read(0, &mut by_dma) {
        Ok(()) if !card.host().has_dma() => Err("DMA failed".to_string()),
        Ok(()) if by_cpu != by_dma => Err("DMA brings something else".to_string()),
        Ok(()) => Ok(()),
        Err(error) => Err(format!("DMA: {error}")),
    };
    if outcome.is_err() {
        card.host_mut().set_dma(None);
    }
    outcome
}

/// Makes the card and its partitions devices.
fn offer(card: Card<CardHost>) -> Result<Arc<CardCache>, FileError> {
    let (identity, by_dma) = (*card.identity(), card.host().has_dma());
    let pages = filesystems::page_source().ok_or(FileError::NoDevice)?;
    let most_pages = usize::try_from(frames().total() / MEMORY_SHARE).unwrap_or(usize::MAX);
    let wake = || {
        WRITER.wake_all();
    };
    let needs = CacheNeeds { pages, parking: &PARKING, dirtied: wake, most_pages };
    let cache = CardCache::new(Box::new(CardDisk::new(card)), needs)?;
    CACHE.call_once(|| Arc::clone(&cache));
    let number = DeviceNumber::new(MAJOR, 0);
    let whole = Volume::partitioned(Arc::clone(&cache), read_partitions).known_as(number, is_mounted);
    // The partitions first: who finds the card finds them, too.
    let table = offer_partitions(&cache)?;
    nodes::add(&Device::blocks(NAME.as_bytes(), number), Arc::new(whole))?;
    describe(&identity, by_dma, &table.partitions);
    Ok(cache)
}

/// Makes the partitions devices that the card has by its tables.
fn offer_partitions(cache: &Arc<CardCache>) -> Result<partition::Table, FileError> {
    let table = partition::find(cache.bytes() / 512, &mut |block, into| disk::read_block(cache, block, into));
    for problem in &table.problems {
        println!("{NAME}: {problem}");
    }
    for part in &table.partitions {
        offer_partition(cache, part)?;
    }
    Ok(table)
}

fn offer_partition(cache: &Arc<CardCache>, part: &Partition) -> Result<(), FileError> {
    let Some(volume) = Volume::part(Arc::clone(cache), part.first, part.blocks) else { return Ok(()) };
    let name = format!("{NAME}p{}", part.number);
    let number = DeviceNumber::new(MAJOR, part.number);
    let volume = volume.known_as(number, is_mounted);
    nodes::add(&Device::blocks(name.as_bytes(), number), Arc::new(volume))?;
    PARTITIONS.lock().push(part.number);
    Ok(())
}

/// Whether a file system of the card or partition of this number is mounted; of the card, also of any partition.
fn is_mounted(number: DeviceNumber) -> bool {
    let is_mounted = |minor| MOUNTS.root_of_device(DeviceNumber::new(MAJOR, minor)).is_some();
    if number.minor != 0 {
        return is_mounted(number.minor) || is_mounted(0);
    }
    // One at a time, for the lock is not held meanwhile.
    let partition = |index| PARTITIONS.lock().get(index).copied();
    is_mounted(0) || (0..).map_while(partition).any(is_mounted)
}

/// Somebody has written new tables, and says so (`BLKRRPART`). Whoever has a partition open has the old one still.
fn read_partitions() -> Result<(), FileError> {
    let cache = CACHE.get().ok_or(FileError::NoDevice)?;
    let is_mounted = |number: &u32| MOUNTS.root_of_device(DeviceNumber::new(MAJOR, *number)).is_some();
    let before = {
        let mut partitions = PARTITIONS.lock();
        core::mem::take(&mut *partitions)
    };
    if before.iter().any(is_mounted) {
        PARTITIONS.lock().extend(before);
        return Err(FileError::Busy);
    }
    for number in before {
        nodes::remove(FileKind::BlockDevice, DeviceNumber::new(MAJOR, number));
    }
    offer_partitions(cache).map(drop)
}

/// One line, when all of it can be used.
fn describe(identity: &Identity, by_dma: bool, partitions: &[Partition]) {
    let kind = match identity.addressing {
        Addressing::Bytes => "SD",
        Addressing::Blocks => "SDHC",
    };
    let lines = match identity.width {
        BusWidth::One => 1,
        BusWidth::Four => 4,
    };
    let most_mhz = match identity.speed {
        Speed::Default => 25,
        Speed::High => 50,
    };
    let product = identity.cid.product();
    let product = core::str::from_utf8(&product).unwrap_or_default();
    let protection = if identity.csd.write_protected { ", write-protected" } else { "" };
    let moved = if by_dma { ", DMA" } else { "" };
    let mib = identity.csd.blocks >> 11;
    let mut names = String::new();
    for part in partitions {
        names.push_str(&format!(" p{}", part.number));
    }
    println!("{NAME}: {kind} {product}, {mib} MiB, {lines} lines, {most_mhz} MHz{moved}{protection};{names}");
}

/// Writes back, for ever.
fn write_back(cache: &CardCache) -> ! {
    loop {
        WRITER.wait_while(|| !cache.is_dirty() && !filesystems::waits());
        task::sleep(WRITE_BACK_AFTER);
        // What could not be written is still dirty, and tried again.
        filesystems::write_back();
        let _ = cache.write_back();
    }
}
