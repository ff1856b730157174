//! The clock, the time of the day by it, and each CPU's one-shot alarm: the generic timer's virtual counter and comparator.

use core::sync::atomic::{AtomicU64, Ordering};

use drivers::generic_timer::{SystemRegisters, VirtualTimer};
use kcore::fs::Timestamp;
use kcore::sync::Once;
use kcore::time::CounterScale;

use crate::arch::vdso::Data;
use crate::board;
use crate::dev::irq;
use crate::mem::vdso;
use crate::task::timers;

/// What the wall clock showed when the counter started, in nanoseconds since 1970. There is no clock on the boards that runs
/// while they are off: it starts at 1970 and is what root sets it to.
static EPOCH_NS: AtomicU64 = AtomicU64::new(0);

const NS_PER_SECOND: u64 = 1_000_000_000;

struct Clock {
    timer: VirtualTimer,
    scale: CounterScale,
}

static CLOCK: Once<Clock> = Once::new();

/// Reads the counter's frequency and sets the boot CPU's alarm up.
///
/// # Panics
///
/// When firmware left no frequency behind: nothing that counts time can work then.
pub(crate) fn init() {
    CLOCK.call_once(|| {
        let timer = VirtualTimer::new(SystemRegisters).expect("CNTFRQ_EL0 is set by firmware");
        let hz = u32::try_from(timer.frequency_hz()).ok().and_then(CounterScale::new);
        let scale = hz.expect("the timer's driver refuses zero and more than 32 bits");
        let (whole_ns, fraction, exact_ticks) = scale.factors();
        vdso::init(&Data { epoch_ns: 0, whole_ns, fraction, exact_ticks, resolution_ns: resolution_ns(&timer) });
        Clock { timer, scale }
    });
    irq::register(board::current().timer_line, "timer", timers::on_alarm);
}

/// Sets up the alarm of another CPU.
pub(crate) fn init_cpu() {
    clock().timer.cancel();
    irq::enable_here(board::current().timer_line);
}

/// Nanoseconds since the counter started: the same on every CPU, never going back.
#[inline]
pub(crate) fn now_ns() -> u64 {
    let clock = clock();
    clock.scale.to_ns(clock.timer.now_ticks())
}

/// The wall clock, as files keep their times.
pub(crate) fn timestamp() -> Timestamp {
    let ns = epoch_ns().saturating_add(now_ns());
    let nanoseconds = (ns % NS_PER_SECOND) as u32;
    Timestamp { seconds: (ns / NS_PER_SECOND).cast_signed(), nanoseconds }
}

/// The counter: for what only asks whether some time has come, and need not know how much it is.
#[inline]
pub(crate) fn now_ticks() -> u64 {
    clock().timer.now_ticks()
}

/// What the wall clock showed when the counter started, in nanoseconds since 1970.
pub(crate) fn epoch_ns() -> u64 {
    EPOCH_NS.load(Ordering::Relaxed)
}

/// Sets the wall clock by saying what it showed then.
pub(crate) fn set_epoch(epoch_ns: u64) {
    EPOCH_NS.store(epoch_ns, Ordering::Relaxed);
    vdso::set_epoch(epoch_ns);
}

/// How many ticks `ns` nanoseconds take.
pub(crate) fn ns_to_ticks(ns: u64) -> u64 {
    clock().scale.ticks_for(ns)
}

/// Microseconds since the counter started; zero before the clock does. For the trace, which may be written at any time.
pub(crate) fn uptime_us() -> u64 {
    CLOCK.get().map_or(0, |clock| clock.scale.to_ns(clock.timer.now_ticks()) / 1000)
}

/// Nanoseconds for a raw value of the counter.
pub(crate) fn ticks_to_ns(ticks: u64) -> u64 {
    clock().scale.to_ns(ticks)
}

/// The counter's frequency.
pub(crate) fn frequency_hz() -> u64 {
    clock().timer.frequency_hz()
}

/// How long a tick of the counter is, in nanoseconds, rounded up.
pub(crate) fn tick_ns() -> u64 {
    resolution_ns(&clock().timer)
}

fn resolution_ns(timer: &VirtualTimer) -> u64 {
    NS_PER_SECOND.div_ceil(timer.frequency_hz())
}

/// Lets this CPU's comparator interrupt at `deadline_ns`, never earlier; not at all for `u64::MAX`.
pub(crate) fn set_alarm(deadline_ns: u64) {
    let clock = clock();
    if deadline_ns == u64::MAX {
        clock.timer.cancel();
    } else {
        clock.timer.set_alarm(clock.scale.ticks_for(deadline_ns));
    }
}

#[inline]
fn clock() -> &'static Clock {
    CLOCK.get().expect("the clock is started early in the boot")
}
