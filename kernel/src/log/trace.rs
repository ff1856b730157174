//! The trace: `defmt` frames, written into a ring of the CPU that logs and carried off by a thread (`dev::trace`).
//!
//! Logging takes no lock and never waits: interrupts are masked for the length of a frame, the frame is put together in
//! the CPU's own buffer, and goes into the ring whole or not at all. What does not fit is counted. A log within a log (a
//! fault while a frame is made) is dropped and counted too.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use kcore::boot::command_line::Trace;
use kcore::hal::Cpu;
use kcore::sync::{Once, Padded, PerCpu};
use kcore::util::ring::{Commit, Ring};

use crate::arch::cpu::{self, Arm};

/// Bytes of each CPU's ring.
const RING: usize = 4096;
/// The longest frame, encoded.
const FRAME: usize = 512;

/// A CPU's frame in the making. Only that CPU touches it, with interrupts masked.
struct Scratch {
    encoder: defmt::Encoder,
    bytes: [u8; FRAME],
    length: usize,
    /// More than fits: the frame is lost.
    overflowed: bool,
    /// Something was written: `defmt::flush` opens and closes a frame without a word.
    started: bool,
    depth: u32,
    /// The interrupt mask to restore.
    masked: u64,
}

struct Slot {
    scratch: UnsafeCell<Scratch>,
    ring: Ring<RING>,
    lost: AtomicU32,
}

// SAFETY: `scratch` is touched by its own CPU only, with interrupts masked; a log within a log is refused by its depth.
unsafe impl Sync for Slot {}

static SLOTS: PerCpu<Slot> = PerCpu::new(
    [const {
        Padded(Slot {
            scratch: UnsafeCell::new(Scratch {
                encoder: defmt::Encoder::new(),
                bytes: [0; FRAME],
                length: 0,
                overflowed: false,
                started: false,
                depth: 0,
                masked: 0,
            }),
            ring: Ring::new(),
            lost: AtomicU32::new(0),
        })
    }; kcore::addr::MAX_CPUS],
);
static PLACE: AtomicU8 = AtomicU8::new(Trace::Uart1 as u8);
/// Set while the carrier knows that there is something.
static NOTIFIED: AtomicBool = AtomicBool::new(false);
static NOTIFY: Once<fn()> = Once::new();
static FRAMES: AtomicU32 = AtomicU32::new(0);
/// Frames that have gone through [`drain`].
static CARRIED: AtomicU32 = AtomicU32::new(0);

/// Where frames go now.
pub(crate) fn place() -> Trace {
    Trace::ALL[usize::from(PLACE.load(Ordering::Relaxed))]
}

/// Sends frames elsewhere from now on. Its line is set up (`dev::trace`).
pub(crate) fn set_place(place: Trace) {
    PLACE.store(place as u8, Ordering::Relaxed);
}

/// Names who tells the carrier. It is called with any lock held, so it must take none.
pub(crate) fn set_notify(notify: fn()) {
    NOTIFY.call_once(|| notify);
}

/// Frames recorded, and frames lost, since the boot.
pub(crate) fn counts() -> (u32, u32) {
    let lost = SLOTS.iter().map(|(_, slot)| slot.lost.load(Ordering::Relaxed)).sum();
    (FRAMES.load(Ordering::Relaxed), lost)
}

/// Whether all that was recorded has been carried off. For anybody but the carrier, whose rings are not touched.
pub(crate) fn is_carried_off() -> bool {
    CARRIED.load(Ordering::Relaxed) == FRAMES.load(Ordering::Relaxed)
}

/// For the carrier: whether there is nothing to carry off. Before it looks, the next frame is made to notify again.
pub(crate) fn is_empty() -> bool {
    NOTIFIED.store(false, Ordering::SeqCst);
    SLOTS.iter().all(|(_, slot)| slot.ring.reader().is_none_or(|reader| reader.available() == 0))
}

/// Gives every recorded frame to `sink`, its end mark included.
pub(crate) fn drain(mut sink: impl FnMut(&[u8])) {
    let mut frame = [0; FRAME];
    for (_, slot) in SLOTS.iter() {
        let Some(mut reader) = slot.ring.reader() else { continue };
        let mut length = 0;
        // Frames are committed whole, so the last byte that is there ends one.
        while let Some(byte) = reader.pop() {
            if let Some(place) = frame.get_mut(length) {
                *place = byte;
                length += 1;
            }
            if byte == abi::trace::FRAME_END {
                sink(&frame[..length]);
                CARRIED.fetch_add(1, Ordering::Relaxed);
                length = 0;
            }
        }
    }
}

#[defmt::global_logger]
struct Logger;

// SAFETY: between `acquire` and `release` interrupts are masked, so nothing else runs on this CPU but code that the frame
// itself calls, which the depth keeps out; other CPUs have scratch space of their own.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        let masked = cpu::irq_save_raw();
        with_scratch(|scratch| {
            scratch.depth += 1;
            if scratch.depth == 1 {
                scratch.masked = masked;
                scratch.length = 0;
                scratch.overflowed = false;
                scratch.started = false;
                let Scratch { encoder, bytes, length, .. } = scratch;
                encoder.start_frame(|piece| {
                    append(bytes, length, piece);
                });
            }
        });
    }

    unsafe fn flush() {}

    unsafe fn release() {
        let masked = with_scratch(|scratch| {
            scratch.depth -= 1;
            if scratch.depth > 0 {
                return None;
            }
            let Scratch { encoder, bytes, length, overflowed, .. } = scratch;
            encoder.end_frame(|piece| *overflowed |= !append(bytes, length, piece));
            if scratch.started && place() != Trace::Off {
                commit(scratch);
            }
            Some(scratch.masked)
        });
        // A nested release leaves interrupts as the outer frame has them.
        if let Some(masked) = masked {
            cpu::irq_restore_raw(masked);
        }
    }

    unsafe fn write(piece: &[u8]) {
        with_scratch(|scratch| {
            if scratch.depth > 1 {
                return;
            }
            scratch.started = true;
            let Scratch { encoder, bytes, length, overflowed, .. } = scratch;
            encoder.write(piece, |piece| *overflowed |= !append(bytes, length, piece));
        });
    }
}

/// With interrupts masked.
fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    let slot = SLOTS.of(Arm::id());
    // SAFETY: this CPU's scratch, with interrupts masked, and `work` logs nothing: there is no other reference.
    work(unsafe { &mut *slot.scratch.get() })
}

fn append(bytes: &mut [u8; FRAME], length: &mut usize, piece: &[u8]) -> bool {
    let Some(space) = bytes.get_mut(*length..*length + piece.len()) else { return false };
    space.copy_from_slice(piece);
    *length += piece.len();
    true
}

fn commit(scratch: &Scratch) {
    let slot = SLOTS.of(Arm::id());
    // The encoder's first frame begins with a zero that ends nothing.
    let frame = &scratch.bytes[..scratch.length];
    let frame = frame.strip_prefix(&[abi::trace::FRAME_END]).unwrap_or(frame);
    let outcome = if scratch.overflowed { None } else { slot.ring.writer().map(|mut writer| writer.write(frame)) };
    if outcome != Some(Commit::Written) {
        slot.lost.fetch_add(1, Ordering::Relaxed);
        return;
    }
    FRAMES.fetch_add(1, Ordering::Relaxed);
    if let Some(notify) = NOTIFY.get()
        && !NOTIFIED.swap(true, Ordering::SeqCst)
    {
        notify();
    }
}
