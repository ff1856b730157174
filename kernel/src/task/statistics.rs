//! What CPUs and threads did, by samples: who is met in a program and who in the kernel, and how many want to run.
//!
//! There is no tick. A CPU that runs a thread is interrupted about every ten milliseconds for that; one that has gone idle
//! once more, and then not until it runs something. Nobody counts at the ways into the kernel and out of it.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use kcore::addr::{CpuId, MAX_CPUS};
use kcore::proc::{Mode, System as _};
use kcore::procfs::CpuTimes;
use kcore::sched::{Class, LoadAverages};
use kcore::sync::{IrqLock, Padded, PerCpu, Rank};
use kcore::time::{Jitter, Sampled, Split};

use super::switch::{self, Kernel, with_current};
use crate::arch::cpu::{self, Arm, Interrupted};
use crate::dev::clock;

/// What a CPU's samples have found. But for what was told, only that CPU writes, with interrupts masked.
struct Samples {
    user: AtomicU64,
    system: AtomicU64,
    jitter: Jitter,
    told: IrqLock<Told, Arm>,
}

/// What was told last of a CPU.
struct Told {
    busy: Split,
    idle_ns: u64,
}

impl Samples {
    const fn new(cpu: u32) -> Padded<Self> {
        let told = Told { busy: Split::ZERO, idle_ns: 0 };
        Padded(Self {
            user: AtomicU64::new(0),
            system: AtomicU64::new(0),
            jitter: Jitter::new(cpu),
            told: IrqLock::new(Rank::Statistics, told),
        })
    }
}

static SAMPLES: PerCpu<Samples> = PerCpu::new([Samples::new(0), Samples::new(1), Samples::new(2), Samples::new(3)]);
const _: () = assert!(MAX_CPUS == 4, "each CPU draws numbers of its own");
static LOAD: LoadAverages<Arm> = LoadAverages::new();

/// A CPU begins to run something: how long until its first sample, in nanoseconds.
pub(super) fn first_sample_ns(here: CpuId) -> u64 {
    SAMPLES.of(here).jitter.first_ns()
}

/// By the handler of the alarm: counts where the current thread is. Returns how long until the next sample, in nanoseconds;
/// `None` if there is none to take until the CPU runs something.
pub(super) fn sample(here: CpuId, now_ns: u64) -> Option<u64> {
    let samples = SAMPLES.of(here);
    let mode = match cpu::interrupted() {
        Interrupted::Program => Mode::User,
        Interrupted::Kernel => Mode::System,
    };
    let runs = with_current(|me| {
        if let Some(thread) = me.payload().program() {
            thread.count_sample(mode);
        }
        me.class() != Class::Idle
    });
    if !runs {
        return None;
    }
    let count = match mode {
        Mode::User => &samples.user,
        Mode::System => &samples.system,
    };
    count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
    LOAD.fold(now_ns, active);
    Some(samples.jitter.next_ns())
}

/// How many threads count as load: those that run or want to, and those that wait uninterruptibly.
fn active() -> u32 {
    let waiting = Kernel::processes().statistics.uninterruptible.load(Relaxed);
    switch::runnable().saturating_add(waiting)
}

/// The load averages of one, five and fifteen minutes, as `kcore::sched` has them.
pub(crate) fn load_averages() -> [u64; 3] {
    LOAD.fold(clock::now_ns(), active);
    LOAD.read()
}

/// What `cpu` did since the system started. No part of it is ever less than it was.
pub(super) fn cpu_times(cpu: CpuId) -> CpuTimes {
    let samples = SAMPLES.of(cpu);
    let idle_ns = switch::idle_ns(cpu);
    let (user_samples, system_samples) = (samples.user.load(Relaxed), samples.system.load(Relaxed));
    let mut told = samples.told.lock();
    told.idle_ns = told.idle_ns.max(idle_ns);
    let ran_ns = clock::now_ns().saturating_sub(told.idle_ns);
    told.busy = told.busy.tell(Sampled { ran_ns, user_samples, system_samples });
    CpuTimes { user_ns: told.busy.user_ns, system_ns: told.busy.system_ns, idle_ns: told.idle_ns }
}
