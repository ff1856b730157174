//! `setsockopt(2)`, `getsockopt(2)`.

use kcore::addr::UserAddr;
use kcore::fs::socket::{Peer, SocketKind};
use kcore::hal::UserMemory;
use linux_raw_sys::net;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::find;
use crate::arch::user_copy::CurrentUser;
use crate::syscall::argument::Descriptor;
use crate::syscall::errno::Errno;
use crate::syscall::{Answer, Caller, user};

/// `struct timeval`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Time {
    seconds: i64,
    microseconds: i64,
}

pub(in crate::syscall) fn setsockopt(
    caller: &mut Caller<'_>,
    descriptor: Descriptor,
    level: u32,
    option: u32,
    value: UserAddr,
    bytes: u32,
) -> Answer {
    let (socket, _) = find(caller, descriptor)?;
    if level != net::SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    match option {
        net::SO_RCVTIMEO_OLD | net::SO_SNDTIMEO_OLD => {
            if (bytes as usize) < size_of::<Time>() {
                return Err(Errno::EINVAL);
            }
            let time: Time = user::read(value)?;
            socket.set_timeout(option == net::SO_RCVTIMEO_OLD, timeout_ns(time)?);
            return Ok(0);
        }
        _ if (bytes as usize) < size_of::<i32>() => return Err(Errno::EINVAL),
        _ => {}
    }
    let value: i32 = user::read(value)?;
    match option {
        net::SO_PASSCRED => socket.pass_credentials(value != 0),
        net::SO_SNDBUF => socket.set_room(usize::try_from(value).unwrap_or(usize::MAX)),
        // What sends to it has room of its own; the others mean nothing here.
        net::SO_RCVBUF
        | net::SO_REUSEADDR
        | net::SO_KEEPALIVE
        | net::SO_BROADCAST
        | net::SO_LINGER
        | net::SO_PRIORITY => {}
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(0)
}

fn timeout_ns(time: Time) -> Result<u64, Errno> {
    let microseconds = u64::try_from(time.microseconds).ok().filter(|&us| us < 1_000_000).ok_or(Errno::EDOM)?;
    // One below zero is none.
    let seconds = u64::try_from(time.seconds).unwrap_or(0);
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(microseconds * 1000))
}

pub(in crate::syscall) fn getsockopt(
    caller: &mut Caller<'_>,
    descriptor: Descriptor,
    level: u32,
    option: u32,
    value: UserAddr,
    length: UserAddr,
) -> Answer {
    let (socket, _) = find(caller, descriptor)?;
    if level != net::SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    let room: i32 = user::read(length)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let number = match option {
        net::SO_TYPE => match socket.kind() {
            SocketKind::Stream => net::SOCK_STREAM,
            SocketKind::Datagram => net::SOCK_DGRAM,
            SocketKind::Packets => net::SOCK_SEQPACKET,
        },
        net::SO_ERROR => socket.take_error().map_or(0, |error| Errno::from(error).number().into()),
        net::SO_DOMAIN => net::AF_UNIX,
        net::SO_PASSCRED => socket.passes_credentials().into(),
        net::SO_ACCEPTCONN => socket.listens().into(),
        net::SO_SNDBUF | net::SO_RCVBUF => u32::try_from(socket.room()).unwrap_or(u32::MAX),
        net::SO_PROTOCOL | net::SO_REUSEADDR | net::SO_KEEPALIVE | net::SO_BROADCAST | net::SO_PRIORITY => 0,
        net::SO_PEERCRED => {
            let Peer { pid, uid, gid } = socket.peer_is().unwrap_or(Peer { pid: 0, uid: u32::MAX, gid: u32::MAX });
            return tell(&[pid, uid, gid].map(u32::to_ne_bytes).concat(), room, value, length);
        }
        net::SO_RCVTIMEO_OLD | net::SO_SNDTIMEO_OLD => {
            let ns = socket.timeout(option == net::SO_RCVTIMEO_OLD);
            let seconds = (ns / 1_000_000_000).cast_signed();
            let microseconds = (ns % 1_000_000_000 / 1000).cast_signed();
            return tell(Time { seconds, microseconds }.as_bytes(), room, value, length);
        }
        _ => return Err(Errno::ENOPROTOOPT),
    };
    tell(&number.to_ne_bytes(), room, value, length)
}

/// Stores as much of an option as there is room for, and how much that is.
fn tell(bytes: &[u8], room: usize, value: UserAddr, length: UserAddr) -> Answer {
    let count = bytes.len().min(room);
    CurrentUser.copy_out(&bytes[..count], value)?;
    user::write(length, &u32::try_from(count).unwrap_or(0))?;
    Ok(0)
}
