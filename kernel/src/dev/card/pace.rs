//! How the thread that uses a controller waits.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use drivers::sdhci::{Pace, SdhciInterrupt};
use kcore::sync::Once;

use crate::board::CardSlot;
use crate::dev::{clock, irq, random};
use crate::mem::devices;
use crate::task::{self, Waiters};

/// The most controllers of a board.
pub(super) const MOST_SLOTS: usize = 2;
/// Pauses below this are spun: a sleep costs some microseconds itself.
const SHORTEST_SLEEP_US: u32 = 200;

/// The handler's windows.
static WINDOWS: [Once<SdhciInterrupt>; MOST_SLOTS] = [const { Once::new() }; MOST_SLOTS];
/// An interrupt has come since the thread last said that it would wait for one.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// The thread that uses the card: there is one at a time.
static WAITING: Waiters = Waiters::new();

/// Registers the handler for the lines of these controllers.
pub(super) fn register(slots: &[CardSlot]) {
    for (window, slot) in WINDOWS.iter().zip(slots) {
        window.call_once(|| SdhciInterrupt::new(devices::card_controller(slot)));
    }
    for (index, slot) in slots.iter().enumerate() {
        let is_first = slots[..index].iter().all(|other| other.device.line != slot.device.line);
        if is_first {
            irq::register(slot.device.line, "card", on_interrupt);
        }
    }
}

fn on_interrupt() {
    let mut signalled = false;
    for window in WINDOWS.iter().filter_map(Once::get) {
        signalled |= window.quiet();
    }
    if signalled {
        random::sample_interrupt();
        INTERRUPTED.store(true, Ordering::Release);
        WAITING.wake_all();
    }
}

/// The one way of waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct CardPace;

impl Pace for CardPace {
    fn now_us(&mut self) -> u64 {
        clock::now_ns() / 1000
    }

    fn pause_us(&mut self, us: u32) {
        if us >= SHORTEST_SLEEP_US {
            return task::sleep(Duration::from_micros(us.into()));
        }
        let end_ns = clock::now_ns() + u64::from(us) * 1000;
        while clock::now_ns() < end_ns {
            core::hint::spin_loop();
        }
    }

    fn arm(&mut self) {
        INTERRUPTED.store(false, Ordering::Relaxed);
    }

    fn sleep_until(&mut self, deadline_us: u64) {
        // Who waits looks at the controller afterwards, whatever ended the wait.
        let _ = WAITING.wait_while_until(deadline_us.saturating_mul(1000), || !INTERRUPTED.load(Ordering::Acquire));
    }
}
