//! Sockets, for `unix(7)`: `socket(2)`, `socketpair(2)`, `bind(2)`, `listen(2)`, `accept(2)`, `connect(2)`, `shutdown(2)` and
//! their kin.
//!
//! * [`transfer`], [`control`]: what is sent and received, and what goes with it; [`messages`]: several at once
//! * [`options`]

mod control;
pub(super) mod messages;
pub(super) mod options;
pub(super) mod transfer;

use alloc::sync::Arc;
use alloc::vec::Vec;

use kcore::addr::UserAddr;
use kcore::fs::socket::{self, Address, Directions, Peer, SocketFile, SocketKind};
use kcore::fs::{Blocking, DescriptorFlags, Fd, OpenFlags, Surroundings};
use kcore::hal::UserMemory;
use linux_raw_sys::{general as linux, net};

use super::argument::{Bits, Descriptor, Maybe};
use super::errno::Errno;
use super::{Again, Answer, Caller, WholeCaller, file, path, pipe, user};
use crate::arch::user_copy::CurrentUser;
use crate::dev::clock;
use crate::task::{Kernel, PARKING, SOCKETS};

type Socket = socket::Socket<Kernel>;

/// Bytes of `sa_family_t`, which stands before a name.
const FAMILY_BYTES: usize = 2;
/// `SOCK_RAW`, which is a datagram socket here.
const SOCK_RAW: u32 = net::SOCK_RAW;
/// What the type of a socket is, beside its flags: `SOCK_TYPE_MASK`.
const TYPE_MASK: u32 = 0xf;

/// Who calls.
fn who() -> Peer {
    let [pid, uid, gid] = <Kernel as Surroundings>::who();
    Peer { pid, uid, gid }
}

/// A socket, and whether the calls of the descriptor that it was found by wait.
type Found = (Arc<Socket>, Blocking);

/// The socket behind a descriptor.
fn find(caller: &Caller<'_>, descriptor: Descriptor) -> Result<Found, Errno> {
    let open = caller.file(descriptor)?;
    let blocking = if open.status().contains(OpenFlags::NONBLOCK) { Blocking::No } else { Blocking::Yes };
    let operations = Arc::clone(open.operations().ok_or(Errno::EBADF)?);
    let file: Arc<SocketFile<Kernel>> =
        operations.as_any().and_then(|any| any.downcast().ok()).ok_or(Errno::ENOTSOCK)?;
    Ok((Arc::clone(file.socket()), blocking))
}

/// The kind, the status flags and the descriptor's flags that a type stands for.
fn decode(family: u32, kind: u32, protocol: u32) -> Result<(SocketKind, OpenFlags, DescriptorFlags), Errno> {
    let flags = kind & !TYPE_MASK;
    if flags & !(linux::O_CLOEXEC | linux::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    if family != net::AF_UNIX {
        return Err(Errno::EAFNOSUPPORT);
    }
    if protocol != 0 && protocol != net::AF_UNIX {
        return Err(Errno::EPROTONOSUPPORT);
    }
    let kind = match kind & TYPE_MASK {
        net::SOCK_STREAM => SocketKind::Stream,
        net::SOCK_DGRAM | SOCK_RAW => SocketKind::Datagram,
        net::SOCK_SEQPACKET => SocketKind::Packets,
        _ => return Err(Errno::ESOCKTNOSUPPORT),
    };
    let status = OpenFlags::from_linux(flags & linux::O_NONBLOCK);
    Ok((kind, status, file::close_on_exec(flags & linux::O_CLOEXEC != 0)))
}

/// Refuses where there is no memory for a socket.
fn check_memory() -> Result<(), Errno> {
    if <Kernel as Surroundings>::has_room() { Ok(()) } else { Err(Errno::ENOMEM) }
}

pub(super) fn socket(caller: &mut Caller<'_>, family: u32, kind: u32, protocol: u32) -> Answer {
    let (kind, status, descriptor) = decode(family, kind, protocol)?;
    check_memory()?;
    let socket = Socket::new(&SOCKETS, kind, clock::timestamp(), who());
    file::install(caller, SocketFile::open(socket, status, &PARKING), descriptor, Fd::ZERO)
}

pub(super) fn socketpair(caller: &mut Caller<'_>, family: u32, kind: u32, protocol: u32, to: UserAddr) -> Answer {
    let (kind, status, descriptor) = decode(family, kind, protocol)?;
    check_memory()?;
    let (one, other) = Socket::pair(&SOCKETS, kind, clock::timestamp(), who());
    let files = [one, other].map(|socket| SocketFile::open(socket, status, &PARKING));
    pipe::install_both(caller, files, descriptor, to)
}

/// A name in the program's memory.
enum Name {
    /// None: `AF_UNSPEC`.
    Unspecified,
    /// A name without a file; empty for any.
    Abstract(Vec<u8>),
    /// A path.
    Path(Vec<u8>),
}

/// The `struct sockaddr_un` of `bytes` bytes at `at`.
fn read_name(at: UserAddr, bytes: u32) -> Result<Name, Errno> {
    let length = bytes as usize;
    if !(FAMILY_BYTES..=FAMILY_BYTES + Address::MOST).contains(&length) {
        return Err(Errno::EINVAL);
    }
    let mut raw = [0; FAMILY_BYTES + Address::MOST];
    let raw = &mut raw[..length];
    CurrentUser.copy_in(at, raw)?;
    let (family, name) = raw.split_at(FAMILY_BYTES);
    let family = u32::from(u16::from_ne_bytes([family[0], family[1]]));
    match (family, name.first()) {
        (net::AF_UNSPEC, _) => Ok(Name::Unspecified),
        (net::AF_UNIX, None | Some(0)) => Ok(Name::Abstract(name.to_vec())),
        (net::AF_UNIX, Some(_)) => {
            let path = name.split(|byte| *byte == 0).next().unwrap_or_default();
            Ok(Name::Path(path.to_vec()))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// The socket of a name; none for none.
fn named(caller: &Caller<'_>, name: Name) -> Result<Option<Arc<Socket>>, Errno> {
    Ok(match name {
        Name::Unspecified => None,
        Name::Abstract(name) if name.is_empty() => return Err(Errno::EINVAL),
        Name::Abstract(name) => Some(SOCKETS.find(&Address::new(&name))?),
        Name::Path(path) => Some(SOCKETS.find_node(path::socket_node(caller, &path)?.id())?),
    })
}

/// Tells a name: as much of it as there is room for, and how long it is.
fn write_name(name: Option<&Address>, at: UserAddr, length_at: UserAddr) -> Result<(), Errno> {
    let room: i32 = user::read(length_at)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let (bytes, length) = encode_name(name);
    CurrentUser.copy_out(&bytes[..length.min(room)], at)?;
    user::write(length_at, &u32::try_from(length).unwrap_or(0))
}

/// A `struct sockaddr_un`, and how much of it says something.
fn encode_name(name: Option<&Address>) -> ([u8; FAMILY_BYTES + Address::MOST + 1], usize) {
    let mut bytes = [0; FAMILY_BYTES + Address::MOST + 1];
    let name = name.map(Address::bytes).unwrap_or_default();
    let length = FAMILY_BYTES + name.len().min(Address::MOST + 1);
    bytes[0] = net::AF_UNIX.to_le_bytes()[0];
    bytes[FAMILY_BYTES..length].copy_from_slice(&name[..length - FAMILY_BYTES]);
    (bytes, length)
}

pub(super) fn bind(caller: &mut Caller<'_>, descriptor: Descriptor, at: UserAddr, bytes: u32) -> Answer {
    let (socket, _) = find(caller, descriptor)?;
    match read_name(at, bytes)? {
        Name::Unspecified => return Err(Errno::EINVAL),
        Name::Abstract(name) => socket.bind(&name)?,
        Name::Path(path) => {
            if socket.name().is_some() {
                return Err(Errno::EINVAL);
            }
            let node = path::make_socket_node(caller, &path)?;
            socket.bind_node(&path, node)?;
        }
    }
    Ok(0)
}

pub(super) fn listen(caller: &mut Caller<'_>, descriptor: Descriptor, backlog: i32) -> Answer {
    let (socket, _) = find(caller, descriptor)?;
    socket.listen(usize::try_from(backlog).unwrap_or(usize::MAX), who())?;
    Ok(0)
}

pub(super) fn accept(caller: &mut WholeCaller<'_>, descriptor: Descriptor, at: Maybe, length_at: Maybe) -> Answer {
    accept4(caller, descriptor, at, length_at, Bits(0))
}

pub(super) fn accept4(
    caller: &mut WholeCaller<'_>,
    descriptor: Descriptor,
    at: Maybe,
    length_at: Maybe,
    flags: Bits,
) -> Answer {
    if flags.0 & !(linux::O_CLOEXEC | linux::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let (socket, blocking) = find(caller, descriptor)?;
    let most = file::most_files(caller);
    caller.files()?.lock().check_room(most)?;
    let accepted = waiting(caller, socket.timeout(true), |_| Ok(socket.accept(blocking)?))?;
    let name = accepted.peer_name().unwrap_or(None);
    // From here on it is closed if something fails.
    let open = SocketFile::open(accepted, OpenFlags::from_linux(flags.0 & linux::O_NONBLOCK), &PARKING);
    if let Some(at) = at.0 {
        write_name(name.as_ref(), at, length_at.0.ok_or(Errno::EFAULT)?)?;
    }
    file::install(caller, open, file::close_on_exec(flags.0 & linux::O_CLOEXEC != 0), Fd::ZERO)
}

/// Does something that waits. With a time limit it is not made again after a signal (signal(7)).
fn waiting<T>(
    caller: &mut WholeCaller<'_>,
    timeout_ns: u64,
    wait: impl FnMut(&mut WholeCaller<'_>) -> Result<T, Errno>,
) -> Result<T, Errno> {
    if timeout_ns != 0 {
        caller.again = Again::Never;
    }
    caller.restarting(wait)
}

pub(super) fn connect(caller: &mut WholeCaller<'_>, descriptor: Descriptor, at: UserAddr, bytes: u32) -> Answer {
    let (socket, blocking) = find(caller, descriptor)?;
    let to = named(caller, read_name(at, bytes)?)?;
    waiting(caller, socket.timeout(false), |_| Ok(socket.connect(to.as_ref(), who(), blocking)?))?;
    Ok(0)
}

pub(super) fn getsockname(caller: &mut Caller<'_>, descriptor: Descriptor, at: UserAddr, length: UserAddr) -> Answer {
    let (socket, _) = find(caller, descriptor)?;
    write_name(socket.name().as_ref(), at, length)?;
    Ok(0)
}

pub(super) fn getpeername(caller: &mut Caller<'_>, descriptor: Descriptor, at: UserAddr, length: UserAddr) -> Answer {
    let (socket, _) = find(caller, descriptor)?;
    write_name(socket.peer_name()?.as_ref(), at, length)?;
    Ok(0)
}

pub(super) fn shutdown(caller: &mut Caller<'_>, descriptor: Descriptor, how: u32) -> Answer {
    let (socket, _) = find(caller, descriptor)?;
    let directions = match how {
        0 => Directions { reading: true, writing: false },
        1 => Directions { reading: false, writing: true },
        2 => Directions { reading: true, writing: true },
        _ => return Err(Errno::EINVAL),
    };
    socket.shut(directions)?;
    Ok(0)
}
