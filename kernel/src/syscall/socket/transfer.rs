//! Bytes and messages: `sendto(2)`, `recvfrom(2)`, `sendmsg(2)`, `recvmsg(2)`.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::fs::socket::{Received, Receiving, Sending, SocketKind};
use kcore::fs::{Blocking, OpenFile};
use kcore::hal::UserMemory;
use linux_raw_sys::net;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::control::{self, Control};
use super::{Found, Socket, encode_name, find, named, read_name, waiting, who, write_name};
use crate::arch::user_copy::CurrentUser;
use crate::syscall::argument::{Bits, Descriptor, Maybe};
use crate::syscall::errno::Errno;
use crate::syscall::user::{self, Pieces};
use crate::syscall::{Answer, WholeCaller, file};

/// Flags of calls that send: what is not known is ignored, as on Linux.
fn check_send_flags(flags: Bits) -> Result<(), Errno> {
    if flags.0 & net::MSG_OOB != 0 { Err(Errno::EOPNOTSUPP) } else { Ok(()) }
}

fn blocking_with(blocking: Blocking, flags: Bits) -> Blocking {
    if flags.0 & net::MSG_DONTWAIT != 0 { Blocking::No } else { blocking }
}

/// Sends what `pieces` names.
fn send(
    caller: &mut WholeCaller<'_>,
    (socket, blocking): &Found,
    mut pieces: Pieces,
    flags: Bits,
    to: Option<&Arc<Socket>>,
    files: &[Arc<OpenFile>],
) -> Answer {
    let blocking = blocking_with(*blocking, flags);
    let quietly = flags.0 & net::MSG_NOSIGNAL != 0;
    let sent = waiting(caller, socket.timeout(false), |_| {
        let sending = Sending { blocking, sender: who(), to: to.cloned(), files: files.to_vec(), quietly };
        Ok(socket.send(&mut pieces, sending)?)
    })?;
    Ok(sent as u64)
}

pub(in crate::syscall) fn sendto(
    caller: &mut WholeCaller<'_>,
    descriptor: Descriptor,
    from: UserAddr,
    bytes: u64,
    flags: Bits,
    to: Maybe,
    to_bytes: u32,
) -> Answer {
    check_send_flags(flags)?;
    let found = find(caller, descriptor)?;
    let to = match to.0 {
        Some(at) => named(caller, read_name(at, to_bytes)?)?,
        None => None,
    };
    send(caller, &found, Pieces::one(from, bytes), flags, to.as_ref(), &[])
}

/// Receives into `pieces`.
fn receive(
    caller: &mut WholeCaller<'_>,
    socket: &Arc<Socket>,
    blocking: Blocking,
    pieces: &mut Pieces,
    flags: Bits,
) -> Result<Received, Errno> {
    if flags.0 & net::MSG_OOB != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let receiving = Receiving {
        blocking: blocking_with(blocking, flags),
        peeks: flags.0 & net::MSG_PEEK != 0,
        waits_for_all: flags.0 & net::MSG_WAITALL != 0,
    };
    waiting(caller, socket.timeout(true), |_| Ok(socket.receive(pieces, receiving)?))
}

/// What a call that receives returns: the length of what was sent, if that is asked for and it is a message.
fn count(socket: &Socket, received: &Received, flags: Bits) -> u64 {
    let is_message = socket.kind() != SocketKind::Stream;
    if is_message && flags.0 & net::MSG_TRUNC != 0 { received.length as u64 } else { received.bytes as u64 }
}

pub(in crate::syscall) fn recvfrom(
    caller: &mut WholeCaller<'_>,
    descriptor: Descriptor,
    to: UserAddr,
    bytes: u64,
    flags: Bits,
    from: Maybe,
    from_bytes: Maybe,
) -> Answer {
    let (socket, blocking) = find(caller, descriptor)?;
    let received = receive(caller, &socket, blocking, &mut Pieces::one(to, bytes), flags)?;
    if let Some(at) = from.0 {
        let length_at = from_bytes.0.ok_or(Errno::EFAULT)?;
        if socket.kind() == SocketKind::Datagram {
            write_name(received.from.as_ref(), at, length_at)?;
        } else {
            user::write(length_at, &0_u32)?;
        }
    }
    Ok(count(&socket, &received, flags))
}

/// `struct msghdr`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct MessageHead {
    name: u64,
    name_bytes: u32,
    padding: u32,
    pieces: u64,
    pieces_count: u64,
    pub(super) control: u64,
    pub(super) control_bytes: u64,
    flags: u32,
    padding_2: u32,
}

/// Bytes of a `struct msghdr`.
pub(super) const MESSAGE_HEAD: u64 = size_of::<MessageHead>() as u64;

impl MessageHead {
    fn pieces(&self) -> Result<Pieces, Errno> {
        let count = i32::try_from(self.pieces_count).map_err(|_| Errno::EMSGSIZE)?;
        Pieces::many(UserAddr::new(self.pieces), count)
            .map_err(|error| if error == Errno::EINVAL && count > MOST_PIECES { Errno::EMSGSIZE } else { error })
    }
}

/// `UIO_MAXIOV`
const MOST_PIECES: i32 = 1024;

pub(in crate::syscall) fn sendmsg(
    caller: &mut WholeCaller<'_>,
    descriptor: Descriptor,
    message: UserAddr,
    flags: Bits,
) -> Answer {
    let found = find(caller, descriptor)?;
    send_message(caller, &found, message, flags)
}

/// Sends the message that the `struct msghdr` at `message` names.
pub(super) fn send_message(caller: &mut WholeCaller<'_>, found: &Found, message: UserAddr, flags: Bits) -> Answer {
    check_send_flags(flags)?;
    let head: MessageHead = user::read(message)?;
    let pieces = head.pieces()?;
    let files = control::read(caller, &head)?;
    let to = if head.name == 0 || head.name_bytes == 0 {
        None
    } else {
        named(caller, read_name(UserAddr::new(head.name), head.name_bytes)?)?
    };
    send(caller, found, pieces, flags, to.as_ref(), &files)
}

pub(in crate::syscall) fn recvmsg(
    caller: &mut WholeCaller<'_>,
    descriptor: Descriptor,
    message: UserAddr,
    flags: Bits,
) -> Answer {
    let found = find(caller, descriptor)?;
    receive_message(caller, &found, message, flags)
}

/// Receives a message into what the `struct msghdr` at `message` names.
pub(super) fn receive_message(caller: &mut WholeCaller<'_>, found: &Found, message: UserAddr, flags: Bits) -> Answer {
    let (socket, blocking) = found;
    let mut head: MessageHead = user::read(message)?;
    let mut pieces = head.pieces()?;
    let mut received = receive(caller, socket, *blocking, &mut pieces, flags)?;
    let count = count(socket, &received, flags);
    let mut told = flags.0 & net::MSG_CMSG_CLOEXEC;
    if socket.kind() != SocketKind::Stream && received.length > received.bytes {
        told |= net::MSG_TRUNC;
    }
    if head.name != 0 {
        let is_named = socket.kind() == SocketKind::Datagram && received.sender.is_some();
        let (bytes, length) = encode_name(received.from.as_ref());
        let length = if is_named { length } else { 0 };
        CurrentUser.copy_out(&bytes[..length.min(head.name_bytes as usize)], UserAddr::new(head.name))?;
        head.name_bytes = u32::try_from(length).unwrap_or(0);
    }
    let mut control = Control::new(&head);
    if let Some(sender) = received.sender.filter(|_| socket.passes_credentials()) {
        control.put_sender(&sender)?;
    }
    let files = core::mem::take(&mut received.files);
    if !files.is_empty() {
        let flags = file::close_on_exec(flags.0 & net::MSG_CMSG_CLOEXEC != 0);
        control.put_files(caller, files, flags)?;
    }
    head.control_bytes = control.used() as u64;
    head.flags = told | if control.is_short() { net::MSG_CTRUNC } else { 0 };
    user::write(message, &head)?;
    Ok(count)
}
