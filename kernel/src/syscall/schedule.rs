//! Scheduling: `sched_yield(2)`, `sched_setaffinity(2)` and its kind, `getpriority(2)`, `getcpu(2)`.
//!
//! There is one policy, `SCHED_OTHER`; the others are refused.

use alloc::sync::Arc;

use kcore::addr::{CpuSet, MAX_CPUS, UserAddr};
use kcore::hal::{Cpu, UserMemory};
use kcore::proc::{self, Selection};
use kcore::sched::SLICE_NS;
use linux_raw_sys::general as linux;

use super::argument::Maybe;
use super::errno::Errno;
use super::time::TimeSpec;
use super::{Answer, Caller, user};
use crate::arch::cpu::Arm;
use crate::arch::user_copy::CurrentUser;
use crate::task::{self, Kernel, UserThread};

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
        Ok(tid) => proc::find_thread::<Kernel>(tid).ok_or(Errno::ESRCH),
    }
}

/// Refuses callers who may not change how `target` is scheduled.
pub(super) fn must_own(caller: &Caller<'_>, target: &UserThread) -> Result<(), Errno> {
    let mine = caller.credentials();
    let its = target.process().credentials();
    let effective = mine.uid.effective;
    if mine.is_root() || effective == its.uid.real || effective == its.uid.effective { Ok(()) } else { Err(Errno::EPERM) }
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

/// The processes that `which` and `who` name.
fn selection(which: u32, who: i32) -> Result<Selection, Errno> {
    let who = u32::try_from(who).map_err(|_| Errno::ESRCH)?;
    match which {
        linux::PRIO_PROCESS => Ok(Selection::Process(who)),
        linux::PRIO_PGRP => Ok(Selection::Group(who)),
        linux::PRIO_USER => Ok(Selection::User(who)),
        _ => Err(Errno::EINVAL),
    }
}

/// Returns 20 - nice, as Linux's call does: the C library turns it around.
pub(super) fn getpriority(caller: &mut Caller<'_>, which: u32, who: i32) -> Answer {
    let nice = proc::nice(caller.thread, selection(which, who)?)?;
    Ok(u64::from(20_u8.saturating_add_signed(nice.saturating_neg())))
}

pub(super) fn setpriority(caller: &mut Caller<'_>, which: u32, who: i32, nice: i32) -> Answer {
    let nice = i8::try_from(nice.clamp(-20, 19)).unwrap_or_default();
    proc::set_nice(caller.thread, selection(which, who)?, nice)?;
    Ok(0)
}

pub(super) fn getcpu(_caller: &mut Caller<'_>, cpu: Maybe, node: Maybe, _cache: Maybe) -> Answer {
    let here = u32::try_from(Arm::id().index()).unwrap_or(0);
    debug_assert!((here as usize) < MAX_CPUS);
    user::write_if(cpu, &here)?;
    user::write_if(node, &0_u32)?;
    Ok(0)
}
