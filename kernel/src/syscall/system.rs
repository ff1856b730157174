//! The machine and the system as a whole: `uname(2)`, `sethostname(2)`, `sysinfo(2)`, `syslog(2)`, `getrandom(2)`, `reboot(2)`,
//! `sync(2)`, `membarrier(2)`, `personality(2)`, the kernel's counters.

use core::sync::atomic::Ordering::Relaxed;

use abi::counters::Counters;
use kcore::addr::{PAGE_SIZE, UserAddr};
use kcore::frame::FrameUse;
use kcore::hal::UserMemory;
use kcore::proc::{Processes, System};
use kcore::sched::LOAD_BITS;
use kcore::util::journal::Text;
use linux_raw_sys::general as linux;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::argument::{Bits, Maybe};
use super::errno::Errno;
use super::{Answer, Caller, WholeCaller, user};
use crate::arch::boot::STACK_SIZE;
use crate::arch::user_copy::CurrentUser;
use crate::dev::{card, clock, kmsg, power, random};
use crate::log::history::{self, Line};
use crate::mem::frames::frames;
use crate::mem::stacks;
use crate::task::names::{self, Name};
use crate::task::{self, Kernel, filesystems};

pub(super) fn uname(_caller: &mut Caller<'_>, to: UserAddr) -> Answer {
    user::write(to, &names::all())?;
    Ok(0)
}

pub(super) fn sethostname(caller: &mut Caller<'_>, from: UserAddr, bytes: i32) -> Answer {
    names::set_node(new_name(caller, from, bytes)?);
    Ok(0)
}

pub(super) fn setdomainname(caller: &mut Caller<'_>, from: UserAddr, bytes: i32) -> Answer {
    names::set_domain(new_name(caller, from, bytes)?);
    Ok(0)
}

/// A name of `bytes` bytes, which root may give.
fn new_name(caller: &Caller<'_>, from: UserAddr, bytes: i32) -> Result<Name, Errno> {
    caller.must_be_root()?;
    let mut name: Name = [0; size_of::<Name>()];
    let length = usize::try_from(bytes).ok().filter(|&length| length < name.len()).ok_or(Errno::EINVAL)?;
    CurrentUser.copy_in(from, &mut name[..length])?;
    Ok(name)
}

/// The kernel's own lines. The console always shows all of them.
pub(super) fn syslog(caller: &mut WholeCaller<'_>, action: u32, to: UserAddr, bytes: i32) -> Answer {
    const CLOSE: u32 = 0;
    const OPEN: u32 = 1;
    const READ: u32 = 2;
    const READ_ALL: u32 = 3;
    const READ_CLEAR: u32 = 4;
    const CLEAR: u32 = 5;
    const CONSOLE_OFF: u32 = 6;
    const CONSOLE_ON: u32 = 7;
    const CONSOLE_LEVEL: u32 = 8;
    const SIZE_UNREAD: u32 = 9;
    const SIZE_BUFFER: u32 = 10;
    if action != READ_ALL && action != SIZE_BUFFER {
        caller.must_be_root()?;
    }
    match action {
        CLOSE | OPEN | CONSOLE_OFF | CONSOLE_ON => Ok(0),
        CONSOLE_LEVEL if (1..=8).contains(&bytes) => Ok(0),
        READ => {
            let wanted = usize::try_from(bytes).map_err(|_| Errno::EINVAL)?;
            take_history(caller, to, wanted)
        }
        READ_ALL | READ_CLEAR => {
            let wanted = usize::try_from(bytes).map_err(|_| Errno::EINVAL)?;
            let copied = copy_history(to, wanted)?;
            if action == READ_CLEAR {
                history::clear();
            }
            Ok(copied)
        }
        CLEAR => {
            history::clear();
            Ok(0)
        }
        SIZE_UNREAD => Ok(history::unread_bytes() as u64),
        SIZE_BUFFER => Ok(history::BYTES as u64),
        _ => Err(Errno::EINVAL),
    }
}

/// Stores the newest lines of the kernel at `to`, as many as `wanted` bytes hold, and says how many bytes they have.
fn copy_history(to: UserAddr, wanted: usize) -> Result<u64, Errno> {
    let (mut cursor, end) = (history::first_shown(), history::end());
    let mut text = Text::new();
    let mut left = history::shown_bytes(cursor, end);
    let mut done = 0;
    while cursor < end {
        // What was overwritten meanwhile is not told any more.
        let Ok(Some((about, next))) = history::record(cursor, &mut text) else { break };
        let line = Line::new(about, &text);
        let length = line.bytes().len();
        if left <= wanted && done + length <= wanted {
            let at = to.checked_add(done as u64).ok_or(Errno::EFAULT)?;
            CurrentUser.copy_out(line.bytes(), at)?;
            done += length;
        }
        left = left.saturating_sub(length);
        cursor = next;
    }
    Ok(done as u64)
}

/// Waits until there is a line that was not taken, and takes as many bytes as there are and `wanted` says.
fn take_history(caller: &mut WholeCaller<'_>, to: UserAddr, wanted: usize) -> Answer {
    if wanted == 0 {
        return Ok(0);
    }
    caller.restarting(|_| {
        kmsg::wait_while(history::is_all_read);
        if history::is_all_read() { Err(Errno::EINTR) } else { Ok(()) }
    })?;
    let mut done = 0;
    while done < wanted {
        let mut piece = [0; PIECE];
        let count = history::take_unread(&mut piece[..(wanted - done).min(PIECE)]);
        if count == 0 {
            break;
        }
        let at = to.checked_add(done as u64).ok_or(Errno::EFAULT)?;
        CurrentUser.copy_out(&piece[..count], at)?;
        done += count;
    }
    Ok(done as u64)
}

/// None of the barriers between processors that `membarrier(2)` could make is offered; programs have others.
pub(super) fn membarrier(_caller: &mut Caller<'_>, command: u32, flags: Bits, _cpu: i32) -> Answer {
    if command == 0 && flags.0 == 0 { Ok(0) } else { Err(Errno::EINVAL) }
}

/// There is one execution domain, Linux's, without any of its bug emulations.
pub(super) fn personality(_caller: &mut Caller<'_>, wanted: u32) -> Answer {
    if matches!(wanted, 0 | u32::MAX) { Ok(0) } else { Err(Errno::EINVAL) }
}

/// Averages in `struct sysinfo` have so many binary digits behind the point (`linux/sysinfo.h`).
const SI_LOAD_SHIFT: u32 = 16;

/// `struct sysinfo` of 64-bit systems.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct SysInfo {
    uptime_s: i64,
    loads: [u64; 3],
    total_ram: u64,
    free_ram: u64,
    shared_ram: u64,
    buffer_ram: u64,
    total_swap: u64,
    free_swap: u64,
    processes: u16,
    padding: [u8; 6],
    total_high: u64,
    free_high: u64,
    unit: u32,
    tail: [u8; 4],
}

pub(super) fn sysinfo(_caller: &mut Caller<'_>, to: UserAddr) -> Answer {
    let memory = frames().statistics();
    let processes = Kernel::processes().counts.processes();
    let info = SysInfo {
        uptime_s: (clock::now_ns() / 1_000_000_000).cast_signed(),
        loads: task::statistics::load_averages().map(|average| average << (SI_LOAD_SHIFT - LOAD_BITS)),
        total_ram: memory.total,
        free_ram: memory.free + memory.cached.iter().sum::<u64>(),
        shared_ram: 0,
        buffer_ram: 0,
        total_swap: 0,
        free_swap: 0,
        processes: u16::try_from(processes).unwrap_or(u16::MAX),
        padding: [0; 6],
        total_high: 0,
        free_high: 0,
        unit: 4096,
        tail: [0; 4],
    };
    user::write(to, &info)?;
    Ok(0)
}

/// Bytes go out in pieces of this size.
const PIECE: usize = 256;

pub(super) fn getrandom(caller: &mut Caller<'_>, to: UserAddr, bytes: u64, flags: Bits) -> Answer {
    let known = linux::GRND_NONBLOCK | linux::GRND_RANDOM | linux::GRND_INSECURE;
    if flags.0 & !known != 0 || flags.0 & linux::GRND_RANDOM != 0 && flags.0 & linux::GRND_INSECURE != 0 {
        return Err(Errno::EINVAL);
    }
    let wanted = bytes.min(i32::MAX as u64);
    let mut done = 0;
    while done < wanted {
        let mut piece = [0; PIECE];
        let length = usize::try_from(wanted - done).unwrap_or(PIECE).min(PIECE);
        random::fill(&mut piece[..length]);
        let at = to.checked_add(done).ok_or(Errno::EFAULT)?;
        match CurrentUser.copy_out(&piece[..length], at) {
            Ok(()) => done += length as u64,
            Err(_) if done > 0 => break,
            Err(fault) => return Err(fault.into()),
        }
        if caller.is_interrupted() {
            break;
        }
    }
    Ok(done)
}

pub(super) fn reboot(caller: &mut Caller<'_>, magic: u32, magic2: u32, command: u32, _text: Maybe) -> Answer {
    const SECOND: [u32; 4] = [
        linux_raw_sys::general::LINUX_REBOOT_MAGIC2,
        linux_raw_sys::general::LINUX_REBOOT_MAGIC2A,
        linux_raw_sys::general::LINUX_REBOOT_MAGIC2B,
        linux_raw_sys::general::LINUX_REBOOT_MAGIC2C,
    ];
    caller.must_be_root()?;
    if magic != linux::LINUX_REBOOT_MAGIC1 || !SECOND.contains(&magic2) {
        return Err(Errno::EINVAL);
    }
    // As on OpenBSD: who asks for the end need not have asked for this.
    filesystems::sync();
    match command {
        linux::LINUX_REBOOT_CMD_CAD_ON | linux::LINUX_REBOOT_CMD_CAD_OFF => Ok(0),
        linux::LINUX_REBOOT_CMD_POWER_OFF | linux::LINUX_REBOOT_CMD_HALT => power::power_off(),
        linux::LINUX_REBOOT_CMD_RESTART | linux::LINUX_REBOOT_CMD_RESTART2 => power::reboot(),
        _ => Err(Errno::EINVAL),
    }
}

/// As on Linux, nothing is said of what fails.
pub(super) fn sync(_caller: &mut Caller<'_>) -> Answer {
    filesystems::sync();
    card::sync();
    Ok(0)
}

/// The kernel's counters, as many bytes of them as the caller has room for. Returns how many that were.
pub(super) fn tine_counters(_caller: &mut Caller<'_>, to: UserAddr, bytes: u64) -> Answer {
    let counters = counters();
    let words = counters.to_words();
    let all = words.as_bytes();
    let length = usize::try_from(bytes).unwrap_or(usize::MAX).min(all.len());
    CurrentUser.copy_out(&all[..length], to)?;
    Ok(length as u64)
}

fn counters() -> Counters {
    let memory = frames().statistics();
    let (stacks, kept) = stacks::usage();
    let stack_frames = (STACK_SIZE / PAGE_SIZE) as u64;
    let Processes { counts, statistics, .. } = Kernel::processes();
    let (cntfork, sizfork) = statistics.fork.read();
    let (cntvfork, sizvfork) = statistics.vfork.read();
    Counters {
        free_frames: memory.free + memory.cached.iter().sum::<u64>() + kept as u64 * stack_frames,
        page_tables: memory.used_for(FrameUse::PageTable),
        user_anonymous: memory.used_for(FrameUse::UserAnonymous),
        stacks: stacks as u64 * stack_frames,
        processes: counts.processes().into(),
        threads: counts.threads().into(),
        forks: statistics.forks.load(Relaxed),
        forks_ppwait: statistics.forks_ppwait.load(Relaxed),
        forks_sharevm: statistics.forks_sharevm.load(Relaxed),
        cntfork,
        sizfork,
        cntvfork,
        sizvfork,
        cnttfork: statistics.threads.read().0,
        cntkthread: statistics.kernel_threads.read().0,
        kernel_heap_frames: memory.used_for(FrameUse::KernelHeap),
        object_pool_frames: memory.used_for(FrameUse::ObjectPool),
        refused: memory.refused.into(),
    }
}
