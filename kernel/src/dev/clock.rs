//! The clock and each CPU's one-shot alarm: the generic timer's virtual counter and comparator.

use drivers::generic_timer::{SystemRegisters, VirtualTimer};
use spin::Once;

use crate::board;
use crate::dev::irq;
use crate::task::timers;

static TIMER: Once<VirtualTimer> = Once::new();

/// Reads the counter's frequency and sets the boot CPU's alarm up.
///
/// # Panics
///
/// When firmware left no frequency behind: nothing that counts time can work then.
pub(crate) fn init() {
    TIMER.call_once(|| VirtualTimer::new(SystemRegisters).expect("CNTFRQ_EL0 is set by firmware"));
    irq::register(board::current().timer_line, "timer", timers::on_alarm);
}

/// Sets up the alarm of another CPU.
pub(crate) fn init_cpu() {
    timer().cancel();
    irq::enable_here(board::current().timer_line);
}

/// Nanoseconds since the counter started: the same on every CPU, never going back.
#[inline]
pub(crate) fn now_ns() -> u64 {
    timer().now_ns()
}

/// Microseconds since the counter started; zero before the clock does. For the trace, which may be written at any time.
pub(crate) fn uptime_us() -> u64 {
    TIMER.get().map_or(0, |timer| timer.now_ns() / 1000)
}

/// Nanoseconds for a raw value of the counter.
pub(crate) fn ticks_to_ns(ticks: u64) -> u64 {
    timer().ticks_to_ns(ticks)
}

/// The counter's frequency.
pub(crate) fn frequency_hz() -> u64 {
    timer().frequency_hz()
}

/// Lets this CPU's comparator interrupt at `deadline_ns`; never for `u64::MAX`.
pub(crate) fn set_alarm(deadline_ns: u64) {
    if deadline_ns == u64::MAX {
        timer().cancel();
    } else {
        timer().set_alarm_ns(deadline_ns);
    }
}

fn timer() -> &'static VirtualTimer {
    TIMER.get().expect("the clock is started early in the boot")
}
