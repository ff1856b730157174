//! What `/proc` tells of a process, or of one of its threads.

use alloc::sync::Arc;
use core::fmt::Write as _;
use core::marker::PhantomData;

use super::Machine;
use super::entry::{About, Failure, Of, Subject};
use super::maps::maps;
use super::mounts::{mountinfo, mounts};
use super::text::Text;
use crate::addr::{PAGE_SIZE, UserAddr};
use crate::fs::Inode;
use crate::proc::limit::{INFINITY, Resource};
use crate::proc::usage::{Usage, ticks};
use crate::proc::{RunState, Standing};
use crate::sched::ThreadName;
use crate::signal::SignalSet;
use crate::vm::SpaceStatistics;

/// The table about a process.
pub(super) struct Tables<S>(PhantomData<S>);

impl<S: Machine> Tables<S> {
    pub(super) const ALL: &'static [About<S>] = &[
        About { name: "cmdline", what: Of::Text(command_line), only_process: false },
        About { name: "comm", what: Of::Text(comm), only_process: false },
        About { name: "cwd", what: Of::Link(directory), only_process: false },
        About { name: "environ", what: Of::Private(environment), only_process: false },
        About { name: "exe", what: Of::Link(program), only_process: false },
        About { name: "fd", what: Of::Descriptors, only_process: false },
        About { name: "limits", what: Of::Text(limits), only_process: false },
        About { name: "maps", what: Of::Private(maps), only_process: false },
        About { name: "mountinfo", what: Of::Text(mountinfo), only_process: false },
        About { name: "mounts", what: Of::Text(mounts), only_process: false },
        About { name: "root", what: Of::Link(root), only_process: false },
        About { name: "stat", what: Of::Text(stat), only_process: false },
        About { name: "statm", what: Of::Text(statm), only_process: false },
        About { name: "status", what: Of::Text(status), only_process: false },
        About { name: "task", what: Of::Tasks, only_process: true },
    ];
}

impl<S: Machine> Subject<S> {
    fn standing(&self) -> Result<Standing, Failure> {
        self.process.standing().ok_or(Failure::Gone)
    }

    fn state(&self, standing: &Standing) -> RunState {
        match &self.thread {
            _ if standing.zombie => RunState::Zombie,
            Some(thread) => thread.run_state(),
            None => self.process.run_state(),
        }
    }

    fn name(&self) -> ThreadName {
        self.thread.as_ref().map_or_else(|| self.process.name(), |thread| thread.name())
    }

    fn number(&self) -> u32 {
        self.thread.as_ref().map_or(self.process.pid().0, |thread| thread.tid().0)
    }

    fn usage(&self) -> Usage {
        self.thread.as_ref().map_or_else(|| self.process.usage(), |thread| thread.usage())
    }

    fn memory(&self) -> SpaceStatistics {
        self.process.space().map(|space| space.lock().statistics()).unwrap_or_default()
    }

    /// The memory from `start` on, as the program has it now. What is not there any more is left out.
    fn read_memory(&self, start: UserAddr, bytes: u32, text: &mut Text) -> Result<(), Failure> {
        let Some(space) = self.process.space() else { return Ok(()) };
        let (mut at, mut left) = (start, usize::try_from(bytes).unwrap_or_default());
        while left > 0 {
            let mut piece = [0; 256];
            let length = left.min(piece.len());
            let Some(piece) = piece.get_mut(..length) else { break };
            // A piece at a time: the program's own threads want its memory too.
            if space.lock().read_bytes(S::memory(), at, piece).is_err() {
                break;
            }
            text.put(piece)?;
            left = left.saturating_sub(length);
            at = at.checked_add(length as u64).ok_or(Failure::OutOfMemory)?;
        }
        Ok(())
    }
}

fn comm<S: Machine>(subject: &Subject<S>, text: &mut Text) -> Result<(), Failure> {
    Ok(writeln!(text, "{}", subject.name().as_str())?)
}

fn command_line<S: Machine>(subject: &Subject<S>, text: &mut Text) -> Result<(), Failure> {
    let Some(strings) = subject.process.space().map(|space| space.lock().strings()) else { return Ok(()) };
    subject.read_memory(strings.start, strings.arguments, text)
}

fn environment<S: Machine>(subject: &Subject<S>, text: &mut Text) -> Result<(), Failure> {
    let Some(strings) = subject.process.space().map(|space| space.lock().strings()) else { return Ok(()) };
    match strings.start.checked_add(strings.arguments.into()) {
        Some(start) => subject.read_memory(start, strings.environment, text),
        None => Ok(()),
    }
}

fn directory<S: Machine>(subject: &Subject<S>) -> Option<Arc<dyn Inode>> {
    subject.process.context().map(|context| Arc::clone(context.lock().directory()))
}

fn root<S: Machine>(subject: &Subject<S>) -> Option<Arc<dyn Inode>> {
    subject.process.context().map(|context| Arc::clone(context.lock().root()))
}

fn program<S: Machine>(subject: &Subject<S>) -> Option<Arc<dyn Inode>> {
    subject.process.program().map(|program| Arc::clone(program.inode()))
}

/// The 52 numbers of `proc_pid_stat(5)`. What this kernel does not have or does not count is 0.
fn stat<S: Machine>(subject: &Subject<S>, text: &mut Text) -> Result<(), Failure> {
    let standing = subject.standing()?;
    let (usage, children) = (subject.usage(), subject.process.usage_of_children());
    let memory = subject.memory();
    let signals = subject.process.signal_info();
    let thread = subject.thread.clone().or_else(|| subject.process.first_thread());
    let machine = thread.as_ref().and_then(|thread| thread.machine());
    let (terminal, foreground) =
        standing.terminal.map_or((0, -1), |terminal| (terminal.device, i64::from(terminal.foreground.0)));
    let nice = i64::from(subject.process.nice());
    let limit = subject.process.limits().soft(Resource::Rss);
    let started = ticks(subject.process.started_ns());
    let own =
        thread.as_ref().map_or((SignalSet::EMPTY, SignalSet::EMPTY), |thread| (thread.own_pending(), thread.mask()));
    write!(text, "{} ({}) {}", subject.number(), subject.name().as_str(), subject.state(&standing).letter())?;
    write!(text, " {} {} {} {terminal} {foreground} 0", standing.parent, standing.group, standing.session)?;
    write!(text, " {} {} {} {}", usage.minor_faults, children.minor_faults, usage.major_faults, children.major_faults)?;
    write!(text, " {} {}", usage.user_ticks(), usage.system_ticks())?;
    write!(text, " {} {}", children.user_ticks(), children.system_ticks())?;
    write!(text, " {} {nice} {} 0 {started}", nice.saturating_add(20), subject.process.thread_count())?;
    write!(text, " {} {} {limit}", memory.total.saturating_mul(PAGE_SIZE as u64), memory.resident)?;
    write!(text, " 0 0 0 0 0")?;
    write!(text, " {} {} {} {}", old_set(own.0), old_set(own.1), old_set(signals.ignored), old_set(signals.caught))?;
    let end_signal = subject.process.end_signal().map_or(0, |signal| signal.number());
    let cpu = machine.map_or(0, |machine| machine.last_cpu().index());
    write!(text, " 0 0 0 {end_signal} {cpu} 0 0 0 0 0")?;
    let strings = subject.process.space().map(|space| space.lock().strings()).unwrap_or_default();
    let arguments_end = strings.start.get().saturating_add(strings.arguments.into());
    let environment_end = arguments_end.saturating_add(strings.environment.into());
    write!(text, " 0 0 0 {} {arguments_end} {arguments_end} {environment_end}", strings.start.get())?;
    Ok(writeln!(text, " 0")?)
}

/// The first 31 signals, as `stat` has them.
const fn old_set(signals: SignalSet) -> u64 {
    signals.bits() & 0x7fff_ffff
}

fn statm<S: Machine>(subject: &Subject<S>, text: &mut Text) -> Result<(), Failure> {
    let memory = subject.memory();
    let data = memory.data.saturating_add(memory.stack);
    Ok(writeln!(text, "{} {} 0 0 0 {data} 0", memory.total, memory.resident)?)
}

fn status<S: Machine>(subject: &Subject<S>, text: &mut Text) -> Result<(), Failure> {
    let standing = subject.standing()?;
    let credentials = subject.process.credentials();
    let state = subject.state(&standing);
    writeln!(text, "Name:\t{}", subject.name().as_str())?;
    writeln!(text, "State:\t{} ({})", state.letter(), state.word())?;
    writeln!(text, "Tgid:\t{}", subject.process.pid())?;
    writeln!(text, "Pid:\t{}", subject.number())?;
    writeln!(text, "PPid:\t{}", standing.parent)?;
    writeln!(text, "TracerPid:\t0")?;
    let ids = [("Uid", credentials.uid), ("Gid", credentials.gid)];
    for (name, ids) in ids {
        writeln!(text, "{name}:\t{}\t{}\t{}\t{}", ids.real, ids.effective, ids.saved, ids.fs)?;
    }
    let size = subject.process.files().map_or(0, |files| files.lock().iter().count());
    writeln!(text, "FDSize:\t{size}")?;
    text.write_str("Groups:\t")?;
    for group in credentials.access_ids().groups {
        write!(text, "{group} ")?;
    }
    text.write_str("\n")?;
    if subject.process.space().is_some() {
        let memory = subject.memory();
        let sizes = [
            ("VmSize", memory.total),
            ("VmLck", memory.locked),
            ("VmHWM", memory.most_resident),
            ("VmRSS", memory.resident),
            ("VmData", memory.data),
            ("VmStk", memory.stack),
        ];
        for (name, pages) in sizes {
            writeln!(text, "{name}:\t{:>8} kB", pages.saturating_mul(PAGE_SIZE as u64 / 1024))?;
        }
    }
    writeln!(text, "Threads:\t{}", subject.process.thread_count())?;
    let signals = subject.process.signal_info();
    let thread = subject.thread.clone().or_else(|| subject.process.first_thread());
    let (own, blocked) =
        thread.map_or((SignalSet::EMPTY, SignalSet::EMPTY), |thread| (thread.own_pending(), thread.mask()));
    let most = subject.process.limits().soft(Resource::SignalsPending);
    writeln!(text, "SigQ:\t{}/{most}", signals.queued)?;
    let sets = [
        ("SigPnd", own),
        ("ShdPnd", signals.pending),
        ("SigBlk", blocked),
        ("SigIgn", signals.ignored),
        ("SigCgt", signals.caught),
    ];
    for (name, set) in sets {
        writeln!(text, "{name}:\t{:016x}", set.bits())?;
    }
    let usage = subject.usage();
    writeln!(text, "voluntary_ctxt_switches:\t{}", usage.voluntary_switches)?;
    Ok(writeln!(text, "nonvoluntary_ctxt_switches:\t{}", usage.involuntary_switches)?)
}

fn limits<S: Machine>(subject: &Subject<S>, text: &mut Text) -> Result<(), Failure> {
    let limits = subject.process.limits();
    writeln!(text, "{:<26}{:<21}{:<21}{:<10}", "Limit", "Soft Limit", "Hard Limit", "Units")?;
    for resource in Resource::ALL {
        let (name, unit) = described(resource);
        let limit = limits.get(resource);
        write!(text, "{name:<26}")?;
        for value in [limit.soft, limit.hard] {
            if value == INFINITY { write!(text, "{:<21}", "unlimited")? } else { write!(text, "{value:<21}")? }
        }
        writeln!(text, "{unit:<10}")?;
    }
    Ok(())
}

/// What `limits` calls it, and in what it counts.
const fn described(resource: Resource) -> (&'static str, &'static str) {
    match resource {
        Resource::Cpu => ("Max cpu time", "seconds"),
        Resource::FileSize => ("Max file size", "bytes"),
        Resource::Data => ("Max data size", "bytes"),
        Resource::Stack => ("Max stack size", "bytes"),
        Resource::Core => ("Max core file size", "bytes"),
        Resource::Rss => ("Max resident set", "bytes"),
        Resource::Processes => ("Max processes", "processes"),
        Resource::OpenFiles => ("Max open files", "files"),
        Resource::LockedMemory => ("Max locked memory", "bytes"),
        Resource::AddressSpace => ("Max address space", "bytes"),
        Resource::Locks => ("Max file locks", "locks"),
        Resource::SignalsPending => ("Max pending signals", "signals"),
        Resource::MessageQueue => ("Max msgqueue size", "bytes"),
        Resource::Nice => ("Max nice priority", ""),
        Resource::RealTimePriority => ("Max realtime priority", ""),
        Resource::RealTimeTime => ("Max realtime timeout", "us"),
    }
}
