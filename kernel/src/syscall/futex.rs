//! Waiting on a word of memory: `futex(2)`, and what a thread leaves behind when it ends (`set_robust_list(2)`).

use kcore::addr::UserAddr;
use kcore::futex::{Key, Look, Operation, Waited};
use linux_raw_sys::general as linux;

use super::argument::Maybe;
use super::errno::Errno;
use super::time::{self, TimeSpec};
use super::{Answer, Caller, user};
use crate::arch::user_copy;
use crate::dev::clock;
use crate::mem::user::MEMORY;
use crate::task::FUTEXES;

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
    caller: &mut Caller<'_>,
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
        Scope::Private => Ok(caller.thread.private_key(word)),
        Scope::Shared => {
            let object = caller.with_space(|space| space.futex_key(&MEMORY, word))?;
            Ok(caller.thread.key_of(object, word))
        }
    }
}

fn wait(
    caller: &mut Caller<'_>,
    command: &Command,
    word: UserAddr,
    value: u32,
    bits: u32,
    deadline_ns: Option<u64>,
) -> Answer {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = key(caller, command.scope, word)?;
    caller.restarting(|caller| {
        loop {
            let look = || match user_copy::load_u32_no_fault(word) {
                Ok(now) if now == value => Look::Same,
                Ok(_) => Look::Different,
                Err(_) => Look::Fault,
            };
            return match FUTEXES.wait(key, bits, deadline_ns, look, || caller.is_interrupted())? {
                Waited::Woken => Ok(0),
                Waited::Different => Err(Errno::EAGAIN),
                Waited::TimedOut => Err(Errno::ETIMEDOUT),
                Waited::Interrupted => Err(Errno::EINTR),
                Waited::Fault => {
                    // With the bucket closed the page could not be brought in. Now it can, if there is one.
                    user::read::<u32>(word)?;
                    continue;
                }
            };
        }
    })
}

fn wake(caller: &Caller<'_>, command: &Command, word: UserAddr, most: u32, bits: u32) -> Answer {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = key(caller, command.scope, word)?;
    // Linux wakes one where none is asked for.
    Ok(u64::from(FUTEXES.wake(key, most.max(1), bits)))
}

fn requeue(
    caller: &Caller<'_>,
    command: &Command,
    (from, to): (UserAddr, UserAddr),
    (wake, moved): (u32, u32),
    expected: Option<u32>,
) -> Answer {
    if wake > i32::MAX.cast_unsigned() || moved > i32::MAX.cast_unsigned() {
        return Err(Errno::EINVAL);
    }
    let (from_key, to_key) = (key(caller, command.scope, from)?, key(caller, command.scope, to)?);
    loop {
        let look = || match (expected, user_copy::load_u32_no_fault(from)) {
            (None, _) => Look::Same,
            (Some(value), Ok(now)) if now == value => Look::Same,
            (Some(_), Ok(_)) => Look::Different,
            (Some(_), Err(_)) => Look::Fault,
        };
        match FUTEXES.cmp_requeue(from_key, to_key, wake, moved, look) {
            kcore::futex::Requeued::Done { woken, moved } if expected.is_some() => return Ok(u64::from(woken + moved)),
            kcore::futex::Requeued::Done { woken, moved } => return Ok(u64::from(woken + moved)),
            kcore::futex::Requeued::Different => return Err(Errno::EAGAIN),
            kcore::futex::Requeued::Fault => {
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
    let operation = Operation::decode(operation).ok_or(Errno::ENOSYS)?;
    let (key, key2) = (key(caller, command.scope, word)?, key(caller, command.scope, word2)?);
    // The word is changed in one step as far as other calls of this kind and the space's own threads are concerned: the
    // page is brought in writable first, and the exchange goes through the kernel's own view of it.
    let before = caller.with_space(|space| space.update_word(&MEMORY, word2, |now| operation.apply(now)))?;
    let mut woken = FUTEXES.wake(key, most.max(1), ANY);
    if operation.compare(before) {
        woken += FUTEXES.wake(key2, most2.max(1), ANY);
    }
    Ok(u64::from(woken))
}

/// Bytes of `struct robust_list_head`.
const ROBUST_HEAD_BYTES: u64 = 24;

pub(super) fn set_robust_list(caller: &mut Caller<'_>, head: Maybe, bytes: u64) -> Answer {
    if bytes != ROBUST_HEAD_BYTES {
        return Err(Errno::EINVAL);
    }
    caller.thread.set_robust_list(head.0);
    Ok(0)
}

pub(super) fn get_robust_list(caller: &mut Caller<'_>, tid: i32, head: UserAddr, bytes: UserAddr) -> Answer {
    let thread = super::schedule::thread(caller, tid)?;
    super::schedule::must_own(caller, &thread)?;
    user::write(head, &thread.robust_list().map_or(0, UserAddr::get))?;
    user::write(bytes, &ROBUST_HEAD_BYTES)?;
    Ok(0)
}
