//! Processes and threads: `clone(2)` and `clone3(2)`, `unshare(2)`, `exit(2)`, `exit_group(2)`, `wait4(2)`, `waitid(2)`, `prctl(2)`, limits
//! and usage; OpenBSD's `fork(2)`, `vfork(2)` and `__tfork(3)`. `execve(2)` has a file of its own.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::hal::UserMemory;
use kcore::proc::limit::{Limit, Resource};
use kcore::proc::usage::{Usage, ticks, tms};
use kcore::proc::{
    self, Children, CloneArguments, CloneFlags, Delivery, Kinds, Parting, Patience, Pid, Selection, TforkParameters,
    WaitRequest, WaitResult,
};
use kcore::sched::ThreadName;
use kcore::signal::Info;
use linux_raw_sys::{general as linux, prctl as options};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::argument::{Bits, Maybe};
use super::errno::Errno;
use super::{Answer, Caller, WholeCaller, user};
use crate::arch::user_copy::CurrentUser;
use crate::dev::clock;
use crate::task::{self, Kernel, UserProcess};

pub(super) fn fork(caller: &mut WholeCaller<'_>) -> Answer {
    caller.undisturbed(|caller| Ok(proc::fork(caller.thread)?.0.into()))
}

pub(super) fn vfork(caller: &mut WholeCaller<'_>) -> Answer {
    caller.undisturbed(|caller| Ok(proc::vfork(caller.thread)?.0.into()))
}

pub(super) fn tfork(caller: &mut WholeCaller<'_>, parameters: UserAddr, bytes: u64) -> Answer {
    let parameters = TforkParameters::read(&CurrentUser, parameters, bytes)?;
    caller.undisturbed(|caller| Ok(proc::tfork(caller.thread, &parameters)?.0.into()))
}

/// The low byte of the flags is the signal that tells the parent of the end.
const EXIT_SIGNAL: u64 = 0xff;

pub(super) fn clone(
    caller: &mut WholeCaller<'_>,
    flags: u64,
    stack: Maybe,
    parent_tid: Maybe,
    tls: u64,
    child_tid: Maybe,
) -> Answer {
    // In this call CLONE_CLEAR_SIGHAND and above cannot be said, and the low byte is the signal: no flag lies there.
    let flags = flags & u64::from(u32::MAX);
    let arguments = CloneArguments {
        flags: CloneFlags::from_bits_retain(flags & !EXIT_SIGNAL),
        exit_signal: u32::try_from(flags & EXIT_SIGNAL).unwrap_or(0),
        stack: stack.0,
        tls: UserAddr::new(tls),
        parent_tid: parent_tid.0.unwrap_or_default(),
        child_tid: child_tid.0.unwrap_or_default(),
    };
    caller.undisturbed(|caller| Ok(proc::clone(caller.thread, &arguments)?.number().into()))
}

/// `struct clone_args`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Clone3 {
    flags: u64,
    pid_file: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_bytes: u64,
    tls: u64,
    set_tid: u64,
    set_tid_count: u64,
    control_group: u64,
}

/// The least size of it that Linux accepts: the first version.
const CLONE3_LEAST: u64 = 64;
/// A larger structure is another kernel's; what this one does not know must be zero.
const CLONE3_MOST: u64 = 4096;

pub(super) fn clone3(caller: &mut WholeCaller<'_>, from: UserAddr, bytes: u64) -> Answer {
    if bytes > CLONE3_MOST {
        return Err(Errno::E2BIG);
    }
    if bytes < CLONE3_LEAST {
        return Err(Errno::EINVAL);
    }
    let mut given = Clone3::default();
    let known = usize::try_from(bytes).unwrap_or(usize::MAX).min(size_of::<Clone3>());
    CurrentUser.copy_in(from, &mut given.as_mut_bytes()[..known])?;
    for offset in (known as u64..bytes).step_by(8) {
        if user::read::<u64>(from.checked_add(offset).ok_or(Errno::EFAULT)?)? != 0 {
            return Err(Errno::E2BIG);
        }
    }
    let stack = match (given.stack, given.stack_bytes) {
        (0, 0) => None,
        (0, _) | (_, 0) => return Err(Errno::EINVAL),
        (base, bytes) => Some(UserAddr::new(base.checked_add(bytes).ok_or(Errno::EINVAL)?)),
    };
    if given.set_tid != 0
        || given.set_tid_count != 0
        || given.flags & EXIT_SIGNAL != 0
        || given.exit_signal > EXIT_SIGNAL
    {
        return Err(Errno::EINVAL);
    }
    let arguments = CloneArguments {
        flags: CloneFlags::from_bits_retain(given.flags),
        exit_signal: u32::try_from(given.exit_signal).unwrap_or(0),
        stack,
        tls: UserAddr::new(given.tls),
        parent_tid: UserAddr::new(given.parent_tid),
        child_tid: UserAddr::new(given.child_tid),
    };
    caller.undisturbed(|caller| Ok(proc::clone(caller.thread, &arguments)?.number().into()))
}

/// Gives the process its own of what it has in common with another.
pub(super) fn part(caller: &Caller<'_>, parting: Parting) -> Result<(), Errno> {
    task::forget_files();
    Ok(proc::unshare(caller.thread, parting)?)
}

pub(super) fn unshare(caller: &mut Caller<'_>, flags: u64) -> Answer {
    let flags = CloneFlags::from_bits_retain(flags);
    let of_memory = CloneFlags::THREAD | CloneFlags::SIGHAND | CloneFlags::VM;
    let known = CloneFlags::FILES | CloneFlags::FS | CloneFlags::SYSVSEM | of_memory;
    if !known.contains(flags) {
        return Err(Errno::EINVAL);
    }
    // Memory cannot be parted with: whose alone it is has nothing to do.
    let is_alone =
        || caller.process().thread_count() == 1 && caller.thread.space().is_none_or(|space| space.users() == 1);
    if flags.intersects(of_memory) && !is_alone() {
        return Err(Errno::EINVAL);
    }
    let parting = Parting { files: flags.contains(CloneFlags::FILES), context: flags.contains(CloneFlags::FS) };
    if parting.files || parting.context {
        part(caller, parting)?;
    }
    Ok(0)
}

pub(super) fn exit(caller: &mut Caller<'_>, code: u32) -> Answer {
    task::exit_thread(caller.thread, proc::ExitStatus::from_code(code.into()))
}

pub(super) fn exit_group(caller: &mut Caller<'_>, code: u32) -> Answer {
    task::exit_process(caller.thread, proc::ExitStatus::from_code(code.into()))
}

/// Which kinds of children `__WALL` and `__WCLONE` ask for.
fn kinds(options: u32) -> Kinds {
    if options & linux::__WALL != 0 {
        Kinds::All
    } else if options & linux::__WCLONE != 0 {
        Kinds::Clone
    } else {
        Kinds::Ordinary
    }
}

fn patience(options: u32) -> Patience {
    if options & linux::WNOHANG != 0 { Patience::Return } else { Patience::Wait }
}

fn wait(caller: &mut WholeCaller<'_>, request: &WaitRequest) -> Result<Option<WaitResult<Kernel>>, Errno> {
    caller.restarting(|caller| Ok(proc::wait(caller.thread, request)?))
}

pub(super) fn wait4(caller: &mut WholeCaller<'_>, which: i32, status: Maybe, options: Bits, usage: Maybe) -> Answer {
    let known =
        linux::WNOHANG | linux::WUNTRACED | linux::WCONTINUED | linux::__WALL | linux::__WCLONE | linux::__WNOTHREAD;
    if options.0 & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let children = match which {
        -1 => Children::Any,
        0 => Children::Group(proc::group_of(caller.process(), None)?),
        // There is no group with the number that this one's negative would be.
        i32::MIN => return Err(Errno::ESRCH),
        number => match u32::try_from(number) {
            Ok(pid) => Children::Pid(Pid(pid)),
            Err(_) => Children::Group(Pid(number.unsigned_abs())),
        },
    };
    let request = WaitRequest {
        selection: Selection {
            children,
            kinds: kinds(options.0),
            exited: true,
            stopped: options.0 & linux::WUNTRACED != 0,
            continued: options.0 & linux::WCONTINUED != 0,
        },
        patience: patience(options.0),
        delivery: Delivery::Take,
    };
    let Some(told) = wait(caller, &request)? else { return Ok(0) };
    user::write_if(status, &told.event.wait_status())?;
    if usage.0.is_some() {
        user::write_if(usage, &told.usage().to_linux())?;
    }
    Ok(told.pid.0.into())
}

pub(super) fn waitid(
    caller: &mut WholeCaller<'_>,
    kind: u32,
    id: i32,
    info: Maybe,
    options: Bits,
    usage: Maybe,
) -> Answer {
    let events = linux::WEXITED | linux::WSTOPPED | linux::WCONTINUED;
    let known = events | linux::WNOHANG | linux::WNOWAIT | linux::__WALL | linux::__WCLONE | linux::__WNOTHREAD;
    if options.0 & !known != 0 || options.0 & events == 0 {
        return Err(Errno::EINVAL);
    }
    let positive = || u32::try_from(id).ok().filter(|&id| id > 0).map(Pid).ok_or(Errno::EINVAL);
    let children = match kind {
        linux::P_ALL => Children::Any,
        linux::P_PID => Children::Pid(positive()?),
        linux::P_PGID if id == 0 => Children::Group(proc::group_of(caller.process(), None)?),
        linux::P_PGID => Children::Group(positive()?),
        linux::P_PIDFD => return Err(Errno::ENOSYS),
        _ => return Err(Errno::EINVAL),
    };
    let request = WaitRequest {
        selection: Selection {
            children,
            kinds: kinds(options.0),
            exited: options.0 & linux::WEXITED != 0,
            stopped: options.0 & linux::WSTOPPED != 0,
            continued: options.0 & linux::WCONTINUED != 0,
        },
        patience: patience(options.0),
        delivery: if options.0 & linux::WNOWAIT != 0 { Delivery::Leave } else { Delivery::Take },
    };
    let told = wait(caller, &request)?;
    let described = match &told {
        Some(told) => {
            let usage = told.usage();
            Info::child(told.event, told.pid.0, told.uid, usage.user_ticks(), usage.system_ticks()).to_linux()
        }
        None => [0; Info::BYTES],
    };
    user::write_if(info, &described)?;
    if let Some(told) = told {
        user::write_if(usage, &told.usage().to_linux())?;
    }
    Ok(0)
}

pub(super) fn set_tid_address(caller: &mut Caller<'_>, at: Maybe) -> Answer {
    caller.thread.set_clear_at(at.0.unwrap_or_default());
    Ok(caller.thread.tid().0.into())
}

/// Bytes of a thread's name, with its NUL.
const NAME_BYTES: usize = 16;

pub(super) fn prctl(caller: &mut Caller<'_>, option: u32, first: u64, second: u64, third: u64, fourth: u64) -> Answer {
    let rest_is_zero = second == 0 && third == 0 && fourth == 0;
    match option {
        options::PR_SET_NAME => {
            let mut name = [0; NAME_BYTES];
            // It may end before its sixteenth byte, at the end of memory.
            crate::arch::user_copy::copy_in_string(UserAddr::new(first), &mut name)?;
            let length = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_BYTES - 1).min(NAME_BYTES - 1);
            let text = core::str::from_utf8(&name[..length]).map_err(|_| Errno::EINVAL)?;
            caller.thread.set_name(ThreadName::new(text));
            Ok(0)
        }
        options::PR_GET_NAME => {
            let mut bytes = [0; NAME_BYTES];
            let name = caller.thread.name();
            let text = name.as_str().as_bytes();
            bytes[..text.len()].copy_from_slice(text);
            user::write(UserAddr::new(first), &bytes)?;
            Ok(0)
        }
        // No program here leaves a core behind, or gains privileges that these would keep from it.
        options::PR_GET_DUMPABLE => Ok(1),
        options::PR_SET_DUMPABLE if first <= 1 => Ok(0),
        options::PR_GET_NO_NEW_PRIVS if first == 0 && rest_is_zero => Ok(0),
        options::PR_GET_TIMERSLACK => Ok(50_000),
        options::PR_SET_TIMERSLACK => Ok(0),
        options::PR_GET_KEEPCAPS | options::PR_GET_TIMING => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// The process with this number; zero is the caller's own. Others may be looked at and changed by their own user and root.
fn target(caller: &Caller<'_>, number: i32) -> Result<Arc<UserProcess>, Errno> {
    let pid = match u32::try_from(number) {
        Err(_) => return Err(Errno::EINVAL),
        Ok(0) => return Ok(Arc::clone(caller.process())),
        Ok(pid) => Pid(pid),
    };
    let process = proc::find::<Kernel>(pid).ok_or(Errno::ESRCH)?;
    let (mine, its) = (caller.credentials(), process.credentials());
    let owner = [its.uid.real, its.uid.effective, its.uid.saved].iter().all(|&id| id == mine.uid.real)
        && [its.gid.real, its.gid.effective, its.gid.saved].iter().all(|&id| id == mine.gid.real);
    if owner || mine.is_root() || Arc::ptr_eq(&process, caller.process()) { Ok(process) } else { Err(Errno::EPERM) }
}

fn set_limit(caller: &Caller<'_>, process: &Arc<UserProcess>, resource: Resource, limit: Limit) -> Result<(), Errno> {
    process.set_limit(resource, limit, caller.credentials().is_root())?;
    if let Some(space) = process.space() {
        space.lock().set_limits(task::space_limits(&process.limits()));
    }
    Ok(())
}

pub(super) fn prlimit64(caller: &mut Caller<'_>, number: i32, resource: u32, new: Maybe, old: Maybe) -> Answer {
    let resource = Resource::new(resource).ok_or(Errno::EINVAL)?;
    let new = user::read_if::<[u8; Limit::BYTES]>(new)?.map(Limit::from_linux);
    let process = target(caller, number)?;
    let before = process.limits().get(resource);
    if let Some(new) = new {
        set_limit(caller, &process, resource, new)?;
    }
    user::write_if(old, &before.to_linux())?;
    Ok(0)
}

pub(super) fn getrlimit(caller: &mut Caller<'_>, resource: u32, to: UserAddr) -> Answer {
    let resource = Resource::new(resource).ok_or(Errno::EINVAL)?;
    user::write(to, &caller.process().limits().get(resource).to_linux())?;
    Ok(0)
}

pub(super) fn setrlimit(caller: &mut Caller<'_>, resource: u32, from: UserAddr) -> Answer {
    let resource = Resource::new(resource).ok_or(Errno::EINVAL)?;
    let limit = Limit::from_linux(user::read(from)?);
    set_limit(caller, caller.process(), resource, limit)?;
    Ok(0)
}

pub(super) fn getrusage(caller: &mut Caller<'_>, who: i32, to: UserAddr) -> Answer {
    // RUSAGE_SELF is 0.
    let usage: Usage = match who {
        0 => {
            caller.process().note_resident();
            caller.process().usage()
        }
        linux::RUSAGE_CHILDREN => caller.process().usage_of_children(),
        who if who == linux::RUSAGE_THREAD.cast_signed() => caller.thread.usage(),
        _ => return Err(Errno::EINVAL),
    };
    user::write(to, &usage.to_linux())?;
    Ok(0)
}

/// Returns the ticks since the counter started.
pub(super) fn times(caller: &mut Caller<'_>, to: Maybe) -> Answer {
    let process = caller.process();
    user::write_if(to, &tms(&process.usage(), &process.usage_of_children()))?;
    Ok(ticks(clock::now_ns()).cast_unsigned())
}
