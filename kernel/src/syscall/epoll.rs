//! Sets of watched files: `epoll_create1(2)`, `epoll_ctl(2)`, `epoll_pwait(2)`, `epoll_pwait2(2)`; and `eventfd2(2)`.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::fs::epoll::{Epoll, Manner, Wish};
use kcore::fs::{EventCounter, Fd, FileOperations, Nameless, OpenFile, OpenFlags, Readiness, Taking};
use kcore::hal::{UserFault, UserMemory};
use linux_raw_sys::general as linux;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::argument::{Bits, Descriptor, Maybe};
use super::errno::Errno;
use super::time::TimeSpec;
use super::{Again, Answer, Caller, WholeCaller, file, poll, signal, user};
use crate::arch::user_copy::CurrentUser;
use crate::dev::clock;
use crate::task::{Kernel, NESTING, PARKING};

/// `struct epoll_event`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Event {
    events: u32,
    padding: u32,
    data: u64,
}

/// Gives a file without a name the lowest free descriptor. It takes `O_CLOEXEC` and `O_NONBLOCK` of the flags.
pub(super) fn install(
    caller: &Caller<'_>,
    what: &'static str,
    operations: Arc<dyn FileOperations>,
    flags: u32,
) -> Answer {
    let descriptor = file::close_on_exec(flags & linux::O_CLOEXEC != 0);
    let status = OpenFlags::READ_WRITE | OpenFlags::from_linux(flags & linux::O_NONBLOCK);
    let open = OpenFile::new(Nameless::new(what, clock::timestamp()), operations, status, &PARKING);
    file::install(caller, open, descriptor, Fd::ZERO)
}

pub(super) fn epoll_create1(caller: &mut Caller<'_>, flags: Bits) -> Answer {
    if flags.0 & !linux::EPOLL_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    install(caller, "[eventpoll]", Epoll::<Kernel>::new(), flags.0)
}

/// The set that a descriptor stands for.
fn set(open: &OpenFile) -> Result<Arc<Epoll<Kernel>>, Errno> {
    let operations = Arc::clone(open.operations().ok_or(Errno::EINVAL)?);
    operations.as_any().and_then(|any| any.downcast().ok()).ok_or(Errno::EINVAL)
}

pub(super) fn epoll_ctl(
    caller: &mut Caller<'_>,
    descriptor: Descriptor,
    operation: u32,
    watched: Descriptor,
    event: Maybe,
) -> Answer {
    let wish = if operation == linux::EPOLL_CTL_DEL {
        None
    } else {
        let event = user::read::<Event>(event.0.ok_or(Errno::EFAULT)?)?;
        let manner = Manner::from_bits_truncate(event.events);
        Some(Wish { interest: Readiness::from_bits_truncate(event.events), manner, data: event.data })
    };
    let (outer, inner) = (caller.file(descriptor)?, caller.file(watched)?);
    if inner.operations().is_none_or(|operations| operations.watched().is_none()) {
        return Err(Errno::EPERM);
    }
    let set = set(&outer)?;
    if Arc::ptr_eq(&outer, &inner) {
        return Err(Errno::EINVAL);
    }
    let number = watched.fd()?.get();
    match (operation, wish) {
        (linux::EPOLL_CTL_ADD, Some(wish)) => set.add(number, &inner, wish, &NESTING)?,
        (linux::EPOLL_CTL_MOD, Some(wish)) if !wish.manner.contains(Manner::EXCLUSIVE) => {
            set.change(number, &inner, wish)?;
        }
        (linux::EPOLL_CTL_DEL, None) => set.remove(number, &inner)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

pub(super) fn epoll_pwait(
    caller: &mut WholeCaller<'_>,
    descriptor: Descriptor,
    events: UserAddr,
    most: i32,
    timeout_ms: i32,
    mask: Maybe,
    mask_bytes: u64,
) -> Answer {
    // One below zero is for ever.
    let deadline_ns = u64::try_from(timeout_ms).ok().map(|ms| poll::deadline_ns(ms * 1_000_000));
    wait(caller, descriptor, (events, most), deadline_ns, (mask, mask_bytes))
}

pub(super) fn epoll_pwait2(
    caller: &mut WholeCaller<'_>,
    descriptor: Descriptor,
    events: UserAddr,
    most: i32,
    timeout: Maybe,
    mask: Maybe,
    mask_bytes: u64,
) -> Answer {
    let time_ns = user::read_if::<TimeSpec>(timeout)?.map(TimeSpec::to_ns).transpose()?;
    wait(caller, descriptor, (events, most), time_ns.map(poll::deadline_ns), (mask, mask_bytes))
}

fn wait(
    caller: &mut WholeCaller<'_>,
    descriptor: Descriptor,
    (events, most): (UserAddr, i32),
    deadline_ns: Option<u64>,
    (mask, mask_bytes): (Maybe, u64),
) -> Answer {
    let mask = mask.0.map(|mask| signal::read_set(mask, mask_bytes)).transpose()?;
    let most = usize::try_from(most).ok().filter(|most| (1..=MOST_EVENTS).contains(most)).ok_or(Errno::EINVAL)?;
    let set = set(&*caller.file(descriptor)?)?;
    caller.again = Again::Never;
    let told = caller.with_mask(mask, |caller| {
        caller.restarting(|_| {
            let mut at = Some(events);
            let mut out = |found: Readiness, data| {
                let event = Event { events: found.bits(), padding: 0, data };
                let place = at.ok_or(UserFault { at: events })?;
                CurrentUser.copy_out(event.as_bytes(), place)?;
                at = place.checked_add(size_of::<Event>() as u64);
                Ok(())
            };
            Ok(set.wait(most, deadline_ns, &mut out)?)
        })
    })?;
    Ok(told as u64)
}

/// As many as Linux allows: their bytes fit an `int`.
const MOST_EVENTS: usize = i32::MAX as usize / size_of::<Event>();

pub(super) fn eventfd2(caller: &mut Caller<'_>, count: u32, flags: Bits) -> Answer {
    if flags.0 & !(linux::EFD_SEMAPHORE | linux::O_CLOEXEC | linux::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let taking = if flags.0 & linux::EFD_SEMAPHORE != 0 { Taking::One } else { Taking::All };
    install(caller, "[eventfd]", EventCounter::<Kernel>::new(count.into(), taking), flags.0)
}
