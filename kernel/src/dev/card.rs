//! The SD card: `/dev/mmcblk0`, and `/dev/mmcblk0p1` and so on for its partitions.
//!
//! A thread of its own looks for a card once the boot is over, so that nobody waits for one that is slow or not there; a
//! missing card is nothing to speak of. The same thread then writes back what programs changed, seconds later. What is
//! read is read by whoever wants it (`kcore::fs::block`).
//!
//! The protocol and the controllers are in `drivers`; here is how a thread waits for the controller: asleep, until its
//! interrupt wakes it.

mod disk;
mod pace;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use drivers::sd::{Addressing, BusWidth, Card, CardError, Identity, Speed};
use drivers::sdhci::Sdhci;
use kcore::addr::CpuSet;
use kcore::fs::block::partition::{self, Partition};
use kcore::fs::block::{Cache, CacheNeeds, Volume};
use kcore::fs::devices::Device;
use kcore::fs::{DeviceNumber, FileError, Surroundings as _};
use kcore::sched::Priority;
use kcore::sync::Once;

use self::disk::CardDisk;
use self::pace::CardPace;
use super::{nodes, pins};
use crate::arch::cpu::Arm;
use crate::board::{self, CardSlot};
use crate::log::println;
use crate::mem::devices;
use crate::mem::frames::frames;
use crate::task::{self, Kernel, PARKING, Waiters, filesystems, thread};

/// The major number of cards (`admin-guide/devices.txt` of Linux).
const MAJOR: u32 = 179;
/// The name of the one card.
const NAME: &str = "mmcblk0";
/// The part of memory that a card's pages may take.
const MEMORY_SHARE: u64 = 16;
/// How long what was written may stay in memory only.
const WRITE_BACK_AFTER: Duration = Duration::from_secs(5);

type CardCache = Cache<Arm>;

static CACHE: Once<Arc<CardCache>> = Once::new();
/// All slots have been looked at, and what was found can be used.
static SOUGHT: AtomicBool = AtomicBool::new(false);
/// Who waits for that.
static SEEKERS: Waiters = Waiters::new();
/// The thread, when it has nothing to write back.
static WRITER: Waiters = Waiters::new();

/// Lets the controllers interrupt, and starts the thread. Called once, by the boot CPU.
#[cold]
pub(crate) fn init() {
    pace::register(board::current().card_slots);
    if let Err(error) = thread::spawn("card", Priority::KERNEL, CpuSet::ALL, run) {
        println!("{NAME}: {error:?}");
    }
}

/// Something waits that the thread is to write back.
pub(crate) fn wake_writer() {
    WRITER.wake_all();
}

/// Writes back what is in memory only: sync(2).
pub(crate) fn sync() {
    if let Some(cache) = CACHE.get() {
        // The driver has said what went wrong, and fsync tells those who ask.
        let _ = cache.sync();
    }
}

/// Waits until cards have been looked for, or a signal comes. The search is bounded, as all waits for controllers are.
pub(crate) fn wait_until_sought() {
    SEEKERS.wait_while(|| !SOUGHT.load(Ordering::Acquire) && !Kernel::interrupted());
}

fn run() {
    let cache = find().and_then(|card| offer(card).inspect_err(|error| println!("{NAME}: {error}")).ok());
    SOUGHT.store(true, Ordering::Release);
    SEEKERS.wake_all();
    if let Some(cache) = cache {
        write_back(&cache);
    }
}

/// The card, in whichever slot it is.
fn find() -> Option<Card<Sdhci<CardPace>>> {
    if let Err(error) = pins::route_card() {
        println!("{NAME}: {error}");
        return None;
    }
    board::power_card();
    board::current().card_slots.iter().find_map(identify)
}

fn identify(slot: &CardSlot) -> Option<Card<Sdhci<CardPace>>> {
    let clock_hz = board::card_clock_hz(slot)?;
    let host = Sdhci::new(devices::card_controller(slot), slot.chip, clock_hz, CardPace);
    match Card::identify(host) {
        Ok(card) => Some(card),
        Err((CardError::NoCard, _)) => None,
        Err((error, _)) => {
            println!("{NAME}: {error}");
            None
        }
    }
}

/// Makes the card and its partitions devices.
fn offer(card: Card<Sdhci<CardPace>>) -> Result<Arc<CardCache>, FileError> {
    let identity = *card.identity();
    let pages = filesystems::page_source().ok_or(FileError::NoDevice)?;
    let most_pages = usize::try_from(frames().total() / MEMORY_SHARE).unwrap_or(usize::MAX);
    let wake = || {
        WRITER.wake_all();
    };
    let needs = CacheNeeds { pages, parking: &PARKING, dirtied: wake, most_pages };
    let cache = CardCache::new(Box::new(CardDisk::new(card)), needs)?;
    CACHE.call_once(|| Arc::clone(&cache));
    let whole = Volume::whole(Arc::clone(&cache));
    let table = partition::find(cache.bytes() / 512, &mut |block, into| disk::read_block(&cache, block, into));
    for problem in &table.problems {
        println!("{NAME}: {problem}");
    }
    // The partitions first: who finds the card finds them, too.
    for part in &table.partitions {
        offer_partition(&cache, part)?;
    }
    nodes::add(&Device::blocks(NAME.as_bytes(), DeviceNumber::new(MAJOR, 0)), Arc::new(whole))?;
    describe(&identity, &table.partitions);
    Ok(cache)
}

fn offer_partition(cache: &Arc<CardCache>, part: &Partition) -> Result<(), FileError> {
    let Some(volume) = Volume::part(Arc::clone(cache), part.first, part.blocks) else { return Ok(()) };
    let name = format!("{NAME}p{}", part.number);
    nodes::add(&Device::blocks(name.as_bytes(), DeviceNumber::new(MAJOR, part.number)), Arc::new(volume))
}

/// One line, when all of it can be used.
fn describe(identity: &Identity, partitions: &[Partition]) {
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
    let mib = identity.csd.blocks >> 11;
    let mut names = String::new();
    for part in partitions {
        names.push_str(&format!(" p{}", part.number));
    }
    println!("{NAME}: {kind} {product}, {mib} MiB, {lines} lines, {most_mhz} MHz{protection};{names}");
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
