//! Several messages with one call: `sendmmsg(2)`, `recvmmsg(2)`.
//!
//! What was done before something went wrong is told; the error is not, unless the program meets it again.

use kcore::addr::UserAddr;
use linux_raw_sys::net;

use super::find;
use super::transfer::{MESSAGE_HEAD, receive_message, send_message};
use crate::dev::clock;
use crate::syscall::argument::{Bits, Descriptor, Maybe};
use crate::syscall::errno::Errno;
use crate::syscall::time::TimeSpec;
use crate::syscall::{Again, Answer, WholeCaller, user};

/// The most messages that one call sends: `UIO_MAXIOV`.
const MOST_SENT: u32 = 1024;
/// Only the first message is waited for (`linux/socket.h`).
const MSG_WAITFORONE: u32 = 0x10000;
/// Bytes of a `struct mmsghdr`: a `struct msghdr`, and how many bytes of the message were moved.
const BYTES: u64 = MESSAGE_HEAD + 8;

/// Does `each` with so many `struct mmsghdr` of an array, until it fails or says that this was the last, and tells each how
/// many bytes were moved. Says how many were done.
fn all(array: UserAddr, count: u32, mut each: impl FnMut(UserAddr, u32) -> Result<(u64, Go), Errno>) -> Answer {
    for index in 0..count {
        let step = array.checked_add(u64::from(index) * BYTES).ok_or(Errno::EFAULT).and_then(|at| {
            let (bytes, go) = each(at, index)?;
            let told_at = at.checked_add(MESSAGE_HEAD).ok_or(Errno::EFAULT)?;
            user::write(told_at, &u32::try_from(bytes).unwrap_or(u32::MAX))?;
            Ok(go)
        });
        match step {
            Ok(Go::On) => {}
            Ok(Go::Back) => return Ok(u64::from(index) + 1),
            Err(error) if index == 0 => return Err(error),
            Err(_) => return Ok(index.into()),
        }
    }
    Ok(count.into())
}

/// Whether another message follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Go {
    On,
    Back,
}

pub(in crate::syscall) fn sendmmsg(
    caller: &mut WholeCaller<'_>,
    descriptor: Descriptor,
    array: UserAddr,
    count: u32,
    flags: Bits,
) -> Answer {
    let found = find(caller, descriptor)?;
    all(array, count.min(MOST_SENT), |at, _| Ok((send_message(caller, &found, at, flags)?, Go::On)))
}

/// The time is looked at after each message: with none coming the call waits for ever, as on Linux.
pub(in crate::syscall) fn recvmmsg(
    caller: &mut WholeCaller<'_>,
    descriptor: Descriptor,
    array: UserAddr,
    count: u32,
    flags: Bits,
    timeout: Maybe,
) -> Answer {
    let time_ns = user::read_if::<TimeSpec>(timeout)?.map(TimeSpec::to_ns).transpose()?;
    let deadline_ns = time_ns.map(|time_ns| clock::now_ns().saturating_add(time_ns));
    let found = find(caller, descriptor)?;
    if deadline_ns.is_some() {
        caller.again = Again::Never;
    }
    let one_waits = flags.0 & MSG_WAITFORONE != 0;
    let flags = flags.0 & !MSG_WAITFORONE;
    let mut left_ns = time_ns;
    let received = all(array, count, |at, index| {
        let flags = if one_waits && index > 0 { flags | net::MSG_DONTWAIT } else { flags };
        let bytes = receive_message(caller, &found, at, Bits(flags))?;
        left_ns = deadline_ns.map(|deadline_ns| deadline_ns.saturating_sub(clock::now_ns()));
        Ok((bytes, if left_ns == Some(0) { Go::Back } else { Go::On }))
    })?;
    if let (Some(left_ns), true) = (left_ns, received > 0) {
        user::write_if(timeout, &TimeSpec::from_ns(left_ns))?;
    }
    Ok(received)
}
