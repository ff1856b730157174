//! What `/proc` tells of the machine and of the system as a whole.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::marker::PhantomData;
use core::sync::atomic::Ordering::Relaxed;

use super::Machine;
use super::entry::{Entry, Own, What};
use super::mounts;
use super::text::Text;
use crate::addr::PAGE_SIZE;
use crate::frame::{FrameUse, Statistics};
use crate::paging::TableCensus;
use crate::proc::usage::ticks;
use crate::proc::{MAX_PID, Pid};
use crate::sched::LOAD_BITS;
use crate::vm::Overcommit;

/// What never changes while a system runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `uname -s`
    pub system: &'static str,
    /// `uname -r`
    pub release: &'static str,
    /// `uname -v`
    pub version: &'static str,
    /// `uname -n`, which root may change.
    pub node: fn() -> heapless::String<64>,
    /// The board's name.
    pub model: String,
    /// The kernel's command line.
    pub command_line: String,
    /// The words of `Features` in `/proc/cpuinfo`, those of `AT_HWCAP`.
    pub features: Vec<&'static str>,
    /// `MIDR_EL1`.
    pub main_id: u64,
}

/// Where memory is.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// By use.
    pub frames: Statistics,
    /// Pages that were promised to programs.
    pub promised_pages: u64,
    /// How much of all memory may be promised where promises are kept, in percent.
    pub promise_ratio: u8,
    /// How promises are made.
    pub policy: Overcommit,
}

/// What a processor did, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CpuTimes {
    /// It ran programs in user mode.
    pub user_ns: u64,
    /// It ran the kernel, for programs or itself.
    pub system_ns: u64,
    /// It had nothing to do.
    pub idle_ns: u64,
}

/// How much there is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// The averages of one, five and fifteen minutes, as [`LoadAverages`](crate::sched::LoadAverages) has them.
    pub averages: [u64; 3],
    /// How many threads run or wait for a processor.
    pub runnable: u32,
}

/// What happened since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Happened {
    /// Interrupts taken.
    pub interrupts: u64,
    /// Changes from one thread to another.
    pub switches: u64,
}

/// How often each processor was interrupted for one reason.
#[derive(Clone, Copy, Debug)]
pub struct InterruptCounts<'a> {
    /// The line; `None` for what the kernel sends itself.
    pub line: Option<u32>,
    /// The reason.
    pub name: &'a str,
    /// A count for each processor.
    pub counts: &'a [u32],
}

/// The tables about the system.
pub(super) struct Tables<S>(PhantomData<S>);

impl<S: Machine> Tables<S> {
    /// `/proc`
    pub(super) const ROOT: &'static [Entry] = &[
        Entry { name: "self", what: What::Own(Own::Process) },
        Entry { name: "thread-self", what: What::Own(Own::Thread) },
        Entry { name: "cmdline", what: What::Text(command_line::<S>) },
        Entry { name: "cpuinfo", what: What::Text(cpuinfo::<S>) },
        Entry { name: "filesystems", what: What::Text(filesystems) },
        Entry { name: "interrupts", what: What::Text(interrupts::<S>) },
        Entry { name: "loadavg", what: What::Text(loadavg::<S>) },
        Entry { name: "meminfo", what: What::Text(meminfo::<S>) },
        Entry { name: "mounts", what: What::Text(mounts::all::<S>) },
        Entry { name: "partitions", what: What::Text(partitions::<S>) },
        Entry { name: "stat", what: What::Text(stat::<S>) },
        Entry { name: "sys", what: What::Folder(Self::SYS) },
        Entry { name: "tine", what: What::Folder(Self::TINE) },
        Entry { name: "uptime", what: What::Text(uptime::<S>) },
        Entry { name: "version", what: What::Text(version::<S>) },
    ];
    const SYS: &'static [Entry] = &[
        Entry { name: "kernel", what: What::Folder(Self::SYS_KERNEL) },
        Entry { name: "vm", what: What::Folder(Self::SYS_VM) },
    ];
    const SYS_KERNEL: &'static [Entry] = &[
        Entry { name: "hostname", what: What::Text(|text| writeln!(text, "{}", (S::facts().node)())) },
        Entry { name: "osrelease", what: What::Text(|text| writeln!(text, "{}", S::facts().release)) },
        Entry { name: "ostype", what: What::Text(|text| writeln!(text, "{}", S::facts().system)) },
        Entry { name: "pid_max", what: What::Text(|text| writeln!(text, "{}", u64::from(MAX_PID) + 1)) },
        Entry {
            name: "threads-max",
            what: What::Text(|text| writeln!(text, "{}", S::processes().counts.max_threads())),
        },
        Entry { name: "version", what: What::Text(|text| writeln!(text, "{}", S::facts().version)) },
    ];
    const SYS_VM: &'static [Entry] = &[Entry {
        name: "overcommit_memory",
        what: What::Text(|text| writeln!(text, "{}", S::memory_in_use().policy as u8)),
    }];
    const TINE: &'static [Entry] = &[
        Entry { name: "forkstat", what: What::Text(forkstat::<S>) },
        Entry { name: "frames", what: What::Text(frames::<S>) },
        Entry { name: "locks", what: What::Text(locks) },
        Entry { name: "tables", what: What::Text(tables::<S>) },
    ];
}

const fn kib(pages: u64) -> u64 {
    pages.saturating_mul(PAGE_SIZE as u64 / 1024)
}

/// `ns` as seconds with two decimals.
struct Hundredths(u64);

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 1_000_000_000, self.0 / 10_000_000 % 100)
    }
}

fn uptime<S: Machine>(text: &mut Text) -> fmt::Result {
    let mut idle_ns = 0_u64;
    S::each_cpu(&mut |_, times| idle_ns = idle_ns.saturating_add(times.idle_ns));
    writeln!(text, "{} {}", Hundredths(S::now_ns()), Hundredths(idle_ns))
}

fn version<S: Machine>(text: &mut Text) -> fmt::Result {
    let facts = S::facts();
    writeln!(text, "{} version {} {}", facts.system, facts.release, facts.version)
}

fn command_line<S: Machine>(text: &mut Text) -> fmt::Result {
    writeln!(text, "{}", S::facts().command_line)
}

fn filesystems(text: &mut Text) -> fmt::Result {
    text.write_str("nodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\nnodev\tdevpts\n\text3\n\text2\n\text4\n\tvfat\n")
}

fn loadavg<S: Machine>(text: &mut Text) -> fmt::Result {
    let Load { averages, runnable } = S::load();
    for average in averages {
        // Rounded to hundredths, as Linux does.
        let hundredths = average.saturating_add((1 << LOAD_BITS) / 200).saturating_mul(100) >> LOAD_BITS;
        write!(text, "{}.{:02} ", hundredths / 100, hundredths % 100)?;
    }
    let processes = S::processes();
    writeln!(text, "{runnable}/{} {}", processes.counts.threads(), processes.statistics.last_pid.load(Relaxed))
}

/// How often each processor was interrupted, a line for each reason.
fn interrupts<S: Machine>(text: &mut Text) -> fmt::Result {
    text.write_str("     ")?;
    let mut written = Ok(());
    let mut processors = 0;
    S::each_cpu(&mut |cpu, _| {
        processors = cpu.saturating_add(1);
        if written.is_ok() {
            written = write!(text, "{:>11}", Padded(format_args!("CPU{cpu}")));
        }
    });
    written?;
    text.write_str("\n")?;
    let mut written = Ok(());
    S::each_interrupt(&mut |InterruptCounts { line, name, counts }| {
        let mut row = || {
            match line {
                Some(line) => write!(text, "{line:>4}:")?,
                None => text.write_str(" own:")?,
            }
            counts.iter().take(processors).try_for_each(|count| write!(text, " {count:>10}"))?;
            writeln!(text, "  {name}")
        };
        if written.is_ok() {
            written = row();
        }
    });
    written
}

fn meminfo<S: Machine>(text: &mut Text) -> fmt::Result {
    let Memory { frames, promised_pages, promise_ratio, .. } = S::memory_in_use();
    let free = frames.available();
    let used = |kind| frames.used_for(kind);
    let lines = [
        ("MemTotal", frames.total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", used(FrameUse::UserFile)),
        ("SwapCached", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("AnonPages", used(FrameUse::UserAnonymous)),
        ("Slab", used(FrameUse::KernelHeap).saturating_add(used(FrameUse::ObjectPool))),
        ("KernelStack", used(FrameUse::Stack)),
        ("PageTables", used(FrameUse::PageTable)),
        ("CommitLimit", frames.total.saturating_mul(promise_ratio.into()) / 100),
        ("Committed_AS", promised_pages),
    ];
    for (name, pages) in lines {
        let name = format_args!("{name}:");
        writeln!(text, "{:<16}{:>8} kB", Padded(name), kib(pages))?;
    }
    Ok(())
}

/// Arguments that take part in padding.
struct Padded<'a>(fmt::Arguments<'a>);

impl fmt::Display for Padded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = heapless::String::<32>::new();
        name.write_fmt(self.0)?;
        f.pad(&name)
    }
}

fn partitions<S: Machine>(text: &mut Text) -> fmt::Result {
    text.write_str("major minor  #blocks  name\n\n")?;
    let mut written = Ok(());
    S::each_disk(&mut |name, number, bytes| {
        if written.is_ok() {
            written = writeln!(text, "{:>4}  {:>7} {:>10} {name}", number.major, number.minor, bytes / 1024);
        }
    });
    written
}

fn stat<S: Machine>(text: &mut Text) -> fmt::Result {
    let mut all = CpuTimes::default();
    S::each_cpu(&mut |_, times| {
        all.user_ns = all.user_ns.saturating_add(times.user_ns);
        all.system_ns = all.system_ns.saturating_add(times.system_ns);
        all.idle_ns = all.idle_ns.saturating_add(times.idle_ns);
    });
    let line = |text: &mut Text, times: CpuTimes| {
        let CpuTimes { user_ns, system_ns, idle_ns } = times;
        writeln!(text, " {} 0 {} {} 0 0 0 0 0 0", ticks(user_ns), ticks(system_ns), ticks(idle_ns))
    };
    text.write_str("cpu ")?;
    line(text, all)?;
    let mut written = Ok(());
    S::each_cpu(&mut |cpu, times| {
        if written.is_ok() {
            written = write!(text, "cpu{cpu}").and_then(|()| line(text, times));
        }
    });
    written?;
    let Happened { interrupts, switches } = S::happened();
    writeln!(text, "intr {interrupts}")?;
    writeln!(text, "ctxt {switches}")?;
    writeln!(text, "btime {}", S::started_at_s())?;
    writeln!(text, "processes {}", S::processes().statistics.forks.load(Relaxed))?;
    writeln!(text, "procs_running {}", S::load().runnable)?;
    writeln!(text, "procs_blocked 0")
}

fn cpuinfo<S: Machine>(text: &mut Text) -> fmt::Result {
    let facts = S::facts();
    let id = facts.main_id;
    let mut written = Ok(());
    let mut one = |cpu: usize| {
        writeln!(text, "processor\t: {cpu}")?;
        text.write_str("Features\t:")?;
        for feature in &facts.features {
            write!(text, " {feature}")?;
        }
        writeln!(text, "\nCPU implementer\t: {:#04x}", id >> 24 & 0xff)?;
        writeln!(text, "CPU architecture: 8")?;
        writeln!(text, "CPU variant\t: {:#x}", id >> 20 & 0xf)?;
        writeln!(text, "CPU part\t: {:#05x}", id >> 4 & 0xfff)?;
        writeln!(text, "CPU revision\t: {}\n", id & 0xf)
    };
    S::each_cpu(&mut |cpu, _| {
        if written.is_ok() {
            written = one(cpu);
        }
    });
    written?;
    writeln!(text, "Model\t\t: {}", facts.model)
}

/// The seeds' `struct forkstat`, and what is counted beside it.
fn forkstat<S: Machine>(text: &mut Text) -> fmt::Result {
    let statistics = &S::processes().statistics;
    let (forks, fork_pages) = statistics.fork.read();
    let (vforks, vfork_pages) = statistics.vfork.read();
    let lines = [
        ("cntfork", forks),
        ("sizfork", fork_pages),
        ("cntvfork", vforks),
        ("sizvfork", vfork_pages),
        ("cnttfork", statistics.threads.read().0),
        ("cntkthread", statistics.kernel_threads.read().0),
        ("forks", statistics.forks.load(Relaxed)),
        ("forks_ppwait", statistics.forks_ppwait.load(Relaxed)),
        ("forks_sharevm", statistics.forks_sharevm.load(Relaxed)),
        ("processes", S::processes().counts.processes().into()),
        ("threads", S::processes().counts.threads().into()),
    ];
    lines.iter().try_for_each(|(name, count)| writeln!(text, "{name} {count}"))
}

/// All frames by use.
fn frames<S: Machine>(text: &mut Text) -> fmt::Result {
    let Memory { frames, .. } = S::memory_in_use();
    writeln!(text, "total {}", frames.total)?;
    writeln!(text, "free {}", frames.free)?;
    for (cpu, cached) in frames.cached.iter().enumerate() {
        writeln!(text, "cached{cpu} {cached}")?;
    }
    for kind in FrameUse::ALL {
        writeln!(text, "{kind:?} {}", frames.used_for(kind))?;
    }
    writeln!(text, "refused {}", frames.refused)
}

/// How often a lock was found taken, and how long was waited for it.
fn locks(text: &mut Text) -> fmt::Result {
    let contention = crate::sync::contention();
    writeln!(text, "waits {}", contention.waits)?;
    writeln!(text, "spins {}", contention.spins)?;
    writeln!(text, "order_checked {}", u8::from(cfg!(debug_assertions)))
}

/// The translation tables: all frames that there are for them, and by level what programs have for themselves and what they
/// may share. What several share is counted for each of them.
fn tables<S: Machine>(text: &mut Text) -> fmt::Result {
    let (mut all, mut spaces, mut from) = (TableCensus::default(), 0_u64, Some(Pid::SYSTEM));
    // One at a time: the lock of a memory is waited for, which nobody does with the tree of processes locked.
    while let Some(process) = from.and_then(|from| S::processes().next_from(from)) {
        if let Some(space) = process.space() {
            spaces = spaces.saturating_add(1);
            all.add(&space.lock().tables(S::memory()));
        }
        from = process.pid().0.checked_add(1).map(Pid);
    }
    writeln!(text, "frames {}", S::memory_in_use().frames.used_for(FrameUse::PageTable))?;
    writeln!(text, "spaces {spaces}")?;
    for (level, (own, shared)) in (1..).zip(all.own.iter().zip(all.shared)) {
        writeln!(text, "level{level} own {own} shared {shared}")?;
    }
    Ok(())
}
