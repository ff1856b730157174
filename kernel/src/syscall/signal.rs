//! Signals: `kill(2)`, `tgkill(2)`, `rt_sigqueueinfo(2)`, `rt_sigaction(2)`, `rt_sigprocmask(2)`, `rt_sigpending(2)`,
//! `rt_sigsuspend(2)`, `rt_sigtimedwait(2)`, `sigaltstack(2)`, `rt_sigreturn(2)`, `restart_syscall(2)`.

use kcore::addr::UserAddr;
use kcore::hal::UserMemory;
use kcore::proc::{self, Pid, Target, Woken};
use kcore::sched::Tid;
use kcore::signal::{Action, Info, MaskChange, Signal, SignalSet, StackError, StackRequest, code};

use super::argument::Maybe;
use super::errno::Errno;
use super::time::TimeSpec;
use super::{Again, Answer, Caller, WholeCaller, user};
use crate::arch::user_copy::CurrentUser;
use crate::dev::clock;
use crate::task::{self, Slept, signals};

/// Bytes of the kernel's signal set.
const SET_BYTES: u64 = 8;

/// The signal with this number; none for 0, which only asks whether a signal could be sent.
fn signal(number: u32) -> Result<Option<Signal>, Errno> {
    match number {
        0 => Ok(None),
        number => Signal::new(number).map(Some).ok_or(Errno::EINVAL),
    }
}

pub(super) fn kill(caller: &mut Caller<'_>, process: i32, number: u32) -> Answer {
    let signal = signal(number)?;
    let target = match process {
        0 => Target::OwnGroup,
        -1 => Target::Everybody,
        // There is no group with the number that this one's negative would be.
        i32::MIN => return Err(Errno::ESRCH),
        number => match u32::try_from(number) {
            Ok(pid) => Target::Process(Pid(pid)),
            Err(_) => Target::Group(Pid(number.unsigned_abs())),
        },
    };
    proc::kill(caller.thread, target, signal)?;
    Ok(0)
}

pub(super) fn tkill(caller: &mut Caller<'_>, thread: i32, number: u32) -> Answer {
    let signal = signal(number)?;
    let thread = positive(thread)?;
    proc::kill_thread(caller.thread, None, Tid(thread), signal)?;
    Ok(0)
}

pub(super) fn tgkill(caller: &mut Caller<'_>, process: i32, thread: i32, number: u32) -> Answer {
    let signal = signal(number)?;
    let (process, thread) = (positive(process)?, positive(thread)?);
    proc::kill_thread(caller.thread, Some(Pid(process)), Tid(thread), signal)?;
    Ok(0)
}

fn positive(number: i32) -> Result<u32, Errno> {
    u32::try_from(number).ok().filter(|&number| number > 0).ok_or(Errno::EINVAL)
}

/// Reads a set whose size the caller gives.
pub(super) fn read_set(from: UserAddr, bytes: u64) -> Result<SignalSet, Errno> {
    check_size(bytes)?;
    Ok(SignalSet::from_bits(user::read(from)?))
}

fn check_size(bytes: u64) -> Result<(), Errno> {
    if bytes == SET_BYTES { Ok(()) } else { Err(Errno::EINVAL) }
}

pub(super) fn rt_sigaction(caller: &mut Caller<'_>, number: u32, new: Maybe, old: Maybe, bytes: u64) -> Answer {
    check_size(bytes)?;
    let signal = Signal::new(number).ok_or(Errno::EINVAL)?;
    let before = match new.0 {
        None => caller.process().action(signal),
        Some(new) => {
            let action = Action::from_linux(&user::read(new)?);
            caller.process().set_action(signal, action).map_err(|_| Errno::EINVAL)?
        }
    };
    user::write_if(old, &before.to_linux())?;
    Ok(0)
}

pub(super) fn rt_sigprocmask(caller: &mut Caller<'_>, how: u32, new: Maybe, old: Maybe, bytes: u64) -> Answer {
    check_size(bytes)?;
    let before = caller.thread.mask();
    if let Some(new) = new.0 {
        let signals = SignalSet::from_bits(user::read(new)?);
        let change = MaskChange::new(how).ok_or(Errno::EINVAL)?;
        caller.thread.change_mask(change, signals);
    }
    user::write_if(old, &before.bits())?;
    Ok(0)
}

pub(super) fn rt_sigpending(caller: &mut Caller<'_>, to: UserAddr, bytes: u64) -> Answer {
    if bytes > SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let pending = caller.thread.pending().intersection(caller.thread.mask());
    let length = usize::try_from(bytes).unwrap_or(0);
    CurrentUser.copy_out(&pending.bits().to_le_bytes()[..length], to)?;
    Ok(0)
}

/// What a sender made up. To others it must not look like the kernel's, nor as if `kill` or `tgkill` had sent it.
fn made_up(caller: &Caller<'_>, to: u32, number: u32, from: UserAddr) -> Result<Option<Info>, Errno> {
    let bytes: [u8; Info::BYTES] = user::read(from)?;
    let Some(signal) = signal(number)? else {
        // Nothing is sent: what is said about it matters all the same.
        let info = Info::from_linux(Signal::HUP, &bytes).map_err(|_| Errno::E2BIG)?;
        return may_claim(caller, to, info).map(|_| None);
    };
    let info = Info::from_linux(signal, &bytes).map_err(|_| Errno::E2BIG)?;
    may_claim(caller, to, info).map(Some)
}

fn may_claim(caller: &Caller<'_>, to: u32, info: Info) -> Result<Info, Errno> {
    let is_own = caller.process().pid().0 == to;
    let claims_too_much = info.code >= code::USER || info.code == code::TKILL;
    if claims_too_much && !is_own { Err(Errno::EPERM) } else { Ok(info) }
}

pub(super) fn rt_sigqueueinfo(caller: &mut Caller<'_>, process: i32, number: u32, info: UserAddr) -> Answer {
    // There is nobody whose number is negative.
    let to = u32::try_from(process).unwrap_or(u32::MAX);
    match made_up(caller, to, number, info)? {
        Some(info) => proc::queue(caller.thread, Pid(to), info)?,
        None => proc::kill(caller.thread, Target::Process(Pid(to)), None)?,
    }
    Ok(0)
}

pub(super) fn rt_tgsigqueueinfo(
    caller: &mut Caller<'_>,
    process: i32,
    thread: i32,
    number: u32,
    info: UserAddr,
) -> Answer {
    let (process, thread) = (positive(process)?, positive(thread)?);
    let info = made_up(caller, thread, number, info)?;
    let signal = info.map(|info| info.signal);
    proc::queue_thread(caller.thread, Some(Pid(process)), Tid(thread), signal, info)?;
    Ok(0)
}

/// Takes a signal that is pending, blocked or not, or waits until one comes. Its handler does not run.
pub(super) fn rt_sigtimedwait(
    caller: &mut WholeCaller<'_>,
    set: UserAddr,
    info: Maybe,
    timeout: Maybe,
    bytes: u64,
) -> Answer {
    let wanted = read_set(set, bytes)?.difference(SignalSet::UNBLOCKABLE);
    let deadline_ns = match user::read_if::<TimeSpec>(timeout)? {
        Some(timeout) => clock::now_ns().saturating_add(timeout.to_ns()?),
        None => u64::MAX,
    };
    caller.again = Again::Never;
    let taken = caller.restarting(|caller| {
        let taken = proc::wait_for_signal(caller.thread, wanted, || {
            match task::sleep_until(deadline_ns, || caller.is_interrupted()) {
                Slept::ToTheEnd => Woken::InTime,
                Slept::Interrupted => Woken::Alerted,
            }
        });
        match taken {
            Some(taken) => Ok(taken),
            None if caller.is_interrupted() => Err(Errno::EINTR),
            None => Err(Errno::EAGAIN),
        }
    })?;
    user::write_if(info, &taken.to_linux())?;
    Ok(taken.signal.number().into())
}

/// Interrupted calls go on by themselves, with the deadlines that they had: there is never one left to be made again.
pub(super) fn restart_syscall(_caller: &mut Caller<'_>) -> Answer {
    Err(Errno::EINTR)
}

/// Waits for a signal with another mask. The mask before is the one that the handler returns to.
pub(super) fn rt_sigsuspend(caller: &mut WholeCaller<'_>, mask: UserAddr, bytes: u64) -> Answer {
    let mask = read_set(mask, bytes)?;
    caller.again = Again::Never;
    caller.with_mask(Some(mask), |caller| {
        caller.restarting(|caller| {
            task::wait_for_signal(|| caller.is_interrupted());
            Err(Errno::EINTR)
        })
    })
}

/// Goes back from a handler. What x0 was then is what the frame says.
pub(super) fn rt_sigreturn(caller: &mut WholeCaller<'_>) -> Answer {
    let thread = caller.thread;
    let frame = caller.whole_frame();
    signals::go_back(thread, frame);
    Ok(frame.x[0])
}

pub(super) fn sigaltstack(caller: &mut Caller<'_>, new: Maybe, old: Maybe) -> Answer {
    let stack_pointer = UserAddr::new(caller.frame.sp);
    let stack = caller.thread.alternate_stack();
    let before = stack.describe(stack_pointer);
    if let Some(new) = new.0 {
        let request = StackRequest::from_linux(&user::read(new)?);
        let changed = stack.changed(request, stack_pointer).map_err(|error| match error {
            StackError::InUse => Errno::EPERM,
            StackError::BadFlags => Errno::EINVAL,
            StackError::TooSmall => Errno::ENOMEM,
        })?;
        caller.thread.set_alternate_stack(changed);
    }
    user::write_if(old, &before.to_linux())?;
    Ok(0)
}
