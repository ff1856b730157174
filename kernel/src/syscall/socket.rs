//! Sockets: `socket(2)`, `socketpair(2)`, `bind(2)`, `listen(2)`, `accept(2)`, `connect(2)`, `send(2)`, `recv(2)`, `shutdown(2)`,
//! `getsockopt(2)` and their kin, for `unix(7)`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kcore::addr::UserAddr;
use kcore::fs::socket::{self, Address, Directions, Peer, Received, Receiving, Sending, SocketFile, SocketKind};
use kcore::fs::{Blocking, DescriptorFlags, Fd, OpenFile, OpenFlags, Surroundings};
use kcore::hal::UserMemory;
use linux_raw_sys::{general as linux, net};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::argument::{Bits, Descriptor, Maybe};
use super::errno::Errno;
use super::user::{self, Pieces};
use super::{Again, Answer, Caller, WholeCaller, file, path, pipe};
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
pub(super) type Found = (Arc<Socket>, Blocking);

/// The socket behind a descriptor.
pub(super) fn find(caller: &Caller<'_>, descriptor: Descriptor) -> Result<Found, Errno> {
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

pub(super) fn sendto(
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

pub(super) fn recvfrom(
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
struct MessageHead {
    name: u64,
    name_bytes: u32,
    padding: u32,
    pieces: u64,
    pieces_count: u64,
    control: u64,
    control_bytes: u64,
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

/// `struct cmsghdr`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct ControlHead {
    bytes: u64,
    level: u32,
    kind: u32,
}

const CONTROL_HEAD: usize = size_of::<ControlHead>();
/// `SCM_RIGHTS`, `SCM_CREDENTIALS` (`linux/socket.h`).
const SCM_RIGHTS: u32 = 1;
const SCM_CREDENTIALS: u32 = 2;
/// The most files of one message: `SCM_MAX_FD`.
const MOST_FILES: usize = 253;
/// The most bytes of control messages that are sent with one: `optmem_max`.
const MOST_CONTROL: usize = 20480;

/// The files that control messages name, and who they say sends.
fn read_control(caller: &Caller<'_>, head: &MessageHead) -> Result<Vec<Arc<OpenFile>>, Errno> {
    let mut files = Vec::new();
    let length = usize::try_from(head.control_bytes).ok().filter(|&length| length <= MOST_CONTROL);
    let length = length.ok_or(Errno::ENOBUFS)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(length, 0);
    if length > 0 {
        CurrentUser.copy_in(UserAddr::new(head.control), &mut bytes)?;
    }
    let mut rest: &[u8] = &bytes;
    while let Ok((control, _)) = ControlHead::read_from_prefix(rest) {
        let all = usize::try_from(control.bytes).ok().filter(|all| (CONTROL_HEAD..=rest.len()).contains(all));
        let all = all.ok_or(Errno::EINVAL)?;
        let data = &rest[CONTROL_HEAD..all];
        if control.level == net::SOL_SOCKET {
            match control.kind {
                SCM_RIGHTS => take_files(caller, data, &mut files)?,
                SCM_CREDENTIALS => check_credentials(caller, data)?,
                _ => return Err(Errno::EINVAL),
            }
        }
        rest = rest.get(all.next_multiple_of(8)..).unwrap_or_default();
    }
    Ok(files)
}

fn take_files(caller: &Caller<'_>, data: &[u8], files: &mut Vec<Arc<OpenFile>>) -> Result<(), Errno> {
    for number in data.chunks_exact(size_of::<i32>()) {
        if files.len() >= MOST_FILES {
            return Err(Errno::EINVAL);
        }
        let number = i32::from_ne_bytes(number.try_into().map_err(|_| Errno::EINVAL)?);
        files.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        files.push(caller.file(Descriptor(number))?);
    }
    Ok(())
}

/// Only root says that he is somebody else.
fn check_credentials(caller: &Caller<'_>, data: &[u8]) -> Result<(), Errno> {
    let said = <[u32; 3]>::read_from_bytes(data).map_err(|_| Errno::EINVAL)?;
    let credentials = caller.credentials();
    let Peer { pid, .. } = who();
    let is_own = |number, ids: [u32; 3]| ids.contains(&number);
    let (uid, gid) = (&credentials.uid, &credentials.gid);
    let is_true = said[0] == pid
        && is_own(said[1], [uid.real, uid.effective, uid.saved])
        && is_own(said[2], [gid.real, gid.effective, gid.saved]);
    if is_true || credentials.is_root() { Ok(()) } else { Err(Errno::EPERM) }
}

pub(super) fn sendmsg(caller: &mut WholeCaller<'_>, descriptor: Descriptor, message: UserAddr, flags: Bits) -> Answer {
    let found = find(caller, descriptor)?;
    send_message(caller, &found, message, flags)
}

/// Sends the message that the `struct msghdr` at `message` names.
pub(super) fn send_message(caller: &mut WholeCaller<'_>, found: &Found, message: UserAddr, flags: Bits) -> Answer {
    check_send_flags(flags)?;
    let head: MessageHead = user::read(message)?;
    let pieces = head.pieces()?;
    let files = read_control(caller, &head)?;
    let to = if head.name == 0 || head.name_bytes == 0 {
        None
    } else {
        named(caller, read_name(UserAddr::new(head.name), head.name_bytes)?)?
    };
    send(caller, found, pieces, flags, to.as_ref(), &files)
}

pub(super) fn recvmsg(caller: &mut WholeCaller<'_>, descriptor: Descriptor, message: UserAddr, flags: Bits) -> Answer {
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
        control.put(SCM_CREDENTIALS, [sender.pid, sender.uid, sender.gid].as_bytes())?;
    }
    let files = core::mem::take(&mut received.files);
    if !files.is_empty() {
        let flags = file::close_on_exec(flags.0 & net::MSG_CMSG_CLOEXEC != 0);
        control.put_files(caller, files, flags)?;
    }
    head.control_bytes = control.used as u64;
    head.flags = told | if control.is_short { net::MSG_CTRUNC } else { 0 };
    user::write(message, &head)?;
    Ok(count)
}

/// Control messages on their way to the program.
struct Control {
    at: UserAddr,
    room: usize,
    used: usize,
    /// Something had no room.
    is_short: bool,
}

impl Control {
    fn new(head: &MessageHead) -> Self {
        let room = usize::try_from(head.control_bytes).unwrap_or(usize::MAX);
        Self {
            at: UserAddr::new(head.control),
            room: if head.control == 0 { 0 } else { room },
            used: 0,
            is_short: false,
        }
    }

    /// How many bytes one message can have now.
    const fn left(&self) -> usize {
        self.room.saturating_sub(self.used).saturating_sub(CONTROL_HEAD)
    }

    fn put(&mut self, kind: u32, data: &[u8]) -> Result<(), Errno> {
        if self.left() < data.len() {
            self.is_short = true;
            return Ok(());
        }
        let all = CONTROL_HEAD + data.len();
        let head = ControlHead { bytes: all as u64, level: net::SOL_SOCKET, kind };
        let at = self.at.checked_add(self.used as u64).ok_or(Errno::EFAULT)?;
        user::write(at, &head)?;
        CurrentUser.copy_out(data, at.checked_add(CONTROL_HEAD as u64).ok_or(Errno::EFAULT)?)?;
        self.used = (self.used + all.next_multiple_of(8)).min(self.room);
        Ok(())
    }

    /// Gives the caller descriptors for as many files as there is room for. The others are closed.
    fn put_files(
        &mut self,
        caller: &Caller<'_>,
        files: Vec<Arc<OpenFile>>,
        flags: DescriptorFlags,
    ) -> Result<(), Errno> {
        let most = self.left() / size_of::<u32>();
        let count = files.len();
        let mut numbers = Vec::new();
        for file in files.into_iter().take(most) {
            match file::install(caller, file, flags, Fd::ZERO) {
                Ok(number) => numbers.push(pipe::descriptor(number)),
                Err(_) => break,
            }
        }
        if numbers.len() < count {
            self.is_short = true;
        }
        if numbers.is_empty() {
            return Ok(());
        }
        self.put(SCM_RIGHTS, numbers.as_bytes()).inspect_err(|_| {
            for number in &numbers {
                // They were open a moment ago.
                let _ = pipe::close(caller, *number);
            }
        })
    }
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

/// `struct timeval`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Time {
    seconds: i64,
    microseconds: i64,
}

pub(super) fn setsockopt(
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

pub(super) fn getsockopt(
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
