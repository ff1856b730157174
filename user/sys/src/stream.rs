//! Pipes and waiting for files, beyond what `std` shows.

use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd};
use std::time::Duration;

use bsd::Errno;

use crate::call::{call, input, int, output, to_int};
use crate::number;
use crate::process::Signal;

/// Do not wait: `O_NONBLOCK`.
pub const NONBLOCK: usize = 0o4000;
/// Each write is a packet: `O_DIRECT`.
pub const PACKETS: usize = 0o20_0000;
/// Close-on-exec: `O_CLOEXEC`.
pub const CLOEXEC: usize = 0o200_0000;

fn owned(descriptor: usize) -> OwnedFd {
    // SAFETY: new, and nobody else's.
    unsafe { OwnedFd::from_raw_fd(to_int(descriptor)) }
}

/// Makes a pipe with flags: the end to read from, and the one to write to.
///
/// # Errors
///
/// As of `pipe2`.
pub fn pipe(flags: usize) -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut ends = [0_i32; 2];
    // SAFETY: two descriptors are stored.
    unsafe { call(number::PIPE2, [output(&mut ends), flags]) }?;
    Ok((owned(ends[0].cast_unsigned() as usize), owned(ends[1].cast_unsigned() as usize)))
}

/// What `pipe2` says of a place where the descriptors cannot be stored.
///
/// # Errors
///
/// The call's.
pub fn pipe_to_nowhere() -> Result<(), Errno> {
    // SAFETY: nothing can be stored there.
    unsafe { call(number::PIPE2, [8, 0]) }.map(drop)
}

/// `fcntl` with a number.
///
/// # Errors
///
/// As of the call.
pub fn control(file: &impl AsRawFd, command: usize, argument: usize) -> Result<usize, Errno> {
    // SAFETY: no memory, with the commands of [`command`].
    unsafe { call(number::FCNTL, [int(file.as_raw_fd()), command, argument]) }
}

/// Commands of [`control`].
pub mod command {
    /// The status flags.
    pub const GETFL: usize = 3;
    /// Sets them.
    pub const SETFL: usize = 4;
    /// Sets the size of a pipe.
    pub const SETPIPE_SZ: usize = 1031;
    /// The size of a pipe.
    pub const GETPIPE_SZ: usize = 1032;
}

/// How many bytes can be read: `FIONREAD`.
///
/// # Errors
///
/// `NOTTY` where that is not known.
pub fn available(file: &impl AsRawFd) -> Result<i32, Errno> {
    const FIONREAD: usize = 0x541b;
    let mut bytes = 0_i32;
    // SAFETY: an `int` is stored.
    unsafe { call(number::IOCTL, [int(file.as_raw_fd()), FIONREAD, output(&mut bytes)]) }?;
    Ok(bytes)
}

/// What is asked of a file, and found: the bits of `poll`.
pub mod ready {
    /// Something can be read.
    pub const IN: u16 = 1;
    /// Something can be written.
    pub const OUT: u16 = 4;
    /// It failed.
    pub const ERR: u16 = 8;
    /// The other side is gone.
    pub const HUP: u16 = 0x10;
    /// It is not open.
    pub const NVAL: u16 = 0x20;
    /// The other side writes no more.
    pub const RDHUP: u16 = 0x2000;
}

/// `struct pollfd`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct PollFile {
    /// The descriptor.
    pub file: i32,
    /// What is asked.
    pub events: u16,
    /// What is so.
    pub found: u16,
}

impl PollFile {
    /// Asks this of `file`.
    pub fn new(file: &impl AsRawFd, events: u16) -> Self {
        Self { file: file.as_raw_fd(), events, found: 0xffff }
    }
}

/// `struct timespec`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(C)]
struct Time {
    seconds: i64,
    nanoseconds: i64,
}

impl Time {
    fn new(time: Duration) -> Self {
        Self { seconds: time.as_secs().cast_signed(), nanoseconds: time.subsec_nanos().into() }
    }

    fn duration(self) -> Duration {
        Duration::new(self.seconds.cast_unsigned(), u32::try_from(self.nanoseconds).unwrap_or(0))
    }
}

/// A signal set of the kernel's: all signals but these.
#[must_use]
pub fn all_but(signals: &[Signal]) -> u64 {
    signals.iter().fold(u64::MAX, |set, signal| set & !(1 << (signal.0 - 1)))
}

/// `ppoll`, with a signal mask if one is given; how many files have something to tell, and what is left of the time.
///
/// # Errors
///
/// As of the call.
pub fn poll(
    files: &mut [PollFile],
    time: Option<Duration>,
    mask: Option<u64>,
) -> (Result<usize, Errno>, Option<Duration>) {
    let mut time = time.map(Time::new);
    let time_at = time.as_mut().map_or(0, output);
    let mask_at = mask.as_ref().map_or(0, input);
    let array = files.as_mut_ptr().expose_provenance();
    // SAFETY: all of it is ours; the array and the time are stored to.
    let ready = unsafe { call(number::PPOLL, [array, files.len(), time_at, mask_at, 8]) };
    (ready, time.map(Time::duration))
}

/// `pselect6` on the first `count` descriptors, without a mask.
///
/// # Errors
///
/// As of the call.
pub fn select(count: i32, sets: &mut [u64; 3], time: Option<Duration>) -> Result<usize, Errno> {
    let mut time = time.map(Time::new);
    let time_at = time.as_mut().map_or(0, output);
    let [read, write, except] = sets.each_mut().map(output);
    // SAFETY: as of `poll`; a set has 64 bits, which the callers' counts do not exceed.
    unsafe { call(number::PSELECT6, [int(count.min(64)), read, write, except, time_at, 0]) }
}

/// `struct epoll_event`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Event {
    /// What is asked, or found, and how.
    pub events: u32,
    padding: u32,
    /// The program's own.
    pub data: u64,
}

/// How a file is watched.
pub mod manner {
    /// It is told once.
    pub const ONE_SHOT: u32 = 1 << 30;
    /// It is told when it happens.
    pub const EDGE: u32 = 1 << 31;
}

/// What [`Epoll::control`] does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Watches a file.
    Add = 1,
    /// Watches it no more.
    Remove = 2,
    /// Asks something else.
    Modify = 3,
}

/// A set of watched files.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// As of `epoll_create1`.
    pub fn new() -> Result<Self, Errno> {
        // SAFETY: no memory.
        unsafe { call(number::EPOLL_CREATE1, [CLOEXEC]) }.map(|set| Self(owned(set)))
    }

    /// Changes how `file` is watched.
    ///
    /// # Errors
    ///
    /// As of `epoll_ctl`.
    pub fn control(&self, change: Change, file: &impl AsRawFd, events: u32, data: u64) -> Result<(), Errno> {
        let event = Event { events, padding: 0, data };
        let arguments = [int(self.0.as_raw_fd()), change as usize, int(file.as_raw_fd()), input(&event)];
        // SAFETY: the event is read.
        unsafe { call(number::EPOLL_CTL, arguments) }.map(drop)
    }

    /// Waits for up to eight events: for ever without a time.
    ///
    /// # Errors
    ///
    /// As of `epoll_pwait`.
    pub fn wait(&self, time: Option<Duration>) -> Result<Vec<Event>, Errno> {
        let mut events = [Event::default(); 8];
        let time_ms = time.map_or(-1, |time| i32::try_from(time.as_millis()).unwrap_or(i32::MAX));
        let array = output(&mut events);
        // SAFETY: at most eight events are stored.
        let count = unsafe { call(number::EPOLL_PWAIT, [int(self.0.as_raw_fd()), array, 8, int(time_ms), 0, 8]) }?;
        Ok(events[..count].to_vec())
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

/// What a counter of [`counter`] is beside its flags: reads take one.
pub const SEMAPHORE: usize = 1;

/// `eventfd2`
///
/// # Errors
///
/// As of the call.
pub fn counter(count: u32, flags: usize) -> Result<OwnedFd, Errno> {
    // SAFETY: no memory.
    unsafe { call(number::EVENTFD2, [count as usize, flags]) }.map(owned)
}

/// Types of sockets.
pub mod kind {
    /// Bytes between two.
    pub const STREAM: usize = 1;
    /// Messages to anybody.
    pub const DATAGRAM: usize = 2;
    /// Messages between two.
    pub const PACKETS: usize = 5;
}

/// The family of sockets between programs of one machine.
pub const AF_UNIX: usize = 1;

/// `socket`
///
/// # Errors
///
/// As of the call.
pub fn socket(family: usize, kind: usize, protocol: usize) -> Result<OwnedFd, Errno> {
    // SAFETY: no memory.
    unsafe { call(number::SOCKET, [family, kind, protocol]) }.map(owned)
}

/// `socketpair`
///
/// # Errors
///
/// As of the call.
pub fn socket_pair(kind: usize) -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut ends = [0_i32; 2];
    // SAFETY: two descriptors are stored.
    unsafe { call(number::SOCKETPAIR, [AF_UNIX, kind, 0, output(&mut ends)]) }?;
    Ok((owned(ends[0].cast_unsigned() as usize), owned(ends[1].cast_unsigned() as usize)))
}

/// The process, user and group of the peer: `SO_PEERCRED`.
///
/// # Errors
///
/// As of `getsockopt`.
pub fn peer(socket: &impl AsRawFd) -> Result<[u32; 3], Errno> {
    const SOL_SOCKET: usize = 1;
    const SO_PEERCRED: usize = 17;
    let (mut who, mut length) = ([0_u32; 3], 12_u32);
    let arguments = [int(socket.as_raw_fd()), SOL_SOCKET, SO_PEERCRED, output(&mut who), output(&mut length)];
    // SAFETY: 12 bytes and the length are stored.
    unsafe { call(number::GETSOCKOPT, arguments) }?;
    Ok(who)
}

/// `struct iovec`.
#[repr(C)]
pub(crate) struct Piece {
    base: usize,
    bytes: usize,
}

impl Piece {
    /// Bytes to be read by the kernel.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { base: bytes.as_ptr().expose_provenance(), bytes: bytes.len() }
    }

    /// Bytes to be written by it.
    pub(crate) fn to_fill(bytes: &mut [u8]) -> Self {
        Self { base: bytes.as_mut_ptr().expose_provenance(), bytes: bytes.len() }
    }
}

/// `struct msghdr`.
#[repr(C)]
pub(crate) struct Message {
    name: usize,
    name_bytes: u64,
    pieces: usize,
    count: usize,
    control: usize,
    control_bytes: usize,
    flags: u64,
}

impl Message {
    /// One piece, without a name and control messages.
    pub(crate) fn new(piece: &Piece) -> Self {
        Self { name: 0, name_bytes: 0, pieces: input(piece), count: 1, control: 0, control_bytes: 0, flags: 0 }
    }
}

/// How many files a message of [`send_files`] can have.
pub const FILES: usize = 8;

/// A control message with files.
#[repr(C)]
struct Control {
    bytes: usize,
    level: u32,
    kind: u32,
    files: [i32; FILES],
}

/// Bytes of it in front of the files.
const CONTROL_HEAD: usize = 16;

/// Sends bytes, and files with them.
///
/// # Errors
///
/// As of `sendmsg`.
pub fn send_files(socket: &impl AsRawFd, bytes: &[u8], files: &[&dyn AsRawFd]) -> Result<usize, Errno> {
    let mut control = Control { bytes: CONTROL_HEAD + 4 * files.len(), level: 1, kind: 1, files: [-1; FILES] };
    for (place, file) in control.files.iter_mut().zip(files) {
        *place = file.as_raw_fd();
    }
    let piece = Piece { base: bytes.as_ptr().expose_provenance(), bytes: bytes.len() };
    let message = Message {
        name: 0,
        name_bytes: 0,
        pieces: input(&piece),
        count: 1,
        control: input(&control),
        control_bytes: if files.is_empty() { 0 } else { control.bytes },
        flags: 0,
    };
    // SAFETY: all that is pointed to is ours and is read.
    unsafe { call(number::SENDMSG, [int(socket.as_raw_fd()), input(&message), 0]) }
}

/// What [`receive_files`] got.
#[derive(Debug)]
pub struct Got {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Files that came with them.
    pub files: Vec<OwnedFd>,
    /// `MSG_TRUNC`, `MSG_CTRUNC` and others.
    pub flags: u32,
}

/// A message was longer than what it was received into.
pub const TRUNCATED: u32 = 0x20;
/// Not all files were received.
pub const FILES_TRUNCATED: u32 = 8;

/// Receives up to `most` bytes, and up to `files` files with them.
///
/// # Errors
///
/// As of `recvmsg`.
pub fn receive_files(socket: &impl AsRawFd, most: usize, files: usize) -> Result<Got, Errno> {
    let mut bytes = vec![0; most];
    let mut control = Control { bytes: 0, level: 0, kind: 0, files: [-1; FILES] };
    let piece = Piece { base: bytes.as_mut_ptr().expose_provenance(), bytes: most };
    let mut message = Message {
        name: 0,
        name_bytes: 0,
        pieces: input(&piece),
        count: 1,
        control: output(&mut control),
        control_bytes: if files == 0 { 0 } else { CONTROL_HEAD + 4 * files.min(FILES) },
        flags: 0,
    };
    // SAFETY: all that is pointed to is ours to be written.
    let count = unsafe { call(number::RECVMSG, [int(socket.as_raw_fd()), output(&mut message), 0]) }?;
    bytes.truncate(count);
    let came = if message.control_bytes == 0 { 0 } else { control.bytes.saturating_sub(CONTROL_HEAD) / 4 };
    let files = control.files.iter().take(came).map(|number| owned(number.cast_unsigned() as usize)).collect();
    Ok(Got { bytes, files, flags: u32::try_from(message.flags & 0xffff_ffff).unwrap_or(0) })
}
