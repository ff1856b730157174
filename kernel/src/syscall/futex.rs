//! Waiting on a word of memory: `futex(2)`, and what a thread leaves behind when it ends (`set_robust_list(2)`).

use core::num::NonZeroU32;

use kcore::addr::UserAddr;
use kcore::futex::{Key, Look, Operated, OperationFault, RequeueError, WaitEnd, WakeOperation};
use linux_raw_sys::general as linux;

use super::argument::Maybe;
use super::errno::Errno;
use super::time::{self, TimeSpec};
use super::{Again, Answer, Caller, WholeCaller, user};
use crate::arch::user_copy;
use crate::dev::clock;
use crate::task::{FUTEXES, futexes, with_seat};

/// Whether a futex is private to its process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Private,
    Shared,
}

/// What the operation's word says beside the command.
struct Command {
    number: u32,
    scope: Scope,
    realtime: bool,
}

impl Command {
    fn decode(operation: u32) -> Self {
        Self {
            number: operation & !(linux::FUTEX_PRIVATE_FLAG | linux::FUTEX_CLOCK_REALTIME),
            scope: if operation & linux::FUTEX_PRIVATE_FLAG != 0 { Scope::Private } else { Scope::Shared },
            realtime: operation & linux::FUTEX_CLOCK_REALTIME != 0,
        }
    }
}

/// What `FUTEX_WAIT` and `FUTEX_WAKE` stand for.
const ANY: u32 = linux::FUTEX_BITSET_MATCH_ANY;

pub(super) fn futex(
    caller: &mut WholeCaller<'_>,
    word: UserAddr,
    operation: u32,
    value: u32,
    timeout: u64,
    word2: UserAddr,
    value3: u32,
) -> Answer {
    let command = Command::decode(operation);
    let takes_clock = matches!(command.number, linux::FUTEX_WAIT | linux::FUTEX_WAIT_BITSET);
    if command.realtime && !takes_clock {
        return Err(Errno::ENOSYS);
    }
    // Where there is no time, its register holds a second count.
    let value2 = u32::try_from(timeout & u64::from(u32::MAX)).unwrap_or(0);
    match command.number {
        linux::FUTEX_WAIT => {
            let deadline_ns = relative(timeout)?;
            wait(caller, &command, word, value, ANY, deadline_ns)
        }
        linux::FUTEX_WAIT_BITSET => {
            let deadline_ns = absolute(timeout, command.realtime)?;
            wait(caller, &command, word, value, value3, deadline_ns)
        }
        linux::FUTEX_WAKE => wake(caller, &command, word, value, ANY),
        linux::FUTEX_WAKE_BITSET => wake(caller, &command, word, value, value3),
        linux::FUTEX_REQUEUE => requeue(caller, &command, (word, word2), (value, value2), None),
        linux::FUTEX_CMP_REQUEUE => requeue(caller, &command, (word, word2), (value, value2), Some(value3)),
        linux::FUTEX_WAKE_OP => wake_op(caller, &command, (word, word2), (value, value2), value3),
        _ => Err(Errno::ENOSYS),
    }
}

/// The moment that is as far from now as the time at `timeout` says; none for a null pointer.
fn relative(timeout: u64) -> Result<Option<u64>, Errno> {
    let time = user::read_if::<TimeSpec>(Maybe((timeout != 0).then(|| UserAddr::new(timeout))))?;
    time.map(|time| Ok(clock::now_ns().saturating_add(time.to_ns()?))).transpose()
}

/// The moment that the time at `timeout` names.
fn absolute(timeout: u64, realtime: bool) -> Result<Option<u64>, Errno> {
    let time = user::read_if::<TimeSpec>(Maybe((timeout != 0).then(|| UserAddr::new(timeout))))?;
    time.map(|time| {
        let ns = time.to_ns()?;
        Ok(if realtime { time::real_to_monotonic(ns) } else { ns })
    })
    .transpose()
}

/// What names the futex at `word` to all who share it.
fn key(caller: &Caller<'_>, scope: Scope, word: UserAddr) -> Result<Key, Errno> {
    if !word.is_aligned(4) {
        return Err(Errno::EINVAL);
    }
    if word.get() >= kcore::addr::USER_END {
        return Err(Errno::EFAULT);
    }
    match scope {
        Scope::Private => futexes::private_key(caller.thread, word),
        Scope::Shared => futexes::shared_key(caller.thread, word),
    }
    .ok_or(Errno::EFAULT)
}

fn wait(
    caller: &mut WholeCaller<'_>,
    command: &Command,
    word: UserAddr,
    value: u32,
    bits: u32,
    deadline_ns: Option<u64>,
) -> Answer {
    let bits = NonZeroU32::new(bits).ok_or(Errno::EINVAL)?;
    let key = key(caller, command.scope, word)?;
    if deadline_ns.is_some() {
        caller.again = Again::Never;
    }
    caller.restarting(|caller| {
        loop {
            let ended = with_seat(|seat| {
                FUTEXES.wait(seat, key, bits, deadline_ns, || look(word, value), || caller.is_interrupted())
            });
            return match ended {
                WaitEnd::Woken => Ok(0),
                WaitEnd::Different => Err(Errno::EAGAIN),
                WaitEnd::TimedOut => Err(Errno::ETIMEDOUT),
                WaitEnd::Interrupted => Err(Errno::EINTR),
                WaitEnd::OutOfMemory => Err(Errno::ENOMEM),
                WaitEnd::Fault => {
                    // With the bucket closed the page could not be brought in. Now it can, if there is one.
                    user::read::<u32>(word)?;
                    continue;
                }
            };
        }
    })
}

/// What the word shows, without a fault.
fn look(word: UserAddr, value: u32) -> Look {
    match user_copy::load_u32_no_fault(word) {
        Ok(now) if now == value => Look::Same,
        Ok(_) => Look::Different,
        Err(_) => Look::Fault,
    }
}

/// A count of waiters: Linux takes it for an `int`.
fn count(number: u32) -> Result<usize, Errno> {
    i32::try_from(number).ok().and_then(|number| usize::try_from(number).ok()).ok_or(Errno::EINVAL)
}

fn wake(caller: &Caller<'_>, command: &Command, word: UserAddr, most: u32, bits: u32) -> Answer {
    let bits = NonZeroU32::new(bits).ok_or(Errno::EINVAL)?;
    let key = key(caller, command.scope, word)?;
    // Linux wakes one where none is asked for, and all for a negative number.
    let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
    Ok(FUTEXES.wake(key, most, bits) as u64)
}

fn requeue(
    caller: &Caller<'_>,
    command: &Command,
    (from, to): (UserAddr, UserAddr),
    (wake, moved): (u32, u32),
    expected: Option<u32>,
) -> Answer {
    let (wake, moved) = (count(wake)?, count(moved)?);
    let (from_key, to_key) = (key(caller, command.scope, from)?, key(caller, command.scope, to)?);
    loop {
        let look = || expected.map_or(Look::Same, |value| look(from, value));
        match FUTEXES.compare_requeue(from_key, to_key, wake, moved, look) {
            // The comparing form tells of those that were moved, too.
            Ok(done) if expected.is_some() => return Ok((done.woken + done.moved) as u64),
            Ok(done) => return Ok(done.woken as u64),
            Err(RequeueError::Different) => return Err(Errno::EAGAIN),
            Err(RequeueError::OutOfMemory) => return Err(Errno::ENOMEM),
            Err(RequeueError::Fault) => {
                user::read::<u32>(from)?;
            }
        }
    }
}

fn wake_op(
    caller: &Caller<'_>,
    command: &Command,
    (word, word2): (UserAddr, UserAddr),
    (most, most2): (u32, u32),
    operation: u32,
) -> Answer {
    let operation = WakeOperation::decode(operation).ok_or(Errno::ENOSYS)?;
    let (key, key2) = (key(caller, command.scope, word)?, key(caller, command.scope, word2)?);
    let (most, most2) = (count(most)?.max(1), count(most2)?.max(1));
    loop {
        match FUTEXES.wake_operate((key, most), (key2, most2), || operate(operation, word2)) {
            Ok(woken) => return Ok(woken as u64),
            // The word could not be changed under the locks: bring its page in, writable, by an exchange that changes nothing.
            Err(OperationFault) => {
                let now = user_copy::load_u32(word2)?;
                let _ = user_copy::exchange_u32(word2, now, now)?;
            }
        }
    }
}

/// Changes the word in one step, without a fault.
fn operate(operation: WakeOperation, word: UserAddr) -> Operated {
    loop {
        let Ok(now) = user_copy::load_u32_no_fault(word) else { return Operated::Fault };
        match user_copy::exchange_u32_no_fault(word, now, operation.apply(now)) {
            Ok(true) => return operation.outcome(now),
            Ok(false) => {}
            Err(_) => return Operated::Fault,
        }
    }
}

/// Bytes of `struct robust_list_head`.
const ROBUST_HEAD_BYTES: u64 = 24;

pub(super) fn set_robust_list(caller: &mut Caller<'_>, head: Maybe, bytes: u64) -> Answer {
    if bytes != ROBUST_HEAD_BYTES {
        return Err(Errno::EINVAL);
    }
    caller.thread.set_robust_list(head.0.unwrap_or_default(), bytes);
    Ok(0)
}

pub(super) fn get_robust_list(caller: &mut Caller<'_>, tid: i32, head: UserAddr, bytes: UserAddr) -> Answer {
    let thread = super::schedule::thread(caller, tid)?;
    super::schedule::must_own(caller, &thread)?;
    user::write(head, &thread.robust_list().0.get())?;
    user::write(bytes, &ROBUST_HEAD_BYTES)?;
    Ok(0)
}
