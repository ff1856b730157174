//! Who a process is: `getpid(2)`, `getuid(2)` and `setuid(2)` and their kin, `getgroups(2)`, `setpgid(2)`, `setsid(2)`,
//! OpenBSD's `getthrid(2)` and `issetugid(2)`.

use alloc::vec::Vec;

use kcore::addr::UserAddr;
use kcore::proc::cred::{Credentials, NotPermitted};
use kcore::proc::{self, Pid, ProcessFlags};

use super::errno::Errno;
use super::{Answer, Caller, user};

/// The most supplementary groups.
const NGROUPS_MAX: usize = 64;

pub(super) fn getpid(caller: &mut Caller<'_>) -> Answer {
    Ok(caller.process().pid().0.into())
}

pub(super) fn getppid(caller: &mut Caller<'_>) -> Answer {
    Ok(caller.process().parent_pid().0.into())
}

pub(super) fn gettid(caller: &mut Caller<'_>) -> Answer {
    Ok(caller.thread.tid().0.into())
}

pub(super) fn getthrid(caller: &mut Caller<'_>) -> Answer {
    Ok(caller.thread.thread_id().0.into())
}

pub(super) fn issetugid(caller: &mut Caller<'_>) -> Answer {
    Ok(caller.process().flags().contains(ProcessFlags::SET_ID).into())
}

pub(super) fn getuid(caller: &mut Caller<'_>) -> Answer {
    Ok(caller.credentials().uid.real.into())
}

pub(super) fn geteuid(caller: &mut Caller<'_>) -> Answer {
    Ok(caller.credentials().uid.effective.into())
}

pub(super) fn getgid(caller: &mut Caller<'_>) -> Answer {
    Ok(caller.credentials().gid.real.into())
}

pub(super) fn getegid(caller: &mut Caller<'_>) -> Answer {
    Ok(caller.credentials().gid.effective.into())
}

/// Becomes what `change` makes of the caller's credentials. The whole process does: POSIX, and OpenBSD, know no thread that
/// is somebody else.
fn become_(caller: &Caller<'_>, change: impl Fn(&Credentials) -> Result<Credentials, NotPermitted>) -> Answer {
    caller.process().change_credentials(change)?;
    Ok(0)
}

/// -1 leaves an id as it is.
fn some(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

/// An id that may not be -1.
fn id(id: u32) -> Result<u32, Errno> {
    some(id).ok_or(Errno::EINVAL)
}

pub(super) fn setuid(caller: &mut Caller<'_>, uid: u32) -> Answer {
    let uid = id(uid)?;
    become_(caller, |now| now.setuid(uid))
}

pub(super) fn setgid(caller: &mut Caller<'_>, gid: u32) -> Answer {
    let gid = id(gid)?;
    become_(caller, |now| now.setgid(gid))
}

pub(super) fn setreuid(caller: &mut Caller<'_>, real: u32, effective: u32) -> Answer {
    become_(caller, |now| now.setreuid(some(real), some(effective)))
}

pub(super) fn setregid(caller: &mut Caller<'_>, real: u32, effective: u32) -> Answer {
    become_(caller, |now| now.setregid(some(real), some(effective)))
}

pub(super) fn setresuid(caller: &mut Caller<'_>, real: u32, effective: u32, saved: u32) -> Answer {
    become_(caller, |now| now.setresuid(some(real), some(effective), some(saved)))
}

pub(super) fn setresgid(caller: &mut Caller<'_>, real: u32, effective: u32, saved: u32) -> Answer {
    become_(caller, |now| now.setresgid(some(real), some(effective), some(saved)))
}

pub(super) fn getresuid(caller: &mut Caller<'_>, real: UserAddr, effective: UserAddr, saved: UserAddr) -> Answer {
    let uid = caller.credentials().uid;
    user::write(real, &uid.real)?;
    user::write(effective, &uid.effective)?;
    user::write(saved, &uid.saved)?;
    Ok(0)
}

pub(super) fn getresgid(caller: &mut Caller<'_>, real: UserAddr, effective: UserAddr, saved: UserAddr) -> Answer {
    let gid = caller.credentials().gid;
    user::write(real, &gid.real)?;
    user::write(effective, &gid.effective)?;
    user::write(saved, &gid.saved)?;
    Ok(0)
}

/// Returns the id as it was, whether it could be changed or not.
pub(super) fn setfsuid(caller: &mut Caller<'_>, uid: u32) -> Answer {
    let before = caller.credentials().uid.fs;
    // That it is not permitted shows in the next answer only.
    let _ = some(uid).map(|uid| become_(caller, |now| now.setfsuid(uid)));
    Ok(before.into())
}

/// As [`setfsuid`], for the group.
pub(super) fn setfsgid(caller: &mut Caller<'_>, gid: u32) -> Answer {
    let before = caller.credentials().gid.fs;
    let _ = some(gid).map(|gid| become_(caller, |now| now.setfsgid(gid)));
    Ok(before.into())
}

pub(super) fn getgroups(caller: &mut Caller<'_>, room: i32, to: UserAddr) -> Answer {
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let credentials = caller.credentials();
    let groups = credentials.groups.as_slice();
    if room > 0 {
        if room < groups.len() {
            return Err(Errno::EINVAL);
        }
        for (index, group) in groups.iter().enumerate() {
            user::write(to.checked_add(4 * index as u64).ok_or(Errno::EFAULT)?, group)?;
        }
    }
    Ok(groups.len() as u64)
}

pub(super) fn setgroups(caller: &mut Caller<'_>, count: i32, from: UserAddr) -> Answer {
    caller.must_be_root()?;
    let count = usize::try_from(count).ok().filter(|&count| count <= NGROUPS_MAX).ok_or(Errno::EINVAL)?;
    let mut groups = Vec::new();
    groups.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    for index in 0..count {
        groups.push(user::read::<u32>(from.checked_add(4 * index as u64).ok_or(Errno::EFAULT)?)?);
    }
    caller.process().change_credentials(|now| now.setgroups(&groups))?;
    Ok(0)
}

/// A process by its pid; zero, the caller's own, is none.
fn pid(number: i32) -> Result<Option<Pid>, Errno> {
    match u32::try_from(number) {
        Ok(0) => Ok(None),
        Ok(number) => Ok(Some(Pid(number))),
        Err(_) => Err(Errno::ESRCH),
    }
}

pub(super) fn setpgid(caller: &mut Caller<'_>, process: i32, group: i32) -> Answer {
    let group = pid(group).map_err(|_| Errno::EINVAL)?;
    proc::set_group(caller.process(), pid(process)?, group)?;
    Ok(0)
}

pub(super) fn getpgid(caller: &mut Caller<'_>, process: i32) -> Answer {
    Ok(proc::group_of(caller.process(), pid(process)?)?.0.into())
}

pub(super) fn setsid(caller: &mut Caller<'_>) -> Answer {
    Ok(proc::set_session(caller.process())?.0.into())
}

pub(super) fn getsid(caller: &mut Caller<'_>, process: i32) -> Answer {
    Ok(proc::session_of(caller.process(), pid(process)?)?.0.into())
}
