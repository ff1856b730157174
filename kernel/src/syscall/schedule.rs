//! Scheduling: `sched_yield(2)`, `sched_setaffinity(2)` and its kind, `getpriority(2)`, `getcpu(2)`.
//!
//! There is one policy, `SCHED_OTHER`; the others are refused.

use alloc::sync::Arc;

use kcore::addr::{CpuSet, MAX_CPUS, UserAddr};
use kcore::hal::{Cpu, UserMemory};
use kcore::proc::{self, Pid, System};
use kcore::sched::{SLICE_NS, Tid};
use linux_raw_sys::general as linux;

use super::argument::Maybe;
use super::errno::Errno;
use super::time::TimeSpec;
use super::{Answer, Caller, user};
use crate::arch::cpu::Arm;
use crate::arch::user_copy::CurrentUser;
use crate::task::{self, Kernel, UserProcess, UserThread};

/// Bytes of the kernel's own CPU set, a word.
const SET_BYTES: u64 = 8;

pub(super) fn sched_yield(_caller: &mut Caller<'_>) -> Answer {
    task::yield_now();
    Ok(0)
}

/// The thread that `tid` names; zero is the caller's own.
pub(super) fn thread(caller: &Caller<'_>, tid: i32) -> Result<Arc<UserThread>, Errno> {
    match u32::try_from(tid) {
        Err(_) => Err(Errno::EINVAL),
        Ok(0) => Ok(Arc::clone(caller.thread)),
        Ok(tid) => proc::find_thread::<Kernel>(Tid(tid)).ok_or(Errno::ESRCH),
    }
}

/// Refuses callers who may not change how `target` is scheduled.
pub(super) fn must_own(caller: &Caller<'_>, target: &UserThread) -> Result<(), Errno> {
    let mine = caller.credentials();
    let its = target.process().credentials();
    let effective = mine.uid.effective;
    if mine.is_root() || effective == its.uid.real || effective == its.uid.effective {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

pub(super) fn sched_setaffinity(caller: &mut Caller<'_>, tid: i32, bytes: u64, from: UserAddr) -> Answer {
    let mut word = [0; 8];
    let length = usize::try_from(bytes.min(SET_BYTES)).unwrap_or(word.len());
    CurrentUser.copy_in(from, &mut word[..length])?;
    let target = thread(caller, tid)?;
    must_own(caller, &target)?;
    let wanted = CpuSet::from_bits(word[0]).and(task::online());
    task::set_affinity(&target, wanted).map_err(|_| Errno::EINVAL)?;
    Ok(0)
}

pub(super) fn sched_getaffinity(caller: &mut Caller<'_>, tid: i32, bytes: u64, to: UserAddr) -> Answer {
    if bytes < SET_BYTES || !bytes.is_multiple_of(SET_BYTES) {
        return Err(Errno::EINVAL);
    }
    let target = thread(caller, tid)?;
    let set = task::affinity(&target).and(task::online());
    user::write(to, &u64::from(set.bits()))?;
    Ok(SET_BYTES)
}

pub(super) fn sched_getscheduler(caller: &mut Caller<'_>, tid: i32) -> Answer {
    thread(caller, tid)?;
    Ok(linux::SCHED_NORMAL.into())
}

pub(super) fn sched_getparam(caller: &mut Caller<'_>, tid: i32, to: UserAddr) -> Answer {
    thread(caller, tid)?;
    user::write(to, &0_i32)?;
    Ok(0)
}

pub(super) fn sched_setscheduler(caller: &mut Caller<'_>, tid: i32, policy: u32, from: UserAddr) -> Answer {
    if policy != linux::SCHED_NORMAL {
        return Err(if policy <= linux::SCHED_DEADLINE { Errno::EPERM } else { Errno::EINVAL });
    }
    sched_setparam(caller, tid, from)
}

pub(super) fn sched_setparam(caller: &mut Caller<'_>, tid: i32, from: UserAddr) -> Answer {
    let priority: i32 = user::read(from)?;
    let target = thread(caller, tid)?;
    must_own(caller, &target)?;
    if priority == 0 { Ok(0) } else { Err(Errno::EINVAL) }
}

pub(super) fn sched_get_priority_max(_caller: &mut Caller<'_>, policy: u32) -> Answer {
    match policy {
        linux::SCHED_FIFO | linux::SCHED_RR => Ok(99),
        linux::SCHED_NORMAL | linux::SCHED_BATCH | linux::SCHED_IDLE | linux::SCHED_DEADLINE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn sched_get_priority_min(_caller: &mut Caller<'_>, policy: u32) -> Answer {
    match policy {
        linux::SCHED_FIFO | linux::SCHED_RR => Ok(1),
        linux::SCHED_NORMAL | linux::SCHED_BATCH | linux::SCHED_IDLE | linux::SCHED_DEADLINE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn sched_rr_get_interval(caller: &mut Caller<'_>, tid: i32, to: UserAddr) -> Answer {
    thread(caller, tid)?;
    user::write(to, &TimeSpec::from_ns(SLICE_NS))?;
    Ok(0)
}

/// Calls `visit` for each process that `which` and `who` name; zero names the caller's own.
fn each(
    caller: &Caller<'_>,
    which: u32,
    who: i32,
    mut visit: impl FnMut(&Arc<UserProcess>) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let who = u32::try_from(who).map_err(|_| Errno::ESRCH)?;
    let me = caller.process();
    let (user, group) = (caller.credentials().uid.real, proc::group_of(me, None)?);
    let wanted = |process: &Arc<UserProcess>| match which {
        linux::PRIO_PROCESS if who == 0 => Arc::ptr_eq(process, me),
        linux::PRIO_PROCESS => process.pid().0 == who,
        linux::PRIO_PGRP => {
            let wanted = if who == 0 { group } else { Pid(who) };
            proc::relations::<Kernel>(process.pid()).is_some_and(|relations| relations.group == wanted)
        }
        _ => process.credentials().uid.real == if who == 0 { user } else { who },
    };
    if !matches!(which, linux::PRIO_PROCESS | linux::PRIO_PGRP | linux::PRIO_USER) {
        return Err(Errno::EINVAL);
    }
    let (mut found, mut next) = (false, Pid(1));
    while let Some(process) = Kernel::processes().next_from(next) {
        next = Pid(process.pid().0 + 1);
        if wanted(&process) {
            found = true;
            visit(&process)?;
        }
    }
    if found { Ok(()) } else { Err(Errno::ESRCH) }
}

/// Returns 20 - nice, as Linux's call does: the C library turns it around.
pub(super) fn getpriority(caller: &mut Caller<'_>, which: u32, who: i32) -> Answer {
    let mut best = i8::MAX;
    each(caller, which, who, |process| {
        best = best.min(process.nice());
        Ok(())
    })?;
    Ok(u64::from((20 - i16::from(best)).unsigned_abs()))
}

pub(super) fn setpriority(caller: &mut Caller<'_>, which: u32, who: i32, nice: i32) -> Answer {
    let nice = i8::try_from(nice.clamp(-20, 19)).unwrap_or_default();
    let mine = caller.credentials();
    each(caller, which, who, |process| {
        let its = process.credentials();
        let owns = mine.uid.effective == its.uid.real || mine.uid.effective == its.uid.effective;
        if !owns && !mine.is_root() {
            return Err(Errno::EPERM);
        }
        if nice < process.nice() && !mine.is_root() {
            return Err(Errno::EACCES);
        }
        task::set_nice(process, nice);
        Ok(())
    })?;
    Ok(0)
}

pub(super) fn getcpu(_caller: &mut Caller<'_>, cpu: Maybe, node: Maybe, _cache: Maybe) -> Answer {
    let here = u32::try_from(Arm::id().index()).unwrap_or(0);
    debug_assert!((here as usize) < MAX_CPUS);
    user::write_if(cpu, &here)?;
    user::write_if(node, &0_u32)?;
    Ok(0)
}
