//! Interrupts: one trait in front of both boards' controllers, a handler for each line, counts for each CPU.
//!
//! A line is a number in the board's own numbering: the INTID on a GIC; on the Pi 3 the GPU's lines 0 to 63, the
//! Arm's own 64 to 71, the per-core sources from 72 on.
//!
//! Handlers are registered while the kernel boots and never change, so dispatch takes no lock.

mod gic;
mod local;

use core::sync::atomic::{AtomicU32, Ordering};

use kcore::addr::{CpuId, CpuSet, MAX_CPUS};
use kcore::hal::Cpu;
use spin::Once;

use crate::arch::cpu::Arm;
use crate::mem::devices::{self, InterruptRegisters};

/// How many lines there can be: the GIC-400's 256 of a Pi 4.
pub(crate) const LINES: usize = 256;

/// What one CPU wants of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ipi {
    /// Go through the scheduler.
    Reschedule,
    /// Stop for good: another CPU panicked.
    Stop,
    /// Wake the trace's carrier; a CPU sends this to itself.
    Trace,
    /// Wake who reads the kernel's lines; a CPU sends this to itself.
    Log,
    /// Answer: used by the self-tests.
    Ping,
}

impl Ipi {
    /// Every kind, in the order of its number.
    pub(crate) const ALL: [Self; 5] = [Self::Reschedule, Self::Stop, Self::Trace, Self::Log, Self::Ping];

    /// The number that stands for it on the wire: an SGI, or a mailbox bit.
    const fn number(self) -> u8 {
        self as u8
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|ipi| ipi.number() == number)
    }

    /// Its name in lists.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reschedule => "ipi reschedule",
            Self::Stop => "ipi stop",
            Self::Trace => "ipi trace",
            Self::Log => "ipi log",
            Self::Ping => "ipi ping",
        }
    }
}

/// An interrupt as a controller reports it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    /// From another CPU.
    Ipi(Ipi),
    /// From a device.
    Line(u32),
}

/// An interrupt controller, or two in a row.
trait Controller: Send + Sync {
    /// Prepares what belongs to the calling CPU.
    fn init_cpu(&self);
    /// Lets `line` through; a per-core line on the calling CPU.
    fn enable(&self, line: u32);
    /// Interrupts every CPU in `targets`, the caller too if it is a member.
    fn send(&self, targets: CpuSet, ipi: Ipi);
    /// Takes what is pending for the calling CPU, each event exactly once; returns how many came that meant nothing.
    fn dispatch(&self, handle: &mut dyn FnMut(Event)) -> u32;
}

struct Line {
    name: &'static str,
    handler: fn(),
}

struct Counts {
    lines: [AtomicU32; LINES],
    ipis: [AtomicU32; Ipi::ALL.len()],
    spurious: AtomicU32,
}

static CONTROLLER: Once<Either> = Once::new();
static HANDLERS: [Once<Line>; LINES] = [const { Once::new() }; LINES];
static TRACE: Once<fn()> = Once::new();
static LOG: Once<fn()> = Once::new();
static PING: Once<fn()> = Once::new();
static COUNTS: [Counts; MAX_CPUS] = [const {
    Counts {
        lines: [const { AtomicU32::new(0) }; LINES],
        ipis: [const { AtomicU32::new(0) }; Ipi::ALL.len()],
        spurious: AtomicU32::new(0),
    }
}; MAX_CPUS];

/// The controllers of either board, without a heap.
enum Either {
    Gic(gic::Gic),
    Local(local::Local),
}

impl Either {
    fn get(&self) -> &dyn Controller {
        match self {
            Self::Gic(controller) => controller,
            Self::Local(controller) => controller,
        }
    }
}

/// Brings the controllers to a known state. The boot CPU calls this once, then [`init_cpu`].
pub(crate) fn init() {
    CONTROLLER.call_once(|| match devices::interrupt_controllers() {
        InterruptRegisters::Gic(distributor, cpu_interface) => Either::Gic(gic::Gic::new(distributor, cpu_interface)),
        InterruptRegisters::Local(local, legacy) => Either::Local(local::Local::new(local, legacy)),
    });
}

/// Prepares the calling CPU for interrupts.
pub(crate) fn init_cpu() {
    controller().init_cpu();
}

/// Makes `handler` answer `line`, under the name that lists show, and lets the line through. Handlers run with
/// interrupts masked.
///
/// # Panics
///
/// When the line does not exist or has a handler already: both are mistakes of the boot order.
pub(crate) fn register(line: u32, name: &'static str, handler: fn()) {
    let slot = &HANDLERS[index(line).expect("a line of this board")];
    assert!(!slot.is_completed(), "interrupt line {line} has two handlers");
    slot.call_once(|| Line { name, handler });
    controller().enable(line);
}

/// Lets a per-core line through on the calling CPU too, once its handler is registered.
pub(crate) fn enable_here(line: u32) {
    controller().enable(line);
}

/// Names who answers [`Ipi::Trace`].
pub(crate) fn on_trace(handler: fn()) {
    TRACE.call_once(|| handler);
}

/// Names who answers [`Ipi::Log`].
pub(crate) fn on_log(handler: fn()) {
    LOG.call_once(|| handler);
}

/// Names who answers [`Ipi::Ping`].
#[cfg_attr(not(feature = "ktest"), expect(dead_code, reason = "the self-tests are its only user"))]
pub(crate) fn on_ping(handler: fn()) {
    PING.call_once(|| handler);
}

/// Interrupts every CPU in `targets`.
pub(crate) fn send(targets: CpuSet, ipi: Ipi) {
    if !targets.is_empty()
        && let Some(controller) = CONTROLLER.get()
    {
        controller.get().send(targets, ipi);
    }
}

/// Called by the vectors with interrupts masked.
#[unsafe(no_mangle)]
fn tine_dispatch_interrupts() {
    let counts = &COUNTS[Arm::id().index()];
    let spurious = controller().dispatch(&mut |event| match event {
        Event::Ipi(ipi) => {
            count(&counts.ipis[usize::from(ipi.number())]);
            answer(ipi);
        }
        Event::Line(line) => match index(line).and_then(|line| Some((line, HANDLERS[line].get()?))) {
            Some((line, Line { handler, .. })) => {
                count(&counts.lines[line]);
                handler();
            }
            None => count(&counts.spurious),
        },
    });
    counts.spurious.fetch_add(spurious, Ordering::Relaxed);
}

fn answer(ipi: Ipi) {
    match ipi {
        Ipi::Reschedule => crate::arch::cpu::header().request_resched(),
        Ipi::Stop => crate::arch::cpu::park(),
        Ipi::Trace => call(&TRACE),
        Ipi::Log => call(&LOG),
        Ipi::Ping => call(&PING),
    }
}

fn call(handler: &Once<fn()>) {
    if let Some(handler) = handler.get() {
        handler();
    }
}

/// Calls `row` for every line and IPI that has a handler, with its name and how often each CPU took it.
pub(crate) fn for_each_count(mut row: impl FnMut(Option<u32>, &'static str, [u32; MAX_CPUS])) {
    for ipi in Ipi::ALL {
        row(None, ipi.name(), per_cpu(|counts| &counts.ipis[usize::from(ipi.number())]));
    }
    for (number, slot) in (0..).zip(&HANDLERS) {
        if let (Some(line), Some(index)) = (slot.get(), index(number)) {
            row(Some(number), line.name, per_cpu(|counts| &counts.lines[index]));
        }
    }
    row(None, "spurious", per_cpu(|counts| &counts.spurious));
}

fn per_cpu(field: impl Fn(&'static Counts) -> &'static AtomicU32) -> [u32; MAX_CPUS] {
    core::array::from_fn(|cpu| field(&COUNTS[cpu]).load(Ordering::Relaxed))
}

fn count(counter: &AtomicU32) {
    // Only the owning CPU writes, with interrupts masked: no read-modify-write needed.
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

fn controller() -> &'static dyn Controller {
    CONTROLLER.get().expect("interrupts are set up before they are used").get()
}

fn index(line: u32) -> Option<usize> {
    usize::try_from(line).ok().filter(|&line| line < LINES)
}

/// The `drivers` number of a CPU.
fn core_of(cpu: CpuId) -> drivers::core_id::Core {
    drivers::core_id::Core::new(cpu.index()).expect("both crates count four cores")
}
