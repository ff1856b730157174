//! Sockets between programs of one machine: `unix(7)`.
//!
//! ```text
//! OpenFile ─ SocketFile ─► Socket ─► Inbox   messages that came and were not read; connections that were not accepted
//!                             └────► Link    its state: name, peer, what is shut, error
//! Sockets                                    names; numbers; files that are to be closed
//! ```
//!
//! Each socket has an inbox; to send is to put a message into the peer's. A stream is a queue of messages too, whose borders
//! do not show. A message is read out of the program's memory, and into it, without a spin lock: who reads takes it out of the
//! queue meanwhile, under a sleeping lock among readers, and the inbox counts it until it is gone.
//!
//! A socket lives as long as somebody refers to it, but it is closed with its last open file: then it gives up its peer, its
//! name and its messages, and nobody can put anything into its inbox any more.
//!
//! **Files in messages** (`SCM_RIGHTS`). A socket that stands in an inbox which only that socket's own descriptors can reach would
//! never be closed. So no such ring comes about: before a socket is put into an inbox, under a lock of all such sends, it is
//! followed whether that inbox can be reached from it, through messages and connections that wait; if so the send fails with
//! `ETOOMANYREFS`. Files of messages that nobody reads are closed one after the other, not one within the other.
//!
//! # Locks
//!
//! Inbox and link have spin locks of one rank (`FileObject`); neither is taken with another one held. Readers of one socket have
//! a sleeping lock (`Stream`), those who send sockets another (`Nesting`).

mod connect;
mod file;
mod inbox;
mod names;
mod receive;
mod rights;
mod send;

use alloc::sync::Arc;

pub use file::SocketFile;
pub use names::{Address, Sockets};
pub use receive::{Received, Receiving};
pub use send::Sending;

use super::error::FileError;
use super::flags::OpenFlags;
use super::inode::Inode;
use super::metadata::{DeviceNumber, FileId, FileKind, Metadata, Protection, Timestamp};
use super::operations::{Blocking, FileOperations, Readiness};
use super::surroundings::Surroundings;
use super::watch::WatchList;
use crate::sched::{SleepMutex, WaitQueue, Waited};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Rank, SpinLock};
use inbox::Inbox;
use names::Bound;

/// The file system that sockets are in.
const DEVICE: DeviceNumber = DeviceNumber::new(0, 15);
/// What may wait in an inbox, in bytes with what each message takes beside its own: Linux's number.
const DEFAULT_ROOM: usize = 212_992;
/// The least that it can be set to, and the most.
const LEAST_ROOM: usize = 4608;
const MOST_ROOM: usize = 2 * DEFAULT_ROOM;

/// How a socket sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketKind {
    /// Bytes in order between two: `SOCK_STREAM`.
    Stream,
    /// Messages, each to somebody: `SOCK_DGRAM`.
    Datagram,
    /// Messages in order between two: `SOCK_SEQPACKET`.
    Packets,
}

/// Who a process is, as its peer is told: `struct ucred`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The process.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// A direction, or both: `shutdown(2)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Directions {
    /// Nothing comes any more.
    pub reading: bool,
    /// Nothing goes any more.
    pub writing: bool,
}

/// A socket.
pub struct Socket<S: Surroundings> {
    kind: SocketKind,
    sockets: &'static Sockets<S>,
    number: u64,
    made: Timestamp,
    /// Who made it, until it is connected or listens.
    maker: Peer,
    /// Held by the one who reads.
    reading: SleepMutex<(), S>,
    inbox: SpinLock<Inbox<S>, S::Cpu>,
    link: SpinLock<Link<S>, S::Cpu>,
    /// Those who wait for a message, or for a connection.
    to_read: WaitQueue<S>,
    /// Those who wait to put something into the inbox.
    to_put: WaitQueue<S>,
    watchers: WatchList<S::Cpu>,
    /// How long a wait to read lasts at most; 0 for ever.
    read_timeout_ns: AtomicU64,
    /// How long a wait to write lasts at most; 0 for ever.
    write_timeout_ns: AtomicU64,
    /// What may wait in the peer's inbox when this one sends.
    room: AtomicUsize,
    /// Whether messages are told with who sent them: `SO_PASSCRED`.
    passes_credentials: AtomicBool,
}

/// A socket's state.
struct Link<S: Surroundings> {
    peer: Option<Arc<Socket<S>>>,
    bound: Option<Bound>,
    /// The peer's name, as it was.
    peer_name: Option<Address>,
    /// Who the peer is or was.
    peer_is: Option<Peer>,
    /// Whether it was ever connected.
    is_connected: bool,
    /// Connections that may wait, if it listens.
    backlog: Option<usize>,
    shut: Directions,
    /// What went wrong, to be told once.
    error: Option<FileError>,
}

impl<S: Surroundings> Socket<S> {
    /// A socket of `maker`, which is `made` now.
    #[must_use]
    pub fn new(sockets: &'static Sockets<S>, kind: SocketKind, made: Timestamp, maker: Peer) -> Arc<Self> {
        Arc::new(Self {
            kind,
            sockets,
            number: sockets.number(),
            made,
            maker,
            reading: SleepMutex::new(Rank::Stream, ()),
            inbox: SpinLock::new(Rank::FileObject, Inbox::new()),
            link: SpinLock::new(
                Rank::FileObject,
                Link {
                    peer: None,
                    bound: None,
                    peer_name: None,
                    peer_is: None,
                    is_connected: false,
                    backlog: None,
                    shut: Directions { reading: false, writing: false },
                    error: None,
                },
            ),
            to_read: WaitQueue::new(),
            to_put: WaitQueue::new(),
            watchers: WatchList::new(),
            read_timeout_ns: AtomicU64::new(0),
            write_timeout_ns: AtomicU64::new(0),
            room: AtomicUsize::new(DEFAULT_ROOM),
            passes_credentials: AtomicBool::new(false),
        })
    }

    /// How it sends.
    #[must_use]
    pub const fn kind(&self) -> SocketKind {
        self.kind
    }

    /// Whether it listens: `SO_ACCEPTCONN`.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.link.lock().backlog.is_some()
    }

    /// What it is called, if it has a name.
    #[must_use]
    pub fn name(&self) -> Option<Address> {
        self.link.lock().bound.as_ref().map(|bound| bound.address.clone())
    }

    /// What its peer is called, if that has a name.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](FileError::NotConnected)
    pub fn peer_name(&self) -> Result<Option<Address>, FileError> {
        let link = self.link.lock();
        if link.peer.is_some() || link.is_connected { Ok(link.peer_name.clone()) } else { Err(FileError::NotConnected) }
    }

    /// Who its peer is: `SO_PEERCRED`.
    #[must_use]
    pub fn peer_is(&self) -> Option<Peer> {
        self.link.lock().peer_is
    }

    /// What went wrong, once: `SO_ERROR`.
    pub fn take_error(&self) -> Option<FileError> {
        self.link.lock().error.take()
    }

    /// Sets how long a wait to read, or to write, lasts at most, in nanoseconds; 0 for ever.
    pub fn set_timeout(&self, reading: bool, timeout_ns: u64) {
        self.timeout_of(reading).store(timeout_ns, Ordering::Relaxed);
    }

    /// That time.
    #[must_use]
    pub fn timeout(&self, reading: bool) -> u64 {
        self.timeout_of(reading).load(Ordering::Relaxed)
    }

    const fn timeout_of(&self, reading: bool) -> &AtomicU64 {
        if reading { &self.read_timeout_ns } else { &self.write_timeout_ns }
    }

    /// `SO_PASSCRED`
    pub fn pass_credentials(&self, passes: bool) {
        self.passes_credentials.store(passes, Ordering::Relaxed);
    }

    /// `SO_PASSCRED`
    #[must_use]
    pub fn passes_credentials(&self) -> bool {
        self.passes_credentials.load(Ordering::Relaxed)
    }

    /// `SO_SNDBUF`: twice what is asked for, as on Linux, within bounds.
    pub fn set_room(&self, bytes: usize) {
        self.room.store(bytes.saturating_mul(2).clamp(LEAST_ROOM, MOST_ROOM), Ordering::Relaxed);
    }

    /// `SO_SNDBUF`
    #[must_use]
    pub fn room(&self) -> usize {
        self.room.load(Ordering::Relaxed)
    }

    /// Shuts directions: `shutdown(2)`.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](FileError::NotConnected)
    pub fn shut(&self, directions: Directions) -> Result<(), FileError> {
        let peer = {
            let mut link = self.link.lock();
            if link.peer.is_none() && !link.is_connected && self.kind != SocketKind::Datagram {
                return Err(FileError::NotConnected);
            }
            link.shut.reading |= directions.reading;
            link.shut.writing |= directions.writing;
            link.peer.clone()
        };
        if let Some(peer) = peer.filter(|_| self.kind != SocketKind::Datagram) {
            {
                let mut link = peer.link.lock();
                link.shut.reading |= directions.writing;
                link.shut.writing |= directions.reading;
            }
            peer.tell_all();
        }
        // The peer waits for room here, and looks at its own link.
        self.tell_all();
        Ok(())
    }

    /// Its last open file is gone, or who listened did not accept it.
    fn close(&self) {
        let (peer, bound) = {
            let mut link = self.link.lock();
            link.shut = Directions { reading: true, writing: true };
            link.backlog = None;
            (link.peer.take(), link.bound.take())
        };
        if let Some(bound) = bound {
            self.sockets.forget(&bound);
        }
        let left = self.inbox.lock().close();
        let is_unread = !left.messages.is_empty();
        if let Some(peer) = peer
            && self.kind != SocketKind::Datagram
        {
            {
                let mut link = peer.link.lock();
                link.shut = Directions { reading: true, writing: true };
                link.peer = None;
                if is_unread {
                    link.error = Some(FileError::Reset);
                }
            }
            peer.tell_all();
        }
        self.tell_all();
        for waiting in left.connections {
            waiting.refuse();
        }
        self.sockets.close_files(left.messages);
    }

    /// It was connected to somebody who has stopped listening.
    fn refuse(&self) {
        let peer = self.link.lock().peer.clone();
        if let Some(peer) = peer {
            peer.link.lock().error = Some(FileError::Reset);
        }
        self.close();
    }

    /// Whether something is in the inbox.
    fn has_something(&self) -> bool {
        self.inbox.lock().has_something()
    }

    /// Whether nothing comes any more.
    fn is_shut_for_reading(&self) -> bool {
        self.link.lock().shut.reading
    }

    /// Lets all who wait for it look again.
    fn tell_all(&self) {
        self.to_read.wake_all();
        self.to_put.wake_all();
        self.watchers.notify(Readiness::all());
    }

    /// Waits in `queue` while `must_wait` says so: not if the caller does not wait, and not for longer than the time that was
    /// set.
    fn wait(
        &self,
        queue: &WaitQueue<S>,
        blocking: Blocking,
        deadline_ns: Option<u64>,
        must_wait: impl Fn() -> bool,
    ) -> Result<(), FileError> {
        if blocking == Blocking::No {
            return Err(FileError::WouldBlock);
        }
        let condition = || must_wait() && !S::interrupted();
        match deadline_ns {
            None => queue.wait_while(condition),
            Some(deadline_ns) => {
                if queue.wait_while_until(deadline_ns, condition) == Waited::TimedOut {
                    return Err(FileError::WouldBlock);
                }
            }
        }
        if must_wait() { Err(FileError::Interrupted) } else { Ok(()) }
    }

    /// When a wait that begins now ends.
    fn deadline_ns(&self, reading: bool) -> Option<u64> {
        match self.timeout(reading) {
            0 => None,
            timeout_ns => Some(S::now_ns().saturating_add(timeout_ns)),
        }
    }

    /// What can be done without waiting.
    fn readiness(&self) -> Readiness {
        const READ: Readiness = Readiness::READ.union(Readiness::READ_NORMAL);
        const WRITE: Readiness = Readiness::WRITE.union(Readiness::WRITE_NORMAL);
        let (peer, shut, is_lost, listens, has_error) = {
            let link = self.link.lock();
            let is_lost = self.kind != SocketKind::Datagram && link.peer.is_none() && link.backlog.is_none();
            (link.peer.clone(), link.shut, is_lost, link.backlog.is_some(), link.error.is_some())
        };
        let mut ready = Readiness::empty();
        if self.has_something() {
            ready |= READ;
        }
        if shut.reading {
            ready |= READ | Readiness::READ_CLOSED;
        }
        if is_lost || (shut.reading && shut.writing) {
            ready |= Readiness::HANG_UP;
        }
        if has_error {
            ready |= Readiness::ERROR;
        }
        let is_full = peer.is_some_and(|peer| peer.inbox.lock().is_full(self.room()));
        if !listens && !is_full {
            ready |= WRITE;
        }
        ready
    }
}

impl<S: Surroundings> Inode for Socket<S> {
    fn id(&self) -> FileId {
        FileId { device: DEVICE, inode: self.number }
    }

    fn protection(&self) -> Protection {
        let Peer { uid, gid, .. } = self.maker;
        Protection { kind: FileKind::Socket, permissions: 0o777, uid, gid }
    }

    fn metadata(&self) -> Metadata {
        Metadata::without_contents(self.id(), self.protection(), self.made)
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Err(FileError::NoDevice)
    }
}
