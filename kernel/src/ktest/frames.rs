//! Physical memory under stress from every CPU.

use alloc::vec::Vec;

use drivers::sdhci::SharedMemory as _;
use kcore::addr::{CpuId, PhysAddr};
use kcore::boot::PhysRange;
use kcore::boot::tree::DmaWindow;
use kcore::frame::{FrameUse, Order, Zeroing};

use super::harness::{Dice, Failure, Outcome, Turns, ensure, stress, wait_for};
use crate::mem::dma::SharedBlock;
use crate::mem::frames::{Frame, frames};

/// The largest blocks: 2^4 frames.
const ORDERS: usize = 5;
/// What a CPU holds at most.
const HELD: usize = 24;

/// Frames that idle CPUs put by, zeroed, are not in use: what is compared is use.
///
/// Fails when `hand_out` skips the zeroing.
pub(super) fn frames_keep_their_contents_and_come_back() -> Outcome {
    let (before, after) = stress("frames", || frames().statistics(), churn)?;
    // The heap's frames come and go with what else is in them.
    for kind in FrameUse::ALL.into_iter().filter(|&kind| kind != FrameUse::KernelHeap) {
        let (then, now) = (before.used_for(kind), after.used_for(kind));
        ensure!(then == now, "{then} frames of {} before, {now} after", kind.name());
    }
    ensure!(after.refused == 0, "{} frames were given back that nobody had", after.refused);
    ensure!(after.total == before.total, "{} frames of {}", after.total, before.total);
    wait_for("every frame to be somewhere", || {
        let books = frames().statistics();
        books.accounted() == books.total
    })
}

/// What is cleaned and then forgotten is what was written; and a device that does not reach the memory gets none.
///
/// Fails when `take` does not ask the window.
pub(super) fn memory_for_a_device_lies_where_it_reaches_it() -> Outcome {
    const BUS: u32 = 0xc000_0000;
    let window =
        |bytes| PhysRange::from_size(PhysAddr::new(0), bytes).map(|memory| DmaWindow { memory, bus: BUS.into() });
    let (Some(reached), Some(not_reached)) = (window(1 << 30), window(0x1000)) else {
        return Err(Failure::new(format_args!("no window")));
    };
    let before = frames().statistics().used_for(FrameUse::Dma);
    ensure!(SharedBlock::take(Order::SINGLE, &not_reached).is_none(), "memory that the device does not reach");
    ensure!(frames().statistics().used_for(FrameUse::Dma) == before, "a frame is lost");
    let Some(block) = SharedBlock::take(Order::SINGLE, &reached) else {
        return Err(Failure::new(format_args!("no memory")));
    };
    ensure!(block.bus_address() > BUS && block.bus_address().is_multiple_of(64), "at {:#x}", block.bus_address());
    let bytes = block.bytes().len();
    ensure!(bytes == Order::SINGLE.bytes() && block.bytes().iter().all(|&byte| byte == 0), "{bytes} bytes");
    block.bytes().fill(0x5a);
    block.clean(bytes);
    block.invalidate(bytes);
    ensure!(block.bytes().iter().all(|&byte| byte == 0x5a), "something else than was written");
    Ok(())
}

/// A block, and the byte that every page of it is full of.
struct Held {
    block: Frame,
    byte: u8,
    shared: Option<Frame>,
}

fn churn(cpu: CpuId, turns: Turns) -> Outcome {
    let mut dice = Dice::new(0xf4a3 + cpu.index() as u64);
    let mut held = Vec::with_capacity(HELD);
    for () in turns {
        if held.len() == HELD || (!held.is_empty() && dice.below(2) == 0) {
            check(cpu, held.swap_remove(dice.below(held.len())))?;
        } else {
            held.push(take(cpu, &mut dice)?);
        }
    }
    held.into_iter().try_for_each(|one| check(cpu, one))
}

fn take(cpu: CpuId, dice: &mut Dice) -> Result<Held, Failure> {
    let order = u8::try_from(dice.below(ORDERS)).ok().and_then(Order::new).unwrap_or(Order::SINGLE);
    let zeroing = if dice.below(2) == 0 { Zeroing::Zeroed } else { Zeroing::Unspecified };
    let mut block = frames()
        .allocate(order, FrameUse::UserAnonymous, zeroing)
        .map_err(|error| Failure::new(format_args!("cpu {cpu}: {error:?}")))?;
    let byte = u8::try_from(1 + dice.below(255)).unwrap_or(u8::MAX);
    for number in 0..order.frames() {
        let frame = block.frame();
        let page = block.page_mut(number).ok_or_else(|| Failure::new(format_args!("no page {number} of {frame:?}")))?;
        let zero = zeroing == Zeroing::Unspecified || page.iter().all(|&byte| byte == 0);
        ensure!(zero, "cpu {cpu}: page {number} of {frame:?}, {order:?}, is not zero");
        page.fill(byte);
    }
    let shared = (dice.below(4) == 0).then(|| block.share());
    ensure!(shared.is_none() || block.page_mut(0).is_none(), "cpu {cpu}: a shared frame was lent for writing");
    Ok(Held { block, byte, shared })
}

fn check(cpu: CpuId, held: Held) -> Outcome {
    let Held { block, byte, shared } = held;
    let references = block.references();
    ensure!(references == 1 + u32::from(shared.is_some()), "cpu {cpu}: {references} references");
    // The first reference goes; the contents stay for the second.
    let block = match shared {
        Some(other) => {
            drop(block);
            other
        }
        None => block,
    };
    ensure!(block.references() == 1, "cpu {cpu}: {} references to one's own frame", block.references());
    for number in 0..block.order().frames() {
        let intact = block.page(number).is_some_and(|page| page.iter().all(|&found| found == byte));
        ensure!(intact, "cpu {cpu}: page {number} of {:?} was written by somebody else", block.frame());
    }
    Ok(())
}
